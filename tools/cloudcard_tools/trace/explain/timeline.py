"""The timeline of a trace's page: who was busy when, as a picture, and how long each was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

from cloudcard_tools.trace.explain.entries import Entry, Kind, Total, Who, duration

WIDTH, LANE = 1000, 22  # of the picture, in its own units
FINEST = WIDTH * 2  # parts of the whole length; what is shorter is joined with its neighbour
LANES = ("Reader", "Card", "Key service")
LANE_OF: Mapping[Kind, int] = {
    Kind.COMMAND: 0,
    Kind.RESPONSE: 1,
    Kind.REQUEST: 1,
    Kind.RESULT: 2,
}
BUSY: Mapping[Who, int] = {Who.READER: 0, Who.CARD: 1, Who.KEYS: 2}
ARROWS: Mapping[Kind, str] = {
    Kind.COMMAND: "→ ",
    Kind.RESPONSE: "← ",
    Kind.REQUEST: "→ ",
    Kind.RESULT: "← ",
}
TIMED = "Who was busy when; red: slow."
CUT = " What took longer than {} is cut there, at a slash."
UNTIMED = "Who spoke, one after the other, as no times were recorded; red: refused."
MOST_STEPS = 400  # named in the picture
MOST_TITLE = 200  # characters of a line that the picture shows
CUT_FACTOR = 5  # as a power of two: how much longer than the card's usual time a bar can be
LETTER, SLASH = 5, 6  # widths in a bar with a time


@dataclass(slots=True)
class Layer:
    """How long one of the three was busy."""

    took: int = 0
    turns: int = 0
    longest: int = 0
    at_line: int = 0  # where the longest turn ended


@dataclass(slots=True)
class Overview:
    """What is shown above the list, computed in little memory."""

    total: Total = field(default_factory=Total)
    layers: dict[Who, Layer] = field(default_factory=dict)
    rows: int = 0
    messages: int = 0
    at: int = 0
    sizes: dict[Who, dict[int, tuple[int, int]]] = field(default_factory=dict)
    """Times by their number of bits: how many, and their sum."""

    def add(self, entry: Entry) -> None:
        """Add a line."""
        self.rows += 1
        self.total.add(entry)
        self.at = entry.at
        self.messages += entry.kind in LANE_OF
        if not entry.took:
            return
        layer = self.layers.setdefault(entry.who, Layer())
        layer.took, layer.turns = layer.took + entry.took, layer.turns + 1
        if entry.took > layer.longest:
            layer.longest, layer.at_line = entry.took, entry.number
        of_size = self.sizes.setdefault(entry.who, {})
        bits = entry.took.bit_length()
        many, whole = of_size.get(bits, (0, 0))
        of_size[bits] = many + 1, whole + entry.took

    @property
    def timed(self) -> bool:
        """Whether the trace has times."""
        return self.at > 0

    @property
    def cap(self) -> int:
        """The longest time that is drawn as long as it was: a power of two above the time that the
        card usually took, so that its bars can be seen beside those who wait.
        """
        of_card = self.sizes.get(Who.CARD) or self.sizes.get(Who.READER) or {}
        half = sum(many for many, _ in of_card.values()) / 2
        seen = 0
        for bits in sorted(of_card):
            seen += of_card[bits][0]
            if seen >= half:
                return 1 << (bits + CUT_FACTOR)
        return 1

    @property
    def length(self) -> int:
        """Of the picture: microseconds with long times cut, or messages if there are no times."""
        if not self.timed:
            return self.messages
        cap = self.cap
        return sum(
            whole if 1 << bits <= cap else many * cap
            for of_size in self.sizes.values()
            for bits, (many, whole) in of_size.items()
        )


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of the timeline in which somebody was busy, ending with this line."""

    lane: int
    begin: float  # in the picture's units
    end: float
    entry: Entry
    red: bool  # slow; or refused, if no times were recorded
    cut: bool = False


def overview(entries: Iterable[Entry]) -> Overview:
    """Sums over all entries."""
    over = Overview()
    for entry in entries:
        over.add(entry)
    return over


def bars(entries: Iterable[Entry], over: Overview) -> Iterator[Bar | tuple[float, Entry]]:
    """The bars: who was busy when, or without times, who said something; and where steps begin. A
    bar that is too short for the picture is joined with the next one.
    """
    begin = end = 0
    scale, cap, length = WIDTH / max(over.length, 1), over.cap, over.length
    for entry in entries:
        lane = BUSY[entry.who] if over.timed else LANE_OF.get(entry.kind)
        if over.timed:
            end += min(entry.took, cap)
        elif entry.kind in LANE_OF:
            end += 1
        if entry.kind is Kind.STEP:
            yield end * scale, entry
        if entry.kind not in LANE_OF or lane is None or (end - begin) * FINEST < length:
            continue
        red = entry.slow if over.timed else not entry.fine
        cut = over.timed and entry.took > cap
        yield Bar(lane, begin * scale, end * scale, entry, red, cut)
        begin = end


