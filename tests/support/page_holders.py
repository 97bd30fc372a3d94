"""People whose phone is a page, each before a workstation of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from playwright.sync_api import Page, expect

from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import cards_pb2
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.shared import identity
from support.keystore_process import PASSCODE, Workstation
from support.pages import Site

DIGEST = b"\x11" * 32
QR = 2  # the channel
CALLS = """async ([method, path, said]) => {
  const { Calls } = await import('/assets/authenticator/calls.js');
  const { kept } = await import('/assets/authenticator/keeping.js');
  return new Calls(await kept('own')).ask(method, path, said);
}"""


@dataclass
class Holder:
    """Somebody with a card, whose phone is a page, and a workstation with it."""

    page: Page
    user_id: str
    serial: str
    workstation: Workstation
    certificate: bytes

    def ask(self) -> workstation_pb2.Operation:
        """A request that rings on the page."""
        made = self.workstation.create(os.urandom(16), DIGEST)
        expect(self.page.get_by_role("heading", name="Sign once?")).to_be_visible()
        return made

    def verify(self, signature: bytes) -> None:
        """Raise InvalidSignature unless the card's key has made it."""
        key = x509.load_der_x509_certificate(self.certificate).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(signature, DIGEST, ec.ECDSA(Prehashed(SHA256())))

    def state(self, operation_id: str) -> str:
        asked = workstation_pb2.WatchOperationRequest(operation_id=operation_id)
        found = next(iter(self.workstation.stub.WatchOperation(asked, timeout=60)))
        return approval_pb2.OperationState.Name(found.operation.state)

    def scannable(self) -> workstation_pb2.Operation:
        """A request whose QR code the workstation shows."""
        asked = workstation_pb2.CreateOperationRequest(
            request_id=os.urandom(16),
            card_serial=self.serial,
            key_ref=0x9A,
            algorithm=17,
            key_use=1,
            inputs=[DIGEST],
            passcode_proof=self.workstation.proof(),
            channels=[QR],
        )
        return self.workstation.stub.CreateOperation(asked, timeout=60).operation


@contextmanager
def held(site: Site, name: str, *, has_passcode: bool = True) -> Iterator[Holder]:
    """Somebody with a phone, a card and a workstation."""
    user_id, token = site.invited(name)
    with site.page() as page:
        site.enrol(page, token)
        with begun(site, page, name, user_id, has_passcode=has_passcode) as holder:
            yield holder


@contextmanager
def begun(
    site: Site, page: Page, name: str, user_id: str, *, has_passcode: bool = True
) -> Iterator[Holder]:
    """Somebody who has a phone, with a card and a workstation."""
    serial = issued(site, user_id)
    if has_passcode:
        chosen = ["POST", f"cards/{serial}/first-passcode", {"passcode": PASSCODE}]
        page.evaluate(CALLS, chosen)
    asked_card = cards_pb2.GetCardRequest(card_serial=serial)
    keys = site.keystore.registry.cards.GetCard(asked_card).card.keys
    (certificate,) = (each.certificate for each in keys if each.key_ref == 0x9A)
    with identity.channel(site.keystore.workstation(f"PC of {name}")) as channel:
        stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
        yield Holder(page, user_id, serial, Workstation(stub, serial), certificate)


def issued(site: Site, user_id: str) -> str:
    """A new card of somebody."""
    asked = cards_pb2.IssueCardRequest(request_id=os.urandom(16), user_id=user_id, profile="p256")
    return site.keystore.registry.cards.IssueCard(asked).card.serial
