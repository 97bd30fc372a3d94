"""One use of a key, from the APDU at the reader to the keystore and back: where its trace
identifier is found (OPS-04), and where the key is not (CARD-01).
"""

from __future__ import annotations

import re
import sqlite3
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from sqlalchemy import select

from cloud_keystore.custody.backends.keys import key_context
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.engine import Database
from cloudcard_tools.bench.families import family
from cloudcard_tools.demo.programs import Pkcs11, must
from cloudcard_tools.demo.stage import PASSCODE, Stage
from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import Nursery
from support.polling import until
from support.sealing import opened, source

DOCUMENT = b"one use"
WIDTH = 32  # bytes of a private key of P-256
KEYS = ("9A", "9C", "9D", "9E")
TRACE_ID = re.compile(r"key request.*?trace_id=([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Used:
    """A card whose key was used once through our reader, which is still there."""

    stage: Stage
    serial: str
    logs: Path
    trace: Path

    @property
    def data(self) -> Path:
        """The keystore's own folder."""
        return self.stage.ask.home / "keystore"

    @property
    def database(self) -> Path:
        """The keystore's database."""
        return self.data / "keystore.db"

    def log(self, name: str) -> str:
        """What a process has logged."""
        files = [each for each in self.logs.iterdir() if each.name.startswith(name)]
        return "".join(each.read_text(errors="replace") for each in files)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, virtual_readers: pcsc.Client) -> Iterator[Used]:
    folder = tmp_path_factory.mktemp("used")
    with Nursery(folder / "logs") as nursery:
        stage = Stage(folder, nursery, interactive=False)
        stage.start_keystore()
        stage.meet_ada()
        serial = stage.issue("p256")
        stage.start_phone()
        trace = folder / "trace.apdu"
        stage.insert(0, serial, "push", "--record", str(trace), "--verbose")
        document, signature = folder / "document", folder / "signature"
        document.write_bytes(DOCUMENT)
        stage.while_deciding(
            stage.approve_push,
            lambda: Pkcs11(0, PASSCODE).sign("01", "ECDSA-SHA256", document, signature),
        )
        yield Used(stage, serial, folder / "logs", trace)
    virtual_readers.wait_for_absence(0)


def test_a_trace_leads_from_the_reader_to_the_approval(used: Used) -> None:
    """OPS-04: the reader's log names it at the APDU; the keystore's log has it in each call, the
    phone's too, and so have the entries of the journal.
    """
    (trace_id,) = set(TRACE_ID.findall(used.log("reader-0")))

    def calls() -> list[str]:
        lines = used.log("keystore").splitlines()
        return [each for each in lines if trace_id in each]

    def has(method: str) -> bool:
        return any(method in each for each in calls())

    until(lambda: has("PerformOperation"))
    assert has("CreateOperation")
    assert has("Decide"), "the phone joins the trace"
    with closing(sqlite3.connect(used.database)) as connection:
        found = connection.execute("select kind, entry from journal order by id").fetchall()
    told = [kind for kind, entry in found if trace_id in str(entry)]
    assert told == ["operation.asked", "operation.approved", "operation.used"]
    assert not any(PASSCODE in each for each in calls())


def secrets(used: Used) -> list[bytes]:
    """The private keys of the card, which the keystore has."""
    database = Database(f"sqlite:///{used.database}")
    with closing(database):
        seal = opened(database, source(used.data, "sealing.key"))
        with database.read() as connection:
            rows = connection.execute(select(t.key.c.id, t.key.c.sealed_private)).all()
        return [seal.open(sealed, key_context(key_id)) for key_id, sealed in rows if sealed]


def forms(pkcs8: bytes) -> Iterator[bytes]:
    """As what a key could be found: its number, and the whole of it in text."""
    key = load_der_private_key(pkcs8, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    number = key.private_numbers().private_value
    yield number.to_bytes(WIDTH)
    yield number.to_bytes(WIDTH, "little")
    yield number.to_bytes(WIDTH).hex().encode()
    yield b64encode(pkcs8)[:64]
    yield pkcs8


def memory(pids: Iterable[int]) -> Iterator[bytes]:
    """What some processes have in memory."""
    for pid in pids:
        with (
            Path(f"/proc/{pid}/maps").open() as maps,
            Path(f"/proc/{pid}/mem").open("rb", buffering=0) as mapped,
        ):
            for line in maps:
                place, rights = line.split()[:2]
                begin, end = (int(each, 16) for each in place.split("-"))
                if not rights.startswith("rw"):
                    continue
                try:
                    mapped.seek(begin)
                    yield mapped.read(end - begin)
                except (OSError, ValueError, OverflowError):
                    continue


def files(used: Used) -> Iterator[bytes]:
    """What is in files of this computer that are not the keystore's own."""
    for path in used.stage.folder.rglob("*"):
        if path.is_file() and used.data not in path.parents:
            yield path.read_bytes()


def test_no_private_key_is_on_the_computer(used: Used) -> None:
    """CARD-01: not in the reader's memory after a use, its files, what it has recorded of the
    APDUs, or its logs. That what is there is found, the card's public key shows.
    """
    kept = secrets(used)
    assert len(kept) >= len(KEYS)
    wanted = {each for pkcs8 in kept for each in forms(pkcs8)}
    certificate = x509.load_pem_x509_certificate(
        (used.stage.certificates(used.serial) / "9A.pem").read_bytes()
    )
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    point = public.public_numbers().x.to_bytes(WIDTH)
    reader = family(used.stage.nursery["reader-0"].pid)
    try:
        parts = [*memory(reader)]
    except PermissionError:
        pytest.skip("this user may not read the memory of another process")
    assert any(point in each for each in parts)
    assert used.trace.stat().st_size > 0
    assert [each.hex()[:8] for each in wanted for part in parts if each in part] == []
    assert [each.hex()[:8] for each in wanted for part in files(used) if each in part] == []


@pytest.mark.usefixtures("used")
def test_opensc_lists_the_card_by_our_reader_alone() -> None:
    """CARD-01."""
    assert "Personal Identity Verification Card" in must(["opensc-tool", "--reader", "0", "-n"])
    listed = Pkcs11(0, PASSCODE)("--login", "--pin", PASSCODE, "-O")
    assert listed.count("Private Key Object") == len(KEYS)
    assert listed.count("Certificate Object") == len(KEYS)
