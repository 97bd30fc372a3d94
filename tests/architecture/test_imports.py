"""The dependency rules: who may import whom."""

from __future__ import annotations

import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from architecture.imports import Rule, imported_by, modules, under

IO = frozenset(
    {"asyncio", "concurrent", "multiprocessing", "subprocess", "threading", "_thread"}
    | {"http", "select", "selectors", "socket", "ssl", "urllib", "grpc"}
    | {"io", "os", "pathlib", "shutil", "sqlite3", "sqlalchemy", "tempfile"}
    | {"logging", "random", "secrets", "structlog", "time"}
)
STANDARD = frozenset(
    {"card_os.uses"}
    | {f"card_os.piv.{name}" for name in ("algorithms", "names", "oids", "rules", "sizes")}
)
RULES = (
    Rule("card_os", IO | {"datetime"}),
    Rule("card_os.trace", frozenset({"card_os.piv"})),  # a trace is of any application
    *(
        Rule(f"card_os.{module}", frozenset({"card_os.piv", "card_os.trace"}))
        for module in (
            "application",
            "card",
            "dispatch",
            "keys",
            "protection",
            "secrets",
        )
    ),
    Rule("cloud_keystore.model", IO),  # `now` is an argument; a value of datetime is no clock
    Rule("cloud_keystore.approval", IO),
    Rule("reader_bridge", frozenset({"cloud_keystore"})),  # they meet in proto/
    *(
        Rule(f"reader_bridge.{codec}", IO)  # sans-IO
        for codec in (
            *("ccid", "records", "vpcd", "prompt_program.lines", "prompt_program.pictures"),
            *("prompt_program.texts", "prompt_program.waiting"),
        )
    ),
    Rule("cloud_keystore", frozenset({"reader_bridge"})),
    Rule(  # the names and numbers of the standard are everybody's
        "cloud_keystore",
        frozenset({"card_os"}),
        except_by=frozenset({"cloud_keystore.cards", "cloud_keystore.pki"}),
        except_for=STANDARD,
    ),
    *(
        Rule(  # the objects of a card are made in these two rooms, in the card's own encoding
            f"cloud_keystore.{room}",
            frozenset({"card_os"}),
            except_for=frozenset({"card_os.administration", "card_os.piv", *STANDARD}),
        )
        for room in ("cards", "pki")
    ),
    Rule("private_keys", IO | {"datetime"}),
    *(
        Rule(  # private keys are used in these two rooms alone
            package,
            frozenset({"private_keys"}),
            except_by=frozenset({"cloud_keystore.custody.backends", "reader_bridge.local"}),
        )
        for package in ("card_os", "reader_bridge", "cloud_keystore", "cloudcard_tools")
    ),
    Rule(  # nor does anybody else talk to a backend, but by its table
        "cloud_keystore",
        frozenset(
            {
                "cloud_keystore.custody.backends.software",
                "cloud_keystore.custody.backends.pkcs11",
                "cloud_keystore.custody.backends.pkcs11_worker",
                "pkcs11",
            }
        ),
        except_by=frozenset({"cloud_keystore.custody"}),
        except_for=frozenset({"cloud_keystore.custody.backends.software.import_key"}),  # sealed
    ),
    *(
        Rule(package, frozenset({"cloudcard_tools"}))
        for package in (
            "card_os",
            "private_files",
            "private_keys",
            "reader_bridge",
            "cloud_keystore",
        )
    ),
)
LAYERS = (  # of the keystore; each imports from those before it, and from itself
    ("model",),
    ("approval", "config", "hardening"),
    ("storage", "notify", "observability", "border"),
    ("audit",),
    ("custody",),
    ("pki",),
    ("operations", "people"),
    ("cards", "mail"),
    ("http",),
    ("rpc", "plain", "rest", "web", "est"),
    ("run",),
    ("__main__",),
)

# What these import, besides the standard library.
BESIDES = {
    "reader_bridge.prompt_program": frozenset({"reader_bridge.prompt_program", "gi"}),
    "card_os": frozenset({"card_os"}),
    "private_files": frozenset({"private_files"}),
    "cloudcard_client": frozenset({"cloudcard_client"}),
    "private_keys": STANDARD | {"private_keys", "cryptography"},
}
CIPHERS = {  # card-held symmetric keys; no private key is among them
    "card_os.secure_messaging",
    "card_os.piv.establishment",
}


def breaches(module: str, imported: set[str]) -> list[str]:
    """What is wrong with these imports of this module, in words."""
    found = [breach for rule in RULES for breach in rule.breaches(module, sorted(imported))]
    top = module.partition(".")[0]
    room = next((each for each in BESIDES if under(module, {each})), None)
    if room is not None:
        allowed = BESIDES[room] | ({"cryptography"} if module in CIPHERS else set())
        found += [
            f"{module} imports {name}, which is neither {top} nor the standard library"
            for name in sorted(imported)
            if name.partition(".")[0] not in sys.stdlib_module_names and not under(name, allowed)
        ]
    rank = layer(module)
    if rank is not None:
        found += [
            f"{module} imports {name} of its own or a higher layer"
            for name in sorted(imported)
            if (other := layer(name)) is not None
            and other >= rank
            and name.split(".")[:2] != module.split(".")[:2]
        ]
    return found


