"""Traces shown in words, in a terminal and as a page."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from card_os.trace.lines import HEADER
from cloudcard_tools.trace import entries, page, trace
from cloudcard_tools.trace.entries import Entry

CORPUS = Path(__file__).parent.parent / "traces"
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
        "← 9000 (ok), 19 bytes  +2 ms",
        "61 application properties, 17 bytes",
        "  4F AID, 6 bytes 000010000100",
        "→ GET DATA P1-P2 3FFF (CHUID)",
        "34 GUID, 4 bytes 01020304",
        "→ VERIFY P1-P2 0080 (80 PIN)",
        "? check the passcode 80 PIN",
        "! 2 of 3 tries left  +2.5 s  slow",
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


def test_json_is_an_object_a_line(login: Path) -> None:
    events = [json.loads(line) for line in run("show", login, "--json").output.splitlines()]
    assert [each["kind"] for each in events[:4]] == ["comment", "setting", "power", "step"]
    (slow,) = [each for each in events if each["slow"]]
    assert (slow["kind"], slow["seconds"], slow["step"]) == ("result", 2.5, "wrong PIN")
    assert events[-1]["number"] == len(LOGIN.splitlines())


def test_names_in_certificates_are_shown() -> None:
    output = run("show", SIGN).output
    assert "certificate, " in output
    assert "of CN=" in output


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
    assert "4 commands in 2.5 s, 1 slow answers" in shown.words
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


def test_a_page_opens_in_a_browser(login: Path, tmp_path: Path) -> None:
    made = tmp_path / "page.html"
    run("show", login, "--html", made)
    ended = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"),
            made.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "log in</h2>" in ended.stdout
    assert "Content Security Policy" not in ended.stderr


def test_short_times_join_so_that_the_picture_stays_small() -> None:
    many = [Entry(n, "command", "", at=n / 10_000) for n in range(10_000)]
    drawn = list(page.bars(many, 1 / page.FINEST))
    assert len(drawn) <= page.FINEST
    assert drawn[-1].end == pytest.approx(1, abs=0.01)


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


def test_a_file_of_any_length_is_shown_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.trace"
    with path.open("w") as file:
        file.write(HEADER + "\n")
        for _ in range(40):
            file.write("> 00a4040000\n~ 10\n< 6a82\n" * 1000)
    code = (
        "import resource, sys\n"
        "from cloudcard_tools.trace import trace\n"
        f"trace.main(['show', {str(path)!r}, '--html', {str(tmp_path / 'page.html')!r}], "
        "standalone_mode=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert int(done.stdout) < min(120_000, own + 1_000_000)  # KiB


def test_durations_are_short() -> None:
    assert [entries.duration(each) for each in (0.0012, 0.5, 2.04)] == ["1 ms", "500 ms", "2.0 s"]
