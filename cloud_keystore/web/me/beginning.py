"""How holders begin, by the invitation that was mailed to them: a list of what there is to do,
which can be left and gone on with, and a page for each task.
"""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_keystore.http.problems import of_error
from cloud_keystore.model.errors import (
    AddressUnreachable,
    IdentityRejected,
    InvalidInput,
    PortalClosed,
    TooManyCalls,
    UserClosed,
)
from cloud_keystore.model.portal.beginnings import LONGEST, Task
from cloud_keystore.model.tracing import TRACE_ID
from cloud_keystore.people.portal.beginnings import Beginnings
from cloud_keystore.web.me.forgetting import UNEQUAL
from cloud_keystore.web.me.visiting import (
    BEGIN,
    BEGUN,
    EMAIL,
    EMAIL_SEND,
    FIRST_PASSWORD,
    LEAVE,
    LETTERS,
    PASSCODE,
    PHONE,
    TASKS,
)
from cloud_keystore.web.me.words import TASK_WORDS, left
from cloud_keystore.web.pages import Pages
from cloud_keystore.web.rows import NOTHING, Row, View
from cloud_keystore.web.visiting import FORM, cookie, form_token_of, given, kept, typed

NO_TOKEN = "This code is wrong, was used or has ended. Copy all of it, or ask for another one."  # noqa: S105 (a text)
SENT = "A code is on its way to your e-mail address. A code of before is good no longer."
SAID = (AddressUnreachable, InvalidInput, PortalClosed, TooManyCalls)
Wrong = tuple[str, int]
FINE: Wrong = ("", HTTPStatus.OK)


