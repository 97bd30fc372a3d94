"""A trace as one self-contained HTML page: no script, no other file, no network."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from itertools import islice
from typing import TypeAlias

from cloudcard_tools.trace.explain.entries import SECOND, Entry, Kind, Total, Who, duration

Read: TypeAlias = Callable[[], Iterable[Entry]]  # each call starts from the first entry

WIDTH, LANE = 1000, 22  # of the timeline, in units of the picture
FINEST = WIDTH * 2  # parts of the whole time; what is shorter is joined with its neighbour
LANES = ("Reader", "Card", "Key service")
LANE_OF: Mapping[Kind, int] = {
    Kind.COMMAND: 0,
    Kind.RESPONSE: 1,
    Kind.REQUEST: 1,
    Kind.RESULT: 2,
}
BUSY: Mapping[Who, int] = {Who.READER: 0, Who.CARD: 1, Who.KEYS: 2}
TIMED = "Who was busy when; red: slow."
UNTIMED = "Who spoke, one after the other, as no times were recorded; red: refused."
MOST_STEPS = 400  # named in the timeline
MOST_ROWS = 20_000  # of the list; a browser becomes slow with more
MOST_TITLE = 200  # characters of a line that the timeline shows

STYLE = """
:root { color-scheme: light dark; --line: #8884; --reader: #3b6ea5; --card: #2e8b57;
  --service: #b5651d; --slow: #c0392b; --dim: #777; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem; }
h1 { font-size: 1.3rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; overflow-wrap: anywhere; }
.sum, .note { color: var(--dim); margin: .2rem 0; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; margin: .6rem 0; }
svg text { font: 11px system-ui, sans-serif; fill: currentColor; }
:target { outline: 2px solid var(--reader); outline-offset: 2px; scroll-margin-top: 5rem; }
figure { margin: .6rem 0; } figcaption { color: var(--dim); font-size: .85rem; }
a:hover rect, a:focus-visible rect { stroke: currentColor; stroke-width: 2; }
.m { fill: currentColor; }
.l0 { fill: var(--reader); } .l1 { fill: var(--card); } .l2 { fill: var(--service); }
.s { fill: var(--slow); } .g { stroke: var(--line); stroke-width: 1; }
ol { list-style: none; margin: 0; padding: 0; }
li, .row { display: grid; grid-template-columns: 4.5rem 5rem repeat(3, 1fr); gap: .5rem;
  border-top: 1px solid var(--line); padding: .12rem 0; }
li > *, .row > * { min-width: 0; overflow-wrap: anywhere; }
.n, .t { color: var(--dim); text-align: right; font-variant-numeric: tabular-nums; }
.lane0 { grid-column: 3 / 6; } .lane1 { grid-column: 4 / 6; } .lane2 { grid-column: 5; }
.wide { grid-column: 3 / 6; color: var(--dim); }
.c0 { border-left: 3px solid var(--reader); padding-left: .4rem; }
.c1 { border-left: 3px solid var(--card); padding-left: .4rem; }
.c2 { border-left: 3px solid var(--service); padding-left: .4rem; }
.bad { color: var(--slow); } .slow .t { color: var(--slow); font-weight: bold; }
summary { cursor: pointer; } summary:focus-visible { outline: 2px solid var(--reader); }
pre { margin: .2rem 0 .4rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
.head { font-weight: bold; position: sticky; top: 0; background: Canvas; z-index: 1; }
.head .c0, .head .c1, .head .c2 { border-bottom: 1px solid var(--line); }
@media (max-width: 45rem) { li { grid-template-columns: 3rem 4rem 1fr; }
  .lane0, .lane1, .lane2, .wide { grid-column: 3; } .head { display: none; } }
"""
POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of the timeline in which somebody was busy, ending with this line."""

    lane: int
    begin: float  # in the picture's units
    end: float
    entry: Entry
    red: bool  # slow; or refused, if no times were recorded


@dataclass(frozen=True, slots=True)
class Overview:
    """What is shown above the list."""

    total: Total
    length: int  # of the timeline: microseconds, or messages if no times were recorded
    timed: bool
    steps: tuple[tuple[int, str], ...]  # where each begins, up to MOST_STEPS
    rows: int


def render(title: str, read: Read) -> Iterator[str]:
    """The parts of the page. `read` is called once for each of them."""
    over = overview(read())
    yield f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>
<h1>{escape(title)}</h1>
<p class="sum">{escape(str(over.total))}</p>
"""
    if over.length:
        yield from _timeline(over, read())
    yield '<div class="row head"><span class="n">Line</span><span class="t">Time</span>'
    yield "".join(f'<span class="c{lane}">{name}</span>' for lane, name in enumerate(LANES))
    yield "</div>\n<ol>\n"
    steps = 0
    for entry in islice(read(), MOST_ROWS):
        if entry.kind is Kind.STEP:
            steps += 1
            yield f'</ol>\n<h2 id="step-{steps}">{escape(entry.text)}</h2>\n<ol>\n'
        else:
            yield _row(entry)
    yield "</ol>\n"
    if over.rows > MOST_ROWS:
        yield (
            f'<p class="bad">The first {MOST_ROWS:,} lines are shown of {over.rows:,}: '
            "make a page of one step with --step.</p>\n"
        )
    yield "</main></body></html>\n"


def overview(entries: Iterable[Entry]) -> Overview:
    """Sums over all entries, computed in little memory."""
    total = Total()
    steps: list[tuple[int, int, str]] = []
    at = messages = rows = 0
    for entry in entries:
        rows += 1
        total.add(entry)
        at = entry.at
        if entry.kind is Kind.STEP and len(steps) < MOST_STEPS:
            steps.append((at, messages, entry.text))
        messages += entry.kind in LANE_OF
    timed = at > 0
    begins = tuple((at if timed else count, name) for at, count, name in steps)
    return Overview(total, at if timed else messages, timed, begins, rows)


def bars(entries: Iterable[Entry], over: Overview) -> Iterator[Bar]:
    """The bars of the timeline: who was busy when, or without times, who said something. A bar that
    is too short for the picture is joined with the next one.
    """
    begin = messages = 0
    for entry in entries:
        lane = BUSY[entry.who] if over.timed else LANE_OF.get(entry.kind)
        if entry.kind not in LANE_OF or lane is None:
            continue
        messages += 1
        end = entry.at if over.timed else messages
        if (end - begin) * FINEST < over.length:
            continue
        red = entry.slow if over.timed else not entry.fine
        yield Bar(lane, begin * WIDTH / over.length, end * WIDTH / over.length, entry, red)
        begin = end


def _timeline(over: Overview, entries: Iterable[Entry]) -> Iterator[str]:
    """The timeline as a picture. Each bar and step links to its place in the list."""
    scale = WIDTH / over.length
    height = LANE * (len(LANES) + 2)
    what = TIMED if over.timed else UNTIMED
    yield f'<figure><svg viewBox="-90 0 {WIDTH + 100} {height}" role="group" aria-label="{what}">\n'
    for lane, name in enumerate(LANES):
        y = LANE * (lane + 1)
        yield f'<text x="-8" y="{y + 14}" text-anchor="end">{name}</text>'
        yield f'<line class="g" x1="0" x2="{WIDTH}" y1="{y + LANE}" y2="{y + LANE}"/>\n'
    for bar in bars(entries, over):
        yield _bar(bar)
    for number, (at, name) in enumerate(over.steps, 1):
        x = at * scale
        yield f'<a href="#step-{number}"><title>{escape(name)}</title>'
        yield f'<path class="m" d="M{x:.2f} {LANE - 4} l-5 -9 h10 z"/></a>\n'
    base = LANE * (len(LANES) + 1) + 16
    for part in range(5 if over.timed else 0):
        x = WIDTH * part // 4
        anchor = "start" if part == 0 else "end" if part == 4 else "middle"
        said = duration(over.length * part // 4) if part else "0"
        yield f'<text x="{x}" y="{base}" text-anchor="{anchor}">{said}</text>\n'
    yield f"</svg><figcaption>{what} A triangle is the beginning of a step.</figcaption></figure>\n"


def _bar(bar: Bar) -> str:
    entry = bar.entry
    kind = "s" if bar.red else f"l{bar.lane}"
    took = f", {duration(entry.took)}" if entry.took else ""
    said = escape(f"Line {entry.number}: {ARROWS[entry.kind]}{_short(entry.text)}{took}")
    return (
        f'<a href="#line-{entry.number}"><title>{said}</title>'
        f'<rect class="{kind}" x="{bar.begin:.2f}" y="{LANE * (bar.lane + 1) + 3}" '
        f'width="{max(bar.end - bar.begin, 0.5):.2f}" height="{LANE - 6}"/></a>\n'
    )


def _row(entry: Entry) -> str:
    lane = LANE_OF.get(entry.kind)
    place = "wide" if lane is None else f"lane{lane} c{lane}"
    bad = "" if entry.fine else " bad"
    time = f"+{duration(entry.took)}" if entry.took >= SECOND // 1000 else ""
    # Not by colour alone.
    time += " slow" if entry.slow else ""
    slow = ' class="slow"' if entry.slow else ""
    # The target of a link is inside the element that can be opened, so that browsers open it.
    line = entry.number if entry.kind in LANE_OF else 0
    return (
        f'<li{slow}><span class="n">{entry.number}</span><span class="t">{time}</span>'
        f'<div class="{place}{bad}">{_content(entry, line)}</div></li>\n'
    )


def _content(entry: Entry, line: int) -> str:
    text = escape(ARROWS.get(entry.kind, "") + entry.text)
    place = f' id="line-{line}"' if line else ""
    inside = [*entry.details, *([entry.apdu.hex()] if entry.apdu else [])]
    if not inside:
        return f"<span{place}>{text}</span>"
    shown = escape("\n".join(inside))
    return f"<details><summary>{text}</summary><pre{place}>{shown}</pre></details>"


def _short(text: str) -> str:
    return text if len(text) <= MOST_TITLE else text[:MOST_TITLE] + "…"


ARROWS: Mapping[Kind, str] = {
    Kind.COMMAND: "→ ",
    Kind.RESPONSE: "← ",
    Kind.REQUEST: "→ ",
    Kind.RESULT: "← ",
}
