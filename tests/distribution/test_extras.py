"""A command needs what is always installed, and what its own extra brings."""

from __future__ import annotations

import pytest

from cloudcard_tools.__main__ import COMMANDS
from cloudcard_tools.trace.command import COMMANDS as TRACE_COMMANDS
from distribution.requirements import (
    EXTRAS,
    NAME,
    PROJECT,
    at_import,
    files,
    imported_anywhere,
    needs,
    required,
)

WITHOUT = {
    "completion",
    "manual",
    "trace",
    "fixture",
    "reader",
    "doctor",
    "demo",
}  # though parts of them need one
LIBRARIES = ("card_os", "reader_bridge.slot", "reader_bridge.local.keys")
ROWS = {
    **COMMANDS,
    **{f"trace {name}": row for name, row in TRACE_COMMANDS.items()},
}
BY_OTHERS = {"pytest", "virtualsmartcard", "mkdocs", "gi"}  # who runs these modules has them


@pytest.mark.parametrize("name", ROWS)
def test_a_command_imports_what_is_installed_for_it(name: str) -> None:
    row = ROWS[name]
    extras = [row.extra] if row.extra else []
    assert needs(row.target.partition(":")[0]) - required(*extras) == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_an_extra_only_where_it_needs_one(name: str) -> None:
    row = COMMANDS[name]
    assert (row.extra == "") == (name in WITHOUT)
    assert row.extra in {"", *EXTRAS}


@pytest.mark.parametrize("module", LIBRARIES)
def test_the_card_and_the_reader_need_no_extra(module: str) -> None:
    assert module in files()
    assert needs(module) <= required()


def test_all_brings_whatever_is_imported_anywhere() -> None:
    assert imported_anywhere() - required("all") <= BY_OTHERS


def test_nothing_is_required_that_is_not_imported() -> None:
    unused = required("all") - imported_anywhere()
    # The one is found by its name, as it has no types; with the other, Starlette reads forms.
    assert unused == {"pyscard", "python-multipart"}


def test_the_extras_of_a_distribution_are_its_own() -> None:
    assert PROJECT["name"] == NAME
    assert {"reader", "keystore", "pcsc", "all", "dev"} <= set(EXTRAS)
    assert required("all") <= required("dev")
    for extra in ("reader", "keystore"):
        assert required() < required(extra) < required("all")


def test_what_a_function_imports_is_not_needed_at_once() -> None:
    source = (
        "import a\nif TYPE_CHECKING:\n    import b\nelse:\n    import c\ndef f():\n    import d\n"
    )
    assert at_import(source, "m") == {"a", "c"}
    assert at_import("class A:\n    from b import c\n    def f(self): import d", "m") == {"b.c"}
