"""A holder sees on the page where a card is used without asking again, and ends it; and agrees to
an unlock (AUTH-12).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import grpc
import pytest
from playwright.sync_api import expect

from cloudcard.registry.v1 import cards_pb2, organisations_pb2
from cloudcard.workstation.v1 import workstation_pb2
from support.keystore_process import code, refused_call
from support.open_sessions import TERMS
from support.page_holders import held
from support.pages import Site, serving


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("sessions")) as site:
        yield site


def test_the_holder_agrees_to_an_unlock(site: Site) -> None:
    with held(site, "Ada Byron") as ada:
        wrong = workstation_pb2.VerifyPasscodeRequest(
            card_serial=ada.serial, key_ref=0x80, passcode=b"999000"
        )
        for _ in range(3):
            ada.workstation.stub.VerifyPasscode(wrong, timeout=60)
        ada.page.reload()
        agree = ada.page.get_by_role("button", name="Agree to an unlock")
        agree.click()
        expect(ada.page.get_by_text("nobody has asked to unlock card")).to_be_visible()
        asked = cards_pb2.UnlockCardRequest(card_serial=ada.serial)
        site.keystore.registry.cards.UnlockCard(asked)
        expect(ada.page.get_by_role("heading", name="An unlock is waiting")).to_be_visible()
        expect(ada.page).to_have_title(re.compile("^An unlock is waiting"))
        expect(ada.page.get_by_text("asks to unlock this card")).to_be_visible()
        agree.click()
        expect(ada.page.get_by_role("heading", name="Card unlocked")).to_be_visible()
        ada.page.get_by_role("button", name="Done").click()
        expect(ada.page.get_by_text("It is in use.")).to_be_visible()
        expect(ada.page.get_by_role("heading", name="No request is waiting")).to_be_visible()
        assert agree.count() == 0


def test_the_holder_ends_a_session(site: Site) -> None:
    policy = organisations_pb2.Policy(largest_batch=1, session=TERMS)
    asked_policy = organisations_pb2.SetPolicyRequest(profile="p256", policy=policy)
    site.keystore.registry.organisations.SetPolicy(asked_policy)
    with held(site, "Bea Blum") as bea:
        page, stub = bea.page, bea.workstation.stub
        asked = workstation_pb2.CreateOperationRequest(
            request_id=os.urandom(16),
            card_serial=bea.serial,
            key_ref=0x9A,
            algorithm=17,
            key_use=1,
            passcode_proof=bea.workstation.proof(),
            session=TERMS,
        )
        made = stub.CreateOperation(asked, timeout=60).operation
        page.get_by_label("Number on the workstation's screen").fill(made.number)
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("heading", name="Approved")).to_be_visible()
        opening = workstation_pb2.PerformOperationRequest(operation_id=made.id)
        session = stub.PerformOperation(opening, timeout=60).session
        page.get_by_role("button", name="Done").click()
        expect(page.get_by_role("heading", name="PC of Bea Blum, Ward 7")).to_be_visible()
        expect(page.get_by_text("10 more times")).to_be_visible()
        page.get_by_role("button", name="End it").click()
        expect(page.get_by_role("heading", name="PC of Bea Blum, Ward 7")).to_be_hidden()
        using = workstation_pb2.UseSessionRequest(
            session_id=session.id, request_id=os.urandom(16), inputs=[b"\x11" * 32]
        )
        ended = refused_call(lambda: stub.UseSession(using, timeout=60))
        assert code(ended) is grpc.StatusCode.FAILED_PRECONDITION
