"""Each status word that SP 800-73-5 part 2 lists for a command, and each rule that it writes
beside it, as one case named after its clause. The contact interface's; there is no other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from card_os import tlv
from card_os.piv import Features
from card_os.piv.names import ObjectTag
from support.fakes import (
    ADMINISTERED,
    DEVELOPER,
    LARGEST_OBJECT,
    WITH_GLOBAL_PIN,
    DrivenCard,
    ScriptedKeys,
    administer,
    new_card,
    sample_image,
)


def chain(header: str, data: bytes) -> list[str]:
    """A command in parts of 255 bytes."""
    parts = [data[start : start + 255] for start in range(0, len(data), 255)]
    classes = ["10"] * (len(parts) - 1) + ["00"]
    return [
        f"{cla}{header} {len(part):02X} {part.hex()}"
        for cla, part in zip(classes, parts, strict=True)
    ]


PIN, OTHER, WRONG = "313233343536FFFF", "3635343332313738", "3939393939393939"
MALFORMED = "31323334353637FE"
PUK, OTHER_PUK = "3132333435363738", "00112233445566FF"
GLOBAL = "3131323233333434"

VERIFY = f"00200080 08 {PIN}"
VERIFY_WRONG = f"00200080 08 {WRONG}"
VERIFY_GLOBAL = f"00200000 08 {GLOBAL}"
VERIFY_GLOBAL_WRONG = f"00200000 08 {WRONG}"
RESET_WRONG = f"002C0080 10 {WRONG} {PIN}"
STATUS, LOGOUT = "00200080", "0020FF80"
STATUS_GLOBAL, LOGOUT_GLOBAL = "00200000", "0020FF00"
PRINTED = "00CB3FFF 05 5C035FC109 00"
FACE = "00CB3FFF 05 5C035FC108 00"
SIGN = "008711{} 0A 7C08 8200 8104DEADBEEF 00"
AGREE = "008711{} 47 7C45 8200 8541 04" + "11" * 64 + "00"
ADMINISTER = "administer"
PUT = "00DB3FFF 0A 5C035FC109 5303010203"
GENERATE = "0047009A 05 AC03800111 00"
RESET = "reset"

# A new printed information of one byte too many, in a chain, and the one that is there.
TOO_LARGE = chain("DB3FFF", bytes.fromhex("5C035FC109 538207D1") + bytes(LARGEST_OBJECT + 1))
SHOWN = tlv.encode(0x53, sample_image().objects[ObjectTag.PRINTED_INFORMATION]).hex().upper()

BLOCKED = (VERIFY_WRONG,) * 3
BLOCKED_GLOBAL = (VERIFY_GLOBAL_WRONG,) * 3
BLOCKED_PUK = (RESET_WRONG,) * 3


WITH_X25519 = replace(ADMINISTERED, algorithms=DEVELOPER.algorithms)


@dataclass(frozen=True)
class Case:
    clause: str
    command: str
    sw: str  # how it begins, or the whole of it
    after: tuple[str, ...] = ()
    features: Features = ADMINISTERED


SELECTS = [
    Case("full AID", "00A40400 0B A000000308000010000100 00", "9000"),
    Case("right-truncated AID", "00A40400 09 A00000030800001000 00", "9000"),
    Case("application not found", "00A40400 05 A000000397 00", "6A82"),
    Case("again, all stays", SIGN.format("9A"), "9000", (VERIFY, "00A40400 05 A000000308 00")),
    Case("another, all stays", SIGN.format("9A"), "9000", (VERIFY, "00A40400 05 A000000397 00")),
    Case("administrator stays", PUT, "9000", (ADMINISTER, "00A40400 05 A000000308 00")),
]
GET_DATA = [
    Case("successful", "00CB3FFF 05 5C035FC102 00", "9000"),
    Case("bytes still available", "00CB3FFF 05 5C035FC105 00", "6100"),
    Case("the rest of them", "00C00000 00", "61", ("00CB3FFF 05 5C035FC105 00",)),
    Case("security status", PRINTED, "6982"),
    Case("security status, nothing there", FACE, "6982"),
    Case("administrators have no PIN", PRINTED, "6982", (ADMINISTER,)),
    Case("with PIN", PRINTED, "9000", (VERIFY,)),
    Case("not found, with PIN", FACE, "6A82", (VERIFY,)),
    Case("not found", "00CB3FFF 05 5C035FC10A 00", "6A82"),
    Case("no such tag", "00CB3FFF 05 5C035FFF00 00", "6A82"),
    Case("not chained", "10CB3FFF 05 5C035FC102", "6884"),
    *(
        Case(f"part 1, table 2: {tag:X}", f"00CB3FFF 05 5C03{tag:06X} 00", "6982")
        for tag in (
            *(ObjectTag.FINGERPRINTS, ObjectTag.FACIAL_IMAGE, ObjectTag.PRINTED_INFORMATION),
            *(ObjectTag.IRIS_IMAGES, ObjectTag.PAIRING_CODE),
        )
    ),
]
VERIFIES = [
    Case("successful", VERIFY, "9000"),
    Case("63CX", VERIFY_WRONG, "63C2"),
    Case("63CX again", VERIFY_WRONG, "63C1", (VERIFY_WRONG,)),
    Case("blocked by the last try", VERIFY_WRONG, "6983", BLOCKED[1:]),
    Case("blocked, not compared", VERIFY, "6983", BLOCKED),
    Case("blocked, malformed", f"00200080 08 {MALFORMED}", "6983", BLOCKED),
    Case("the counter is set to its reset value", STATUS, "63C3", (VERIFY_WRONG, VERIFY, LOGOUT)),
    Case("wrong sets FALSE", PRINTED, "6982", (VERIFY, VERIFY_WRONG)),
    Case("6A80 leaves the counter", STATUS, "63C3", (f"00200080 08 {MALFORMED}",)),
    Case("6A80", f"00200080 08 {MALFORMED}", "6A80"),
    Case("6A80, five digits", "00200080 08 3132333435FFFFFF", "6A80"),
    Case("6A80, not padded", "00200080 06 313233343536", "6A80"),
    Case("6A80 leaves the status", PRINTED, "9000", (VERIFY, f"00200080 08 {MALFORMED}")),
    Case("6983 leaves the status", STATUS, "6983", BLOCKED),
    Case("P1", f"00200180 08 {PIN}", "6A86"),
    Case("P1 leaves the status", PRINTED, "9000", (VERIFY, f"00200180 08 {WRONG}")),
    Case("P1 leaves the counter", STATUS, "63C3", (f"00200180 08 {WRONG}",)),
    Case("no data: further retries", STATUS, "63C3"),
    Case("no data: not needed", STATUS, "9000", (VERIFY,)),
    Case("no data: blocked", STATUS, "6983", BLOCKED),
    Case("FF: FALSE", STATUS, "63C3", (VERIFY, LOGOUT)),
    Case("FF: the counter stays", STATUS, "63C2", (VERIFY_WRONG, LOGOUT)),
    Case("FF: nothing was verified", LOGOUT, "9000"),
    Case("FF: the key reference in P2 alone", PUT, "9000", (ADMINISTER, VERIFY, LOGOUT)),
    Case("FF with data", f"0020FF80 08 {PIN}", "6700"),
    Case("PUK", f"00200081 08 {PUK}", "6A88"),
    Case("global PIN", VERIFY_GLOBAL, "6A88"),
    Case("global PIN's status", STATUS_GLOBAL, "6A88"),
    Case("finger 96", "00200096 03 000000", "6A88"),
    Case("finger 97", "00200097 03 000000", "6A88"),
    Case("pairing code 98", f"00200098 08 {PUK}", "6A88"),
    Case("6A88 leaves the status", PRINTED, "9000", (VERIFY, f"00200096 08 {WRONG}")),
    Case("not chained", "10200080 08 3132333435363738", "6884"),
]
GLOBALS = [
    Case("successful", VERIFY_GLOBAL, "9000"),
    Case("satisfies the rule of objects", PRINTED, "9000", (VERIFY_GLOBAL,)),
    Case("satisfies the rule of keys", SIGN.format("9A"), "9000", (VERIFY_GLOBAL,)),
    Case("satisfies PIN Always", SIGN.format("9C"), "9000", (VERIFY_GLOBAL,)),
    Case("satisfies it once", SIGN.format("9C"), "6982", (VERIFY_GLOBAL, SIGN.format("9C"))),
    Case("63CX", VERIFY_GLOBAL_WRONG, "63C2"),
    Case("blocked", VERIFY_GLOBAL, "6983", BLOCKED_GLOBAL),
    Case("blocked alone", VERIFY, "9000", BLOCKED_GLOBAL),
    Case("the other is blocked", VERIFY_GLOBAL, "9000", BLOCKED),
    Case("6A80", f"00200000 08 {MALFORMED}", "6A80"),
    Case("statuses of their own", STATUS, "63C3", (VERIFY_GLOBAL,)),
    Case("counters of their own", STATUS_GLOBAL, "63C3", (VERIFY_WRONG,)),
    Case("either is enough", PRINTED, "9000", (VERIFY, VERIFY_GLOBAL, LOGOUT)),
    Case("either is enough, PIN", PRINTED, "9000", (VERIFY, VERIFY_GLOBAL, LOGOUT_GLOBAL)),
    Case("neither", PRINTED, "6982", (VERIFY, VERIFY_GLOBAL, LOGOUT, LOGOUT_GLOBAL)),
    Case("wrong ends its own", PRINTED, "9000", (VERIFY, VERIFY_GLOBAL_WRONG)),
    Case("a change verifies", PRINTED, "9000", (f"00240000 10 {GLOBAL} {OTHER}",)),
    Case("a change is stored", f"00200000 08 {OTHER}", "9000", (f"00240000 10 {GLOBAL} {OTHER}",)),
    Case("no PUK for it", f"002C0000 10 {PUK} {PIN}", "6A88"),
    Case("reset of the PIN leaves it", PRINTED, "9000", (VERIFY_GLOBAL, RESET_WRONG)),
]
CHANGES = [
    Case("successful", f"00240080 10 {PIN} {OTHER}", "9000"),
    Case("sets TRUE", PRINTED, "9000", (f"00240080 10 {PIN} {OTHER}",)),
    Case("replaces", f"00200080 08 {OTHER}", "9000", (f"00240080 10 {PIN} {OTHER}",)),
    Case("resets", STATUS, "63C3", (VERIFY_WRONG, f"00240080 10 {PIN} {OTHER}", LOGOUT)),
    Case("63CX", f"00240080 10 {WRONG} {OTHER}", "63C2"),
    Case("63CX sets FALSE", PRINTED, "6982", (VERIFY, f"00240080 10 {WRONG} {OTHER}")),
    Case("63CX replaces nothing", VERIFY, "9000", (f"00240080 10 {WRONG} {OTHER}",)),
    Case("blocked", f"00240080 10 {PIN} {OTHER}", "6983", BLOCKED),
    Case("blocked, malformed", f"00240080 10 {PIN} {MALFORMED}", "6983", BLOCKED),
    Case("6A80, new", f"00240080 10 {PIN} {MALFORMED}", "6A80"),
    Case("6A80, old", f"00240080 10 {MALFORMED} {OTHER}", "6A80"),
    Case("6A80, wrong and malformed", f"00240080 10 {WRONG} {MALFORMED}", "6A80"),
    Case("6A80 leaves all", STATUS, "9000", (VERIFY, f"00240080 10 {WRONG} {MALFORMED}")),
    Case("6A80, length", f"00240080 08 {PIN}", "6A80"),
    Case("PUK", f"00240081 10 {PUK} {OTHER_PUK}", "9000"),
    Case("PUK, 63CX", f"00240081 10 {WRONG} {OTHER_PUK}", "63C2"),
    Case("PUK, blocked", f"00240081 10 {PUK} {OTHER_PUK}", "6983", BLOCKED_PUK),
    Case("PUK verifies no PIN", PRINTED, "6982", (f"00240081 10 {PUK} {OTHER_PUK}",)),
    Case("PUK, wrong, the PIN stays", PRINTED, "9000", (VERIFY, f"00240081 10 {WRONG} {PUK}")),
    Case("global PIN", f"00240000 10 {GLOBAL} {OTHER}", "6A88"),
    Case("finger", f"00240096 10 {PIN} {OTHER}", "6A88"),
    Case("pairing code", f"00240098 10 {PIN} {OTHER}", "6A88"),
    Case("a key", f"0024009B 10 {PIN} {OTHER}", "6A88"),
]
RESETS = [
    Case("successful", f"002C0080 10 {PUK} {OTHER}", "9000"),
    Case("unblocks", f"00200080 08 {OTHER}", "9000", (*BLOCKED, f"002C0080 10 {PUK} {OTHER}")),
    Case("leaves FALSE", PRINTED, "6982", (f"002C0080 10 {PUK} {OTHER}",)),
    Case("leaves TRUE", PRINTED, "9000", (VERIFY, f"002C0080 10 {PUK} {OTHER}")),
    Case("63CX", RESET_WRONG, "63C2"),
    Case("63CX sets FALSE", PRINTED, "6982", (VERIFY, RESET_WRONG)),
    Case("63CX resets nothing", STATUS, "6983", (*BLOCKED, RESET_WRONG)),
    Case("blocked", f"002C0080 10 {PUK} {OTHER}", "6983", BLOCKED_PUK),
    Case("blocked, malformed", f"002C0080 10 {PUK} {MALFORMED}", "6983", BLOCKED_PUK),
    Case("6A80", f"002C0080 10 {PUK} {MALFORMED}", "6A80"),
    Case("6A80, wrong PUK", f"002C0080 10 {WRONG} {MALFORMED}", "6A80"),
    Case("6A80 leaves the PUK", RESET_WRONG, "63C2", (f"002C0080 10 {WRONG} {MALFORMED}",)),
    Case("6A80 leaves the PIN", PRINTED, "9000", (VERIFY, f"002C0080 10 {WRONG} {MALFORMED}")),
    Case("6A80, length", f"002C0080 08 {PUK}", "6A80"),
    Case("PUK", f"002C0081 10 {PUK} {OTHER}", "6A88"),
    Case("not chained", f"102C0080 08 {PUK}", "6884"),
]
AUTHENTICATIONS = [
    Case("successful", SIGN.format("9E"), "9000"),
    Case("security status, 9A", SIGN.format("9A"), "6982"),
    Case("security status, 9C", SIGN.format("9C"), "6982"),
    Case("security status, 9D", AGREE.format("9D"), "6982"),
    Case("security status, 82", AGREE.format("82"), "6982"),
    Case("security status before data", "0087119A 02 7C00 00", "6982"),
    Case("9A", SIGN.format("9A"), "9000", (VERIFY,)),
    Case("9A later", SIGN.format("9A"), "9000", (VERIFY, PRINTED)),
    Case("9C", SIGN.format("9C"), "9000", (VERIFY,)),
    Case("9C later", SIGN.format("9C"), "6982", (VERIFY, PRINTED)),
    Case("9C twice", SIGN.format("9C"), "6982", (VERIFY, SIGN.format("9C"))),
    Case("9C after a failed one", SIGN.format("9C"), "6982", (VERIFY, "0087119C 02 7C00 00")),
    Case("9D", AGREE.format("9D"), "9000", (VERIFY,)),
    Case("retired", AGREE.format("82"), "9000", (VERIFY,)),
    Case("no exponentiation, 9A", AGREE.format("9A"), "6A80", (VERIFY,)),
    Case("no exponentiation, 9C", AGREE.format("9C"), "6A80", (VERIFY,)),
    Case("no exponentiation, 9E", AGREE.format("9E"), "6A80"),
    Case("no signature, 9D", SIGN.format("9D"), "6A80", (VERIFY,)),
    Case("6A80", "0087119E 02 7C00 00", "6A80"),
    Case("P1", "0087079E 0A 7C08 8200 8104DEADBEEF 00", "6A86"),
    Case("P2", SIGN.format("83"), "6A86"),
    Case("P2, a PIN", SIGN.format("80"), "6A86"),
    Case("key 04, other algorithm", SIGN.format("04"), "6A86"),
    Case("key 04, no secure messaging", "00872704 02 7C00 00", "6A86"),
    Case("key 9B, other algorithm", "00870C9B 04 7C028100 00", "6A86"),
    Case("key 9B, as OpenSC has it", "0087009B 04 7C028100 00", "9000"),
    Case("key 9B, none", "0087089B 04 7C028100 00", "6A86", (), Features()),
    Case("a chain", "0087119E 07 008104DEADBEEF 00", "9000", ("1087119E 03 7C0882",)),
    Case(
        "an interrupted chain has no effect",
        SIGN.format("9C"),
        "6982",
        (VERIFY, "1087119C 03 7C0882", PRINTED),
    ),
    Case(
        "an interrupted chain leaves the status",
        SIGN.format("9A"),
        "9000",
        (VERIFY, "1087119C 03 7C0882", PRINTED),
    ),
]
PUTS = [
    Case("successful", PUT, "9000", (ADMINISTER,)),
    Case("replaces", PRINTED, "53030102039000", (ADMINISTER, PUT, VERIFY)),
    Case("discovery", "00DB3FFF 03 7E0101", "9000", (ADMINISTER,)),
    Case("templates", "00DB3FFF 06 7F6103020100", "9000", (ADMINISTER,)),
    Case("security status", PUT, "6982"),
    Case("security status, PIN", PUT, "6982", (VERIFY,)),
    Case("security status, no key 9B", PUT, "6982", (), Features()),
    Case("security status before data", "00DB3FFF 01 53", "6982"),
    Case("function not supported", "00DB3FFF 07 5C035FC1FF5300", "6A81", (ADMINISTER,)),
    Case("function not supported, notes", "00DB3FFF 07 5C035FFF005300", "6A81", (ADMINISTER,)),
    Case("a whole command", "00DB3FFF FF 5C035FC108 5381F7" + "00" * 247, "9000", (ADMINISTER,)),
    Case("not enough memory", TOO_LARGE[-1], "6A84", (ADMINISTER, *TOO_LARGE[:-1])),
    Case("what was there still is", PRINTED, SHOWN, (ADMINISTER, *TOO_LARGE, VERIFY)),
    Case("P1-P2", "00DB3FFE 07 5C035FC1095300", "6A86", (ADMINISTER,)),
    Case("removed", FACE, "6A82", (ADMINISTER, "00DB3FFF 07 5C035FC1085300", VERIFY)),
    Case("a chain", "00DB3FFF 03 010203", "9000", (ADMINISTER, "10DB3FFF 07 5C035FC1095303")),
    Case("a chain of nobody", "00DB3FFF 03 010203", "6982", ("10DB3FFF 07 5C035FC1095303",)),
    Case("after a reset", PUT, "6982", (ADMINISTER, RESET)),
]
GENERATIONS = [
    Case("successful", GENERATE, "9000", (ADMINISTER,)),
    *(
        Case(f"key {key_ref}", f"004700{key_ref} 05 AC03800111 00", "9000", (ADMINISTER,))
        for key_ref in ("9A", "9C", "9D", "9E")
    ),
    *(
        Case(f"part 1, table 6: {each}", f"0047009A 05 AC038001{each} 00", "9000", (ADMINISTER,))
        for each in ("05", "07", "11", "14")
    ),
    Case("the parameter", "0047009A 0A AC08800107 8103010001 00", "9000", (ADMINISTER,)),
    Case("another exponent", "0047009A 08 AC06800107 810103 00", "6A80", (ADMINISTER,)),
    Case("none for ECC", "0047009A 0A AC08800111 8103010001 00", "6A80", (ADMINISTER,)),
    Case("security status", GENERATE, "6982"),
    Case("security status, PIN", GENERATE, "6982", (VERIFY,)),
    Case("security status before data", "0047009A 01 AC 00", "6982"),
    Case("unrecognized mechanism", "0047009A 05 AC03800106 00", "6A80", (ADMINISTER,)),
    Case("not this card's mechanism", "0047009A 05 AC038001E0 00", "6A80", (ADMINISTER,)),
    Case("malformed", "0047009A 05 AC04800111 00", "6A80", (ADMINISTER,)),
    Case("function not supported: 04", "00470004 05 AC03800127 00", "6A81", (ADMINISTER,)),
    Case("P2", "00470081 05 AC03800111 00", "6A86", (ADMINISTER,)),
    Case("P2, 9B", "0047009B 05 AC03800108 00", "6A86", (ADMINISTER,)),
    Case("P2, retired", "00470082 05 AC03800111 00", "6A86", (ADMINISTER,)),
    Case("mechanism of a key", "0047009A 05 AC038001E1 00", "6A86", (ADMINISTER,), WITH_X25519),
    Case("P1", "0047019A 05 AC03800111 00", "6A86", (ADMINISTER,)),
    Case("a chain", "0047009A 03 800111 00", "9000", (ADMINISTER, "1047009A 02 AC03")),
    Case("the key is another one", SIGN.format("9A"), "6A86", (
        ADMINISTER, "0047009A 05 AC03800114 00", VERIFY,
    )),
]  # fmt: skip
TABLES = {
    "3.1.1 SELECT": SELECTS,
    "3.1.2 GET DATA": GET_DATA,
    "3.2.1 VERIFY": VERIFIES,
    "3.2.1.1 global PIN": [replace(case, features=WITH_GLOBAL_PIN) for case in GLOBALS],
    "3.2.2 CHANGE REFERENCE DATA": CHANGES,
    "3.2.3 RESET RETRY COUNTER": RESETS,
    "3.2.4 GENERAL AUTHENTICATE": AUTHENTICATIONS,
    "3.3.1 PUT DATA": PUTS,
    "3.3.2 GENERATE ASYMMETRIC KEY PAIR": GENERATIONS,
}


# What part 2 lists for each command.
LISTED = {
    "3.1.1 SELECT": "6A82 9000",
    "3.1.2 GET DATA": "61 6982 6A82 9000",
    "3.2.1 VERIFY": "6300 63C 6982 6983 6A80 6A81 6A86 6A88 9000",
    "3.2.2 CHANGE REFERENCE DATA": "63C 6982 6983 6A80 6A81 6A88 9000",
    "3.2.3 RESET RETRY COUNTER": "63C 6983 6A80 6A81 6A88 9000",
    "3.2.4 GENERAL AUTHENTICATE": "61 6982 6A80 6A86 9000",
    "3.3.1 PUT DATA": "6982 6A81 6A84 9000",
    "3.3.2 GENERATE ASYMMETRIC KEY PAIR": "61 6982 6A80 6A81 6A86 9000",
}
ELSEWHERE = {
    "3.2.1 VERIFY": "6300 6982 6A81",  # of the pairing code, and of the contactless interface
    "3.2.2 CHANGE REFERENCE DATA": "6982 6A81",  # of the contactless interface
    "3.2.3 RESET RETRY COUNTER": "6A81",
    "3.2.4 GENERAL AUTHENTICATE": "61",  # in test_crypto, with RSA
    "3.3.2 GENERATE ASYMMETRIC KEY PAIR": "61",  # in test_generation, with RSA
}


@pytest.mark.parametrize("table", LISTED)
def test_every_listed_status_word_has_a_case(table: str) -> None:
    elsewhere = ELSEWHERE.get(table, "").split()
    ins = TABLES[table][0].command[2:4]
    answers = [case.sw[-4:] for case in TABLES[table] if case.command[2:4] == ins]
    for sw in LISTED[table].split():
        tried = any(answer.startswith(sw) for answer in answers)
        assert tried != (sw in elsewhere), sw


def prepare(card: DrivenCard, step: str) -> None:
    match step:
        case "administer":
            assert administer(card) == b"\x90\x00"
        case "reset":
            card.card.reset()
        case _:
            card.send(step)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{table}: {case.clause}")
        for table, cases in TABLES.items()
        for case in cases
    ],
)
def test_status_words(case: Case) -> None:
    keys = ScriptedKeys(*[b"result"] * 9)
    card = new_card(keys, sample_image(features=case.features))
    for step in case.after:
        prepare(card, step)
    answer = card.send(case.command)
    assert answer.startswith(case.sw) if len(case.sw) > 4 else answer[-4:].startswith(case.sw)
    assert card.card.fault is None