def layer(name: str) -> int | None:
    """The layer of a module of the keystore; None for others. Fails for a package without one."""
    top, _, rest = name.partition(".")
    if top != "cloud_keystore" or not rest:
        return None
    part = rest.partition(".")[0]
    for rank, parts in enumerate(LAYERS):
        if part in parts:
            return rank
    raise AssertionError(f"cloud_keystore.{part} has no place in LAYERS")


GRAPH = {
    name: imported_by(path.read_text(), name, is_package=path.name == "__init__.py")
    for name, path in modules()
}


@pytest.mark.parametrize("module", GRAPH)
def test_imports_follow_the_rules(module: str) -> None:
    assert breaches(module, GRAPH[module]) == []


def test_no_module_imports_itself_by_a_detour() -> None:
    edges = {
        module: {home(name) for name in names} - {module, None} for module, names in GRAPH.items()
    }
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' <- '.join(error.args[1])}")


def home(name: str) -> str | None:
    """The module of ours that a name is, or is in; None for others."""
    while name and name not in GRAPH:
        name = name.rpartition(".")[0]
    return name or None


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        ("card_os.card", "import time", "card_os.card imports time"),
        ("card_os.card", "from os import urandom", "card_os.card imports os.urandom"),
        ("card_os.card", "from reader_bridge import vpcd", "neither card_os nor the standard"),
        ("card_os.card", "import cryptography", "neither card_os nor the standard"),
        ("card_os.piv.pin", "from cryptography.hazmat.primitives import cmac", "neither card_os"),
        ("card_os.secure_messaging", "import grpc", "imports grpc"),
        ("card_os.trace.lines", "from card_os.piv import names", "imports card_os.piv"),
        ("card_os.card", "from card_os.piv.names import Ins", "imports card_os.piv"),
        ("card_os.piv.pin", "def f():\n    import random", "imports random"),
        ("card_os.piv.pin", "__import__('socket')", "imports socket"),
        ("reader_bridge.slot", "import cloud_keystore.model", "imports cloud_keystore.model"),
        (
            "cloud_keystore.run.serving",
            "from reader_bridge import vpcd",
            "imports reader_bridge.vpcd",
        ),
        ("cloud_keystore.run.serving", "from card_os import tlv", "imports card_os.tlv"),
        ("cloud_keystore.cards.issuing", "from card_os import card", "imports card_os.card"),
        (
            "cloud_keystore.model.cards",
            "from card_os.piv.issuing import encode",
            "imports card_os.piv.issuing.encode",
        ),
        ("cloud_keystore.rpc.people", "from private_keys import using", "private_keys.using"),
        ("cloud_keystore.custody.use.closing", "import private_keys.keys", "private_keys.keys"),
        ("reader_bridge.slot", "from private_keys import keys", "imports private_keys.keys"),
        ("cloudcard_tools.bench.sign", "from private_keys import keys", "private_keys.keys"),
        ("private_keys.using", "from os import urandom", "imports os.urandom"),
        ("private_keys.keys", "from card_os.piv.issuing import encode", "neither private_keys nor"),
        ("private_keys.keys", "import cloud_keystore.model", "neither private_keys nor"),
        ("cloud_keystore.operations.asking", "import pkcs11", "imports pkcs11"),
        (
            "cloud_keystore.run.offering.wiring",
            "from ...custody.backends import pkcs11_worker",
            "pkcs11",
        ),
        ("cloud_keystore.model.cards", "from time import time", "imports time.time"),
        ("cloud_keystore.approval.payload", "import cloud_keystore.storage", "higher layer"),
        ("cloud_keystore.storage.cards", "from cloud_keystore.notify import x", "higher layer"),
        ("cloud_keystore.rpc.door", "from cloud_keystore.run import serving", "higher layer"),
        ("cloud_keystore.rpc.health", "from cloud_keystore.plain import probe", "higher layer"),
        ("cloud_keystore.plain.probe", "from cloud_keystore.rpc.door import Door", "higher layer"),
        ("cloud_keystore.rest.gate", "from cloud_keystore.rpc.door import Door", "higher layer"),
        (
            "reader_bridge.slot",
            "from cloudcard_tools.shared import home",
            "imports cloudcard_tools.shared.home",
        ),
    ],
)
def test_a_forbidden_import_is_found(module: str, source: str, said: str) -> None:
    assert any(said in breach for breach in breaches(module, imported_by(source, module)))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("card_os.card", "from card_os import tlv\nfrom dataclasses import dataclass"),
        ("card_os.piv.pin", "from . import names"),
        ("card_os.secure_messaging", "from cryptography.hazmat.primitives import cmac"),
        ("cloud_keystore.cards.issuing", "from card_os.piv.issuing import encode"),
        ("cloud_keystore.model.cards", "from card_os.piv.names import KeyRef"),
        ("cloud_keystore.custody.use.padding", "from card_os.uses import KeyUse"),
        ("cloud_keystore.rpc.door", "from cloud_keystore.operations.asking import Asking"),
        (
            "cloud_keystore.custody.backends.software",
            "from private_keys import importing, keys, using",
        ),
        ("cloudcard_tools.serve.command", "import cloud_keystore.run.serving, reader_bridge, time"),
    ],
)
def test_an_allowed_import_is_left_alone(module: str, source: str) -> None:
    assert breaches(module, imported_by(source, module)) == []


def test_a_new_package_needs_a_layer() -> None:
    with pytest.raises(AssertionError, match="no place in LAYERS"):
        breaches("cloud_keystore.novelty.thing", {"cloud_keystore.model"})
