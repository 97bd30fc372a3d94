"""What a recorded card already held before it was recorded."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from card_os import tlv
from card_os.piv.names import ObjectTag
from cloudcard_tools.trace.record.recording import recorded
from cloudcard_tools.trace.replay.replaying import replay
from support.fakes import ScriptedKeys, sample_image
from support.recorded_card import transmit

SECRET = bytes(range(0xD1, 0xC1, -1))
CODE = b"83476192"
READ_PRINTED, READ_CODE = "00CB3FFF055C035FC10900", "00CB3FFF055C035FC12300"


def test_secrets_in_data_objects_are_not_in_the_image_or_the_trace(tmp_path: Path) -> None:
    image = sample_image()
    printed = {
        ObjectTag.PRINTED_INFORMATION: tlv.encode(0x88, tlv.encode(0x89, SECRET)),
        ObjectTag.PAIRING_CODE: tlv.encode(0x99, CODE),
    }
    image = replace(image, objects={**image.objects, **printed})
    path = tmp_path / "session.trace"
    said: list[bytes] = []
    with recorded(image, path) as tape:
        keys = ScriptedKeys()
        for command in ("0020008008313233343536FFFF", READ_PRINTED, READ_CODE):
            said.append(transmit(tape.card, keys, tape.recorder, bytes.fromhex(command)))
    assert SECRET in said[1]
    assert CODE in said[2]
    for file in (path, *tmp_path.glob("cards/*")):
        text = file.read_text()
        assert SECRET.hex() not in text
        assert CODE.hex() not in text
    assert "answered otherwise" not in path.read_text()
    assert replay(path).passed


def test_a_recording_that_fails_before_any_command_does_not_stay(tmp_path: Path) -> None:
    path = tmp_path / "session.trace"
    with pytest.raises(KeyboardInterrupt), recorded(sample_image(), path):
        raise KeyboardInterrupt
    assert not path.exists()


def test_a_recording_stays_as_far_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "session.trace"
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(KeyboardInterrupt))
        tape = stack.enter_context(recorded(sample_image(), path))
        transmit(tape.card, ScriptedKeys(), tape.recorder, bytes.fromhex(READ_CODE))
        raise KeyboardInterrupt
    assert replay(path).commands == 1
