"""The authenticator in Debian's Firefox, from the invitation to a signature that verifies, and rung
by a push service (AUTH-01); what is denied and reported there; and without a network and back.
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

from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import cards_pb2, people_pb2
from cloudcard.workstation.v1 import workstation_pb2, workstation_pb2_grpc
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.processes import Nursery
from support import firefox, hooks, nginx, push_service
from support.authority import Authority
from support.keystore_process import PASSCODE, KeystoreProcess, Workstation
from support.page_holders import DIGEST
from support.polling import until

RUNG = """() => {
  window.rung = 0;
  navigator.serviceWorker.addEventListener('message', () => { window.rung += 1; });
}"""


DENIED = approval_pb2.OPERATION_STATE_DENIED
NOT_ME = "This wasn\N{RIGHT SINGLE QUOTATION MARK}t me"
# By which the browser reaches the keystore, and which can be taken away.
NETWORK = """\
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://127.0.0.1:{web};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_buffering off;
    }}
}}
"""


@pytest.mark.timeout(900)
def test_a_phone_is_set_up_rung_and_approves_in_firefox(tmp_path: Path) -> None:
    authority = Authority()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.write_server(tmp_path))
    web, port = free_ports(2)
    origin = f"http://localhost:{port}"
    pages = ("--web", f"127.0.0.1:{web}", "--webauthn-rp-id", "localhost")
    push = ("--push-host", "localhost", "--push-roots", str(authority.write(tmp_path)))
    with (
        Nursery(tmp_path / "logs") as nursery,
        hooks.serving(hooks.Gateway(), tls) as posted,
        push_service.serving(posted) as service,
    ):
        keystore = KeystoreProcess(tmp_path, nursery, (*pages, "--webauthn-origin", origin, *push))
        nginx.serve(nursery, tmp_path, port, NETWORK.format(port=port, web=web))
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

                page.click("Done")
                page.see("No request is waiting")
                page.set_offline(offline=True)
                nursery["nginx"].stop()
                page.see("This phone is offline.")
                page.open(f"{origin}/authenticator")
                page.see("This phone is offline.")
                denied = workstation.create(os.urandom(16), DIGEST)
                nursery.restart("nginx")
                page.set_offline(offline=False)
                page.see("Sign once?")
                page.click("Deny")
                page.see("Denied")
                assert state(stub, denied.id) == DENIED

            page.click("Done")
            with identity.channel(keystore.workstation("Strange PC")) as channel:
                stub = workstation_pb2_grpc.WorkstationServiceStub(channel)
                reported = Workstation(stub, serial).create(os.urandom(16), DIGEST)
                page.see("Strange PC")
                page.click(NOT_ME)
                page.click("Yes, report it")
                page.see("Reported")
                assert state(stub, reported.id) == DENIED
        public = x509.load_der_x509_certificate(certificate).public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(signature, DIGEST, ec.ECDSA(Prehashed(SHA256())))


def state(stub: workstation_pb2_grpc.WorkstationServiceStub, operation_id: str) -> int:
    """The state of an operation, as its workstation is told it."""
    asked = workstation_pb2.WatchOperationRequest(operation_id=operation_id)
    told = next(iter(stub.WatchOperation(asked, timeout=60)))
    return int(told.operation.state)
