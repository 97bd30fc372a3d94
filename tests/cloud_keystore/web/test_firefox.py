"""The authenticator in Debian's Firefox, from the invitation to a signature that verifies, and rung
by a push service (AUTH-01).
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from cloudcard.registry.v1 import cards_pb2, people_pb2
from cloudcard.workstation.v1 import workstation_pb2_grpc
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support import firefox, hooks, push_service
from support.authority import Authority
from support.keystore_process import PASSCODE, KeystoreProcess, Workstation
from support.page_holders import DIGEST
from support.polling import until

RUNG = """() => {
  window.rung = 0;
  navigator.serviceWorker.addEventListener('message', () => { window.rung += 1; });
}"""


@pytest.mark.timeout(900)
def test_a_phone_is_set_up_rung_and_approves_in_firefox(tmp_path: Path) -> None:
    authority = Authority()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.write_server(tmp_path))
    (port,) = free_ports(1)
    origin = f"http://127.0.0.1:{port}"
    push = ("--push-host", "localhost", "--push-roots", str(authority.write(tmp_path)))
    with (
        Nursery(tmp_path / "logs") as nursery,
        hooks.serving(hooks.Gateway(), tls) as posted,
        push_service.serving(posted) as service,
    ):
        keystore = KeystoreProcess(tmp_path, nursery, ("--web", f"127.0.0.1:{port}", *push))
        made = keystore.registry.people.CreateUser(people_pb2.CreateUserRequest(display_name="Ada"))
        preferences = {
            "dom.push.serverURL": service.url,
            "dom.push.testing.allowInsecureServerURL": True,
            "dom.push.connection.enabled": True,
        }
        with firefox.started(nursery, tmp_path / "firefox", preferences) as page:
            page.open(f"{origin}/authenticator#{made.device_token.text}")
            page.click("Set up this phone")
            page.see("This phone is connected.")

            serial = keystore.issue(made.user.id)
            page.open(f"{origin}/authenticator")
            page.click("Choose a passcode")
            page.type("new-passcode", PASSCODE)
            page.type("repeated", PASSCODE)
            page.click("Save the passcode")
            page.see("Passcode chosen")
            page.click("Done")
            page.click("Let this phone ring")
            page.see("This phone rings when something waits for you.")
            page.run(RUNG)

            asked = cards_pb2.GetCardRequest(card_serial=serial)
            keys = keystore.registry.cards.GetCard(asked).card.keys
            (certificate,) = (each.certificate for each in keys if each.key_ref == 0x9A)
            with identity.channel(keystore.workstation("PC")) as channel:
                stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
                workstation = Workstation(stub, serial)
                operation = workstation.create(os.urandom(16), DIGEST)
                until(lambda: bool(posted.received))
                service.bring()
                # Firefox has decrypted what the keystore sent, and woken the page's worker.
                until(lambda: page.run("() => window.rung") == 1)
                page.see("Sign once?")
                page.type("number", operation.number)
                page.click("Approve")
                page.see("Approved")
                signature = workstation.perform(operation.id, DIGEST)
        public = x509.load_der_x509_certificate(certificate).public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(signature, DIGEST, ec.ECDSA(Prehashed(SHA256())))
