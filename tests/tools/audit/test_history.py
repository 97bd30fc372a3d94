"""What a keystore cannot put into its own journal, though it signs it. Each attack is a journal
that was written anew, with a tree and checkpoints by the journal's own key.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_keystore.approval import statement
from cloud_keystore.model.actors import DATA_FOLDER, KEYSTORE, Actor, ActorKind
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.operations import Decision
from cloud_keystore.model.policies import Policy
from cloud_keystore.pki.building import named
from cloudcard_tools.audit.lines import EntryLine
from cloudcard_tools.authenticator.approving import sign
from cloudcard_tools.authenticator.passkey import BACKUP_ELIGIBLE, USER_PRESENT, USER_VERIFIED
from support.exports import (
    KEY,
    Export,
    Story,
    approved,
    audited_world,
    checked,
    detailed,
    edit,
    entry_at,
    evidenced,
    exported,
    findings,
    first,
    insert,
    place,
    resigned,
)
from support.keystore_world import Enrolled, csr, new_passkey, spki

STRANGER = "01a207a2-0000-7000-8000-000000000000"


def said(entry: Entry) -> bytes:
    """What a device signs that approves what an entry tells of."""
    number = str(entry.details["number"])
    return statement.statement(entry.evidence["payload"], Decision.APPROVE, number)


def signed_by(device: Enrolled, entry: Entry) -> Entry:
    """The same decision by another device, with its native key."""
    signature, _ = device.evidence(said(entry))
    own = replace(entry, device_id=device.identity.id, actor=device.identity.actor)
    key = spki(device.approval or device.private)
    return evidenced(own, device_signature=signature, approval_key=key)


def later(export: Export, start: int, **time: float) -> None:
    """Let everything from an entry on happen later."""
    for at in range(start, len(export)):
        if isinstance(export[at], EntryLine):
            edit(export, at, lambda entry: replace(entry, time=entry.time + timedelta(**time)))


def removed(entry: Entry, who: Actor) -> Entry:
    """The entry that somebody was removed, at the time of another entry."""
    details = {"identity": who.id, "reason": "lost"}
    return Entry(Kind.IDENTITY_REMOVED, entry.time, DATA_FOLDER, details=details)


def of_card(kind: Kind, entry: Entry, **details: str) -> Entry:
    """An entry about the card of another one, at the same time."""
    return Entry(
        kind,
        entry.time,
        KEYSTORE,
        card_id=entry.card_id,
        user_id=entry.user_id,
        key_id=entry.key_id,
        details=details,
    )


def enrolment(export: Export, who: str) -> int:
    """Where somebody's enrolment is."""
    return next(
        at
        for at, line in enumerate(export)
        if isinstance(line, EntryLine)
        and entry_at(export, at).kind is Kind.IDENTITY_ENROLLED
        and entry_at(export, at).actor.id == who
    )


