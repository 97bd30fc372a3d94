"""What hypothesis makes of traces: requests, results, lines."""

from __future__ import annotations

from hypothesis import strategies as st

from card_os.administration import (
    Administrator,
    AnswerChallenge,
    AttestKey,
    CardKey,
    Changed,
    GenerateKey,
    ImportKey,
    MoveKey,
    RequestChallenge,
    ResetCard,
    SetManagementKey,
    SetTries,
    WriteObject,
)
from card_os.keys import (
    ChangePasscode,
    KeyRequest,
    KeyResult,
    PasscodeStatus,
    ReadObject,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.trace.lines import (
    Abandoned,
    Answered,
    Asked,
    Clock,
    Comment,
    Image,
    Line,
    Pause,
    Power,
    Received,
    Seed,
    Sent,
    Step,
)
from card_os.trace.requests import TracedRequest
from card_os.uses import KeyUse, PinPolicy, TouchPolicy

octets = st.binary(max_size=40)
byte = st.integers(0, 0xFF)
tag = st.integers(0, 0xFFFFFF)
hidden = st.integers(0, 16).map(lambda count: b"0" * count)  # as a trace knows secrets
proof = st.just(b"") | st.integers(1, 99).map(lambda count: f"#{count}".encode())
pin_policy, touch_policy = st.sampled_from(PinPolicy), st.sampled_from(TouchPolicy)
no_id = st.just(b"")
request_name = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True)
card_key = st.builds(CardKey, byte, octets, pin_policy, touch_policy, st.booleans())


def key_requests() -> st.SearchStrategy[KeyRequest]:
    """Requests of every kind, their secrets hidden."""
    return st.one_of(
        st.builds(UseKey, no_id, st.sampled_from(KeyUse), byte, byte, octets, proof),
        st.builds(PasscodeStatus, no_id, byte),
        st.builds(VerifyPasscode, no_id, byte, hidden),
        st.builds(ReadObject, proof, tag),
        st.builds(ChangePasscode, no_id, byte, hidden, hidden),
        st.builds(ResetPasscode, no_id, byte, hidden, hidden),
        st.builds(RequestChallenge, byte, st.booleans()),
        st.builds(AnswerChallenge, byte, octets, octets),
        st.builds(WriteObject, proof, tag, octets),
        st.builds(GenerateKey, proof, byte, byte, pin_policy, touch_policy),
        st.builds(ImportKey, proof, byte, byte, hidden, pin_policy, touch_policy),
        st.builds(MoveKey, proof, byte, st.none() | byte),
        st.builds(SetManagementKey, proof, byte, hidden),
        st.builds(SetTries, proof, proof, byte, byte),
        st.just(ResetCard()),
        st.builds(AttestKey, byte),
        st.builds(TracedRequest, request_name, st.lists(octets, max_size=3).map(tuple)),
    )


def key_results() -> st.SearchStrategy[KeyResult]:
    """Results of every kind."""
    return st.one_of(
        octets,
        st.builds(Verified, proof),
        st.builds(TriesLeft, byte, byte, st.booleans()),
        st.builds(Administrator, proof, octets),
        st.builds(
            Changed,
            st.dictionaries(tag, st.none() | octets, max_size=3),
            st.dictionaries(byte, st.none() | card_key, max_size=3),
            st.none() | byte,
            withheld=st.frozensets(tag, max_size=3),
        ),
        st.sampled_from(Refusal),
    )


def lines() -> st.SearchStrategy[Line]:
    """Lines of every kind."""
    text = st.text(st.characters(categories=["L", "N", "P"]), max_size=20)
    times = st.datetimes().map(lambda time: time.replace(microsecond=0).isoformat() + "Z")
    return st.one_of(
        st.builds(Comment, text),
        st.builds(Step, text),
        st.builds(Image, st.binary(min_size=32, max_size=32)),
        st.builds(Seed, st.binary(min_size=1, max_size=32)),
        st.builds(Clock, times),
        st.builds(Pause, st.integers(0, 10**14)),
        st.sampled_from(Power),
        st.builds(Sent, st.binary(min_size=1, max_size=40)),
        st.builds(Received, st.binary(min_size=2, max_size=40)),
        st.builds(Asked, key_requests()),
        st.builds(Answered, key_results()),
        st.just(Abandoned()),
    )
