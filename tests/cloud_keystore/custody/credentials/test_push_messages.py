"""What a push service carries is as RFC 8291 has it, and for one browser alone."""

from __future__ import annotations

import base64

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.custody.credentials import push_keys, push_messages
from cloud_keystore.model.errors import InvalidInput
from support.keystore_world import World
from support.push_browser import CURVE, PushBrowser, claims, decoded

ENDPOINT = "https://fcm.googleapis.com/fcm/send/abc"
# RFC 8291, appendix A
AS_PRIVATE = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
UA_PRIVATE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
UA_PUBLIC = (
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
)
SALT, AUTH = "DGv6ra1nlYgDCS1FRnbzlw", "BTBZMqHH6r4Tts7J_aSIgg"
PLAIN = b"When I grow up, I want to be a watermelon"
MESSAGE = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6T"
    "lzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4"
    "a-fN"
)


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(decoded(text)), CURVE)


def test_the_example_of_the_standard() -> None:
    browser = PushBrowser(decoded(AUTH), private(UA_PRIVATE))
    assert browser.public == decoded(UA_PUBLIC)
    made = push_messages.encrypted(
        PLAIN, browser.address(ENDPOINT), private(AS_PRIVATE), decoded(SALT)
    )
    assert base64.urlsafe_b64encode(made).rstrip(b"=").decode() == MESSAGE
    assert browser.read(made) == PLAIN


@given(content=st.binary(max_size=1000), salt=st.binary(min_size=16, max_size=16))
def test_the_browser_alone_reads_it(content: bytes, salt: bytes) -> None:
    browser, other = PushBrowser(), PushBrowser()
    once = ec.generate_private_key(CURVE)
    made = push_messages.encrypted(content, browser.address(ENDPOINT), once, salt)
    assert browser.read(made) == content
    with pytest.raises(InvalidTag):
        other.read(made)
    with pytest.raises(InvalidTag):
        PushBrowser(b"another secret..", browser.private).read(made)


@pytest.mark.parametrize("raw", [b"", b"\0" * 65, b"\x04" + b"\xff" * 64, b"\x02" + b"\1" * 32])
def test_what_is_no_key_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        push_messages.browser_key(raw)


def test_the_key_is_made_once_and_signs_who_calls(world: World) -> None:
    with world.database.write() as connection:
        assert push_keys.find(connection, world.seal) is None
        made = push_keys.find_or_make(connection, world.seal)
        assert push_keys.find_or_make(connection, world.seal).public == made.public
    assert world.bells.key() == made.public
    now = world.clock()
    field = made.authorization("https://fcm.googleapis.com", "https://cards.example.org", now)
    assert claims(field, made.public) == {
        "aud": "https://fcm.googleapis.com",
        "exp": int((now + push_keys.TOKEN_TIME).timestamp()),
        "sub": "https://cards.example.org",
    }
    assert "private" not in repr(made)
