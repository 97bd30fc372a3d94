"""A phone is enrolled by letters that were read out, in a real browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from cloudcard.registry.v1 import identities_pb2, people_pb2
from support.pages import serving

SET_UP = "Set up this phone"


def test_letters_that_were_read_out_enrol_a_phone(tmp_path: Path) -> None:
    """DEV-03: by QR and by link, tests/cloud_keystore/web/test_page.py does the same."""
    with serving(tmp_path) as site, site.page() as page:
        user_id, _ = site.invited("Ada Byron")
        asked = identities_pb2.CreateShortCodeRequest(user_id=user_id)
        code = site.keystore.registry.identities.CreateShortCode(asked).code
        page.goto(f"{site.origin}/authenticator")
        page.get_by_label("Code", exact=True).fill("BBBB BBBB BBBB")
        page.get_by_role("button", name=SET_UP).click()
        expect(page.get_by_text("This code is wrong, was used or has ended.")).to_be_visible()
        page.get_by_label("Code", exact=True).fill(code.lower())
        page.get_by_role("button", name=SET_UP).click()
        expect(page.get_by_text("This phone is connected.")).to_be_visible()
        found = people_pb2.GetUserRequest(user_id=user_id)
        assert site.keystore.registry.people.GetUser(found).user.device_count == 1
