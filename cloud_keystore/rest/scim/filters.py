"""Whom a filter can mean: what of it the keystore looks up. The rest is compared here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

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

LOOKED_UP: Mapping[str, Callable[[Sought, str], Sought]] = MappingProxyType(
    {
        "username": lambda sought, value: replace(sought, user_name=value),
        "externalid": lambda sought, value: replace(sought, external_id=value),
        "emails": lambda sought, value: replace(sought, email=value),
        "emails.value": lambda sought, value: replace(sought, email=value),
        "id": lambda sought, value: replace(sought, id=value),
    }
)
EVERYBODY = Sought()


def sought(node: FilterNode, within: str = "") -> Sought:
    """What everybody whom a filter means has; nothing, if the keystore cannot look it up."""
    match node:
        case Comparison(attr_path=path, op=CompareOperator.eq, value=str(value)) if value:
            look = LOOKED_UP.get(within + _name(path))
            return EVERYBODY if look is None else look(EVERYBODY, value)
        case LogicalExpr(op=LogicalOperator.and_, terms=terms):
            known = (sought(each, within) for each in terms)
            return next((each for each in known if each != EVERYBODY), EVERYBODY)
        case ValuePath(attr_path=path, val_filter=inner, sub_attr=None):
            return sought(inner, f"{_name(path)}.")
    return EVERYBODY


def _name(path: AttrPath) -> str:
    return f"{path.attr}.{path.sub_attr}".lower() if path.sub_attr else path.attr.lower()
