"""A holder at the portal, without a browser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from starlette.types import ASGIApp

from cloud_keystore.web.me.visiting import AREA, CODE, LOG_IN, STEP
from support.portal import EMAIL, PASSWORD, Portal
from support.rest import Answer
from support.site import ask
from support.visitor import FORM, TOKEN

KEPT = re.compile(r"(__Host-[a-z-]+)=([^;]*); Max-Age=")


@dataclass
class Guest:
    """Somebody who has logged in, or not yet, and what the browser has kept."""

    application: ASGIApp
    kept: dict[str, str] = field(default_factory=dict)
    sent: Mapping[str, str] = field(default_factory=dict)  # header fields, otherwise than usual

    @classmethod
    def of(cls, portal: Portal, application: ASGIApp) -> Guest:
        """Ada, who has logged in."""
        made = cls(application)
        told = made.log_in(portal)
        assert told.status == 303, told.body
        return made

    def log_in(self, portal: Portal, password: str = PASSWORD, wanted: str = "") -> Answer:
        """Give the password, and the code that comes."""
        told = self.post(LOG_IN, token=False, name=EMAIL, password=password, next=wanted)
        assert told.status == 303, told.body
        return self.post(CODE, token=False, code=portal.code(), next=wanted)

    def get(self, path: str) -> Answer:
        """Ask for a page."""
        return self.take(ask(self.application, "GET", path, {**self._cookie, **self.sent}))

    def text(self, path: str) -> str:
        """What a page says."""
        told = self.get(path)
        assert told.status == 200, told.body
        return told.body.decode()

    def post(self, path: str, *, token: str | bool = True, **said: str) -> Answer:
        """Send a form: with the token of its page, with another one, or without any."""
        if token is True:
            token = self.form_token()
        if token:
            said["form_token"] = str(token)
        fields = {**FORM, **self._cookie, **self.sent}
        return self.take(ask(self.application, "POST", path, fields, urlencode(said).encode()))

    def form_token(self) -> str:
        """That of the visit."""
        found = TOKEN.search(self.text("/me"))
        assert found is not None
        return found[1]

    @property
    def secret(self) -> str:
        """That of the visit; empty without one."""
        return self.kept.get(AREA.cookie, "")

    @property
    def step(self) -> str:
        """What is kept until the code has come; empty without one."""
        return self.kept.get(STEP, "")

    def take(self, told: Answer) -> Answer:
        """Keep the cookies of an answer, or forget those of before."""
        for name, value in KEPT.findall(told.fields.get("set-cookie", "")):
            self.kept[name] = value
        return told

    @property
    def _cookie(self) -> dict[str, str]:
        said = "; ".join(f"{name}={value}" for name, value in self.kept.items() if value)
        return {"cookie": said} if said else {}
