"""Commands, options and limits in the pages for people exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from cloud_keystore.model.limits import RATES
from cloudcard_tools.__main__ import cloudcard
from support.guides import Block, blocks, is_for_a_shell, run_by

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(page.name for page in DOCS.glob("*.md"))
# Tests that compare the blocks which name them with those that they run.
RUNNERS = (
    "tests/card_os/test_applications_guide.py",
    "tests/cloud_keystore/web/test_proxy.py",
    "tests/deb/test_package.py",
    "tests/distribution/test_wheel.py",
    "tests/drivers/test_protocol.py",
    "tests/system/test_applications_guide.py",
    "tests/system/test_holder_guide.py",
    "tests/system/test_reader_guide.py",
    "tests/system/test_start_guide.py",
    "tests/tools/doctor/test_command.py",
    "tests/tools/test_ci_guide.py",
    "tests/tools/test_journal_guide.py",
    "tests/tools/test_nhs_guide.py",
    "tests/tools/test_operations_guide.py",
    "tests/tools/test_pki_guide.py",
    "tests/tools/test_ra_guide.py",
    "tests/tools/test_rest_guide.py",
    "tests/tools/test_signing_guide.py",
)
# A page of which a test makes every byte again.
MADE = {"test-vectors.md": "tests/cloud_keystore/test_vectors.py"}
# Within `…` a command may go on in the next line; in a block only after a backslash
CODE = re.compile(r"^```(\w*)\n(.*?)^```|`([^`]+)`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:\w+=\S+ )*(?:\S*/)?cloudcard (.+)")


def command_lines(text: str) -> list[list[str]]:
    """The words after each "cloudcard" in what is written as code."""
    lines = []
    for language, block, span in CODE.findall(text):
        if block and not language:  # a drawing
            continue
        joined = re.sub(r"\\\n\s*", " ", block) if block else span.replace("\n", " ")
        for line in joined.splitlines():
            if found := COMMAND.match(line.partition("#")[0].strip()):
                lines.append(found[1].split())
    return lines


def options(command: click.Command) -> set[str]:
    """All that a command takes."""
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)}


def problem(words: list[str]) -> str:
    """What is wrong with a command line, if anything."""
    command: click.Command = cloudcard
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(click.Context(command), name)
        if found is None:
            return f"there is no {name} in {' '.join(words)!r}"
        command = found
    known = {"--help"} | options(command)
    unknown = {word for word in rest if re.fullmatch(r"--[a-z-]+", word)} - known
    return f"there is no {', '.join(sorted(unknown))} in {' '.join(words)!r}" if unknown else ""


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_tells_people_to_type(page: str) -> None:
    lines = command_lines((DOCS / page).read_text())
    assert [said for words in lines if (said := problem(words))] == []


def test_what_does_not_exist_is_found() -> None:
    lines = command_lines(
        "`cloudcard keys melt`\n```sh\ncloudcard keys list \\\n  --loud --json\n```\n"
    )
    assert [problem(words).split(" in ")[0] for words in lines] == [
        "there is no melt",
        "there is no --loud",
    ]


def test_options_of_the_service_by_themselves() -> None:
    serve = cloudcard.get_command(click.Context(cloudcard), "serve")
    assert serve is not None
    named = re.findall(r"`(--[a-z-]+[a-z])\b(?!-)", (DOCS / "operations.md").read_text())
    assert len(named) > 10
    assert set(named) <= options(serve)


def test_all_limits_with_their_defaults() -> None:
    text = (DOCS / "operations.md").read_text().split("\n## Limits\n")[1].split("\n## ")[0]
    said = re.findall(r"^\| `([\w-]+)` \| .* \| ([\d./]+) \|$", text, re.MULTILINE)
    assert dict(said) == {name: f"{rate.per_second}/{rate.burst}" for name, rate in RATES.items()}


@pytest.mark.parametrize("page", [*DOCS.glob("*.md"), *DOCS.parent.glob("*.md")], ids=str)
def test_every_block_of_commands_names_its_test_or_says_why_there_is_none(page: Path) -> None:
    """Each test that is named so proves by itself that it runs these blocks (`guides.run_by`)."""
    assert unaccounted(page.read_text()) == []


def unaccounted(text: str) -> list[str]:
    """The blocks of commands of which nobody says who runs them, or why nobody does."""
    found = []
    for block in filter(is_for_a_shell, blocks(text)):
        how, _, what = block.why.partition(": " if block.why.startswith("not run") else " by ")
        if how == "run" and what in RUNNERS:
            continue
        if how != "not run" or not what:
            found.append(block.text)
    return found


@pytest.mark.parametrize(
    "block",
    [
        "```sh\nfalse\n```\n",
        "```bash\nfalse\n```\n",
        "```\ncloudcard doctor\n```\n",
        "<!-- run by tests/tools/test_nothing.py -->\n```sh\nfalse\n```\n",
        "<!-- not run: -->\n```sh\nfalse\n```\n",
    ],
)
def test_a_block_that_nobody_answers_for_is_found(block: str) -> None:
    assert len(unaccounted(block)) == 1


@pytest.mark.parametrize("page", [*DOCS.glob("*.md"), *DOCS.parent.glob("*.md")], ids=str)
def test_every_text_that_is_shown_is_compared_or_says_why_not(page: Path) -> None:
    if page.name not in MADE:
        assert uncompared(page.name, page.read_text()) == []


def uncompared(page: str, text: str) -> list[str]:
    """The blocks of text that no test compares with what is said, and of which nobody says why.

    Either a comment above tells, or the text is below commands whose test compares it.
    """
    found = []
    above = Block(0, "", "", "", "")
    for block in blocks(text):
        how, _, what = block.why.partition(": " if block.why.startswith("not compared") else " by ")
        told = (how == "compared" and what in RUNNERS) or (how == "not compared" and bool(what))
        if block.language == "text" and not told and above.at not in compared(page, above.why):
            found.append(block.text)
        above = block
    return found


def compared(page: str, why: str) -> set[int]:
    """Where the blocks of a page are whose test compares what is below them: it has a name for each
    and compares that one's, or passes it to where one is compared, or goes through all.
    """
    test = why.removeprefix("run by ")
    if test not in RUNNERS:
        return set()
    source = (DOCS.parent / test).read_text()
    own = run_by(page, str(DOCS.parent / test))
    any_ = "shows(block.shown" in source
    made = rf'^([A-Z_, \[\]]+) = run_by\(\s*"{page}", __file__\s*\)$'
    named = re.search(made, source, re.MULTILINE)
    if named is None:
        return {block.at for block in own} if any_ else set()
    names = [name.strip("[] ") for name in named[1].split(",")]
    return {
        block.at
        for block, name in zip(own, names, strict=True)
        if f"shows({name}.shown" in source or (any_ and re.search(rf"\w\({name}, ", source))
    }


@pytest.mark.parametrize(
    "above",
    [
        "",
        "<!-- not compared: -->\n",
        "<!-- compared by tests/tools/test_nothing.py -->\n",
        "<!-- not run: it takes long -->\n```sh\nfalse\n```\n\n",
    ],
)
def test_a_text_that_nobody_compares_is_found(above: str) -> None:
    assert uncompared("start.md", f"{above}```text\nDone.\n```\n") == ["Done.\n"]


def test_a_test_that_compares_no_text_is_found() -> None:
    test = "tests/tools/test_operations_guide.py"
    own = run_by("operations.md", str(DOCS.parent / test))
    assert compared("operations.md", f"run by {test}") == {each.at for each in own if each.shown}


def test_reasons_name_tests_that_exist() -> None:
    reasons = [block.why for page in DOCS.glob("*.md") for block in blocks(page.read_text())]
    named = re.findall(r"tests/[\w/]+\.py", " ".join(reasons))
    assert set(RUNNERS) <= set(named)
    assert [name for name in named if not (DOCS.parent / name).exists()] == []
