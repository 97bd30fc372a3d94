"""Whom or what a filter can mean: what of it the keystore looks up. The rest is compared here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    ValuePath,
)

from cloud_keystore.model.directories.entries import Sought
from cloud_keystore.model.directories.groups import SoughtGroup

LOOKED_UP: Mapping[str, Callable[[Sought, str], Sought]] = MappingProxyType(
    {
        "username": lambda sought, value: replace(sought, user_name=value),
        "externalid": lambda sought, value: replace(sought, external_id=value),
        "emails": lambda sought, value: replace(sought, email=value),
        "emails.value": lambda sought, value: replace(sought, email=value),
        "id": lambda sought, value: replace(sought, id=value),
    }
)
OF_GROUPS: Mapping[str, Callable[[SoughtGroup, str], SoughtGroup]] = MappingProxyType(
    {
        "displayname": lambda sought, value: replace(sought, display_name=value),
        "externalid": lambda sought, value: replace(sought, external_id=value),
        "members": lambda sought, value: replace(sought, member=value),
        "members.value": lambda sought, value: replace(sought, member=value),
        "id": lambda sought, value: replace(sought, id=value),
    }
)
EVERYBODY = Sought()
ALL_GROUPS = SoughtGroup()
T = TypeVar("T")


def sought(node: FilterNode) -> Sought:
    """What everybody whom a filter means has; nothing, if the keystore cannot look it up."""
    return _sought(node, LOOKED_UP, EVERYBODY)


def sought_group(node: FilterNode) -> SoughtGroup:
    """What each group has that a filter means; nothing, if the keystore cannot look it up."""
    return _sought(node, OF_GROUPS, ALL_GROUPS)


def _sought(
    node: FilterNode, looked_up: Mapping[str, Callable[[T, str], T]], every: T, within: str = ""
) -> T:
    match node:
        case Comparison(attr_path=path, op=CompareOperator.eq, value=str(value)) if value:
            look = looked_up.get(within + _name(path))
            return every if look is None else look(every, value)
        case LogicalExpr(op=LogicalOperator.and_, terms=terms):
            known = (_sought(each, looked_up, every, within) for each in terms)
            return next((each for each in known if each != every), every)
        case ValuePath(attr_path=path, val_filter=inner, sub_attr=None):
            return _sought(inner, looked_up, every, f"{_name(path)}.")
    return every


def _name(path: AttrPath) -> str:
    return f"{path.attr}.{path.sub_attr}".lower() if path.sub_attr else path.attr.lower()
