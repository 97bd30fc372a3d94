"""However much a keystore holds, each of its responses fits into what clients take."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.audit import notes
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.audit.reading import MOST_ENTRIES, MOST_PROOFS
from cloud_keystore.cards.showing import MOST_EVENTS
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.fields.accounts import LONGEST_DOMAIN, MOST_ACCOUNTS
from cloud_keystore.model.fields.emails import LONGEST_EMAIL
from cloud_keystore.model.fields.texts import LONGEST_DISPLAY_NAME, LONGEST_LABEL
from cloud_keystore.model.journal import Entry, Kind, encode, identifiers
from cloud_keystore.model.people import LONGEST_UPN
from cloud_keystore.model.portal import assents
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.surveys.answers import LONGEST_TEXT, MOST_COMMENTS
from cloud_keystore.rpc import audit
from cloud_keystore.rpc.door import CHUNK_BYTES, chunks
from cloud_keystore.rpc.people import MOST_USERS
from cloud_keystore.storage.journal import Row
from cloudcard.audit.v1 import audit_pb2
from cloudcard.authenticator.v1 import authenticator_pb2, holder_pb2
from cloudcard.registry.v1 import (
    accounts_pb2,
    cards_pb2,
    feedback_pb2,
    identities_pb2,
    people_pb2,
)
from cloudcard_tools.shared.identity import CHANNEL_OPTIONS
from support.schema import METHODS

CLIENTS_TAKE = dict(CHANNEL_OPTIONS)["grpc.max_receive_message_length"]
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
NAME = "\N{GRINNING FACE}" * LONGEST_DISPLAY_NAME
LABEL = "\N{GRINNING FACE}" * LONGEST_LABEL
ID = "01a21f58-3ec8-76d4-868a-000000000000"
SERIAL = "1500000000000017"
MOST_KEYS = 26  # of a card
OF_ONE_PERSON = 1000  # cards, or sessions: more than anybody has
DEEPEST = 48  # a journal of 2^48 entries
# The lists that are one response, each as large as it becomes.
WHOLE: Mapping[str, Message] = {
    "cloudcard.registry.v1.CardService.ListProfiles": cards_pb2.ListProfilesResponse(
        profiles=[
            cards_pb2.Profile(
                name=LABEL,
                title=NAME,
                keys=[cards_pb2.ProfileKey(key_ref=0x9A, certificate=LABEL)] * MOST_KEYS,
            )
        ]
        * len(PROFILES)
    ),
    "cloudcard.authenticator.v1.AuthenticatorService.ListCards": (
        authenticator_pb2.ListCardsResponse(
            cards=[authenticator_pb2.HolderCard(serial=SERIAL, state="revoked")] * OF_ONE_PERSON
        )
    ),
    "cloudcard.authenticator.v1.AuthenticatorService.ListSignIns": (
        authenticator_pb2.ListSignInsResponse(
            sign_ins=[
                authenticator_pb2.SignIn(id=ID, card_serial=SERIAL, workstation=LABEL, site=LABEL)
            ]
            * OF_ONE_PERSON
        )
    ),
    "cloudcard.authenticator.v1.AuthenticatorService.ListSessions": (
        authenticator_pb2.ListSessionsResponse(
            sessions=[
                authenticator_pb2.Session(
                    id=ID, card_serial=SERIAL, workstation=LABEL, site=LABEL, uses_left=100_000
                )
            ]
            * OF_ONE_PERSON
        )
    ),
    "cloudcard.authenticator.v1.HolderService.ListDevices": (
        holder_pb2.ListDevicesResponse(
            devices=[holder_pb2.Device(id=ID, display_name=LABEL, is_this=True)] * OF_ONE_PERSON
        )
    ),
    "cloudcard.authenticator.v1.HolderService.ListPortalQuestions": (
        holder_pb2.ListPortalQuestionsResponse(
            questions=[
                authenticator_pb2.PortalQuestion(
                    id=ID,
                    subject=subject,
                    card_serial=SERIAL,
                    title=title.format(card=SERIAL),
                    text=text,
                )
                for subject, (title, text) in assents.WORDS.items()
            ]
            * assents.MOST
        )
    ),
    "cloudcard.registry.v1.PeopleService.GetUser": people_pb2.GetUserResponse(
        user=people_pb2.User(id=ID, display_name=NAME, card_serials=[SERIAL] * OF_ONE_PERSON),
        cards=[cards_pb2.Card(serial=SERIAL, guid=bytes(16), user_id=ID, profile="p256")]
        * OF_ONE_PERSON,
        devices=[identities_pb2.Device(id=ID, display_name=LABEL, state="removed")] * OF_ONE_PERSON,
        events=[people_pb2.UserEvent(kind="operation.approved", text=NAME * 4)] * MOST_EVENTS,
        accounts=[accounts_pb2.Account(name="d" * LONGEST_DOMAIN, upn="u" * LONGEST_UPN)]
        * MOST_ACCOUNTS,
    ),
    "cloudcard.registry.v1.PeopleService.SearchUsers": people_pb2.SearchUsersResponse(
        users=[
            people_pb2.User(
                id=ID,
                display_name=NAME,
                email="e" * LONGEST_EMAIL,
                upn="u" * LONGEST_UPN,
                card_serials=[SERIAL] * (OF_ONE_PERSON // 4),
            )
        ]
        * MOST_USERS
    ),
    "cloudcard.registry.v1.FeedbackService.GetScores": feedback_pb2.GetScoresResponse(
        comments=["\N{GRINNING FACE}" * LONGEST_TEXT] * MOST_COMMENTS
    ),
    "cloudcard.audit.v1.AuditService.ListCheckpoints": audit_pb2.ListCheckpointsResponse(
        checkpoints=[
            notes.close(
                Checkpoint("o" * 128, 2**DEEPEST, bytes(32)), bytes(32), lambda _: bytes(64)
            )
        ]
        * MOST_ENTRIES
    ),
    "cloudcard.audit.v1.AuditService.ProveInclusion": audit_pb2.ProveInclusionResponse(
        proofs=[audit_pb2.Proof(hashes=[bytes(32)] * DEEPEST)] * MOST_PROOFS
    ),
}


def test_every_list_is_divided_or_small() -> None:
    lists = [each for each in METHODS if each.name.startswith(("List", "Export"))]
    assert len(lists) > 10
    whole = {each.full_name for each in lists if not each.server_streaming}
    assert whole == {name for name in WHOLE if ".List" in name}


@pytest.mark.parametrize("method", WHOLE)
def test_a_whole_list_fits(method: str) -> None:
    assert WHOLE[method].ByteSize() < CLIENTS_TAKE


def test_a_list_of_any_length_is_divided() -> None:
    email, upn = "e" * LONGEST_EMAIL, "u" * LONGEST_UPN
    user = people_pb2.User(
        id=ID, display_name=NAME, email=email, upn=upn, card_serials=[SERIAL] * 20
    )
    pages = [people_pb2.ListUsersResponse(users=some) for some in chunks([user] * 2000)]
    assert sum(len(page.users) for page in pages) == 2000
    assert 10 < len(pages) < 50
    assert max(page.ByteSize() for page in pages) < 2 * CHUNK_BYTES < CLIENTS_TAKE


@given(st.lists(st.integers(0, 2 * CHUNK_BYTES), max_size=8))
def test_a_divided_list_is_the_whole_one(sizes: list[int]) -> None:
    messages = [audit_pb2.Entry(entry=bytes(size)) for size in sizes]
    divided = list(chunks(messages))
    assert [each for some in divided for each in some] == messages
    assert all(
        len(some) == 1 or sum(each.ByteSize() for each in some) <= CHUNK_BYTES for some in divided
    )


@dataclass
class Numbered:
    """Entries about different things each, with the longest names."""

    names: dict[str, str]
    made: int = 0

    def row(self, evidence: int) -> Row:
        """The next entry, with so many bytes of evidence."""
        actor, *subjects = (self._name() for _ in range(8))
        entry = replace(
            Entry(Kind.OPERATION_APPROVED, NOW, Actor(ActorKind.DEVICE, actor)),
            **dict(zip(SUBJECTS, subjects, strict=False)),
            details={"one": subjects[-1]},
            evidence={"payload": os.urandom(evidence)},
        )
        assert len(identifiers(entry)) == 8
        return Row(self.made, self.made, encode(entry), NOW)

    def _name(self) -> str:
        self.made += 1
        found = f"{ID[:-12]}{self.made:012}"
        self.names[found] = NAME
        return found


SUBJECTS = ("card_id", "user_id", "workstation_id", "device_id", "operation_id", "key_id")


@pytest.mark.parametrize(("rows", "evidence"), [(MOST_ENTRIES, 0), (100, 8_000), (3, 250 * 512)])
def test_a_page_of_the_journal_fits_and_no_entry_is_left_out(rows: int, evidence: int) -> None:
    names: dict[str, str] = {}
    numbered = Numbered(names)
    left = [numbered.row(evidence) for _ in range(rows)]
    pages = 0
    while left:
        page, used = audit.page_of(left, names)
        whole = audit_pb2.SearchEntriesResponse(
            entries=page, names={each: names[each] for each in used}, next_page_token="x" * 40
        )
        assert whole.ByteSize() < CLIENTS_TAKE
        assert [each.entry for each in page] == [row.entry for row in left[: len(page)]]
        assert len(used) == 8 * len(page)
        left = left[len(page) :]
        pages += 1
    assert pages > 1 or evidence > 8_000


def test_an_entry_that_is_too_large_is_alone() -> None:
    rows = [
        Row(
            1,
            1,
            encode(
                Entry(
                    Kind.CARD_ISSUED,
                    NOW,
                    Actor(ActorKind.OPERATOR, ID),
                    evidence={"certificate": bytes(audit.LARGEST_PAGE)},
                )
            ),
            NOW,
        )
    ] * 2
    assert len(audit.page_of(rows, {})[0]) == 1
