"""The tables."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
)

from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.authentic.declaring import metadata as metadata
from cloud_keystore.storage.databases import indexes
from cloud_keystore.storage.databases.indexes import HAS_RESULT, OPEN, OPEN_AT, OPEN_FOR, partial
from cloud_keystore.storage.databases.instants import Instant

FULL = {"sqlite": "is_full = 1", "postgresql": "is_full"}
IN_ENTRIES = (  # the columns of the journal besides the entry, which holds them too or needs none
    "id", "leaf_index", "time", "kind", "card_id", "user_id", "workstation_id", "operation_id",
)  # fmt: skip

authority = authentic(
    "authority",
    Column("name", String, primary_key=True),
    Column("certificate", LargeBinary, nullable=False),
    Column("sealed_private", LargeBinary, nullable=False),
    uncovered=("sealed_private",),
)

user = authentic(
    "user",
    Column("id", String, primary_key=True),
    Column("display_name", String, nullable=False),
    Column("email", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("upn", String, nullable=False, server_default=""),
    Column("sid", String, nullable=False, server_default=""),
    Column("uuid12", String),  # None in rows of before, until a keystore opens the database
    Column("state", String, nullable=False, server_default="active"),
    Column("reason", String, nullable=False, server_default=""),  # why it was closed
    Column("search", String, nullable=False, server_default=""),  # what a person is found by
    Column("phone", String, nullable=False, server_default=""),
    Column("phone_verify_time", Instant),
    Column("email_verify_time", Instant),
    Column("organisation_id", String, nullable=False, server_default="default"),
    Column("profile", String, nullable=False, server_default=""),
    Column("email_by", String, nullable=False, server_default=""),  # an actor
    Column("next_email", String, nullable=False, server_default=""),  # not verified yet
    Column("next_email_by", String, nullable=False, server_default=""),
    Column("next_email_until", Instant),
    Column("email_key", String),  # as addresses are compared; None as uuid12 is
    Column("upn_key", String),
    Column("name_key", String),  # by which people are sorted
    *indexes.of_users(),
)

identity = authentic(
    "identity",
    Column("id", String, primary_key=True),
    Column("role", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("display_name", String, nullable=False),
    Column("site", String, nullable=False),
    Column("user_id", ForeignKey("user.id")),
    Column("certificate_sha256", LargeBinary, unique=True),
    Column("public_key", LargeBinary),
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant),  # of the certificate
    Column("next_certificate_sha256", LargeBinary),  # renewed, and not yet used
    Column("next_public_key", LargeBinary),
    Column("next_expire_time", Instant),
    Column("former_certificate_sha256", LargeBinary),
    Column("former_end_time", Instant),  # until when the former certificate is still known
    Column("warn_time", Instant),  # when people were warned that the identity ends
    Column("organisation_id", String, nullable=False, server_default="default"),
    Column("assigned", Boolean, nullable=False, server_default=false()),  # whether it has roles
    Column("invited_by", String, nullable=False, server_default=""),  # an actor
    Column("addressed_by", String, nullable=False, server_default=""),  # actors, a line for each
    Index("identity_by_next_certificate", "next_certificate_sha256", unique=True),
    Index("identity_by_former_certificate", "former_certificate_sha256"),
    Index("identity_by_end", "expire_time", "warn_time"),
    *indexes.of_identities(),
)

token = authentic(
    "token",
    Column("secret_sha256", LargeBinary, primary_key=True),
    Column("identity_id", ForeignKey("identity.id"), nullable=False, index=True),
    Column("expire_time", Instant, nullable=False),
    Column("use_time", Instant),
)

card = authentic(
    "card",
    Column("id", String, primary_key=True),
    Column("serial", String, nullable=False, unique=True),
    Column("guid", LargeBinary, nullable=False, unique=True),
    Column("user_id", ForeignKey("user.id"), nullable=False),
    Column("profile", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False, server_default=""),
    Column("request_id", LargeBinary, nullable=False, unique=True),
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("organisation_id", String, nullable=False, server_default="default"),
    Column("replaces_id", String),  # the card in whose place it is
    *indexes.of_cards(),
    partial("card_in_place_of", "replaces_id", where="replaces_id IS NOT NULL"),
)

policy = authentic(  # each version is a row, which never changes
    "policy",
    Column("organisation_id", String, primary_key=True),  # empty: all organisations
    Column("profile", String, primary_key=True),  # empty: all profiles
    Column("version", Integer, primary_key=True),
    Column("document", String, nullable=False),  # JSON
    Column("operator_id", ForeignKey("identity.id"), nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("terms", String, nullable=False, server_default="*"),  # that are set here
)

approval_key = authentic(  # of devices; it can be the key of the first certificate
    "approval_key",
    Column("identity_id", ForeignKey("identity.id"), primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("public_key", LargeBinary, nullable=False),  # SubjectPublicKeyInfo, or COSE
    Column("credential_id", LargeBinary, unique=True),
    Column("sign_count", BigInteger, nullable=False, server_default=text("0")),
    Column("backup_eligible", Boolean, nullable=False, server_default=false()),
    Column("backed_up", Boolean, nullable=False, server_default=false()),
    Column("transports", String, nullable=False, server_default=""),
    Column("rp_id", String, nullable=False, server_default=""),  # for which the passkey was made
    Column("origin", String, nullable=False, server_default=""),
    Column("attested_model", String, nullable=False, server_default=""),
)

alert = Table(
    "alert",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("card_id", ForeignKey("card.id")),
    Column("user_id", ForeignKey("user.id")),
    Column("text", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("acknowledge_time", Instant),
    Column("acknowledged_by", ForeignKey("identity.id")),
    Column("workstation_id", String),
    Index("alert_about", "card_id", "workstation_id", "kind"),
    Index("alert_by_user", "user_id"),
)

card_object = authentic(
    "card_object",
    Column("card_id", ForeignKey("card.id"), primary_key=True),
    Column("tag", Integer, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    # Whether an administrator wrote it, and not the keystore
    Column("written", Boolean, nullable=False, server_default=false()),
    # Of an object that requires the PIN, whose value is empty: its name in the seal's context
    Column("sealed_as", String),
    Column("sealed_value", LargeBinary),
    Index("card_object_by_sealed", "sealed_as", unique=True),
    uncovered=("sealed_value",),
)

key = authentic(
    "key",
    Column("id", String, primary_key=True),
    Column("card_id", ForeignKey("card.id"), nullable=False),
    Column("key_ref", Integer, nullable=False),
    Column("algorithm", Integer, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("sealed_private", LargeBinary),
    Column("create_time", Instant, nullable=False),
    Column("destroy_time", Instant),
    Column("public_key", LargeBinary, nullable=False),
    Column("pin_policy", Integer, nullable=False),
    Column("touch_policy", Integer, nullable=False),
    Column("imported", Boolean, nullable=False),
    Column("remove_time", Instant),  # since when it is not on its card: replaced, or next
    Column("backend", String, nullable=False, server_default="software"),  # where the key is
    Column("handle", LargeBinary),  # by which the backend finds the key; None: in sealed_private
    partial("key_on_card", "card_id", "key_ref", where="remove_time IS NULL", unique=True),
    partial("key_on_token", "id", where="destroy_time IS NOT NULL AND handle IS NOT NULL"),
    uncovered=("sealed_private",),
)

passcode = authentic(
    "passcode",
    Column("card_id", ForeignKey("card.id"), primary_key=True),
    Column("key_ref", Integer, primary_key=True),
    Column("hash", String, nullable=False),
    Column("tries_left", Integer, nullable=False),
    Column("most_tries", Integer, nullable=False, server_default=text("3")),
    # Whether it is the factory passcode, which everybody knows
    Column("factory", Boolean, nullable=False, server_default=false()),
    # Since it was last right, or set. Unlocking clears neither.
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("fail_time", Instant),
    Column("unlocks", Integer, nullable=False, server_default=text("0")),
    Column("device_id", String),  # the holder's device on which it was chosen
)

budget = Table(  # what an identity has used up of its share of the journal
    "budget",
    metadata,
    Column("identity_id", String, primary_key=True),
    Column("empty_time", Instant, nullable=False),  # when all will have been given back
    Column("is_full", Boolean, nullable=False),  # nearly used up
    Column("is_told", Boolean, nullable=False),
    Index(
        "budget_full",
        "identity_id",
        sqlite_where=text(FULL["sqlite"]),
        postgresql_where=text(FULL["postgresql"]),
    ),
)

unlock = authentic(  # one operator has asked for it; somebody else has to agree
    "unlock",
    Column("card_id", ForeignKey("card.id"), primary_key=True),
    Column("asked_by", String, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("id", String),
)

passcode_proof = authentic(
    "passcode_proof",
    Column("sha256", LargeBinary, primary_key=True),
    Column("card_id", ForeignKey("card.id"), nullable=False, index=True),
    Column("workstation_id", ForeignKey("identity.id"), nullable=False, index=True),
    Column("key_ref", Integer, nullable=False, server_default=text("128")),  # of the passcode
    Column("hash_sha256", LargeBinary),  # of the passcode's hash, with which the proof ends
    Column("expire_time", Instant, nullable=False, index=True),
    # When the one use of the signature key that the proof allows was asked for
    Column("signature_time", Instant),
)

management_key = authentic(
    "management_key",
    Column("card_id", ForeignKey("card.id"), primary_key=True),
    Column("algorithm", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    uncovered=("sealed",),
)

management_challenge = authentic(
    "management_challenge",
    Column("id", Integer, primary_key=True),
    Column("card_id", ForeignKey("card.id"), nullable=False),
    Column("workstation_id", ForeignKey("identity.id"), nullable=False, index=True),
    Column("response_sha256", LargeBinary, nullable=False),
    Column("expire_time", Instant, nullable=False, index=True),
    Column("spend_time", Instant),  # when it was answered; a right answer's row is deleted
    Index("challenge_by_card", "card_id", "spend_time"),
    uncovered=("id",),
)

administrator_proof = authentic(
    "administrator_proof",
    Column("sha256", LargeBinary, primary_key=True),
    Column("card_id", ForeignKey("card.id"), nullable=False, index=True),
    Column("workstation_id", ForeignKey("identity.id"), nullable=False, index=True),
    Column("expire_time", Instant, nullable=False, index=True),
)

operation = authentic(
    "operation",
    Column("id", String, primary_key=True),
    Column("request_id", LargeBinary, nullable=False),
    Column("workstation_id", ForeignKey("identity.id"), nullable=False),
    Column("card_id", ForeignKey("card.id"), nullable=False),
    Column("key_id", ForeignKey("key.id"), nullable=False),
    Column("user_id", ForeignKey("user.id"), nullable=False),
    Column("key_use", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("number", String, nullable=False),
    Column("channels", Integer, nullable=False),  # bit 0 push, bit 1 QR
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("qr_expire_time", Instant, nullable=False),
    Column("claimed_by", ForeignKey("identity.id")),
    Column("device_id", ForeignKey("identity.id")),
    Column("decision", Integer),
    Column("decision_number", String),
    Column("device_signature", LargeBinary),
    Column("decide_time", Instant),
    Column("use_time", Instant),
    Column("used_by", Integer),  # the number of the process that uses the key
    Column("sealed_result", LargeBinary),
    Column("room", LargeBinary),  # while the key is in use: as many bytes as the result will take
    Column("end_time", Instant),
    Column("kind", Integer, nullable=False, server_default=text("1")),  # 1 uses, 2 a session
    Column("policy", String, nullable=False, server_default=""),  # in force, as in the payload
    Column("authenticator_data", LargeBinary),  # of a passkey's approval
    Column("client_data", LargeBinary),  # of a passkey's approval
    Column("trace_id", String, nullable=False, server_default=""),  # of the call that asked, in hex
    UniqueConstraint("workstation_id", "request_id"),
    Index("operation_by_card", "card_id", "workstation_id", "create_time"),
    partial("operation_to_end", "use_time", "expire_time", where=OPEN),
    # What ends leaves these, and is not moved within them: each page counts that a commit writes.
    partial("operation_open_at", "workstation_id", where=OPEN_AT),
    partial("operation_open_for", "user_id", where=OPEN_FOR),
    partial("operation_result", "end_time", where=HAS_RESULT),
    uncovered=("sealed_result", "room", "trace_id"),
)

session = authentic(
    "session",
    Column("id", String, primary_key=True),  # the id of the operation that asked for it
    Column("card_id", ForeignKey("card.id"), nullable=False),
    Column("key_id", ForeignKey("key.id"), nullable=False),
    Column("user_id", ForeignKey("user.id"), nullable=False),
    Column("workstation_id", ForeignKey("identity.id"), nullable=False),
    Column("key_use", Integer, nullable=False),
    Column("policy", String, nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("end_time", Instant),
    Index("session_by_card", "card_id", "end_time"),
    Index("session_by_user", "user_id", "end_time"),
    Index("session_by_key", "key_id", "end_time"),
    Index("session_by_workstation", "workstation_id", "end_time"),
    partial("session_to_end", "expire_time", where=OPEN),
)

session_use = Table(  # for repeated requests, and to find uses that have lost their process
    "session_use",
    metadata,
    Column("id", String, primary_key=True),
    # Without a foreign key, which would need an index: each use would write a page of it.
    Column("session_id", String, nullable=False),
    Column("request_id", LargeBinary, nullable=False),
    Column("input_sha256", LargeBinary, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("end_time", Instant),  # None while the key is in use; with no result the use failed
    Column("sealed_result", LargeBinary),
    Column("used_by", Integer),  # the number of the process that uses the key
    # The request first: those of our clients begin with the time, so that the uses of all sessions
    # are added where the last ones were.
    Index("session_use_by_request", "request_id", "session_id", unique=True),
    partial("session_use_to_end", "create_time", where=OPEN),
    partial("session_use_result", "create_time", where=HAS_RESULT),
)

journal = authentic(  # a row is inserted, gets its place in the tree once, and goes to a bundle
    "journal",
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("leaf_index", BigInteger),  # None until the tree has taken it in
    Column("time", Instant, nullable=False),
    Column("kind", String, nullable=False),
    Column("card_id", String),
    Column("user_id", String),
    Column("workstation_id", String),
    Column("operation_id", String),
    Column("entry", LargeBinary, nullable=False),  # JSON; its hash is the leaf
    # What was just added is not in it, and found by its identifier.
    partial("journal_by_place", "leaf_index", where="leaf_index IS NOT NULL", unique=True),
    uncovered=IN_ENTRIES,
)

checkpoint = Table(  # signed heads of the tree
    "checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", LargeBinary, nullable=False),  # the signed note: origin, size, root
    Column("frontier", LargeBinary, nullable=False),  # roots of complete subtrees, 32 bytes each
    Column("create_time", Instant, nullable=False),
)

sealing_key = Table(  # the key-encryption keys that this database knows; never a key itself
    "sealing_key",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("kind", String, nullable=False),  # "file", "passphrase", "pkcs11"
    Column("check", LargeBinary, nullable=False),  # a known value sealed under it
    Column("parameters", String, nullable=False, server_default=""),  # JSON, such as a salt
    Column("create_time", Instant, nullable=False),
    Column("retire_time", Instant),
)

secret = Table(  # the service's own secrets, sealed: codes and peppers are derived from them
    "secret",
    metadata,
    Column("name", String, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