def stolen(entry: Entry, thief: ec.EllipticCurvePrivateKey) -> Entry:
    """The same enrolment with a thief's TLS key and a certificate for it."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(entry.actor.id))
        .issuer_name(named("CA"))
        .public_key(thief.public_key())
        .serial_number(1)
        .not_valid_before(entry.time)
        .not_valid_after(entry.time + timedelta(days=1))
    )
    certificate = builder.sign(thief, SHA256()).public_bytes(Encoding.DER)
    return evidenced(entry, csr=csr(thief), certificate=certificate)


class TestDecisions:
    def test_a_denial_made_an_approval(self, export: Export) -> None:
        edit(
            export,
            first(export, Kind.OPERATION_DENIED),
            lambda entry: replace(entry, kind=Kind.OPERATION_APPROVED),
        )
        assert findings(export)[0] == "the device signed another decision"

    def test_a_signature_for_another_operation(self, export: Export) -> None:
        one = first(export, Kind.OPERATION_APPROVED)
        other = entry_at(export, next(
            at for at in range(one + 1, len(export))
            if isinstance(export[at], EntryLine)
            and entry_at(export, at).kind is Kind.OPERATION_APPROVED
        ))  # fmt: skip
        edit(
            export,
            one,
            lambda e: replace(e, evidence=other.evidence, details=other.details),
        )
        assert findings(export)[0] == "the device signed this for another operation"

    @pytest.mark.parametrize("name", ["device_signature", "payload", "client_data"])
    def test_other_evidence(self, export: Export, name: str) -> None:
        at = place(export, Kind.OPERATION_APPROVED)  # by a passkey
        raw = bytearray(entry_at(export, at).evidence[name])
        raw[-1] ^= 1
        edit(export, at, lambda entry: evidenced(entry, **{name: bytes(raw)}))
        assert findings(export) == ["the device's signature is not over this decision"]

    def test_a_page_of_somebody_else(self, past: Story, export: Export) -> None:
        """The entry of the decision told of a phisher's page, and was believed."""
        at = place(export, Kind.OPERATION_APPROVED)
        evil = {"origin": "https://evil.example.org", "rp_id": "evil.example.org"}
        assert past.cy.passkey is not None
        elsewhere = replace(past.cy.passkey, **evil)
        signed = said(entry_at(export, at))
        answer, _ = elsewhere.get(statement.challenge(signed))
        edit(
            export,
            at,
            lambda entry: evidenced(
                detailed(entry, **evil),
                device_signature=answer.signature,
                authenticator_data=answer.authenticator_data,
                client_data=answer.client_data,
            ),
        )
        assert findings(export) == ["the device's signature is not over this decision"]

    def test_a_number_that_was_mistyped(self, export: Export) -> None:
        """A denial because of a wrong number became an approval, because the device had signed
        it as one.
        """
        at = next(
            at
            for at, line in enumerate(export)
            if isinstance(line, EntryLine)
            and entry_at(export, at).kind is Kind.OPERATION_DENIED
            and entry_at(export, at).details["decision"] == "approve"
        )
        edit(export, at, lambda entry: replace(entry, kind=Kind.OPERATION_APPROVED))
        assert "the number is not the one that the workstation showed" in findings(export)

    def test_a_number_to_which_the_keystore_was_not_committed(self, export: Export) -> None:
        """Another salt for the number that was typed."""
        at = first(export, Kind.OPERATION_APPROVED)
        edit(export, at, lambda entry: evidenced(entry, number_salt=os.urandom(32)))
        assert "the number is not the one that the workstation showed" in findings(export)

    def test_no_number_and_no_scan(self, export: Export) -> None:
        """An approval without a number counted, though nobody had scanned a code."""
        del export[place(export, Kind.OPERATION_CLAIMED)]
        assert findings(export)[0] == (
            "approved without a number, and without a code that was scanned"
        )

    def test_a_decision_too_late(self, export: Export) -> None:
        """An approval counted an hour after its request had expired."""
        later(export, first(export, Kind.OPERATION_APPROVED), hours=1)
        assert findings(export)[0] == "it was decided when the request did not wait"

    def test_a_request_that_was_not_made(self, export: Export) -> None:
        """Approvals counted whose requests no entry tells of."""
        del export[first(export, Kind.OPERATION_ASKED)]
        assert findings(export)[0] == (
            "a decision about a request that was not made, or does not wait"
        )

    def test_another_request_than_was_made(self, export: Export) -> None:
        """The entry of the request told of another payload than the device had signed."""
        at = first(export, Kind.OPERATION_ASKED)
        payload = entry_at(export, at).evidence["payload"]
        edit(export, at, lambda entry: evidenced(entry, payload=payload + b"\xa2\x01\x01x"))
        assert "the device signed another request than the one that was made" in findings(export)

    def test_a_request_decided_twice(self, export: Export) -> None:
        at = first(export, Kind.OPERATION_APPROVED)
        insert(export, at, entry_at(export, at))
        assert "a request was decided twice" in findings(export)

    def test_a_passcode_that_was_not_given(self, export: Export) -> None:
        """The payload said that the holder had given the passcode, and no entry told of it."""
        del export[first(export, Kind.PASSCODE_RIGHT)]
        assert "the passcode was not given, or too long before" in findings(export)


def test_a_passkey_that_several_devices_keep(tmp_path: Path) -> None:
    """Its decisions were called wrong, because its enrolment was not looked at."""
    world = audited_world(tmp_path)
    world.set_policy(Policy(synced_passkeys=True))
    user, token = world.people.add_user("Cy", "", actor=world.actor)
    assert token is not None
    cy = world.enrol_passkey(
        token.text, replace(new_passkey(), flags=BACKUP_ELIGIBLE | USER_PRESENT | USER_VERIFIED)
    )
    approved(world, world.card(user), world.workstation(), cy)
    world.take_in()
    assert findings(exported(world)) == []
    world.database.close()


