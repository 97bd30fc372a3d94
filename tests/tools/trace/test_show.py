"""Traces shown in words, in a terminal and as a page."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from playwright.sync_api import sync_playwright

from card_os.trace.lines import HEADER
from cloudcard_tools.trace.command import trace
from cloudcard_tools.trace.explain import entries, page, timeline
from cloudcard_tools.trace.explain.entries import Entry, Kind, Who

CORPUS = Path(__file__).parents[2] / "traces"
SIGN = CORPUS / "pkcs11-tool" / "sign-p256.trace"
LOGIN = """\
cloudcard trace 1
# <b>a note</b>
@ clock 2026-11-23T09:00:00Z
@ power-on
= log in
> 00a4040005a000000308
~ 1500
< 61114f0600001000010079074f05a0000003089000
> 00cb3fff055c035fc10200
< 5306340401020304 9000
= wrong PIN
> 0020008008303030303030ffff
? verify 80 ******
~ 2500000
! tries 2 3 no
~ 300
< 63c2
> 0087119a0a7c0882008104cafebabe00
? use sign 9a 11 cafebabe #1
! refused denied
< 6985
@ hang-up
""".replace("04 9000", "049000")


def run(*arguments: object, color: bool = False) -> Result:
    return CliRunner().invoke(trace, [str(each) for each in arguments], color=color)


@pytest.fixture
def login(tmp_path: Path) -> Path:
    path = tmp_path / "login.trace"
    path.write_text(LOGIN)
    return path


def test_it_reads_well(login: Path) -> None:
    result = run("show", login)
    assert result.exit_code == 0, result.output
    for said in (
        "== log in",
        "→ SELECT P1-P2 0400 (PIV)",
        "← 9000 (ok), 19 bytes  +1.5 ms",
        "61 application properties, 17 bytes",
        "  4F AID, 6 bytes 000010000100",
        "→ GET DATA P1-P2 3FFF (CHUID)",
        "34 GUID, 4 bytes 01020304",
        "→ VERIFY P1-P2 0080 (80 PIN)",
        "? verify the PIN, of 6, hidden",
        "! wrong, 2 of 3 tries left  +2.5 s  slow: key service",
        "← 63C2 (2 tries left)",
        "→ GENERAL AUTHENTICATE P1-P2 119A (9A authentication, ECC-P256)",
        "81 challenge, 4 bytes CAFEBABE",
        "? sign with 9A authentication, ECC-P256",
        "! refused: denied",
        "← 6985 (conditions not satisfied)",
        "the reader hangs up while the card waits",
    ):
        assert said in result.output, said
    assert "\x1b[" not in result.output
    assert "\x1b[31m" in run("show", login, color=True).output


def test_one_step_and_what_is_slow(login: Path) -> None:
    result = run("show", login, "--step", "wrong PIN", "--slow-ms", "5000")
    assert "SELECT" not in result.output
    assert "VERIFY" in result.output
    assert "slow" not in result.output


def test_a_step_begins_its_own_time_and_has_to_be_there(login: Path) -> None:
    shown = run("show", login, "--step", "wrong PIN", "--json").output.splitlines()
    assert json.loads(shown[0])["at"] == 0
    missing = run("show", login, "--step", "nothing")
    assert missing.exit_code == 1
    assert "no step is named 'nothing'" in missing.output


def test_json_is_an_object_a_line(login: Path) -> None:
    events = [json.loads(line) for line in run("show", login, "--json").output.splitlines()]
    assert [each["kind"] for each in events[:4]] == ["comment", "setting", "power", "step"]
    (slow,) = [each for each in events if each["slow"]]
    assert (slow["kind"], slow["seconds"], slow["step"]) == ("result", 2.5, "wrong PIN")
    assert events[-1]["number"] == len(LOGIN.splitlines())


def test_names_in_certificates_are_shown() -> None:
    output = run("show", SIGN).output
    assert "certificate, " in output
    assert "CN=Ada" in output
    assert "; issued by CN=Test authority; until 20" in output


@pytest.mark.parametrize("path", sorted(CORPUS.rglob("*.trace"))[::4], ids=lambda each: each.stem)
def test_all_of_the_corpus_is_shown(path: Path, tmp_path: Path) -> None:
    assert run("show", path).exit_code == 0
    made = tmp_path / "page.html"
    assert run("show", path, "--html", made).exit_code == 0
    Page(made.read_text())


class Page(HTMLParser):
    """What is on a page; raises AssertionError for what must not be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "object", "link", "img", "form")
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "style"  # the policy would not have it
            assert name not in ("href", "src") or (value or "").startswith("#")
        self.tags.append(tag)
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_needs_nothing_else(login: Path, tmp_path: Path) -> None:
    made = tmp_path / "page.html"
    assert run("show", login, "--html", made).exit_code == 0
    text = made.read_text()
    shown = Page(text)
    assert shown.tags.count("h2") == 2
    assert "details" in shown.tags
    assert "rect" in shown.tags
    assert "default-src &#x27;none&#x27;" in text
    assert "4 commands in 2.5 s: card 1.8 ms, key service 2.5 s; 1 slow" in shown.words
    assert "<b>a note</b>" in shown.words  # as words, and not as a tag
    assert set(tmp_path.iterdir()) == {made, login}


