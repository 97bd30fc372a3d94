from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os.piv import CardImage, image_file
from card_os.trace.words import TraceError
from support.fakes import DEVELOPER, RSA_KEYS, WITH_GLOBAL_PIN, sample_image


@pytest.mark.parametrize(
    "image",
    [
        sample_image(),
        sample_image(RSA_KEYS, DEVELOPER),
        sample_image(RSA_KEYS, WITH_GLOBAL_PIN),
        replace(sample_image(features=DEVELOPER), factory_management_key=True),
        replace(sample_image(), objects={}, withheld=frozenset({0x5FC109, 0x5FC103})),
    ],
)
def test_an_image_comes_back(image: CardImage) -> None:
    encoded = image_file.encode(image)
    again = image_file.decode(encoded)
    assert again == image
    assert image_file.digest(image_file.encode(again)) == image_file.digest(encoded)


@given(data=st.data())
def test_a_damaged_image_is_read_or_refused(data: st.DataObject) -> None:
    encoded = bytearray(image_file.encode(sample_image()))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        image_file.decode(bytes(encoded))
    except TraceError as error:
        assert str(error)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"null",
        b'{"format": "another"}',
        b'{"format": "cloudcard card image 1"}',
    ],
)
def test_another_file(data: bytes) -> None:
    with pytest.raises(TraceError, match="card image"):
        image_file.decode(data)


def test_a_file_of_another_format_is_no_image() -> None:
    whole = json.loads(image_file.encode(sample_image()))
    whole["format"] = "cloudcard card image 2"
    with pytest.raises(TraceError, match="its format is not 'cloudcard card image 1'"):
        image_file.decode(json.dumps(whole).encode())


@pytest.mark.parametrize(
    "name", ["serial", "guid", "objects", "keys", "features", "verifiable_certificate"]
)
def test_a_member_of_another_kind(name: str) -> None:
    whole = json.loads(image_file.encode(sample_image()))
    whole[name] = 7
    with pytest.raises(TraceError, match=name):
        image_file.decode(json.dumps(whole).encode())


def test_a_truth_is_no_number() -> None:
    whole = json.loads(image_file.encode(sample_image()))
    next(iter(whole["keys"].values()))["pin_policy"] = True
    with pytest.raises(TraceError, match="pin_policy is not of type int"):
        image_file.decode(json.dumps(whole).encode())
