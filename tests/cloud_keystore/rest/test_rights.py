"""What API clients may do: every call x every built-in role x an organisation of their own, one
below it, and another one. A call that is in no row fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import uuid4

from cloud_keystore.model.custom.profiles import Terms
from cloud_keystore.model.rights.roles import RIGHTS, BuiltIn, Right
from cloud_keystore.rest.application import rows
from support.keystore_world import World
from support.rest import Client, client_of

DONE = {200, 201, 204, 409}  # also of what was done before
# The portal sees nobody: test_own.py.
ROLES = [each for each in BuiltIn if each not in (BuiltIn.AUDITOR, BuiltIn.PORTAL)]


@dataclass(frozen=True)
class Place:
    """An organisation, and what belongs to it. All names end with that of the place."""

    name: str
    organisation: str
    user: str
    card: str
    device: str
    profile: str
    tablet: str


class Row(NamedTuple):
    """What a call about one thing needs, in the order in which they are made: the end is last."""

    right: Right
    path: Callable[[Place], str]
    body: Callable[[Place], object] = lambda _: None


THINGS: Mapping[str, Row] = {
    "add_user": Row(
        Right.PEOPLE,
        lambda _: "/v1/users",
        lambda at: {"name": f"Eve {uuid4()}", "organisation_id": at.organisation},
    ),
    "show_user": Row(Right.VIEW, lambda at: f"/v1/users/{at.user}"),
    "send_link": Row(Right.PEOPLE, lambda at: f"/v1/users/{at.user}:send-link"),
    "change_user": Row(
        Right.PEOPLE, lambda at: f"/v1/users/{at.user}", lambda _: {"email": f"{uuid4()}@a.example"}
    ),
    "invite": Row(Right.DEVICES, lambda at: f"/v1/users/{at.user}/invitations"),
    "list_devices": Row(Right.VIEW, lambda at: f"/v1/users/{at.user}/devices"),
    "issue": Row(
        Right.ISSUE, lambda _: "/v1/cards", lambda at: {"user_id": at.user, "profile": "p256"}
    ),
    "show_card": Row(Right.VIEW, lambda at: f"/v1/cards/{at.card}"),
    "resume_issuing": Row(Right.ISSUE, lambda at: f"/v1/cards/{at.card}:resume-issuing"),
    "cancel_issuing": Row(Right.ISSUE, lambda at: f"/v1/cards/{at.card}:cancel-issuing"),
    "unlock": Row(Right.UNLOCK, lambda at: f"/v1/cards/{at.card}:unlock"),
    "renew": Row(Right.ISSUE, lambda at: f"/v1/cards/{at.card}:renew", lambda _: {}),
    "replace": Row(
        Right.ISSUE, lambda at: f"/v1/cards/{at.card}:replace", lambda _: {"reason": "damaged"}
    ),
    "add_organisation": Row(
        Right.POLICY,
        lambda _: "/v1/organisations",
        lambda at: {"name": f"Ward {uuid4()}", "parent_id": at.organisation},
    ),
    "show_policy": Row(Right.VIEW, lambda at: f"/v1/organisations/{at.organisation}/policy"),
    "show_policy_of_user": Row(Right.VIEW, lambda at: f"/v1/users/{at.user}/policy"),
    "show_policy_of_card": Row(Right.VIEW, lambda at: f"/v1/cards/{at.card}/policy"),
    "set_policy": Row(
        Right.POLICY,
        lambda at: f"/v1/organisations/{at.organisation}/policy",
        lambda _: {"terms": {"passwordless": True}},
    ),
    "add_custom_profile": Row(
        Right.POLICY,
        lambda _: "/v1/custom-profiles",
        lambda at: {
            "name": f"a{uuid4().hex[:8]}",
            "base": "v2",
            "organisation_id": at.organisation,
        },
    ),
    "show_custom_profile": Row(Right.VIEW, lambda at: f"/v1/custom-profiles/{at.profile}"),
    "change_custom_profile": Row(
        Right.POLICY,
        lambda at: f"/v1/custom-profiles/{at.profile}",
        lambda _: {"series": "Series 9"},
    ),
    "add_shared_device": Row(
        Right.WORKSTATIONS,
        lambda _: "/v1/shared-devices",
        lambda at: {"name": f"Ward {uuid4()}", "organisation_id": at.organisation},
    ),
    "show_shared_device": Row(Right.VIEW, lambda at: f"/v1/shared-devices/{at.tablet}"),
    "sign_out_shared_device": Row(
        Right.WORKSTATIONS, lambda at: f"/v1/shared-devices/{at.tablet}:sign-out"
    ),
    "suspend": Row(Right.SUSPEND, lambda at: f"/v1/cards/{at.card}:suspend"),
    "resume": Row(Right.REVOKE, lambda at: f"/v1/cards/{at.card}:resume"),
    "revoke": Row(
        Right.REVOKE, lambda at: f"/v1/cards/{at.card}:revoke", lambda _: {"reason": "left"}
    ),
    "remove_device": Row(
        Right.DEVICES, lambda at: f"/v1/devices/{at.device}:remove", lambda _: {"reason": "lost"}
    ),
    "remove_shared_device": Row(
        Right.WORKSTATIONS,
        lambda at: f"/v1/shared-devices/{at.tablet}:remove",
        lambda _: {"reason": "lost"},
    ),
    "remove_custom_profile": Row(Right.POLICY, lambda at: f"/v1/custom-profiles/{at.profile}"),
    "close_user": Row(
        Right.REVOKE, lambda at: f"/v1/users/{at.user}:close", lambda _: {"reason": "left"}
    ),
}
# Calls that show things of several organisations: of those that the client sees alone.
LISTS = {
    "list_users": "/v1/users",
    "list_pending": "/v1/pending",
    "list_expiring": "/v1/expiring?days=3650",
    "list_cards": "/v1/cards",
    "list_organisations": "/v1/organisations",
    "list_custom_profiles": "/v1/custom-profiles",
    "list_shared_devices": "/v1/shared-devices",
}
# Calls in which somebody is named, of whom nothing is told: test_own.py has who may make them.
PORTAL = {
    "check_password",
    "change_password",
    "forget_password",
    "list_questions",
    "reset_password",
}
# What everybody who has a token is told.
PUBLIC = {"who": "/v1/client", "list_profiles": "/v1/profiles"}
# What is asked of whatever the client sees, and told as what is forged of everything else.
ANYWHERE = {"validate_qr": ("/v1/qr:validate", {"text": "CLOUDCARD:1:AAAA"})}
# What each client has of its own: for it alone, whatever its roles.
OWN = {
    "add_webhook": "/v1/webhooks",
    "list_webhooks": "/v1/webhooks",
    "show_webhook": "/v1/webhooks/{}",
    "remove_webhook": "/v1/webhooks/{}",
    "rotate_secret": "/v1/webhooks/{}:rotate-secret",
    "test_webhook": "/v1/webhooks/{}:test",
    "list_deliveries": "/v1/webhooks/{}/deliveries",
    "retry_deliveries": "/v1/webhooks/{}:retry",
}


class Anything:
    """Has whatever it is asked for, each with its name."""

    def __getattr__(self, name: str) -> object:
        def named() -> None: ...

        named.__name__ = name
        return named


METHODS = {row.serve.__name__: row.method for row in rows(*[Anything()] * 8)}  # type: ignore[arg-type]


def test_every_call_is_in_a_table() -> None:
    assert {*THINGS, *LISTS, *PUBLIC, *PORTAL, *ANYWHERE, *OWN} == METHODS.keys()


def new_place(world: World, name: str, parent: str = "") -> Place:
    operator = world.operator().identity
    own = world.organisations.add(f"At {name}", operator, parent).id
    user, token = world.people.add_user(
        f"Ada {name}", f"ada@{name}.example", organisation_id=own, actor=world.actor
    )
    assert token is not None
    phone = world.enrol(token.text)
    world.people.add_user(f"Bo {name}", "", organisation_id=own, actor=world.actor)
    profile = world.custom_profiles.define(f"of-{name}", "v1", Terms(), own, actor=world.actor)
    card, device = world.card(user), phone.identity.id
    ward, _ = world.shared_devices.add(f"Ward of {name}", "", own, actor=world.actor)
    return Place(name, own, user.id, card, device, profile.profile.id, ward.id)


def webhook_of(client: Client) -> str:
    added = client.post("/v1/webhooks", {"url": "https://hr.example.org/"}).json["webhook"]
    assert isinstance(added, dict)
    return str(added["id"])


def status(client: Client, call: str, at: Place) -> int:
    row = THINGS[call]
    fields = {"if-match": "*"} if METHODS[call] == "PATCH" else {}
    return client.ask(METHODS[call], row.path(at), row.body(at), fields).status


def test_each_call_is_for_those_who_have_its_right_there(world: World) -> None:
    own = new_place(world, "zzown")
    child = new_place(world, "zzchild", own.organisation)
    other = new_place(world, "zzother")
    clients = {role: client_of(world, role, place=own.organisation) for role in ROLES}
    for call, path in LISTS.items():
        for role in ROLES:
            told = clients[role].get(path)
            assert (told.status == 200) is (Right.VIEW in RIGHTS[role]), (call, role)
            assert b"zzother" not in told.body
            assert told.status != 200 or b"zzown" in told.body, (call, role)
    for call, row in THINGS.items():
        has = {role: row.right in RIGHTS[role] for role in ROLES}
        # Those that may not come first, so that there is something to be refused.
        for role in sorted(ROLES, key=has.__getitem__):
            for at in (own, child):
                found = status(clients[role], call, at)
                assert (found in DONE) is has[role], (call, role, at.name, found)
                assert found in DONE or found == 403
            hidden = status(clients[role], call, other)
            assert hidden == 404, (call, role, hidden)
    for asked, body in ANYWHERE.values():
        for role in ROLES:
            told = clients[role].post(asked, body)
            assert (told.status == 200) is (Right.VIEW in RIGHTS[role]), (asked, role)
    webhook = {"url": "https://hr.example.org/"}
    for role in ROLES:
        added = clients[role].post(OWN["add_webhook"], webhook)
        assert (added.status == 201) is (Right.VIEW in RIGHTS[role]), role
        assert clients[role].get(OWN["list_webhooks"]).status == 200
    theirs = webhook_of(client_of(world, BuiltIn.RA_MANAGER))
    for call, path in OWN.items():
        if "{}" in path:
            for role in ROLES:
                hidden = clients[role].ask(METHODS[call], path.format(theirs)).status
                assert hidden == 404, (call, role, hidden)
    for path in PUBLIC.values():
        assert {clients[role].get(path).status for role in ROLES} == {200}


def test_a_client_has_the_rights_of_the_role_that_an_organisation_has_defined(
    world: World,
) -> None:
    """USER-24: as it is changed, from one call to the next."""
    own, other = new_place(world, "zzown"), new_place(world, "zzother")
    role = world.custom_roles.define(
        "importer", ("view", "people"), own.organisation, actor=world.actor
    )
    client = client_of(world, role.name, place=own.organisation)
    for call, row in THINGS.items():
        assert (status(client, call, own) in DONE) is (row.right in role.rights), call
        assert status(client, call, other) == 404, call
    world.custom_roles.change(role.id, None, ("view", "suspend"), actor=world.actor)
    assert [status(client, each, own) for each in ("add_user", "suspend")] == [403, 200]