@dataclass(frozen=True, slots=True)
class BeginningPages:
    """Leads from an invitation to a phone that can approve, and a password."""

    pages: Pages
    beginnings: Beginnings

    def rows(self) -> tuple[Row, ...]:
        """Its pages. All but the first are for whoever has entered the code of an invitation."""
        return (
            Row("GET", BEGIN, self.ask),
            Row("POST", BEGIN, self.begin),
            Row("GET", TASKS, self._own(self.tasks)),
            Row("GET", EMAIL, self._own(self.ask_code)),
            Row("POST", EMAIL_SEND, self._own(self.send_code)),
            Row("POST", EMAIL, self._own(self.take_code)),
            Row("GET", FIRST_PASSWORD, self._own(self.ask_password)),
            Row("POST", FIRST_PASSWORD, self._own(self.set_password)),
            Row("GET", PHONE, self._own(self.show_phone)),
            Row("POST", LETTERS, self._own(self.invite)),
            Row("GET", PASSCODE, self._own(self.show_passcode)),
            Row("POST", LEAVE, self._own(self.leave)),
        )

    def ask(self, _request: Request, wrong: str = "", status: int = HTTPStatus.OK) -> Response:
        """The page that asks for the code of an invitation."""
        return self.pages.page("me/begin", status, wrong=wrong)

    def begin(self, request: Request) -> Response:
        """Take the code, and begin with a secret that no browser has had before."""
        try:
            begun = self.beginnings.begin(given("invitation"))
        except UserClosed:
            return self.ask(request, NO_TOKEN, HTTPStatus.FORBIDDEN)
        if not begun.secret:
            return self.ask(request, NO_TOKEN, HTTPStatus.FORBIDDEN)
        return _to(TASKS, begun.secret)

    def tasks(self, request: Request) -> Response:
        """What there is to do, and how far it is."""
        found = self.beginnings.look(_secret(request))
        lines = [(each, TASK_WORDS[each.task]) for each in found.tasks]
        is_done = all(each.stage == "done" for each in found.tasks)
        has_password = found.stage(Task.PASSWORD) is not None
        return self._page(
            request,
            "tasks",
            FINE,
            user=found.user,
            lines=lines,
            is_done=is_done,
            has_password=has_password,
        )

    def ask_code(self, request: Request, wrong: Wrong = FINE, said: str = "") -> Response:
        """The page that lets a code be mailed, and asks for it."""
        found = self.beginnings.look(_secret(request))
        address = found.user.next_email or found.user.email
        stage = found.stage(Task.EMAIL)
        return self._page(request, "email", wrong, address=address, stage=stage, said=said)

    def send_code(self, request: Request) -> Response:
        """Let a code be mailed, which voids the one before."""
        try:
            self.beginnings.send_code(_secret(request))
        except SAID as error:
            return self.ask_code(request, _wrong(error))
        return self.ask_code(request, said=SENT)

    def take_code(self, request: Request) -> Response:
        """Take the code that was mailed."""
        try:
            found = self.beginnings.take_code(_secret(request), given("code"))
        except SAID as error:
            return self.ask_code(request, _wrong(error))
        if not found.is_verified:
            return self.ask_code(request, (left(found.tries_left), HTTPStatus.UNPROCESSABLE_ENTITY))
        return _to(TASKS)

    def ask_password(self, request: Request, wrong: Wrong = FINE) -> Response:
        """The page that asks for the first password."""
        stage = self.beginnings.look(_secret(request)).stage(Task.PASSWORD)
        return self._page(request, "password", wrong, stage=stage)

    def set_password(self, request: Request) -> Response:
        """Set the first password."""
        new = typed("new")
        if new != typed("once-more"):
            return self.ask_password(request, (UNEQUAL, HTTPStatus.UNPROCESSABLE_ENTITY))
        try:
            chosen = self.beginnings.set_password(_secret(request), new)
        except SAID as error:
            return self.ask_password(request, _wrong(error))
        if chosen.rule:
            said = f"the password does not do: {chosen.rule}"
            return self.ask_password(request, (said, HTTPStatus.UNPROCESSABLE_ENTITY))
        return _to(TASKS)

    def show_phone(self, request: Request, wrong: Wrong = FINE, letters: str = "") -> Response:
        """How the phone is enrolled, which has a key of its own."""
        stage = self.beginnings.look(_secret(request)).stage(Task.PHONE)
        host = request.url.netloc
        return self._page(request, "phone", wrong, stage=stage, letters=letters, host=host)

    def invite(self, request: Request) -> Response:
        """Show letters to type on the phone."""
        try:
            made = self.beginnings.invite(_secret(request))
        except SAID as error:
            return self.show_phone(request, _wrong(error))
        return self.show_phone(request, letters=made.text)

    def show_passcode(self, request: Request) -> Response:
        """How the passcode is chosen, which is done on the phone."""
        stage = self.beginnings.look(_secret(request)).stage(Task.PASSCODE)
        return self._page(request, "passcode", FINE, stage=stage)

    def leave(self, request: Request) -> Response:
        """Let it be over in this browser, and elsewhere."""
        self.beginnings.end(_secret(request))
        to = _to(BEGIN)
        to.headers["Set-Cookie"] = kept(BEGUN, "", 0)
        return to

    def _own(self, view: View) -> View:
        """A view for whoever has begun. Its forms are ours, besides their origin."""

        def serve(request: Request) -> Response:
            secret = _secret(request)
            if not secret:
                return _to(BEGIN)
            if request.method == "POST" and not compare_digest(
                given(FORM).encode(), form_token_of(secret).encode()
            ):
                return self.pages.error(HTTPStatus.FORBIDDEN, TRACE_ID.get())
            try:
                return view(request)
            except (IdentityRejected, UserClosed) as error:
                page = self.ask(request, str(error), HTTPStatus.FORBIDDEN)
                page.headers["Set-Cookie"] = kept(BEGUN, "", 0)
                return page

        return serve

    def _page(self, request: Request, name: str, wrong: Wrong, **said: object) -> Response:
        token = form_token_of(_secret(request))
        text, status = wrong
        return self.pages.page(
            f"me/begin_{name}", status, NOTHING, wrong=text, form_token=token, **said
        )


def _secret(request: Request) -> str:
    """What the browser has kept since the code was right."""
    return cookie(Headers(scope=request.scope), BEGUN)


def _wrong(error: Exception) -> Wrong:
    return str(error), of_error(error).status


def _to(path: str, secret: str = "") -> Response:
    fields = {"Set-Cookie": kept(BEGUN, secret, int(LONGEST.total_seconds()))} if secret else None
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, fields)
