"""Pages of the portal that only read: on both databases, whose budgets a keystore always keeps."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from cloud_keystore.model.limits import RATES, budgets
from cloud_keystore.model.policies import Policy
from support.guest import Guest
from support.keystore_world import new_world
from support.outbox import Told
from support.portal import Portal
from support.site import site

ALLOWED = Policy(portal_passwords=True, portal_changes=True)
PAGES = (
    *("/me", "/me/phones", "/me/sessions", "/me/history", "/me/contact", "/me/password"),
    *("/me/log-in-by", "/me/passkeys", "/me/questions"),
)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_who_looks_is_held_to_no_budget(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    """Nothing is locked in a transaction that reads, which PostgreSQL refuses."""
    url = request.getfixturevalue("database_url") if database == "postgresql" else ""
    world = new_world(tmp_path, url=url)
    with closing(world.database):
        world.database.limit_growth(budgets(RATES), 0)
        portal = Portal.open(Told(world), ALLOWED)
        serial = world.card(portal.user)
        ada = Guest.of(portal, site(world))
        pages = (*PAGES, f"/me/cards/{serial}/passcode")
        assert {each: ada.get(each).status for each in pages} == dict.fromkeys(pages, 200)