@pytest.mark.parametrize(
    "hostile", ["</style><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;x&gt;"]
)
def test_what_a_trace_says_is_never_html(hostile: str, tmp_path: Path) -> None:
    path, made = tmp_path / "hostile.trace", tmp_path / "page.html"
    path.write_text(LOGIN.replace("a note", hostile).replace("= log in", f"= {hostile}"))
    assert run("show", path, "--html", made).exit_code == 0
    assert hostile in Page(made.read_text()).words


def test_in_a_browser_the_timeline_leads_to_what_was_said(tmp_path: Path) -> None:
    path, made = tmp_path / "login.trace", tmp_path / "page.html"
    hostile = '</style><script>document.title = "owned"</script>'
    path.write_text(LOGIN.replace("= log in", f"= {hostile}"))
    assert run("show", path, "--html", made).exit_code == 0
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        shown = browser.new_page()
        shown.on("console", lambda message: said.append(message.text))
        shown.on("request", lambda request: said.append(request.url))
        shown.goto(made.as_uri())
        assert shown.title() == "login.trace"
        assert shown.locator("h2").first.inner_text() == hostile
        result = shown.locator("#line-15")
        assert "Line 15: ← wrong, 2 of 3 tries left, 2.5 s" in shown.content()
        assert result.is_visible()
        assert not shown.locator("#line-8").is_visible()  # what is in an answer is closed
        shown.locator("svg a[href='#line-8']").dispatch_event("click")
        assert shown.locator("#line-8").is_visible()
        assert "4F AID, 6 bytes" in shown.locator("#line-8").inner_text()
        browser.close()
    assert said == [made.as_uri()]


def test_short_times_join_so_that_the_picture_stays_small() -> None:
    many = [Entry(n, Kind.COMMAND, "", at=n, took=1) for n in range(10_000)]
    for listed in (many, [replace(each, at=0) for each in many]):  # with times, and without
        over = timeline.overview(listed)
        drawn = [each for each in timeline.bars(listed, over) if isinstance(each, timeline.Bar)]
        assert len(drawn) <= timeline.FINEST
        assert drawn[-1].end == pytest.approx(timeline.WIDTH, abs=1)


def test_who_waits_is_cut_so_that_the_card_and_its_keys_are_seen() -> None:
    at, listed = 0, []
    for number, (who, took) in enumerate(
        [(Who.READER, 25_000_000), (Who.CARD, 300), (Who.KEYS, 4_000_000), (Who.CARD, 200)] * 20
    ):
        at += took
        kind = {Who.READER: Kind.COMMAND, Who.KEYS: Kind.RESULT}.get(who, Kind.RESPONSE)
        listed.append(Entry(number, kind, "", at=at, took=took, who=who))
    over = timeline.overview(listed)
    drawn = [each for each in timeline.bars(listed, over) if isinstance(each, timeline.Bar)]
    of_card = [each for each in drawn if each.entry.who is Who.CARD]
    assert len(of_card) == 40
    assert min(each.end - each.begin for each in of_card) >= 0.1  # of 1000
    assert all(each.cut for each in drawn if each.entry.who is not Who.CARD)
    assert drawn[-1].end == pytest.approx(timeline.WIDTH, abs=1)
    shown = "".join(timeline.picture(over, listed))
    assert "is cut there, at a slash" in shown
    assert "".join(timeline.times(over)).count("<tr>") == 4


