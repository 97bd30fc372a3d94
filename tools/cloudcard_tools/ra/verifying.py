"""`cloudcard ra user verify-phone` and `verify-email`: whether a person has the phone of their
number, and reads what an address gets.
"""

from __future__ import annotations

import click

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import people_pb2 as pb
from cloudcard.registry.v1.people_pb2_grpc import PeopleServiceStub
from cloudcard_tools.ra.registry import find, operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.confirming import check_verified

VERIFIED = {"phone": "Phone number", "verified": "Verified"}
MAILED = {"email": "Sent to", "good_until": "Good until"}
SENT = {"phone": "Sent to", "good_until": "Good until"}


@click.command(
    "verify-phone",
    epilog="""\b
Examples:
  cloudcard ra user verify-phone ada@example.org
  cloudcard ra user verify-phone ada@example.org --code 123456
""",
)
@click.argument("who")
@click.option("--code", default="", metavar="CODE", help="What WHO has got, and tells you.")
@operator_options
def verify_phone(who: str, code: str, caller: Caller) -> None:
    """Send WHO a code by SMS; then give it with --code. Six digits, good for ten minutes and five
    tries. A verified number allows nobody anything: it only says that WHO has that phone.
    """
    user_id = find(caller, Sort.USER, who, in_use=True)
    with caller.service(PeopleServiceStub) as stub:
        if code:
            request = pb.VerifyPhoneRequest(user_id=user_id, code="".join(code.split()))
            answer = stub.VerifyPhone(request)
            check_verified(is_verified=answer.is_verified, tries_left=answer.tries_left)
            caller.print_facts({"phone": answer.phone, "verified": True}, VERIFIED)
            return
        sent = stub.SendPhoneCode(pb.SendPhoneCodeRequest(user_id=user_id))
    facts = {"phone": sent.phone, "good_until": when(sent.expire_time)}
    caller.print_facts(facts, SENT)


@click.command(
    "verify-email",
    epilog="""\b
Examples:
  cloudcard ra user edit ada@example.org --email ada.king@example.org
  cloudcard ra user verify-email ada@example.org
""",
)
@click.argument("who")
@operator_options
def verify_email(who: str, caller: Caller) -> None:
    """Mail a link to the address that WHO is to have, once more: it is in force when somebody has
    followed the link. The one before is void. At most three an hour and ten a day.
    """
    request = pb.SendAddressLinkRequest(user_id=find(caller, Sort.USER, who, in_use=True))
    with caller.service(PeopleServiceStub) as stub:
        sent = stub.SendAddressLink(request)
    facts = {"email": sent.email, "good_until": when(sent.expire_time)}
    caller.print_facts(facts, MAILED)
