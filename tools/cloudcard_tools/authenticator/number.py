"""`cloudcard authenticator phone`: the holder verifies the phone number that the registration
authority has.
"""

from __future__ import annotations

import click

from cloudcard.authenticator.v1 import authenticator_pb2 as pb
from cloudcard.authenticator.v1.authenticator_pb2_grpc import AuthenticatorServiceStub
from cloudcard_tools.authenticator.phone import ROLE
from cloudcard_tools.shared.caller import Caller, caller_options
from cloudcard_tools.shared.confirming import check_verified
from cloudcard_tools.shared.output import iso_time

VERIFIED = {"phone": "Phone number", "verified": "Verified"}
SENT = {"phone": "Sent to", "good_until": "Good until"}


@click.command(
    epilog="""\b
Examples:
  cloudcard authenticator phone
  cloudcard authenticator phone --code 123456
"""
)
@click.option("--code", default="", metavar="CODE", help="What you have got by SMS.")
@caller_options(ROLE)
def phone(code: str, caller: Caller) -> None:
    """Let a code be sent by SMS to the phone number that your registration authority has; then give
    it with --code, so that they know that you have this phone.
    """
    with caller.service(AuthenticatorServiceStub) as stub:
        if code:
            request = pb.VerifyPhoneRequest(code="".join(code.split()))
            answer = stub.VerifyPhone(request)
            check_verified(is_verified=answer.is_verified, tries_left=answer.tries_left)
            caller.print_facts({"phone": answer.phone, "verified": True}, VERIFIED)
            return
        sent = stub.SendPhoneCode(pb.SendPhoneCodeRequest())
    facts = {"phone": sent.phone, "good_until": iso_time(sent.expire_time.ToDatetime())}
    caller.print_facts(facts, SENT)
