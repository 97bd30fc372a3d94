"""Pages for people, as plain as they can be: no script, no style, nothing of others. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from http import HTTPStatus

from cloudcard_tools.simulate.exchange import Response

WARNING = (
    "This is a simulator of cloudcard for development. It is no service of the NHS, and nobody in "
    "it exists."
)
AGAIN = 2  # seconds


def page(title: str, *parts: str, status: HTTPStatus = HTTPStatus.OK, again: str = "") -> Response:
    """A page of parts that are HTML already. Browsers go to `again` by themselves after a while."""
    after = f'<meta http-equiv="refresh" content="{AGAIN};url={escape(again)}">' if again else ""
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">{after}'
        f"<title>{escape(title)}</title></head>"
        f"<body><main><h1>{escape(title)}</h1>{''.join(parts)}</main>"
        f"<footer><p>{escape(WARNING)}</p></footer></body></html>"
    )
    return Response(status, body.encode(), "text/html; charset=utf-8")


def refusal(status: HTTPStatus, text: str) -> Response:
    """A page that says why something is not done."""
    return page(status.phrase, paragraph(sentence(text)), status=status)


def sentence(text: str) -> str:
    """What an error says, as a sentence."""
    return f"{text[:1].upper()}{text[1:]}."


def paragraph(text: str) -> str:
    """A paragraph."""
    return f"<p>{escape(text)}</p>"


def heading(text: str) -> str:
    """The heading of a section."""
    return f"<h2>{escape(text)}</h2>"


def link(url: str, text: str) -> str:
    """A paragraph that is a link."""
    return f'<p><a href="{escape(url)}">{escape(text)}</a></p>'


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, or a paragraph that says that it would be empty."""
    if not rows:
        return paragraph("None.")
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(each)}</td>" for each in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def form(
    url: str, button: str, hidden: Mapping[str, str], *fields: str, method: str = "post"
) -> str:
    """A form with what nobody fills in, what somebody does, and a button."""
    kept = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    return (
        f'<form method="{method}" action="{escape(url)}">{kept}{"".join(fields)}'
        f"<p><button>{escape(button)}</button></p></form>"
    )


def text_field(name: str, label: str, value: str = "", kind: str = "text") -> str:
    """A line to fill in."""
    return (
        f'<p><label>{escape(label)} <input type="{kind}" name="{escape(name)}" '
        f'value="{escape(value)}" autocomplete="off"></label></p>'
    )


def choice(name: str, legend: str, options: Mapping[str, str]) -> str:
    """One of several, by value and label."""
    rows = "".join(
        f'<p><label><input type="radio" name="{escape(name)}" value="{escape(value)}" required> '
        f"{escape(label)}</label></p>"
        for value, label in options.items()
    )
    return f"<fieldset><legend>{escape(legend)}</legend>{rows}</fieldset>"
