"""A page whose phone decides by a passkey, and the finger of its holder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from playwright.sync_api import CDPSession, Page, expect

from support.pages import Site

BY_PASSKEY = "Approve by fingerprint, face or this phone"
SET_UP = "Set up this phone"


@dataclass(frozen=True)
class Finger:
    """What the authenticator of a page takes for its holder."""

    session: CDPSession
    authenticator: str

    @classmethod
    def on(cls, page: Page) -> Finger:
        session = page.context.new_cdp_session(page)
        session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasUserVerification": True,
            "isUserVerified": True,
            "hasResidentKey": True,
        }
        made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return cls(session, cast(str, made["authenticatorId"]))

    def is_right(self, right: bool) -> None:
        said = {"authenticatorId": self.authenticator, "isUserVerified": right}
        self.session.send("WebAuthn.setUserVerified", said)


def enrol(page: Page, site: Site, token: str) -> None:
    """Set the phone up."""
    page.goto(f"{site.origin}/authenticator#{token}")
    page.get_by_label(BY_PASSKEY).check()
    page.get_by_role("button", name=SET_UP).click()
    expect(page.get_by_text("This phone is connected.")).to_be_visible()
