"""A trace as one self-contained HTML page: no script, no other file, no network."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from html import escape
from itertools import islice
from typing import TypeAlias

from cloudcard_tools.trace.explain import timeline
from cloudcard_tools.trace.explain.entries import SECOND, Entry, Kind, duration
from cloudcard_tools.trace.explain.timeline import ARROWS, LANE_OF, LANES

Read: TypeAlias = Callable[[], Iterable[Entry]]  # each call starts from the first entry

MOST_ROWS = 20_000  # of the list; a browser becomes slow with more

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
svg .w { fill: #fff; font-size: 9px; pointer-events: none; }
.x { stroke: Canvas; stroke-width: 2; fill: none; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .12rem .8rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; padding-left: .4rem; } th { font-weight: normal; }
thead th { color: var(--dim); } a { color: inherit; }
.s { fill: var(--slow); } .g { stroke: var(--line); stroke-width: 1; }
ol { list-style: none; margin: 0; padding: 0; }
li, .row { display: grid; grid-template-columns: 4rem 6.5rem repeat(3, 1fr); gap: .5rem;
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
@media (max-width: 45rem) { li { grid-template-columns: 3rem 5.5rem 1fr; }
  .lane0, .lane1, .lane2, .wide { grid-column: 3; } .head { display: none; } }
@page { margin: 12mm; }
@media print { :root { color-scheme: light; --dim: #555; print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
  body { font-size: 9.5pt; max-width: none; padding: 0; } a { text-decoration: none; }
  .head { position: static; } li, figure, table { break-inside: avoid; }
  h2 { break-after: avoid; } summary { list-style: none; } :target { outline: none; } }
"""
POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'"
)


def render(title: str, read: Read) -> Iterator[str]:
    """The parts of the page. `read` is called once for each of them."""
    over = timeline.overview(read())
    yield f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>
<h1>{escape(title)}</h1>
<p class="sum">{escape(str(over.total))}</p>
"""
    yield from timeline.times(over)
    if over.length:
        yield from timeline.picture(over, read())
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