class TestPeople:
    def test_a_key_that_the_device_never_had(self, export: Export) -> None:
        device = entry_at(export, first(export, Kind.OPERATION_APPROVED)).device_id
        del export[enrolment(export, device or "")]
        assert "the key that signed it is not the one its device was enrolled with" in (
            findings(export)
        )

    def test_the_device_of_another_holder(self, past: Story, export: Export) -> None:
        """Bo's phone approved a use of Ada's key, and nobody asked whose phone it is."""
        approved, used = (
            first(export, kind) for kind in (Kind.OPERATION_APPROVED, Kind.OPERATION_USED)
        )
        edit(export, approved, lambda entry: signed_by(past.bo, entry))
        edit(export, used, lambda entry: replace(entry, device_id=past.bo.identity.id))
        assert findings(export)[0] == "the device that signed it is not the holder's"

    def test_a_removed_device(self, past: Story, export: Export) -> None:
        """A lost phone approved after its removal."""
        at = first(export, Kind.OPERATION_APPROVED)
        insert(export, at, removed(entry_at(export, at), past.ada.identity.actor))
        assert "the device that approved it had been removed" in findings(export)

    @pytest.mark.parametrize("kind", [Kind.OPERATION_USED, Kind.SESSION_OPENED])
    def test_the_approval_of_a_device_removed_since(
        self, past: Story, export: Export, kind: Kind
    ) -> None:
        """What a lost phone had approved was used after its removal."""
        at = first(export, kind)
        insert(export, at, removed(entry_at(export, at), past.ada.identity.actor))
        assert findings(export)[0] == "the device that approved it had been removed"

    def test_the_session_of_a_device_removed_since(self, past: Story, export: Export) -> None:
        """A session was used after the phone that had approved it was removed."""
        at = place(export, Kind.SESSION_USED)
        insert(export, at, removed(entry_at(export, at), past.ada.identity.actor))
        assert findings(export)[0] == ("the device that approved the session had been removed")

    def test_a_device_enrolled_again_with_a_thiefs_key(self, past: Story, export: Export) -> None:
        """A second enrolment of Ada's phone told of a thief's key, which decided from then on."""
        thief = ec.generate_private_key(ec.SECP256R1())
        at = first(export, Kind.OPERATION_APPROVED)
        phone = entry_at(export, enrolment(export, past.ada.identity.id))
        edit(export, at, lambda entry: signed_by(replace(past.ada, private=thief), entry))
        insert(export, at, replace(stolen(phone, thief), time=entry_at(export, at).time))
        assert findings(export)[0] == "an identity was enrolled twice: its key was exchanged"

    def test_an_enrolment_that_nobody_asked_for(self, past: Story, export: Export) -> None:
        """A device was enrolled, and approved, that no operator had invited."""
        at = enrolment(export, past.ada.identity.id)
        del export[at - 1]
        assert findings(export) == ["an identity was enrolled that nobody had invited"]

    def test_an_enrolment_for_another_holder(self, past: Story, export: Export) -> None:
        """A device that was invited for Bo was enrolled for Ada."""
        at = enrolment(export, past.bo.identity.id)
        ada = past.ada.identity.user_id
        edit(export, at, lambda entry: replace(entry, user_id=ada))
        assert findings(export)[0] == "an identity was enrolled for somebody else than was invited"

    def test_a_key_that_the_holder_did_not_bind(self, past: Story, export: Export) -> None:
        """A thief's approval key stood in the enrolment of Bo's phone."""
        thief = Ed25519PrivateKey.generate()
        at = enrolment(export, past.bo.identity.id)
        signature = sign(thief, b"something else")
        edit(
            export,
            at,
            lambda entry: evidenced(entry, approval_key=spki(thief), device_signature=signature),
        )
        assert findings(export)[0] == "the approval key was not made for this enrolment"

    def test_a_passkey_that_the_holder_did_not_bind(self, past: Story, export: Export) -> None:
        """A thief's passkey stood in the enrolment of Cy's phone."""
        at = enrolment(export, past.cy.identity.id)
        thief = new_passkey()
        made = thief.create(os.urandom(32))
        edit(
            export,
            at,
            lambda entry: evidenced(
                entry,
                approval_key=thief.cose_key(),
                attestation_object=made.attestation_object,
                client_data=made.client_data,
            ),
        )
        assert findings(export)[0] == "the approval key was not made for this enrolment"

    def test_the_certificate_of_somebody_else(self, past: Story, export: Export) -> None:
        """The enrolment of Ada's phone told of a certificate that it had not asked for."""
        bo = entry_at(export, enrolment(export, past.bo.identity.id)).evidence["certificate"]
        edit(
            export,
            enrolment(export, past.ada.identity.id),
            lambda entry: evidenced(entry, certificate=bo),
        )
        assert findings(export)[0] == (
            "the certificate is not the one that the identity has asked for"
        )

    def test_an_operator_who_never_was(self, export: Export) -> None:
        """Cards were issued, and phones invited, in the name of an operator whom nobody knows."""
        at = first(export, Kind.CARD_ISSUED)
        stranger = Actor(ActorKind.OPERATOR, STRANGER)
        edit(export, at, lambda entry: replace(entry, actor=stranger))
        assert findings(export) == [
            f"this was done by operator {STRANGER}, which had not been enrolled"
        ]

    def test_an_operator_who_is_gone(self, past: Story, export: Export) -> None:
        """An operator acted after the removal."""
        at = first(export, Kind.OPERATION_DENIED)
        insert(export, at, removed(entry_at(export, at), past.world.actor))
        assert f"this was done by {past.world.actor}, which had been removed" in findings(export)


