"""Records between handler and agent: any record, and any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_bridge import records
from reader_bridge.records import (
    Apdu,
    Cancel,
    Eject,
    Hello,
    MalformedRecord,
    Record,
    RecordType,
    Response,
    Signal,
    Welcome,
)

BYTE = st.integers(0, 0xFF)
WORD = st.integers(0, 0xFFFFFFFF)
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(Hello, st.binary(min_size=2, max_size=33), BYTE, WORD),
    st.builds(Welcome, BYTE, WORD),
    st.builds(Apdu, BYTE, st.binary(min_size=1, max_size=300)),
    st.builds(Response, BYTE, st.binary(min_size=2, max_size=300)),
    st.builds(Cancel, BYTE),
    st.builds(Eject, BYTE),
    st.sampled_from(Signal),
)


@given(RECORDS)
def test_encode_and_decode_are_inverse(record: Record) -> None:
    assert records.decode(record.encode()) == record


@given(st.binary(max_size=60))
def test_any_bytes_are_a_record_or_malformed(raw: bytes) -> None:
    try:
        record = records.decode(raw)
    except MalformedRecord:
        return
    assert record.encode() == raw


@given(RECORDS, st.binary(min_size=1, max_size=4))
def test_only_what_carries_something_can_be_longer(record: Record, more: bytes) -> None:
    raw = record.encode()
    if isinstance(record, Apdu | Response):
        assert records.decode(raw + more).encode() == raw + more
    elif not isinstance(record, Hello):
        with pytest.raises(MalformedRecord):
            records.decode(raw + more)


@given(st.sampled_from(RecordType))
def test_a_type_alone_is_a_signal_or_malformed(type_: RecordType) -> None:
    raw = bytes([type_])
    if type_ in set(Signal):
        assert records.decode(raw) == Signal(type_)
    else:
        with pytest.raises(MalformedRecord):
            records.decode(raw)


@pytest.mark.parametrize(
    ("record", "longest"),
    [
        (Apdu(1, bytes(65544)), True),
        (Response(1, bytes(65538)), True),
        (Hello(bytes(33)), True),
        (Hello(bytes(2)), True),
        (Apdu(1, bytes(65545)), False),
        (Apdu(1, b""), False),
        (Response(1, bytes(65539)), False),
        (Response(1, b"\x90"), False),
        (Hello(bytes(34)), False),
        (Hello(b"\x3b"), False),
    ],
)
def test_lengths(record: Record, longest: bool) -> None:
    if longest:
        assert records.decode(record.encode()) == record
    else:
        with pytest.raises(ValueError, match="bytes cannot be sent"):
            record.encode()


@pytest.mark.parametrize("type_", [RecordType.HELLO, RecordType.WELCOME])
def test_another_version_is_refused(type_: RecordType) -> None:
    raw = bytes([type_, 2]) + bytes(5) + b"\x3b\x00" * (type_ == RecordType.HELLO)
    with pytest.raises(MalformedRecord, match="version 2"):
        records.decode(raw)
