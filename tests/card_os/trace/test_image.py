from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os.piv import CardImage
from card_os.trace import image as images
from card_os.trace.words import TraceError
from support.fakes import DEVELOPER, RSA_KEYS, WITH_GLOBAL_PIN, sample_image


@pytest.mark.parametrize(
    "image",
    [sample_image(), sample_image(RSA_KEYS, DEVELOPER), sample_image(RSA_KEYS, WITH_GLOBAL_PIN)],
)
def test_an_image_comes_back(image: CardImage) -> None:
    encoded = images.encode(image)
    again = images.decode(encoded)
    assert again == image
    assert images.digest(images.encode(again)) == images.digest(encoded)


@given(data=st.data())
def test_a_damaged_image_is_read_or_refused(data: st.DataObject) -> None:
    encoded = bytearray(images.encode(sample_image()))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        images.decode(bytes(encoded))
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
        images.decode(data)


@pytest.mark.parametrize(
    "name", ["serial", "guid", "objects", "keys", "features", "verifiable_certificate"]
)
def test_a_member_of_another_kind(name: str) -> None:
    whole = json.loads(images.encode(sample_image()))
    whole[name] = 7
    with pytest.raises(TraceError, match=name):
        images.decode(json.dumps(whole).encode())
