"""The authenticator's scripts, in a browser, against what Python makes of the same bytes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from playwright.sync_api import Page, Route, sync_playwright

from cloud_keystore.approval import statement
from cloud_keystore.model.operations import Decision
from cloud_keystore.pki import identities
from cloud_keystore.web.assets import FOLDER, TYPES
from cloud_keystore.web.proofs import decoded, encoded
from cloudcard.approval.v1 import approval_pb2
from reader_bridge.remote import check_code
from support.keystore_world import sign, spki
from support.pages import FLAGS

ORIGIN = "http://localhost"
IMPORTS = """
  const names = ['bytes', 'der', 'payload', 'protocol'];
  const [bytes, der, payloads, protocol] = await Promise.all(
    names.map((name) => import(`/assets/authenticator/${name}.js`)));
"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page that has the scripts, and nothing else."""

    def serve(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path == "/":
            route.fulfill(content_type="text/html", body="")
            return
        file = FOLDER / path.removeprefix("/assets/")
        route.fulfill(content_type=TYPES[file.suffix], body=file.read_bytes())

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        page = browser.new_page()
        page.route("**", serve)
        page.goto(f"{ORIGIN}/")
        yield page
        browser.close()


def run(page: Page, script: str, *values: object) -> object:
    """What a script gives, which has the modules and `values`."""
    return page.evaluate(f"async (values) => {{ {IMPORTS} {script} }}", list(values))


def full_payload() -> approval_pb2.Payload:
    """A payload with each field of a use."""
    made = approval_pb2.Payload(
        version=2,
        operation_id="op",
        key_use=1,
        key_id="key",
        key_ref=0x9A,
        algorithm=17,
        certificate_sha256=b"\x01" * 32,
        card_serial="1006536803571685",
        user_id="user",
        user_display_name="Åda Býron 漢",
        input_sha256=[b"\x02" * 32, b"\x03" * 32],
        application="ssh",
        nonce=b"\x04" * 32,
        policy="default/*/1",
        factors=["passcode"],
        organisation="St Elsewhere",
        number_commitment=b"\x05" * 32,
        request_id=b"\x06" * 16,
    )
    made.workstation.workstation_id = "pc"
    made.workstation.display_name = "WARD7-PC3"
    made.workstation.site = "Ward 7"
    made.create_time.FromDatetime(datetime(2026, 11, 23, 9, 0, 1, 5000, tzinfo=UTC))
    made.expire_time.FromDatetime(datetime(2026, 11, 23, 9, 2, tzinfo=UTC))
    return made


def payloads() -> dict[str, approval_pb2.Payload]:
    one = full_payload()
    session = full_payload()
    del session.input_sha256[:]
    session.session.most_uses, session.session.seconds = 300, 3600
    sign_in = approval_pb2.Payload(version=3, operation_id="op", card_serial="1")
    sign_in.workstation.display_name = "PC"
    sign_in.create_time.seconds = sign_in.expire_time.seconds = 1
    sign_in.sign_in.seconds = 28800
    return {"use": one, "session": session, "sign-in": sign_in, "documents": listed_payload()}


def listed_payload() -> approval_pb2.Payload:
    """A payload that lists documents."""
    made = full_payload()
    made.version = 4
    made.documents[:] = ["2 items, Å", "1 item"]
    return made


DECODE = """
  const raw = bytes.decode(values[0]);
  try {
    const says = payloads.decodePayload(raw);
    return { ...says, inputs: says.inputSha256.map(bytes.hex), nonce: bytes.hex(says.nonce) };
  } catch (error) {
    return error.constructor.name;
  }
"""


@pytest.mark.parametrize("kind", payloads())
def test_a_payload_is_read_as_protobuf_reads_it(page: Page, kind: str) -> None:
    made = payloads()[kind]
    said = run(page, DECODE, encoded(made.SerializeToString(deterministic=True)))
    assert isinstance(said, dict)
    assert (said["version"], said["operationId"]) == (made.version, made.operation_id)
    assert (said["keyUse"], said["keyRef"], said["algorithm"]) == (
        made.key_use,
        made.key_ref,
        made.algorithm,
    )
    assert said["userDisplayName"] == made.user_display_name
    assert said["workstation"]["displayName"] == made.workstation.display_name
    assert said["inputs"] == [each.hex() for each in made.input_sha256]
    assert said["nonce"] == made.nonce.hex()
    assert said["documents"] == list(made.documents)
    assert said["createTime"]["seconds"] == made.create_time.seconds
    if made.HasField("session"):
        assert said["session"] == {"mostUses": 300, "seconds": 3600}
    assert (said["signIn"] is None) is not made.HasField("sign_in")


def test_every_field_of_the_schema_is_known() -> None:
    """A field that is added to the protocol is added to the page with it."""
    text = (FOLDER / "authenticator/payload.js").read_text()
    fields = text.split("const PAYLOAD = {")[1].split("};")[0]
    known = {int(line.strip().partition(":")[0]) for line in fields.strip().splitlines()}
    assert known == {each.number for each in approval_pb2.Payload.DESCRIPTOR.fields}


def test_what_cannot_be_shown_wholly_is_refused(page: Page) -> None:
    raw = full_payload().SerializeToString(deterministic=True)
    newer = full_payload()
    newer.version = 4
    both = full_payload()
    both.sign_in.seconds = 1
    lists = [listed_payload() for _ in range(5)]
    lists[0].version = 2
    lists[1].documents.append("one more")
    del lists[2].documents[1]
    lists[3].sign_in.seconds = 1
    lists[4].version = 5
    wrong = {
        **{f"list {n}": each.SerializeToString() for n, each in enumerate(lists)},
        "unknown field": raw + bytes([0x82, 0x7D, 0x01, 0x00]),
        "a field twice": raw + bytes([0x12, 0x01, 0x78]),
        "another wire type": raw + bytes([0x10 | 1]) + bytes(8),
        "cut off": raw[:-1],
        "an endless number": raw + bytes([0x18]) + b"\xff" * 11,
        "no text": raw + bytes([0x6A, 0x01, 0xFF]),
        "a newer version": newer.SerializeToString(),
        "two things": both.SerializeToString(),
        "nothing": b"",
    }
    found = {name: run(page, DECODE, encoded(each)) for name, each in wrong.items()}
    assert found == dict.fromkeys(wrong, "Unreadable")


def test_any_bytes_are_a_payload_or_refused(page: Page) -> None:
    raw = bytearray(full_payload().SerializeToString(deterministic=True))
    changed = []
    for _ in range(300):
        other = bytearray(raw)
        other[os.urandom(1)[0] % len(raw)] = os.urandom(1)[0]
        changed.append(encoded(bytes(other[: 1 + int.from_bytes(os.urandom(2)) % len(raw)])))
    script = f"return values[0].map((value) => ((values) => {{ {DECODE} }})([value]));"
    for said in run(page, script, changed):  # type: ignore[attr-defined]
        assert isinstance(said, dict) or said == "Unreadable"


GENUINE = """
  const [told, key] = values;
  try {
    return (await protocol.genuine(told, bytes.decode(key))).code;
  } catch (error) {
    return error.constructor.name;
  }
"""


def test_a_request_is_of_the_pinned_key_alone_and_has_the_workstations_code(page: Page) -> None:
    private, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    payload = full_payload()
    raw = payload.SerializeToString(deterministic=True)

    def told(signer: ec.EllipticCurvePrivateKey, signed: bytes, operation_id: str) -> object:
        said = {
            "operation_id": operation_id,
            "payload": encoded(raw),
            "keystore_signature": encoded(sign(signer, signed)),
        }
        return run(page, GENUINE, said, encoded(spki(private)))

    signed = statement.request(raw)
    for _ in range(20):  # of different lengths in DER
        assert told(private, signed, "op") == check_code.of_payload(payload)
    assert told(other, signed, "op") == "NotGenuine"
    assert told(private, signed + b"x", "op") == "NotGenuine"
    assert told(private, raw, "op") == "NotGenuine"
    assert told(private, signed, "another") == "NotGenuine"


def test_a_decision_is_signed_as_the_protocol_says(page: Page) -> None:
    raw = full_payload().SerializeToString(deterministic=True)
    script = """
      const pair = await protocol.newKey();
      const spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
      const request = { payload: bytes.decode(values[0]) };
      const statement = protocol.statement(request, 1, '42');
      const signature = await protocol.signed(statement, pair.privateKey);
      return [bytes.encode(spki), bytes.encode(signature)];
    """
    for _ in range(20):
        public, signature = run(page, script, encoded(raw))  # type: ignore[misc]
        key = identities.read_key(decoded(public))
        signed = statement.statement(raw, Decision.APPROVE, "42")
        key.verify(decoded(signature), signed, ec.ECDSA(SHA256()))


def test_a_passkey_answers_to_the_bytes_that_custody_expects(page: Page) -> None:
    """Of a question of the portal, and of the unlock of a card."""
    made = run(
        page,
        """
        return [protocol.assent('q-1', '42'), protocol.unlock('q-1')].map(bytes.encode);
        """,
    )
    assert made == [encoded(statement.assent("q-1", "42")), encoded(statement.unlock("q-1"))]


def test_a_request_for_a_certificate_is_one(page: Page) -> None:
    script = """
      const pair = await protocol.newKey();
      const spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
      const csr = await der.certificateRequest(pair.privateKey, spki);
      return [bytes.encode(spki), bytes.encode(csr)];
    """
    for _ in range(20):
        public, csr = run(page, script)  # type: ignore[misc]
        key = identities.requested_key(decoded(csr))
        assert identities.public_der(key) == decoded(public)
        assert len(list(x509.load_der_x509_csr(decoded(csr)).subject)) == 0


@pytest.mark.parametrize(
    "signature",
    [b"", b"\x30\x00", b"\x30\x06\x02\x01\x01\x02\x01", b"\x30\x44" + b"\x02\x41" + bytes(66)],
)
def test_malformed_signatures_are_no_signatures(page: Page, signature: bytes) -> None:
    said = {"operation_id": "op", "payload": "", "keystore_signature": encoded(signature)}
    key = ec.generate_private_key(ec.SECP256R1())
    assert run(page, GENUINE, said, encoded(spki(key))) == "NotGenuine"