class TestPlaces:
    @pytest.mark.parametrize("kind", [Kind.OPERATION_ASKED, Kind.OPERATION_USED])
    def test_another_workstation(self, past: Story, export: Export, kind: Kind) -> None:
        """The approval for one workstation was used at another one."""
        elsewhere = past.world.actor
        at = first(export, kind)
        edit(export, at, lambda entry: replace(entry, actor=elsewhere))
        assert findings(export)[0] == ("another workstation did this than the one that had asked")

    def test_a_workstation_that_the_request_does_not_name(self, export: Export) -> None:
        """The entry of a use told of another workstation than the device had been shown."""
        at = first(export, Kind.OPERATION_USED)
        thief = Actor(ActorKind.WORKSTATION, STRANGER)
        edit(export, at, lambda entry: replace(entry, actor=thief, workstation_id=STRANGER))
        assert "the request is of another workstation than the entry's" in findings(export)

    @pytest.mark.parametrize("kind", [Kind.OPERATION_ASKED, Kind.OPERATION_USED, Kind.SESSION_USED])
    def test_a_workstation_that_was_removed(self, past: Story, export: Export, kind: Kind) -> None:
        """A stolen workstation used keys after its removal."""
        at = first(export, kind)
        insert(export, at, removed(entry_at(export, at), past.pc.identity.actor))
        assert findings(export)[0] == "the workstation had been removed"

    def test_a_workstation_with_another_certificate(self, past: Story, export: Export) -> None:
        """The workstation's enrolment told of another key than the request."""
        thief = ec.generate_private_key(ec.SECP256R1())
        at = enrolment(export, past.pc.identity.id)
        edit(export, at, lambda entry: stolen(entry, thief))
        assert findings(export)[0] == "the workstation was enrolled with another certificate"


