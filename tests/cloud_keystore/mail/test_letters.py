"""Each letter as it is sent, compared with files, and what holds for all of them (COM-01, COM-02).

CLOUDCARD_WRITE_LETTERS=1 writes the files again; read them before they are committed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from cloud_keystore.config import Address, Mail, Security
from cloud_keystore.mail.letters import Body, write
from cloud_keystore.mail.texts import MESSAGES, TEXTS
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.outbox.media import Medium, medium_of
from cloud_keystore.model.outbox.notifications import INVITATIONS, LINKED, Template
from support.outbox import MAIL

FILES = Path(__file__).parent / "letters"
FACTS = {
    "name": "Ada O'Brien",
    "time": "29 November 2026, 14:05 UTC",
    "card": "1500480134552610",
    "profile": "v2",
    "passcode": "PIN",
    "device": "Ada's <phone>",
    "reason": "lost & found",
    "who": "your registration authority",
    "by": 'your phone "Ada\'s tablet"',
    "old": "Ada O'Brien",
    "new": "Ada Lovelace",
}
NAMELESS = {Template.TEST, Template.FEEDBACK}  # to nobody who is known
CODE = {"code": "12345678", "until": "29 November 2026, 14:20 UTC"}
UNTIL = {
    Template.UNLOCK_CODE: {"until": "2026-11-29 15:05 UTC"},
    Template.APP_PIN_CODE: {"until": "2026-11-29 15:05 UTC"},
    Template.CARD_ENDS: {"days": "89", "until": "27 February 2027, 14:04 UTC"},
    Template.CARD_RENEWED: {"until": "28 November 2028"},
    Template.ADDRESS_CODE: CODE,
    Template.PASSWORD_CODE: CODE,
    Template.DEVICE_CODE: CODE,
    Template.VISIT_CODE: CODE,
    Template.FACTOR_CODE: CODE,
    Template.EMAIL_LINK: {
        "link": "cca1.01a207a2-3280-7277-86fd-6eb3e1ac2991.AAECAwQFBgcICQoLDA0ODw",
        "until": "2 December 2026, 14:05 UTC",
    },
}
TOKEN = {"token": "cc1.AbC_-9@keystore.example.org:7444", "until": "13 December 2026, 14:05 UTC"}
LINK = re.compile(r"[a-z]+://[^\s\"<]+")
ADDRESS = Address("mail.example.org", 587)
SENDER = "keystore@example.org"
URL = "https://cards.example.org"


def facts_of(template: Template) -> Mapping[str, str]:
    if template in NAMELESS:
        return {"time": FACTS["time"], "text": "Sort <cards> & people by ward."}
    return {**FACTS, **(TOKEN if template in INVITATIONS else UNTIL.get(template, {}))}


def body(template: Template) -> Body:
    return write(TEXTS[template], facts_of(template), MAIL)


@pytest.mark.parametrize("form", ["txt", "html"])
@pytest.mark.parametrize("template", TEXTS)
def test_a_letter_is_as_it_was(template: Template, form: str) -> None:
    """COM-01: a snapshot of each, in both forms."""
    made = body(template)
    said = made.html if form == "html" else f"Subject: {made.subject}\n\n{made.text}"
    file = FILES / f"{template}.{form}"
    if os.environ.get("CLOUDCARD_WRITE_LETTERS"):
        file.write_text(said)
    assert file.read_text() == said


def test_every_file_is_that_of_a_letter() -> None:
    assert {file.stem for file in FILES.iterdir()} == {each.value for each in TEXTS}


def test_every_template_is_a_letter_or_a_message() -> None:
    assert {*TEXTS, *MESSAGES} == {*Template}
    assert {medium_of(each) for each in TEXTS} == {Medium.EMAIL}
    assert Medium.EMAIL not in {medium_of(each) for each in MESSAGES}


@pytest.mark.parametrize("template", MESSAGES)
def test_a_message_is_short_and_has_no_link(template: Template) -> None:
    """Who gets used to links in messages follows those of others."""
    facts = {"code": "123456", "until": TOKEN["until"], "kind": "not-me", "time": FACTS["time"]}
    said = MESSAGES[template].format_map(facts)
    assert len(said) <= 320
    assert not LINK.findall(said)
    assert "\n" not in said


@pytest.mark.parametrize("template", TEXTS)
def test_a_letter_has_one_action_by_https(template: Template) -> None:
    """COM-01: one main action, an https link. BUG-06: on the configured page, whatever the rest."""
    made = body(template)
    for links in (re.findall(r'href="([^"]*)"', made.html), LINK.findall(made.text)):
        (link,) = links
        page = f"{URL}/address" if template in LINKED else URL
        assert unescape(link).partition("#")[0] == page


@pytest.mark.parametrize("template", TEXTS)
def test_a_letter_says_who_helps(template: Template) -> None:
    """COM-02: the help contact is in every mail."""
    made = body(template)
    assert MAIL.help in made.html
    assert MAIL.help in " ".join(made.text.split())


@pytest.mark.parametrize("template", TEXTS)
def test_both_forms_say_the_same(template: Template) -> None:
    made = body(template)
    shown = unescape(re.sub(r"<[^>]+>", " ", made.html.partition("<body")[2].partition(">")[2]))
    (link,) = LINK.findall(made.text)
    assert shown.split() == made.text.replace(f":\n{link}", "").split()


@pytest.mark.parametrize(
    "template", [each for each in TEXTS if "{card}" in "".join(TEXTS[each].lines)]
)
def test_a_letter_about_a_card_names_its_type(template: Template) -> None:
    """COM-01: the right type of card."""
    assert "v2 card 1500480134552610" in " ".join(body(template).text.split())


def test_an_address_is_verified_on_the_keystores_own_page() -> None:
    """USER-17, BUG-06: at the configured host, wherever the page for holders is there."""
    mail = replace(MAIL, public_url=f"{URL}:8443/start/here")
    made = write(TEXTS[Template.EMAIL_LINK], facts_of(Template.EMAIL_LINK), mail)
    link = UNTIL[Template.EMAIL_LINK]["link"]
    assert f"{URL}:8443/address#{link}\n" in made.text
    assert link not in repr(made)


def test_a_token_is_in_the_link_where_no_server_sees_it() -> None:
    made = body(Template.INVITED)
    assert f"{URL}#{TOKEN['token']}" in made.text
    assert TOKEN["token"] not in repr(made)


@pytest.mark.parametrize("name", ["{token}", "{0}", "{", "<b>Ada</b>", '"><a href="https://evil">'])
def test_a_name_is_only_a_name(name: str) -> None:
    made = write(TEXTS[Template.INVITED], {**FACTS, **TOKEN, "name": name}, MAIL)
    assert made.text.startswith(f"Hello {name},\n")
    assert len(re.findall("<a ", made.html)) == 1
    assert "<b>" not in made.html


@pytest.mark.parametrize(
    "url",
    [
        "http://cards.example.org",
        "https://",
        "https://cards.example.org/?a",
        "https://cards.example.org/#a",
        "https://ada@cards.example.org",
        "cards.example.org",
        "",
    ],
)
def test_links_are_https_and_on_a_page(url: str) -> None:
    """BUG-06"""
    with pytest.raises(InvalidInput, match="is not the address of the page"):
        Mail(ADDRESS, SENDER, url)


def test_mail_goes_without_tls_within_this_computer_alone() -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        Mail(Address(host, 25), SENDER, URL, security=Security.NONE)
    with pytest.raises(InvalidInput, match="without TLS"):
        Mail(ADDRESS, SENDER, URL, security=Security.NONE)


@pytest.mark.parametrize("days", [(0,), (14,), (3, -1)])
def test_reminders_are_before_the_invitation_ends(days: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="day 1 to 13"):
        Mail(ADDRESS, SENDER, URL, remind_days=days)


@pytest.mark.parametrize("sender", ["", "nobody", "ä@example.org"])
def test_a_sender_is_an_address(sender: str) -> None:
    with pytest.raises(InvalidInput):
        Mail(ADDRESS, sender, URL)


def test_user_and_password_go_together(tmp_path: Path) -> None:
    for more in ({"user": "a"}, {"password_file": tmp_path / "p"}):
        with pytest.raises(InvalidInput, match="go together"):
            Mail(ADDRESS, SENDER, URL, **more)
