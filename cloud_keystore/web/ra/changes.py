"""What operators do about a person, besides cards: adding, inviting, closing, Windows accounts,
devices.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from cloud_keystore.cards.leaving import Consequences, Leaving
from cloud_keystore.custody.credentials.app_pins import AppPins
from cloud_keystore.model.errors import InvalidInput, UserExists
from cloud_keystore.people.contacts.accounts import Accounts
from cloud_keystore.people.devices import Devices
from cloud_keystore.people.people import People, Token
from cloud_keystore.web.ra.forms import Field, Question, ask
from cloud_keystore.web.ra.people import PEOPLE
from cloud_keystore.web.ra.person import PERSON
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.ra.visiting import AT
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

ADD = f"{AT}/add"
REASON = Field("reason", "Why?", "The holder and the journal are told.")
INVITED = (
    "If the person has an e-mail address, the invitation is on its way there, and this code need "
    "not be given to anybody. Else the person opens the authenticator on the phone, and enters it."
)
PIN_CODE = (
    "The person opens the authenticator on this phone, chooses “I have a code for another PIN”, "
    "and enters the code and a new PIN. Codes that were made before count no more."
)


@dataclass(frozen=True, slots=True)
class ChangePages:
    """Asks, does, and leads back to what is then."""

    views: Views
    people: People
    leaving: Leaving
    accounts: Accounts
    devices: Devices
    app_pins: AppPins

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return (
            Row("GET", ADD, self.ask_add),
            Row("POST", ADD, self.add),
            Row("POST", f"{PERSON}/invite", self.invite),
            Row("GET", f"{PERSON}/close", self.ask_close),
            Row("POST", f"{PERSON}/close", self.close),
            Row("GET", f"{PERSON}/accounts/add", self.ask_account),
            Row("POST", f"{PERSON}/accounts/add", self.add_account),
            Row("GET", f"{PERSON}/accounts/remove", self.ask_remove_account),
            Row("POST", f"{PERSON}/accounts/remove", self.remove_account),
            Row("GET", f"{PERSON}/devices/{{device_id}}/remove", self.ask_remove_device),
            Row("POST", f"{PERSON}/devices/{{device_id}}/remove", self.remove_device),
            Row("POST", f"{PERSON}/devices/{{device_id}}/pin-code", self.make_pin_code),
        )

    def ask_add(self, _request: Request, wrong: str = "") -> Response:
        """The question who is added."""
        question = Question(
            "Add a person",
            ("The person is invited to set up a phone: by e-mail, if there is an address.",),
            "Add the person",
            PEOPLE,
            (
                Field("name", "Full name"),
                Field("email", "E-mail address", "Leave it empty if there is none."),
                Field("account", "Windows account", r"Such as CORP\ada. Leave it empty if none."),
            ),
        )
        return ask(self.views, question, wrong)

    def add(self, request: Request) -> Response:
        """Add a person, and show the invitation."""
        try:
            user, token = self.people.add_user(
                given("name"),
                given("email"),
                account=given("account"),
                actor=current().visitor.actor,
            )
        except (InvalidInput, UserExists) as error:
            return self.ask_add(request, str(error))
        own = f"{PEOPLE}/{user.id}"
        if token is None:  # the person was there
            return see(f"{own}?done=there")
        return self._invited(own, token, f"{user.display_name} is added")

    def invite(self, request: Request) -> Response:
        """Invite a phone once more."""
        actor = current().visitor.actor
        token = self.people.invite_device(str(request.path_params["user_id"]), actor=actor)
        return self._invited(_own(request), token, "A phone is invited")

    def _invited(self, own: str, token: Token, title: str) -> Response:
        return self.views.page(
            "told",
            title=title,
            above="This is the code of the invitation:",
            secret=token.text,
            until=token.expire_time,
            next_step=INVITED,
            back=own,
            whose="the person",
        )

    def ask_close(self, request: Request, wrong: str = "") -> Response:
        """The question whether somebody leaves, with all that ends."""
        user_id = str(request.path_params["user_id"])
        foreseen = self.leaving.foresee(user_id, current().visitor)
        question = Question(
            f"Close {foreseen.user.display_name}?",
            (
                "Use this when somebody leaves. What happened is kept.",
                *_ending(foreseen),
            ),
            "Close this person",
            _own(request),
            (REASON,),
            warns=True,
        )
        return ask(self.views, question, wrong)

    def close(self, request: Request) -> Response:
        """End everything of somebody who leaves."""
        user_id = str(request.path_params["user_id"])
        try:
            self.leaving.close(user_id, given("reason"), current().visitor)
        except InvalidInput as error:
            return self.ask_close(request, str(error))
        return see(f"{_own(request)}?done=closed")

    def ask_account(self, request: Request, wrong: str = "") -> Response:
        """The question which Windows account a person has."""
        question = Question(
            "Add a Windows account",
            ("It is pending until the person has finished enrolling.",),
            "Add the account",
            f"{_own(request)}/accounts",
            (
                Field("name", "Account", r"With its domain, such as CORP\ada."),
                Field("upn", "User principal name", "Leave it empty if there is none."),
            ),
        )
        return ask(self.views, question, wrong)

    def add_account(self, request: Request) -> Response:
        """Give a person a Windows account."""
        user_id, actor = str(request.path_params["user_id"]), current().visitor.actor
        try:
            self.accounts.add(user_id, given("name"), given("upn"), actor=actor)
        except (InvalidInput, UserExists) as error:
            return self.ask_account(request, str(error))
        return see(f"{_own(request)}/accounts?done=account")

    def ask_remove_account(self, request: Request) -> Response:
        """The question whether a Windows account is taken away."""
        name = request.query_params.get("name", "")
        question = Question(
            "Remove this Windows account?",
            (f"The account {name} is this person's no more. Another person can have it then.",),
            "Remove the account",
            f"{_own(request)}/accounts",
            hidden={"name": name},
        )
        return ask(self.views, question)

    def remove_account(self, request: Request) -> Response:
        """Take a Windows account away."""
        user_id, actor = str(request.path_params["user_id"]), current().visitor.actor
        self.accounts.remove(user_id, given("name"), actor=actor)
        return see(f"{_own(request)}/accounts?done=no-account")

    def ask_remove_device(self, request: Request, wrong: str = "") -> Response:
        """The question whether a device is removed."""
        question = Question(
            "Remove this device?",
            (
                "It approves nothing any more, and what it has approved and was not used is void. "
                "An invitation that was not followed is withdrawn.",
                "To approve again, the person needs another phone or another invitation.",
            ),
            "Remove the device",
            f"{_own(request)}/devices",
            (REASON,),
            warns=True,
        )
        return ask(self.views, question, wrong)

    def remove_device(self, request: Request) -> Response:
        """Take a device out of use for ever."""
        device_id = str(request.path_params["device_id"])
        try:
            self.devices.remove(device_id, given("reason"), current().visitor)
        except InvalidInput as error:
            return self.ask_remove_device(request, str(error))
        return see(f"{_own(request)}/devices?done=no-device")

    def make_pin_code(self, request: Request) -> Response:
        """A code that is read out. It is in this answer alone, so that nothing keeps it."""
        device_id = str(request.path_params["device_id"])
        made = self.app_pins.make_code(device_id, actor=current().visitor.actor)
        return self.views.page(
            "told",
            title="Code for another PIN",
            above="Read this code out to the person whose phone it is:",
            secret=made.code,
            until=made.expire_time,
            next_step=PIN_CODE,
            back=f"{_own(request)}/devices",
            whose="the person",
        )


def _ending(foreseen: Consequences) -> list[str]:
    """What ends with a person, in words."""
    ends = [
        *(f"Card {each.serial} is revoked, for ever." for each in foreseen.cards),
        *(f"The phone {each.display_name} is removed." for each in foreseen.phones),
        *(f"The Windows account {each.name} is taken away." for each in foreseen.accounts),
    ]
    if foreseen.invitations:
        ends.append("Invitations that were not followed are withdrawn.")
    if foreseen.operations or foreseen.sessions or foreseen.sign_ins:
        ends.append("Requests, sessions and sign-ins that are open end at once.")
    return ends or ["The person has no cards, phones or accounts."]


def _own(request: Request) -> str:
    return f"{PEOPLE}/{request.path_params['user_id']}"