class TestCards:
    @pytest.mark.parametrize("kind", [Kind.CARD_SUSPENDED, Kind.CARD_REVOKED])
    @pytest.mark.parametrize(
        "use", [Kind.OPERATION_ASKED, Kind.OPERATION_USED, Kind.SESSION_OPENED, Kind.SESSION_USED]
    )
    def test_a_card_that_is_not_in_use(self, export: Export, kind: Kind, use: Kind) -> None:
        """A key was used while its card was suspended, or revoked."""
        at = first(export, use)
        insert(export, at, of_card(kind, entry_at(export, at)))
        state = "suspended" if kind is Kind.CARD_SUSPENDED else "revoked"
        assert findings(export)[0] == f"the card was {state}"

    def test_a_card_that_its_holder_has_not_activated(self, export: Export) -> None:
        """A key was used of a card that waited for its first passcode."""
        del export[first(export, Kind.CARD_ACTIVATED)]
        assert findings(export)[0] == "the card was pending"

    def test_a_card_that_was_never_issued(self, export: Export) -> None:
        del export[first(export, Kind.CARD_ISSUED)]
        assert "the card was never issued" in findings(export)

    def test_a_card_of_somebody_else(self, past: Story, export: Export) -> None:
        """Ada's card was said to be Bo's."""
        at = first(export, Kind.CARD_ISSUED)
        edit(export, at, lambda entry: replace(entry, user_id=past.bo.identity.user_id))
        assert findings(export)[0] == "the card is somebody else's"

    def test_another_card_than_the_device_was_shown(self, export: Export) -> None:
        """The serial number in the signed request is of another card."""
        at = first(export, Kind.CARD_ISSUED)
        edit(export, at, lambda entry: detailed(entry, serial="1000000000000000"))
        assert findings(export)[0] == "the device signed this for another card"

    def test_a_key_that_the_card_does_not_have(self, export: Export) -> None:
        at = first(export, Kind.CARD_ISSUED)
        edit(export, at, lambda entry: detailed(entry, key_9A=STRANGER))
        assert findings(export)[0] == "the card has no such key"

    def test_a_key_under_another_reference(self, export: Export) -> None:
        """The device was shown 9A, and the key of 9C was used."""
        at = first(export, Kind.CARD_ISSUED)
        keys = entry_at(export, at).details
        edit(export, at, lambda e: detailed(e, key_9A=keys["key_9C"], key_9C=keys["key_9A"]))
        assert findings(export)[0] == "the key has another reference than the device was told"

    def test_a_key_that_was_destroyed(self, export: Export) -> None:
        at = first(export, Kind.OPERATION_USED)
        insert(export, at, of_card(Kind.KEY_DESTROYED, entry_at(export, at)))
        assert findings(export)[0] == "the key had been destroyed"


class TestUses:
    def test_a_use_without_approval(self, export: Export) -> None:
        del export[first(export, Kind.OPERATION_APPROVED)]
        assert findings(export) == ["a key was used without an approval, or twice for one"]

    def test_an_approval_used_twice(self, export: Export) -> None:
        at = place(export, Kind.OPERATION_USED)
        insert(export, at, entry_at(export, at))
        assert findings(export) == ["a key was used without an approval, or twice for one"]

    def test_an_approval_that_had_expired(self, export: Export) -> None:
        """An approval was used an hour after it was given."""
        later(export, first(export, Kind.OPERATION_USED), hours=1)
        assert findings(export)[0] == "the approval had expired"

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            (Kind.OPERATION_ASKED, "inputs"),
            (Kind.OPERATION_USED, "inputs"),
            (Kind.SESSION_OPENED, "most_uses"),
            (Kind.SESSION_OPENED, "seconds"),
            (Kind.SESSION_OPENED, "policy"),
        ],
    )
    def test_other_terms_than_were_shown(self, export: Export, kind: Kind, name: str) -> None:
        """The terms and counts were those that the keystore told, not those of the payload."""
        value = 1000 if name != "policy" else "*/*/99"
        edit(export, first(export, kind), lambda entry: detailed(entry, **{name: value}))
        assert findings(export)[0] == (
            f"the entry tells of other terms than the device was shown: {name}"
        )

    def test_the_approval_of_a_session_signs_nothing(self, export: Export) -> None:
        """The approval of a session counted as one of a signature."""
        at = first(export, Kind.SESSION_OPENED)
        edit(export, at, lambda entry: replace(entry, kind=Kind.OPERATION_USED))
        assert "the approval was for something else: a session is no use of a key" in (
            findings(export)
        )

    def test_the_approval_of_another_device(self, past: Story, export: Export) -> None:
        at = first(export, Kind.OPERATION_USED)
        edit(export, at, lambda entry: replace(entry, device_id=past.bo.identity.id))
        assert findings(export) == ["another device had approved it"]


