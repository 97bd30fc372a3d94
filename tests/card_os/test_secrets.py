"""Who says what is secret on a card of two applications, and what is recorded of the second one."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from card_os.apdu import Command
from card_os.application import Application
from card_os.card import Card
from card_os.dispatch import Selection, Table, row
from card_os.keys import ApplicationRequest, Exchange, KeyResult, Refusal, UseKey
from card_os.piv import PivApplication
from card_os.secrets import Hide, Secrets, octets
from card_os.status import SW, CardError
from card_os.trace.lines import Answered, Asked, read, write
from card_os.trace.redaction import Redaction
from card_os.trace.requests import TracedRequest
from card_os.uses import KeyUse
from support.fakes import CannedKeys, CountedRandom, DrivenCard, sample_image

OWN = bytes.fromhex("F0 5345435245")
SELECT_OWN = "00A40400 06 F05345435245"
SECRET = "C1C2C3C4C5C6"


@dataclass(frozen=True, slots=True)
class Open(ApplicationRequest):
    """Asks to open something with a word."""

    name = "vault.open"
    number: int
    word: bytes = field(repr=False)

    def told(self) -> tuple[bytes, ...]:
        return (bytes((self.number,)), b"")


@dataclass(frozen=True, slots=True)
class Parsed:
    number: int
    word: bytes

    @classmethod
    def parse(cls, command: Command) -> Parsed:
        return cls(command.p1, command.data)


def open_vault(state: None, command: Parsed) -> Exchange:
    del state
    result = yield Open(command.number, command.word)
    if not isinstance(result, bytes):
        raise CardError(SW.CONDITIONS_NOT_SATISFIED, "the vault stays closed")
    return result


class VaultSecrets(Secrets):
    def in_command(self, header: Command) -> Hide | None:
        return octets if header.ins == 0x30 else None

    def in_result(self, request: object, result: KeyResult) -> KeyResult:
        return octets(result) if isinstance(result, bytes) else result


VAULT: Table[None] = Table(
    {0x30: row(Parsed.parse, open_vault), 0xDB: row(Parsed.parse, open_vault)}
)


class Vault(Application):
    aid = OWN
    secrets = VaultSecrets()

    def open(self) -> Selection[None]:
        return Selection(VAULT, None)


def two(*results: KeyResult) -> DrivenCard:
    applications = [PivApplication(sample_image(), CountedRandom()), Vault()]
    return DrivenCard(Card(applications, b"\x3b\x00"), CannedKeys(*results))


def hidden(card: DrivenCard, apdu: str) -> bytes:
    return Redaction(card.card.secrets).command(bytes.fromhex(apdu))


def test_the_selected_application_says_what_is_secret() -> None:
    card = two()
    put = f"00DB3FFF 0F 5C035FC109 53 06 {SECRET} 9999"
    assert SECRET not in hidden(card, put).hex().upper()
    card.send(SELECT_OWN)
    assert hidden(card, put) == bytes.fromhex(put)


@pytest.mark.parametrize("selected", [False, True], ids=["before", "after"])
def test_what_was_meant_for_another_application_is_hidden(selected: bool) -> None:
    card = two()
    if selected:
        card.send(SELECT_OWN)
    for apdu in (f"00300000 06 {SECRET}", f"00FE119A 08 0606{SECRET}"):
        assert SECRET not in hidden(card, apdu).hex().upper()
        assert len(hidden(card, apdu)) == len(bytes.fromhex(apdu))


@pytest.mark.parametrize("ins", ["20", "24", "2C"])
def test_passcodes_are_hidden_unless_an_application_says_otherwise(ins: str) -> None:
    class Plain(Vault):
        secrets = Secrets()

    card = DrivenCard(Card([Plain()], b"\x3b\x00"), CannedKeys())
    assert hidden(card, f"00{ins}0000 08 313335374142FFFF")[5:] == b"0000xx\xff\xff"
    assert hidden(card, "00300000 02 3135")[5:] == b"15"


def test_a_deciphered_result_is_hidden_by_default() -> None:
    request = UseKey(b"", KeyUse.DECRYPT, 0x9D, 0x07, b"")
    assert Secrets().in_result(request, b"plain") == bytes(5)
    assert Secrets().in_result(request, Refusal.DENIED) is Refusal.DENIED
    assert Secrets().in_result(UseKey(b"", KeyUse.SIGN, 0x9A, 0x07, b""), b"sig") == b"sig"


def test_a_request_of_an_own_type_reaches_the_key_service() -> None:
    card = two(b"opened", Refusal.DENIED)
    card.send(SELECT_OWN)
    assert card.send("00300700 02 AABB") == b"opened".hex().upper() + "9000"
    assert card.keys.requests == [Open(7, b"\xaa\xbb")]
    assert card.card.last_error == ""
    assert card.send("00300700 02 AABB") == "6985"
    assert card.card.last_error == "the vault stays closed"
    card.send(SELECT_OWN)
    assert card.card.last_error == ""


def test_a_trace_tells_a_request_of_an_own_type() -> None:
    text = write(Asked(Open(7, b"\xaa\xbb")))
    assert text == "? own vault.open 07 -"
    assert read(text) == Asked(TracedRequest("vault.open", (b"\x07", b"")))
    assert write(read(text)) == text


@pytest.mark.parametrize("name", ["", "two words", "Upper", "-x", "x" * 65])
def test_a_name_that_is_no_word_is_a_bug(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        write(Asked(TracedRequest(name, ())))


def test_an_own_result_is_hidden_as_its_application_says() -> None:
    card = two()
    card.send(SELECT_OWN)
    redaction = Redaction(card.card.secrets)
    redaction.command(bytes.fromhex("00300700"))
    assert write(Answered(redaction.result(b"opened", Open(7, b"")))) == "! ok 303030303030"
