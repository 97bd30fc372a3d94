"""What a stored change makes of the card."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os.administration import CardKey, Changed
from card_os.piv import CardImage, Features, PivApplication
from card_os.piv.algorithms import INTEROPERABLE
from card_os.piv.names import CONTAINER_ID, TOOL_OBJECTS, KeyRef, ObjectTag
from card_os.piv.security_status import Verification
from support.fakes import CountedRandom, sample_image

tags = st.sampled_from(list(CONTAINER_ID))
key_refs = st.sampled_from([0x82, 0x83, 0x95, 0x9A, 0x9C, 0x9D, 0x9E])
keys = st.sampled_from([CardKey(0x07), CardKey(0x11), CardKey(0x14, b"public", imported=True)])


@given(
    objects=st.dictionaries(tags, st.none() | st.binary(max_size=9)),
    changed_keys=st.dictionaries(key_refs, st.none() | keys),
    management=st.none() | st.sampled_from([0x03, 0x08, 0x0A, 0x0C]),
)
def test_what_changes_and_what_stays(
    objects: dict[int, bytes | None],
    changed_keys: dict[int, CardKey | None],
    management: int | None,
) -> None:
    before = sample_image()
    after = before.after(Changed(objects, changed_keys, management))
    for tag in CONTAINER_ID:
        assert after.objects.get(tag) == objects.get(tag, before.objects.get(tag))
        if tag in objects:
            assert after.objects.get(tag) == objects[tag]
    for key_ref in {*before.keys, *changed_keys}:
        expected = changed_keys[key_ref] if key_ref in changed_keys else before.keys[key_ref]
        assert after.keys.get(key_ref) == expected
    assert None not in after.objects.values()
    assert after.features == replace(before.features, management_algorithm=management)
    assert (after.serial, after.guid) == (before.serial, before.guid)
    assert before == sample_image()


def test_contents_of_no_bytes_are_contents() -> None:
    """Part 1, 4.1: created but not used; None is what removes."""
    assert sample_image().after(Changed(objects={0x5FC103: b""})).objects[0x5FC103] == b""


def test_nothing_changes_nothing() -> None:
    assert sample_image().after(Changed()) == sample_image()


def test_an_image_does_not_follow_what_it_was_made_of() -> None:
    objects, keys = {0x5FC103: b"first"}, {0x9A: CardKey(0x11)}
    image = replace(sample_image(), objects=objects, keys=keys)
    objects[0x5FC103], keys[0x9A] = b"second", CardKey(0x07)
    assert image.objects == {0x5FC103: b"first"}
    assert image.keys == {0x9A: CardKey(0x11)}


@pytest.mark.parametrize("is_factory", [True, False])
def test_a_new_management_key_is_the_well_known_one_or_not(is_factory: bool) -> None:
    image = replace(sample_image(), factory_management_key=not is_factory)
    changed = Changed(management_algorithm=0x08, factory_management_key=is_factory)
    assert image.after(changed).factory_management_key is is_factory
    assert image.after(Changed()).factory_management_key is not is_factory


@pytest.mark.parametrize("extensions", [False, True])
def test_which_objects_a_card_has(extensions: bool) -> None:
    image = sample_image(features=Features(extensions=extensions))
    assert all(image.has_object(tag) for tag in CONTAINER_ID)
    assert all(image.has_object(tag) is extensions for tag in TOOL_OBJECTS)
    assert not image.has_object(0x600000)


BOTH_PINS, OWN_PIN = bytes.fromhex("5F2F026000"), bytes.fromhex("5F2F024000")


@pytest.mark.parametrize(
    ("discovery", "accepted"),
    [
        (BOTH_PINS, True),
        (OWN_PIN, False),
        (bytes.fromhex("5F2F022000"), True),
        (bytes.fromhex("5F2F00"), False),
        (b"", False),
        (b"\x5f\x2f\x09", False),
    ],
)
def test_the_global_pin_is_accepted_if_profile_and_discovery_object_say_so(
    discovery: bytes, accepted: bool
) -> None:
    image = sample_image(features=Features(global_pin=True))
    image = replace(image, objects={ObjectTag.DISCOVERY: discovery})
    assert image.accepts_global_pin is accepted
    assert replace(image, features=Features()).accepts_global_pin is False
    assert replace(image, objects={}).accepts_global_pin is False


def test_an_image_has_no_well_known_management_key_unless_it_says_so() -> None:
    image = CardImage("1000", bytes(16), {}, {})
    assert (image.factory_management_key, image.verifiable_certificate) == (False, b"")
    assert image.features == Features(INTEROPERABLE, None, global_pin=False, extensions=False)


def test_a_new_selection_rolls_back_to_the_status_it_was_opened_with() -> None:
    selection = PivApplication(sample_image(), CountedRandom()).open()
    opened = selection.state.security
    selection.state.security = opened.with_verified(KeyRef.PIN, Verification(b"proof"))
    selection.roll_back()
    assert selection.state.security == opened


def test_a_guid_has_16_bytes() -> None:
    with pytest.raises(ValueError, match="17 bytes, not 16"):
        replace(sample_image(), guid=bytes(17))


def test_secure_messaging_ends_with_its_key() -> None:
    image = sample_image({KeyRef.SECURE_MESSAGING: CardKey(0x27)})
    image = replace(image, verifiable_certificate=b"certificate")
    assert image.after(Changed()).verifiable_certificate == b"certificate"
    gone = image.after(Changed(keys={KeyRef.SECURE_MESSAGING: None}))
    assert gone.verifiable_certificate == b""


@pytest.mark.parametrize(
    "changed",
    [
        Changed(objects={0x600000: b""}),
        Changed(keys={0x9B: CardKey(0x11)}),
        Changed(keys={0x9D: CardKey(0xE0)}),  # only with the extensions
        Changed(management_algorithm=0x11),
    ],
)
def test_what_no_card_has(changed: Changed) -> None:
    with pytest.raises(ValueError, match="no PIV card has"):
        sample_image().after(changed)