class TestSessions:
    def test_more_uses_than_the_payload_allows(self, export: Export) -> None:
        """`session.opened` told of a thousand uses where the holder had approved three."""
        edit(
            export,
            first(export, Kind.SESSION_OPENED),
            lambda entry: replace(entry, details={"most_uses": 1000}),
        )
        use = place(export, Kind.SESSION_USED)
        for number in range(2):
            insert(
                export,
                use,
                replace(entry_at(export, use), operation_id=f"another-{number}"),
            )
        assert "a session was used more often than approved" in findings(export)

    def test_a_use_told_twice(self, export: Export) -> None:
        at = place(export, Kind.SESSION_USED)
        insert(export, at, entry_at(export, at))
        assert findings(export) == ["a use of a session is told twice"]

    def test_a_use_after_its_time(self, export: Export) -> None:
        """A session of an hour was used for two."""
        later(export, place(export, Kind.SESSION_USED), hours=2)
        assert findings(export)[0] == "a session was used after its time"

    @pytest.mark.parametrize("name", ["card_id", "user_id", "workstation_id", "key_id"])
    def test_a_use_of_something_else(self, export: Export, name: str) -> None:
        """A session of one key at one workstation was used for another."""
        at = place(export, Kind.SESSION_USED)
        edit(export, at, lambda entry: replace(entry, **{name: STRANGER}))
        assert findings(export)[0] == ("a session was used for another key, card or workstation")

    def test_a_use_after_its_end(self, export: Export) -> None:
        at = place(export, Kind.SESSION_USED)
        use = entry_at(export, at)
        session = str(use.details["session"])
        end = replace(use, kind=Kind.SESSION_ENDED, operation_id=session, details={"uses_left": 2})
        insert(export, at, end)
        assert findings(export) == ["a session that is not open was used"]

    def test_uses_that_were_left_out(self, export: Export) -> None:
        """Uses of a session were taken out, whose end tells how many there had been."""
        at = place(export, Kind.SESSION_USED)
        use = entry_at(export, at)
        session = str(use.details["session"])
        end = replace(use, kind=Kind.SESSION_ENDED, operation_id=session, details={"uses_left": 1})
        insert(export, at + 1, end)
        assert findings(export) == []
        del export[at]
        assert findings(export) == ["the session was used more or less often than the entries tell"]

    @pytest.mark.parametrize("times", [1, 2])
    def test_a_use_called_failed(self, export: Export, times: int) -> None:
        """Failures were told twice, or of uses that were not made, so that who subtracts them
        counted too few.
        """
        at = place(export, Kind.SESSION_USED)
        use = entry_at(export, at)
        failed = replace(use, kind=Kind.OPERATION_FAILED, evidence={})
        for _ in range(times):
            insert(export, at + 1, failed)
        assert (
            findings(export)
            == ["a use is told to have failed that was not made, or twice"][: times - 1]
        )


def test_time_that_goes_back(export: Export) -> None:
    export.insert(len(export) - 2, export[1])
    assert any("time goes back" in each for each in findings(export))


def test_what_a_check_tells(past: Story, export: Export) -> None:
    """Period, decisions, sessions and uses."""
    result = checked(export)
    counts = result.counts
    assert (result.since, result.until) == (
        entry_at(export, 1).time,
        past.world.clock(),
    )
    assert (counts.approved, counts.refused) == (5, 2)
    assert (counts.sessions, counts.uses, counts.failed, counts.unsettled) == (1, 5, 0, 0)
    assert result.unshown == {}


def test_what_failed_and_what_perhaps_did(export: Export) -> None:
    """Each has its own number, because a use that perhaps failed counts as one."""
    one, other = first(export, Kind.SESSION_USED), place(export, Kind.SESSION_USED)
    lost = replace(entry_at(export, other), kind=Kind.OPERATION_UNSETTLED, actor=KEYSTORE)
    insert(export, other + 1, replace(lost, evidence={}))
    insert(export, other, replace(entry_at(export, one), kind=Kind.OPERATION_FAILED))
    result = checked(resigned(export, KEY))
    assert result.findings == []
    counts = result.counts
    assert (counts.uses, counts.failed, counts.unsettled) == (5, 1, 1)


JUNK = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.text())
ENDS = [253402300799999999, -62135596800000000, 2**70]  # of the calendar, in microseconds


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_an_entry_holds_is_checked(export: Export, data: st.DataObject) -> None:
    """Somebody who has the journal's key writes what they like, to stop the check."""
    forged = list(export)
    at = data.draw(st.sampled_from([i for i, e in enumerate(export) if isinstance(e, EntryLine)]))
    line = export[at]
    assert isinstance(line, EntryLine)
    fields = json.loads(line.entry)
    group = data.draw(st.sampled_from(["", "details", "evidence"]))
    within = fields.setdefault(group, {}) if group else fields
    name = data.draw(st.sampled_from([*within, "role", "number", "session"]))
    junk = data.draw(JUNK | st.sampled_from(ENDS) | st.binary(max_size=9).map(base64_of))
    within[name] = junk
    forged[at] = EntryLine(0, json.dumps(fields).encode())
    assert all(isinstance(each, str) for each in findings(forged))


def base64_of(value: bytes) -> str:
    return base64.b64encode(value).decode()
