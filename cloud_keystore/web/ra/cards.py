"""What operators do with the cards of a person."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from card_os.uses import REQUEST_ID_BYTES
from cloud_keystore.cards.custom.custom_profiles import CustomProfiles
from cloud_keystore.cards.issuing import Issuing
from cloud_keystore.cards.life import Life
from cloud_keystore.cards.prolonging import Prolonging
from cloud_keystore.cards.replacing import Replacing
from cloud_keystore.custody.credentials.unlock_codes import UnlockCodes
from cloud_keystore.model.errors import InvalidInput, KeyBackendUnavailable
from cloud_keystore.model.pki.revocation import RevocationReason
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.web.ra import words
from cloud_keystore.web.ra.acts import ACTS, REASONS
from cloud_keystore.web.ra.forms import Field, Question, ask
from cloud_keystore.web.ra.people import PEOPLE
from cloud_keystore.web.ra.person import PERSON
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.rows import Row, see
from cloud_keystore.web.visiting import current, given

CARD = f"{PERSON}/cards/{{serial}}"


@dataclass(frozen=True, slots=True)
class CardPages:
    """Asks, does, and leads back to what is then."""

    views: Views
    cards: Life
    issuing: Issuing
    custom_profiles: CustomProfiles
    unlock_codes: UnlockCodes
    prolonging: Prolonging
    replacing: Replacing

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        asked = [name for name, act in ACTS.items() if act.title and name != "renew"]
        done: Mapping[str, Callable[[Request], Response]] = {
            "code": self.make_code,
            "again": self.issue_again,
            "suspend": self.suspend,
            "resume": self.resume,
            "renew": self.renew,
            "replace": self.replace,
            "revoke": self.revoke,
        }
        return (
            Row("GET", f"{PERSON}/issue", self.ask_issue),
            Row("POST", f"{PERSON}/issue", self.issue),
            Row("GET", f"{CARD}/renew", self.ask_renew),
            *(Row("GET", f"{CARD}/{name}", partial(self.ask, name)) for name in asked),
            *(Row("POST", f"{CARD}/{name}", do) for name, do in done.items()),
        )

    def ask(self, name: str, request: Request, wrong: str = "") -> Response:
        """The question before something is done with a card."""
        serial, act = str(request.path_params["serial"]), ACTS[name]
        listing = self.cards.find(serial, actor=current().visitor.actor)
        about = f"Card {serial} of {listing.user.display_name}."
        question = Question(
            act.title, (about, *act.said), act.button, _own(request), act.fields, warns=act.warns
        )
        return ask(self.views, question, wrong)

    def suspend(self, request: Request) -> Response:
        """Take a card out of use for a time."""
        self.cards.suspend(str(request.path_params["serial"]), actor=current().visitor.actor)
        return see(f"{_own(request)}?done=suspended")

    def resume(self, request: Request) -> Response:
        """Put a card back in use."""
        self.cards.resume(str(request.path_params["serial"]), actor=current().visitor.actor)
        return see(f"{_own(request)}?done=resumed")

    def revoke(self, request: Request) -> Response:
        """Take a card out of use for ever."""
        serial = str(request.path_params["serial"])
        try:
            if given("code") not in REASONS:
                raise InvalidInput("say why: choose one of the reasons")  # noqa: TRY301
            code = RevocationReason(given("code"))
            self.cards.revoke(serial, given("reason"), code, actor=current().visitor.actor)
        except InvalidInput as error:
            return self.ask("revoke", request, str(error))
        return see(f"{_own(request)}?done=revoked")

    def ask_renew(self, request: Request) -> Response:
        """The question whether a card is renewed, with its new end."""
        serial, act = str(request.path_params["serial"]), ACTS["renew"]
        found = self.prolonging.foresee(serial, actor=current().visitor.actor)
        card, holder = found.listing.card, found.listing.user
        until = words.day(found.end)
        said = [
            f"Card {serial} of {holder.display_name} ends {words.day(card.expire_time)}.",
            *act.said,
            f"It then ends {until}.",
        ]
        if found.authority:
            said[-1] = (
                f"The authority {found.authority} certifies it: it stays as it is until all "
                f"certificates have come, and ends {until} at the latest."
            )
        known = {"known_end": card.expire_time.isoformat()}
        question = Question(act.title, said, act.button, _own(request), hidden=known)
        return ask(self.views, question)

    def renew(self, request: Request) -> Response:
        """Renew a card; whoever sends the form twice renews it once."""
        serial = str(request.path_params["serial"])
        try:
            known = datetime.fromisoformat(given("known_end"))
        except ValueError:
            raise InvalidInput("known_end is no time: open the page again") from None
        if known.tzinfo is None:
            raise InvalidInput("known_end has no zone: open the page again")
        done = self.prolonging.renew(serial, known, actor=current().visitor.actor)
        return see(f"{_own(request)}?done={'waits' if done.authority else 'renewed'}")

    def replace(self, request: Request) -> Response:
        """Issue a card in the place of another."""
        serial = str(request.path_params["serial"])
        try:
            if not given("why"):
                raise InvalidInput("say why: choose one of the reasons")  # noqa: TRY301
            self.replacing.replace(serial, given("why"), actor=current().visitor.actor)
        except InvalidInput as error:
            return self.ask("replace", request, str(error))
        except KeyBackendUnavailable:  # the new card is there, and has failed
            return see(f"{_own(request)}?done=failed")
        return see(f"{_own(request)}?done=replaced")

    def make_code(self, request: Request) -> Response:
        """A code that is read out. It is in this answer alone, so that nothing keeps it."""
        serial = str(request.path_params["serial"])
        made = self.unlock_codes.make(serial, actor=current().visitor.actor)
        return self.views.page(
            "told",
            title="Unlock code",
            above=f"Read this code out to the holder of card {serial}:",
            secret=made.code,
            until=made.expire_time,
            next_step=(
                "The holder opens the authenticator on their own phone, chooses the card and "
                "“New passcode by an unlock code”, and enters the code and a new passcode."
            ),
            back=_own(request),
            whose="the person",
        )

    def issue_again(self, request: Request) -> Response:
        """Go on with a card that could not be made."""
        serial = str(request.path_params["serial"])
        try:
            self.issuing.resume(serial, actor=current().visitor.actor)
        except KeyBackendUnavailable:
            return see(f"{_own(request)}?done=failed")
        return see(f"{_own(request)}?done=issued")

    def ask_issue(self, request: Request, wrong: str = "") -> Response:
        """The question of which profile a new card is."""
        own = {"": "As it is set for this person"}
        user_id = str(request.path_params["user_id"])
        defined = {
            each.name: f"{each.name}: {each.series}"
            for each in self.custom_profiles.offered(user_id, actor=current().visitor.actor)
        }
        built_in = {name: f"{name}: {each.title}" for name, each in PROFILES.items()}
        question = Question(
            "Issue a card",
            ("The holder is told by e-mail, and then chooses a passcode on the phone.",),
            "Issue a card",
            _own(request),
            (Field("profile", "Card type", choices={**own, **defined, **built_in}),),
            # Whoever sends the form twice issues one card.
            {"request_id": given("request_id") or os.urandom(REQUEST_ID_BYTES).hex()},
        )
        return ask(self.views, question, wrong)

    def issue(self, request: Request) -> Response:
        """Issue a card."""
        try:
            request_id = bytes.fromhex(given("request_id"))
        except ValueError:
            return self.ask_issue(request, "open this page again")
        actor, user_id = current().visitor.actor, str(request.path_params["user_id"])
        try:
            self.issuing.issue(request_id, user_id, given("profile"), actor=actor)
        except InvalidInput as error:
            return self.ask_issue(request, str(error))
        except KeyBackendUnavailable:  # the card is there, and has failed
            return see(f"{_own(request)}?done=failed")
        return see(f"{_own(request)}?done=issued")


def _own(request: Request) -> str:
    return f"{PEOPLE}/{request.path_params['user_id']}"