def picture(over: Overview, entries: Iterable[Entry]) -> Iterator[str]:
    """The timeline as a picture. Each bar and step links to its place in the list."""
    height = LANE * (len(LANES) + 2)
    what = TIMED if over.timed else UNTIMED
    if over.timed and any(layer.longest > over.cap for layer in over.layers.values()):
        what += CUT.format(duration(over.cap))
    yield f'<figure><svg viewBox="-90 0 {WIDTH + 100} {height}" role="group" aria-label="{what}">\n'
    for lane, name in enumerate(LANES):
        y = LANE * (lane + 1)
        yield f'<text x="-8" y="{y + 14}" text-anchor="end">{name}</text>'
        yield f'<line class="g" x1="0" x2="{WIDTH}" y1="{y + LANE}" y2="{y + LANE}"/>\n'
    steps = 0
    ticks = _Ticks()
    for drawn in bars(entries, over):
        if isinstance(drawn, Bar):
            ticks.add(drawn)
            yield _bar(drawn)
        elif steps < MOST_STEPS:
            steps += 1
            x, entry = drawn
            yield f'<a href="#step-{steps}"><title>{escape(entry.text)}</title>'
            yield f'<path class="m" d="M{x:.2f} {LANE - 4} l-5 -9 h10 z"/></a>\n'
    if over.timed:
        yield from ticks.texts(over.at)
    triangles = " A triangle is the beginning of a step." if steps else ""
    yield f"</svg><figcaption>{what}{triangles}</figcaption></figure>\n"


class _Ticks:
    """The times below the picture, at its quarters."""

    def __init__(self) -> None:
        self._at = [0, 0, 0]  # the last time before each quarter

    def add(self, bar: Bar) -> None:
        for part in range(len(self._at)):
            if bar.end <= WIDTH * (part + 1) / 4:
                self._at[part] = bar.entry.at

    def texts(self, end: int) -> Iterator[str]:
        y = LANE * (len(LANES) + 1) + 16
        for part, at in enumerate((0, *self._at, end)):
            anchor = "start" if part == 0 else "end" if part == 4 else "middle"
            said = duration(at) if at else "0"
            yield f'<text x="{WIDTH * part // 4}" y="{y}" text-anchor="{anchor}">{said}</text>\n'


def times(over: Overview) -> Iterator[str]:
    """A table of the time that each of the three took."""
    whole = sum(layer.took for layer in over.layers.values())
    if not whole:
        return
    yield '<table><thead><tr><th scope="col">Layer</th><th>Time</th><th>Part</th><th>Turns</th>'
    yield "<th>Longest</th></tr></thead><tbody>\n"
    for who, lane in BUSY.items():
        layer = over.layers.get(who)
        if layer is None:
            continue
        yield f'<tr><th scope="row" class="c{lane}">{LANES[lane]}</th>'
        yield f"<td>{duration(layer.took)}</td><td>{100 * layer.took / whole:.2g} %</td>"
        yield f"<td>{layer.turns:,}</td>"
        yield f'<td><a href="#line-{layer.at_line}">{duration(layer.longest)}</a></td></tr>\n'
    yield "</tbody></table>\n"


def _bar(bar: Bar) -> str:
    entry = bar.entry
    kind = "s" if bar.red else f"l{bar.lane}"
    took = f", {duration(entry.took)}" if entry.took else ""
    said = escape(f"Line {entry.number}: {ARROWS[entry.kind]}{_short(entry.text)}{took}")
    y, width = LANE * (bar.lane + 1) + 3, max(bar.end - bar.begin, 0.5)
    shown = (
        f'<rect class="{kind}" x="{bar.begin:.2f}" y="{y}" '
        f'width="{width:.2f}" height="{LANE - 6}"/>'
    )
    if bar.cut:
        middle, time = bar.begin + (width - SLASH) / 2, duration(entry.took)
        shown += f'<path class="x" d="M{bar.end - 5:.2f} {y + LANE - 6} l3 -{LANE - 6}"/>'
        if width - SLASH >= LETTER * len(time):
            shown += (
                f'<text class="w" x="{middle:.2f}" y="{y + 12}" text-anchor="middle">{time}</text>'
            )
    return f'<a href="#line-{entry.number}"><title>{said}</title>{shown}</a>\n'


def _short(text: str) -> str:
    return text if len(text) <= MOST_TITLE else text[:MOST_TITLE] + "…"
