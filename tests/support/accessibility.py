"""Whether everybody can use a page: what axe finds, at each size, zoom and choice of colours; and a
picture of it, for whoever wants to look.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

from support.pages import DESK, PHONE

SCREENSHOTS = "CLOUDCARD_SCREENSHOTS"  # a folder in which they are kept, if it is set
# 1280 x 1024 at 400 % (WCAG 2.2, 1.4.10)
ZOOMED = ViewportSize(width=320, height=256)
# What can be used must have an edge, or a line below its text, where the page's own colours are
# taken away; and nothing moves by itself for people who do not want that.
WITHOUT_EDGE = """() => [...document.querySelectorAll("button, input, select, textarea")]
    .filter((each) => each.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
    .filter((each) => !["checkbox", "radio", "file", "hidden"].includes(each.type))
    .filter((each) => getComputedStyle(each).borderTopStyle === "none")
    .filter((each) => !getComputedStyle(each).textDecorationLine.includes("underline"))
    .map((each) => each.outerHTML.slice(0, 200))"""
MOVES = """() => document.getAnimations()
    .map((each) => each.animationName ?? each.transitionProperty)"""
SIDEWAYS = "() => document.documentElement.scrollWidth > innerWidth"


def check(page: Page) -> None:
    """Raises AssertionError with what somebody cannot use on a page (WCAG 2.2 AA), or what is cut
    off: on a phone, at a desk, at 400 % zoom, and in forced colours without motion.
    """
    before = page.viewport_size
    for size in (PHONE, DESK):
        page.set_viewport_size(ViewportSize(**size))
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert not page.evaluate(SIDEWAYS), f"it goes sideways at {size['width']}"
        _keep(page, size["width"])
    page.set_viewport_size(ZOOMED)
    assert not page.evaluate(SIDEWAYS), "it goes sideways at 400 %"
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    edgeless, moving = page.evaluate(WITHOUT_EDGE), page.evaluate(MOVES)
    assert edgeless == [], edgeless
    assert moving == [], moving
    page.emulate_media(forced_colors="none", reduced_motion="no-preference")
    if before is not None:
        page.set_viewport_size(before)


def _keep(page: Page, width: int) -> None:
    """Keep a picture, by the name of the test that looks."""
    if not (folder := os.environ.get(SCREENSHOTS)):
        return
    test = _slug(os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].rpartition(" ")[0])
    Path(folder).mkdir(parents=True, exist_ok=True)
    number = len([*Path(folder).glob(f"{test}-[0-9]*-{width}.png")])
    page.screenshot(path=Path(folder) / f"{test}-{number:02}-{width}.png", full_page=True)


def _slug(text: str) -> str:
    return re.sub(r"\W+", "-", text).strip("-")
