"""Who did something: as a value, and as the text that journals hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from architecture.imports import modules
from cloud_keystore.model.actors import DATA_FOLDER, KEYSTORE, Actor, ActorKind
from cloud_keystore.model.people import Identity, IdentityState, Role
from support.keystore_world import FakeClock

TEXTS = {  # as journals have had them from the first
    "keystore": KEYSTORE,
    "workstation 01926a52": Actor(ActorKind.WORKSTATION, "01926a52"),
    "device 01926a52": Actor(ActorKind.DEVICE, "01926a52"),
    "operator 01926a52": Actor(ActorKind.OPERATOR, "01926a52"),
    "auditor 01926a52": Actor(ActorKind.AUDITOR, "01926a52"),
    "API client 01926a52": Actor(ActorKind.CLIENT, "01926a52"),
    "user 01926a52": Actor(ActorKind.HOLDER, "01926a52"),
    "shared_device 01926a52": Actor(ActorKind.SHARED_DEVICE, "01926a52"),
    "seat 01926a52": Actor(ActorKind.SEAT, "01926a52"),
    "operator of this computer": DATA_FOLDER,
}


@pytest.mark.parametrize(("text", "actor"), TEXTS.items())
def test_an_actor_as_text(text: str, actor: Actor) -> None:
    assert str(actor) == text
    assert Actor.parse(text) == actor


def test_every_kind_has_its_text() -> None:
    assert {actor.kind for actor in TEXTS.values()} == set(ActorKind)


@pytest.mark.parametrize("text", ["", "keystore 1", "workstation", "workstation ", "somebody 1"])
def test_a_text_that_is_nobodys(text: str) -> None:
    with pytest.raises(ValueError, match=r"identifier|ActorKind"):
        Actor.parse(text)


@pytest.mark.parametrize("role", Role)
def test_each_identity_acts_in_its_role(role: Role) -> None:
    identity = Identity(
        "0192", role, IdentityState.ACTIVE, "name", "", None, None, None, FakeClock().now
    )
    assert str(identity.actor) == f"{ActorKind[role.name]} 0192"


def with_default(path: Path) -> Iterator[str]:
    """Functions that go without being told who acts."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        plain = [*node.args.posonlyargs, *node.args.args]
        optional = plain[len(plain) - len(node.args.defaults) :]
        optional += [
            arg
            for arg, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            if default is not None
        ]
        if any(arg.arg == "actor" or _says(arg, "Actor") for arg in optional):
            yield node.name


def _says(arg: ast.arg, name: str) -> bool:
    return isinstance(arg.annotation, ast.Name) and arg.annotation.id == name


def test_nobody_is_blamed_by_default() -> None:
    assert [f"{name}.{each}" for name, path in modules() for each in with_default(path)] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(actor: Actor): ...", []),
        ("def f(a, actor: Actor = KEYSTORE): ...", ["f"]),
        ("def f(a=1, *, who: Actor = KEYSTORE, b): ...", ["f"]),
        ("def f(a=1, *, actor): ...", []),
    ],
)
def test_a_default_is_found(tmp_path: Path, source: str, found: list[str]) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert list(with_default(path)) == found
