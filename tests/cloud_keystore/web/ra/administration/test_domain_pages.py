"""The pages of the domains that e-mail addresses can have."""

from __future__ import annotations

from starlette.types import ASGIApp

from cloud_keystore.model.rights.roles import BuiltIn
from support.keystore_world import OPERATOR, World
from support.visitor import Visitor


def test_a_domain_is_added_and_removed(world: World, visitor: Visitor) -> None:
    assert "can have any domain" in visitor.page("/ra/domains")
    wrong = visitor.post("/ra/domains/add", name="no domain")
    assert wrong.status == 422
    assert 'value="no domain"' in wrong.body.decode()
    shown = visitor.done("/ra/domains/add", name="Example.org")
    assert "It is added." in shown
    assert ">example.org<" in shown
    assert (
        "in the list already" in visitor.post("/ra/domains/add", name="example.org").body.decode()
    )
    asked = visitor.page("/ra/domains/remove?name=example.org")
    assert "cannot be at example.org any more" in asked
    assert "It is removed." in visitor.done("/ra/domains/remove", name="example.org")
    assert world.domains.list_all(actor=OPERATOR) == []


def test_whoever_may_not_set_them_sees_them(
    world: World, application: ASGIApp, visitor: Visitor
) -> None:
    visitor.done("/ra/domains/add", name="example.org")
    token = world.people.add_operator("Ida", BuiltIn.RA_AGENT, actor=OPERATOR)
    ida = Visitor.of(world, application, world.enrol(token.text).identity)
    shown = ida.page("/ra/domains")
    assert "example.org" in shown
    assert "/ra/domains/" not in shown
    for path in ("add", "remove"):
        assert ida.post(f"/ra/domains/{path}", name="example.org").status == 403
    assert [each.name for each in world.domains.list_all(actor=OPERATOR)] == ["example.org"]
