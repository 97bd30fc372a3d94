"""Operators at the pages."""

from __future__ import annotations

import pytest
from starlette.types import ASGIApp

from cloud_keystore.model.people import Identity
from support.keystore_world import World
from support.site import site
from support.visitor import Visitor


@pytest.fixture
def application(world: World) -> ASGIApp:
    return site(world)


@pytest.fixture
def olga(world: World) -> Identity:
    """Who may do everything."""
    return world.operator().identity


@pytest.fixture
def visitor(world: World, application: ASGIApp, olga: Identity) -> Visitor:
    return Visitor.of(world, application, olga)
