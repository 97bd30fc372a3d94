"""What PIV keeps of secrets: lengths, names and policies stay, the rest is zeros of the text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from card_os import tlv
from card_os.administration import Changed
from card_os.apdu import Command
from card_os.keys import UseKey
from card_os.piv.names import Extension, Ins, KeyRef, ObjectTag
from card_os.piv.secrets import SECRETS, without_secrets
from card_os.uses import KeyUse
from support.fakes import sample_image

IMPORT = Command(0x00, Extension.IMPORT_KEY, 0x11, 0x9A)
PUT = Command(0x00, Ins.PUT_DATA, 0x3F, 0xFF)
PRINTED, CHUID = bytes.fromhex("5C035FC109"), bytes.fromhex("5C035FC102")
SECRET = b"\xc1" * 32
POLICIES = bytes.fromhex("AA0102 AB0101")


def hidden(header: Command, data: bytes) -> bytes:
    hide = SECRETS.in_command(header)
    assert hide is not None
    return hide(data)


@pytest.mark.parametrize("size", [1, 32, 127, 128, 255, 256, 1000])
def test_an_imported_keys_parts_are_hidden_and_its_policies_kept(size: int) -> None:
    data = tlv.encode(0x06, b"\xc1" * size) + POLICIES
    assert hidden(IMPORT, data) == tlv.encode(0x06, b"0" * size) + POLICIES


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (tlv.encode(0xAA, b"\xc1\xc2"), tlv.encode(0xAA, b"00")),  # longer than any policy
        (b"\x06\x84\0\0\0\1\xc1", b"\x06\x84\0\0" + b"000"),  # a length of four bytes
        (b"\xaa\x84\0\0\0\1\xc1", b"\xaa\x84\0\0" + b"000"),
        (b"\x77\x01\xc1", b"000"),  # no part of a key
        (b"\xaa\x01\x02\x77\x01\xc1", b"\xaa\x01\x02000"),
    ],
)
def test_what_is_no_data_object_of_a_key_is_hidden(data: bytes, kept: bytes) -> None:
    assert hidden(IMPORT, data) == kept


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 1000])
def test_contents_of_secret_objects_are_hidden_behind_their_length(size: int) -> None:
    whole = tlv.encode(0x53, b"\xc1" * size)
    head = whole[: len(whole) - size]
    assert hidden(PUT, PRINTED + whole) == PRINTED + head + b"0" * size
    assert hidden(PUT, CHUID + whole) == CHUID + whole


def test_a_management_key_is_hidden_behind_its_algorithm_and_length() -> None:
    header = Command(0x00, Extension.SET_MANAGEMENT_KEY, 0xFF, 0xFF)
    assert hidden(header, b"\x0c\x9b\x20" + SECRET) == b"\x0c\x9b\x20" + b"0" * 32


@pytest.mark.parametrize("size", [1, 2, 3, 4, 16])
def test_a_management_key_is_hidden_in_each_part_of_a_chain(size: int) -> None:
    hide = SECRETS.in_command(Command(0x00, Extension.SET_MANAGEMENT_KEY, 0xFF, 0xFF))
    assert hide is not None
    data = b"\x0c\x9b\x20" + SECRET
    parts = [hide(data[start : start + size]) for start in range(0, len(data), size)]
    assert b"".join(parts) == b"\x0c\x9b\x20" + b"0" * 32


def test_results_of_changes_are_without_what_secret_objects_hold() -> None:
    objects = {
        ObjectTag.PRINTED_INFORMATION: b"\xc1\xc2",
        ObjectTag.PAIRING_CODE: None,
        ObjectTag.CHUID: b"public",
    }
    result = SECRETS.in_result(None, Changed(objects=objects))
    assert result == Changed(objects={**objects, ObjectTag.PRINTED_INFORMATION: b"00"})


PRINTED_FIELDS = b"".join(tlv.encode(tag, b"Ada") for tag in (*range(0x01, 0x09), 0xFE))


@pytest.mark.parametrize(
    ("tag", "contents", "shown"),
    [
        (ObjectTag.CHUID, b"\xc1\xc2", b"\xc1\xc2"),
        (ObjectTag.PAIRING_CODE, tlv.encode(0x01, b"12"), b"0" * 4),
        (ObjectTag.PRINTED_INFORMATION, PRINTED_FIELDS, PRINTED_FIELDS),
        (ObjectTag.PRINTED_INFORMATION, PRINTED_FIELDS + tlv.encode(0x88, b"key"), b"0" * 50),
        (ObjectTag.PRINTED_INFORMATION, b"\x01\x05cut", b"0" * 5),  # malformed
    ],
)
def test_an_image_without_secrets_keeps_usual_printed_information(
    tag: int, contents: bytes, shown: bytes
) -> None:
    image = replace(sample_image(), objects={tag: contents})
    assert without_secrets(image).objects == {tag: shown}


@pytest.mark.parametrize(
    ("use", "shown"),
    [(KeyUse.SIGN, b"made"), (KeyUse.DECRYPT, bytes(4)), (KeyUse.AGREE, bytes(4))],
)
def test_what_a_key_deciphered_or_agreed_on_is_hidden(use: KeyUse, shown: bytes) -> None:
    request = UseKey(bytes(16), use, 0x9D, 0x11, b"input", b"proof")
    assert SECRETS.in_result(request, b"made") == shown


@pytest.mark.parametrize(
    ("command", "secret"),
    [
        (Command(0x00, Ins.GENERAL_AUTHENTICATE, 0x11, KeyRef.KEY_MANAGEMENT), True),
        (Command(0x00, Ins.GENERAL_AUTHENTICATE, 0x11, 0x82), True),
        (Command(0x00, Ins.GENERAL_AUTHENTICATE, 0x11, KeyRef.AUTHENTICATION, PRINTED), False),
        (Command(0x00, Ins.GET_DATA, 0x3F, 0xFF, PRINTED), True),
        (Command(0x00, Ins.GET_DATA, 0x3F, 0xFF, CHUID), False),
        (Command(0x00, Ins.VERIFY, 0x00, 0x80, PRINTED), False),
    ],
)
def test_which_responses_are_secret(command: Command, secret: bool) -> None:
    assert SECRETS.in_response(command) is secret
