"""Pages that lead to each other: which there are, an address of each kind, and forms that are sent
with what nobody means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from playwright.sync_api import Page

from cloud_keystore.run.faces import web
from cloud_keystore.web.application import Part
from support.keystore_world import new_world
from support.site import site as site_of

# What leads on from a page without changing anything, except files
LEADS = """() => [
  ...[...document.querySelectorAll("a[href]")].map((each) => each.href),
  ...[...document.querySelectorAll("form")].filter((each) => each.method === "get")
    .map((each) => `${each.action.split("?")[0]}?${new URLSearchParams(new FormData(each))}`),
]"""
# Where something is typed or chosen, by their places on the page
FORMS = """() => [...document.forms].flatMap((form, place) =>
  form.querySelector("input:not([type=hidden]), select, textarea") ? [place] : [])"""
# Sends one with what nobody means, as a browser does that knows no bounds.
NONSENSE = """(place) => {
  const form = document.forms[place];
  // More than any field takes, and less in all than a request can have
  const most = Math.min(600, Math.floor(3000 / form.elements.length));
  for (const each of form.elements) {
    if (["checkbox", "radio"].includes(each.type)) each.checked = false;
    if (!["text", "search", "password", "number", "date", "textarea"].includes(each.type)) continue;
    if (each.tagName === "INPUT") each.type = "text";
    each.value = "\\u00e9\\u202e".repeat(most);
  }
  form.submit();
}"""


def addresses(folder: Path, at: str) -> set[str]:
    """The routes of all pages at and below a path, without files."""
    found, made = list[Part](), web.application

    def noted(*given: Any) -> FastAPI:
        found.extend(given[-1])
        return made(*given)

    world = new_world(folder)
    with closing(world.database), pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "application", noted)
        site_of(world)
    rows = [row for part in found for row in part.rows if row.method == "GET"]
    return {row.path for row in rows if row.path.startswith(at) and "." not in row.path}


def kind(path: str, routes: set[str]) -> str:
    """The route of an address; empty for none of them."""
    for route in sorted(routes, key=lambda each: each.count("{")):
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/.]+", re.escape(route)), path):
            return route
    return ""


def crawl(page: Page, origin: str, at: str, routes: set[str]) -> dict[str, str]:
    """An address of each kind of page that something leads to from a path, by kind."""
    found, left = dict[str, str](), [f"{origin}{at}"]
    while left:
        address = left.pop(0)
        route = kind(urlsplit(address).path, routes)
        if not address.startswith(origin) or not route or route in found:
            continue
        found[route] = address
        page.goto(address)
        left += page.evaluate(LEADS)
    return found


def sent_nonsense(page: Page, address: str) -> Iterator[int]:
    """Send each form of a page with what nobody means: its status, while its answer is shown."""
    page.goto(address)
    for place in page.evaluate(FORMS):
        page.goto(address)
        with page.expect_navigation() as sent:
            page.evaluate(NONSENSE, place)
        yield sent.value.status


def says_where(page: Page) -> bool:
    """Whether a page that says what is wrong links to the field, and says it there too."""
    told = page.get_by_role("alert").get_by_role("link")
    field = page.locator(str(told.get_attribute("href")))
    group = page.locator(".nhsuk-form-group--error").filter(has=field)
    return told.inner_text() in group.inner_text()