@pytest.mark.parametrize(
    ("command", "response", "fine"),
    [
        ("00a4040005a000000151", "6a82", True),  # another application
        ("00cb3fff035c017e00", "6a82", True),  # an object that is not there
        ("00cadf3005", "6d00", True),
        ("00200080", "63c3", True),  # the answer to a question
        ("0020008008303030303030ffff", "63c2", False),
        ("00db3fff00", "6a82", False),
        ("0087119a0a7c0882008104cafebabe00", "6a82", False),
    ],
)
def test_a_question_that_finds_nothing_is_no_error(
    command: str, response: str, fine: bool, tmp_path: Path
) -> None:
    path = tmp_path / "probe.trace"
    path.write_text(f"{HEADER}\n> {command}\n< {response}\n")
    events = [json.loads(line) for line in run("show", path, "--json").output.splitlines()]
    assert next(each["fine"] for each in events if each["kind"] == "response") is fine


def test_the_page_can_be_printed(login: Path, tmp_path: Path) -> None:
    made = tmp_path / "page.html"
    assert run("show", login, "--html", made).exit_code == 0
    assert "@media print" in made.read_text()
    shown = Page(made.read_text())
    assert shown.tags.count("table") == 1
    assert all(layer in shown.words for layer in ("Reader", "Card", "Key service", "Longest"))


def test_a_page_of_too_many_lines_says_so(tmp_path: Path) -> None:
    path, made = tmp_path / "long.trace", tmp_path / "page.html"
    path.write_text(HEADER + "\n" + "# x\n" * (page.MOST_ROWS + 5))
    assert run("show", path, "--html", made).exit_code == 0
    shown = Page(made.read_text())
    assert shown.tags.count("li") == page.MOST_ROWS
    assert "make a page of one step with --step" in shown.words


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\x00\xff" * 100, "line 1"),
        (HEADER.encode() + b"\n> 00a4\n< 90\x00\n", "line 3"),
        (HEADER.encode() + b"\n> 0" + b"0" * 1_000_000, "line 2"),
        ("cloudcard trace 1\n# übel".encode("utf-16"), "line 1"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--json",), ("--html", "page.html")])
def test_a_file_that_is_no_trace(
    content: bytes,
    said: str,
    options: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.trace"
    path.write_bytes(content)
    result = run("show", path, *options)
    assert result.exit_code == 1
    assert said in result.output
    assert len(result.output.splitlines()[-1]) < 400
    assert list(tmp_path.iterdir()) == [path]  # no half a page


@pytest.mark.parametrize("options", [("--html", "page.html"), ("--json",), ()])
def test_a_file_of_any_length_is_shown_in_little_memory(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "long.trace"
    path.write_text(HEADER + "\n" + "> 00a4040000\n~ 10\n< 6a82\n" * 2000)
    code = (
        "import sys, tracemalloc\n"
        "from cloudcard_tools.trace.command import trace\n"
        "from cloudcard_tools.trace.explain import command, page\n"
        "tracemalloc.start()\n"
        f"trace.main({['show', str(path), *options]!r}, standalone_mode=False)\n"
        "print(tracemalloc.get_traced_memory()[1], file=sys.stderr)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert int(done.stderr) < 400_000  # bytes; the entries together have more than that


def test_durations_are_short() -> None:
    times = (0, 300, 1200, 999_600, 2_040_000, 61_000_000, 3_600_000_000)
    said = ["0 µs", "300 µs", "1.2 ms", "1 s", "2.04 s", "1 min 01 s", "60 min 00 s"]
    assert [entries.duration(each) for each in times] == said
