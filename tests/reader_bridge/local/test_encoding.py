"""A local card's file: what is written is read, and what is damaged is said to be."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os.piv.names import EXTENSION_OBJECTS, Algorithm
from card_os.uses import PinPolicy, TouchPolicy
from reader_bridge.local.card import LocalKey, Passcode
from reader_bridge.local.encoding import Damaged, TooNew, decode, encode
from reader_bridge.local.profiles import PROFILES
from support.local_world import card


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("algorithm", [Algorithm.ECC_P384, Algorithm.ED25519, Algorithm.RSA_2048])
def test_a_card_is_read_as_it_was_written(profile: str, algorithm: Algorithm) -> None:
    written = card(profile, algorithm)
    assert decode(encode(written)) == written


passcodes = st.builds(
    Passcode, st.binary(min_size=1, max_size=8), st.integers(0, 15), st.integers(1, 15)
)
own_keys = st.builds(
    LocalKey,
    st.just(int(Algorithm.ECC_P256)),
    st.binary(min_size=32, max_size=32).filter(lambda scalar: 0 < scalar[0] < 255),
    st.sampled_from(PinPolicy),
    st.sampled_from(TouchPolicy),
    st.booleans(),
)


@given(
    passcode=passcodes,
    objects=st.dictionaries(st.sampled_from(EXTENSION_OBJECTS), st.binary(min_size=1)),
    keys=st.dictionaries(st.sampled_from([0x9A, 0x9C, 0x9D, 0x9E, 0x82, 0x95]), own_keys),
    management_key=st.binary(min_size=24, max_size=24),
)
def test_all_that_can_change_is_kept(
    passcode: Passcode,
    objects: dict[int, bytes],
    keys: dict[int, LocalKey],
    management_key: bytes,
) -> None:
    written = replace(
        card("developer").with_passcode(0x80, passcode),
        objects=objects,
        keys=keys,
        management_key=management_key,
    )
    assert decode(encode(written)) == written


@given(st.binary(max_size=200))
def test_anything_else_is_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        decode(data)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "1", '"text"', "[" * 100_000, '{"format": 1}', '{"card": {}}'],
)
def test_json_of_something_else(text: str) -> None:
    with pytest.raises(Damaged):
        decode(text.encode())


@given(st.data())
def test_a_file_that_was_cut_or_has_a_wrong_bit(data: st.DataObject) -> None:
    written = encode(card("developer"))
    place = data.draw(st.integers(0, len(written) - 1))
    if data.draw(st.booleans()):
        broken = written[:place]
    else:
        bit = 1 << data.draw(st.integers(0, 7))
        broken = written[:place] + bytes((written[place] ^ bit,)) + written[place + 1 :]
    try:
        read = decode(broken)
    except (Damaged, TooNew) as error:
        assert "BEGIN" not in str(error)
    else:
        assert read == card("developer")  # it was in the spacing


def changed(**body: object) -> bytes:
    """The file of a card of which something was changed, under a right checksum."""
    whole = json.loads(encode(card("developer")))
    whole["card"].update(body)
    contents = json.dumps(whole["card"], sort_keys=True, separators=(",", ":"))
    whole["sha256"] = sha256(contents.encode()).hexdigest()
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    "body",
    [
        {"guid": "AAAA"},
        {"guid": "not base 64!"},
        {"made": "yesterday"},
        {"serial": 7},
        {"passcodes": []},
        {"passcodes": {"80": {"value": "", "tries": "3", "most": 3}}},
        {"objects": {"5FC1": "AAAA"}},
        {"objects": {"tag": "AAAA"}},
        {"keys": {"9A": {}}},
        {"management_algorithm": "AES"},
        {"attester": {"key": None}},
    ],
)
def test_what_makes_no_card_is_damaged(body: dict[str, object]) -> None:
    with pytest.raises(Damaged):
        decode(changed(**body))


def test_the_error_says_nothing_of_the_contents() -> None:
    secret = json.loads(encode(card()))["card"]["keys"]["9A"]["private"]
    key = {"algorithm": 0x11, "private": secret[1:], "pin_policy": 0, "touch_policy": 0}
    with pytest.raises(Damaged) as caught:
        decode(changed(keys={"9A": {**key, "imported": False}}))
    error: BaseException | None = caught.value
    assert error is not None
    assert secret[1:] not in str(error)
    assert error.__suppress_context__ or error.__context__ is None


def test_a_newer_file_is_no_damaged_one() -> None:
    whole = json.loads(encode(card()))
    whole["version"] = 2
    with pytest.raises(TooNew):
        decode(json.dumps(whole).encode())
    with pytest.raises(TooNew):
        decode(changed(profile="of tomorrow"))
