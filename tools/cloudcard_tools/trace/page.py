"""A trace as one page that needs nothing else: no script, no other file, no network."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import TypeAlias

from cloudcard_tools.trace.entries import Entry, duration

Read: TypeAlias = Callable[[], Iterable[Entry]]  # the entries, from the first on

WIDTH, LANE = 1000, 22  # of the timeline's picture, in its own units
FINEST = WIDTH * 2  # parts of the whole time that are drawn: what is shorter joins its neighbour
LANES = ("Reader", "Card", "Key service")
LANE_OF: Mapping[str, int] = {"command": 0, "response": 1, "request": 1, "result": 2}
BUSY: Mapping[str, int] = {"command": 0, "request": 1, "response": 1, "result": 2}  # before it
MOST_STEPS = 400  # named in the timeline

STYLE = """
:root { color-scheme: light dark; --line: #8884; --reader: #3b6ea5; --card: #2e8b57;
  --service: #b5651d; --slow: #c0392b; --dim: #777; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem; }
h1 { font-size: 1.3rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; overflow-wrap: anywhere; }
.sum, .note { color: var(--dim); margin: .2rem 0; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; margin: .6rem 0; }
svg text { font: 11px system-ui, sans-serif; fill: currentColor; }
.l0 { fill: var(--reader); } .l1 { fill: var(--card); } .l2 { fill: var(--service); }
.s { fill: var(--slow); } .g { stroke: var(--line); stroke-width: 1; }
ol { list-style: none; margin: 0; padding: 0; }
li { display: grid; grid-template-columns: 4.5rem 5rem repeat(3, 1fr); gap: .5rem;
  border-top: 1px solid var(--line); padding: .12rem 0; }
li > * { min-width: 0; overflow-wrap: anywhere; }
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
    """Somebody was busy, from one time to another, in seconds."""

    lane: int
    begin: float
    end: float
    slow: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """What stands above the list."""

    commands: int
    slow: int
    seconds: float
    steps: tuple[tuple[float, str], ...]  # when each begins


def render(title: str, read: Read) -> Iterator[str]:
    """The parts of the page; `read` is called once for each of its parts."""
    over = overview(read())
    yield f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p class="sum">{over.commands} commands in {duration(over.seconds)}, {over.slow} slow answers</p>
"""
    if over.seconds > 0:
        yield from _timeline(over, read())
    yield '<ol><li class="head"><span class="n">Line</span><span class="t">Time</span>'
    yield "".join(f'<span class="c{lane}">{name}</span>' for lane, name in enumerate(LANES))
    yield "</li></ol>\n<ol>\n"
    steps = 0
    for entry in read():
        if entry.kind == "step":
            steps += 1
            yield f'</ol>\n<h2 id="step-{steps}">{escape(entry.text)}</h2>\n<ol>\n'
        else:
            yield _row(entry)
    yield "</ol>\n</body></html>\n"


def overview(entries: Iterable[Entry]) -> Overview:
    """Sums over all entries, in little memory."""
    commands = slow = 0
    seconds = 0.0
    steps: list[tuple[float, str]] = []
    for entry in entries:
        commands += entry.kind == "command"
        slow += entry.slow
        seconds = entry.at
        if entry.kind == "step" and len(steps) < MOST_STEPS:
            steps.append((entry.at, entry.text))
    return Overview(commands, slow, seconds, tuple(steps))


def bars(entries: Iterable[Entry], shortest: float) -> Iterator[Bar]:
    """Who was busy when. What is shorter than `shortest` seconds joins what comes after it."""
    begin = 0.0
    for entry in entries:
        lane = BUSY.get(entry.kind)
        if lane is None or entry.at - begin < shortest:
            continue
        yield Bar(lane, begin, entry.at, entry.slow)
        begin = entry.at


def _timeline(over: Overview, entries: Iterable[Entry]) -> Iterator[str]:
    """A picture of who was busy when, with a mark where each step begins that leads to it."""
    scale = WIDTH / over.seconds
    height = LANE * (len(LANES) + 2)
    yield f'<svg viewBox="-90 0 {WIDTH + 100} {height}" role="img" aria-label="Timeline">\n'
    for lane, name in enumerate(LANES):
        y = LANE * (lane + 1)
        yield f'<text x="-8" y="{y + 14}" text-anchor="end">{name}</text>'
        yield f'<line class="g" x1="0" x2="{WIDTH}" y1="{y + LANE}" y2="{y + LANE}"/>\n'
    for bar in bars(entries, over.seconds / FINEST):
        x, y = bar.begin * scale, LANE * (bar.lane + 1) + 3
        width = max((bar.end - bar.begin) * scale, 0.5)
        kind = "s" if bar.slow else f"l{bar.lane}"
        yield f'<rect class="{kind}" x="{x:.2f}" y="{y}" width="{width:.2f}" height="{LANE - 6}">'
        yield f"<title>{LANES[bar.lane]}: {duration(bar.end - bar.begin)}</title></rect>\n"
    for number, (at, name) in enumerate(over.steps, 1):
        x = at * scale
        yield f'<a href="#step-{number}"><title>{escape(name)}</title>'
        yield f'<path class="l0" d="M{x:.2f} {LANE - 4} l-5 -9 h10 z"/></a>\n'
    base = LANE * (len(LANES) + 1) + 16
    for part in range(5):
        x = WIDTH * part // 4
        anchor = "start" if part == 0 else "end" if part == 4 else "middle"
        said = duration(over.seconds * part / 4)
        yield f'<text x="{x}" y="{base}" text-anchor="{anchor}">{said}</text>\n'
    yield "</svg>\n"


def _row(entry: Entry) -> str:
    lane = LANE_OF.get(entry.kind)
    place = "wide" if lane is None else f"lane{lane} c{lane}"
    bad = "" if entry.fine else " bad"
    time = f"+{duration(entry.seconds)}" if entry.seconds >= 0.001 else ""
    slow = ' class="slow"' if entry.slow else ""
    return (
        f'<li{slow} id="line-{entry.number}"><span class="n">{entry.number}</span>'
        f'<span class="t">{time}</span><div class="{place}{bad}">{_content(entry)}</div></li>\n'
    )


def _content(entry: Entry) -> str:
    text = escape(ARROWS.get(entry.kind, "") + entry.text)
    inside = [*entry.details, *([entry.raw] if entry.raw else [])]
    if not inside:
        return text
    shown = escape("\n".join(inside))
    return f"<details><summary>{text}</summary><pre>{shown}</pre></details>"


ARROWS: Mapping[str, str] = {"command": "→ ", "response": "← ", "request": "→ ", "result": "← "}
