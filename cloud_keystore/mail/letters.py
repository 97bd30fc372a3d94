"""Letters: e-mails as they are sent, as text and as HTML from the same source. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from string import Template as Page
from textwrap import wrap
from urllib.parse import quote, urljoin

from cloud_keystore.config import Mail
from cloud_keystore.mail.texts import Text
from cloud_keystore.model.outbox.media import Medium

WIDTH = 72
TOKEN = "{token}"  # noqa: S105 (the line that is one)
ADDRESS_PAGE = "/address"  # of the keystore's own, at the host of the page for holders
IN_TOKENS = ":@[]"  # and in the fragment of an address, as browsers have it

_PAGE = Page(
    """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>$subject</title></head>
<body style="font-family: sans-serif; line-height: 1.5; max-width: 40em">
$body
</body>
</html>
"""
)
_ACTION = (
    '<p><a href="{url}" style="display: inline-block; padding: 0.6em 1.2em; '
    'background: #003366; color: #ffffff; text-decoration: none">{action}</a></p>'
)
_LINE = "<p>{line}</p>"
_CODE = '<p style="overflow-wrap: anywhere"><code>{line}</code></p>'


@dataclass(frozen=True, slots=True)
class Letter:
    """An e-mail to one address, or a message to a phone or into a chat, which is its text alone.
    Tries of the same notification count from 1.
    """

    notification_id: str
    tries: int
    address: str
    subject: str
    text: str = field(repr=False)  # a token can be in it
    html: str = field(repr=False)
    medium: Medium = Medium.EMAIL


@dataclass(frozen=True, slots=True)
class Body:
    """What a letter says."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


def write(text: Text, facts: Mapping[str, str], mail: Mail) -> Body:
    """What a text says with some facts; with a name, it is said to somebody. Every letter has one
    link, which is to the page for holders, or to the one where an address is verified, and says who
    helps.
    """
    token, link, url = facts.get("token", ""), facts.get("link", ""), mail.public_url
    if token:
        url = f"{url}#{quote(token, safe=IN_TOKENS)}"
    if link:
        url = f"{urljoin(url, ADDRESS_PAGE)}#{link}"
    lines = (*(["Hello {name},"] if facts.get("name") else []), *text.lines)
    # Facts with braces in them are not read again.
    said = [(line == TOKEN, line.format_map(facts)) for line in lines]
    helping = f"Need help? Ask {mail.help}. Nobody who helps you asks for your passcode."
    plain = [line if whole else _folded(line) for whole, line in said]
    plain += [f"{text.action}:\n{url}", _folded(helping)]
    marked = [(_CODE if whole else _LINE).format(line=escape(line)) for whole, line in said]
    marked.append(_ACTION.format(url=escape(url), action=escape(text.action)))
    marked.append(_LINE.format(line=escape(helping)))
    page = _PAGE.substitute(subject=escape(text.subject), body="\n".join(marked))
    return Body(text.subject, "\n\n".join(plain) + "\n", page)


def time_in_words(time: datetime) -> str:
    """A time as letters tell it."""
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def _folded(line: str) -> str:
    return "\n".join(wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False))
