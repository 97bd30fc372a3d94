"""How much a request can hold, looked at before anything computes with it: what the library does
with a change takes longer than the change is long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from scim2_models import InvalidFilterException, InvalidSyntaxException, TooManyException

LONGEST_FILTER = 1000  # characters
LONGEST_PATH = 128  # of a change, or of a name of an attribute
MOST_OPERATIONS = 40  # of one change
MOST_VALUES = 400  # of one request, objects and lists included


def check_filter(text: str) -> None:
    """Raise InvalidFilterException for a filter that is too long."""
    if len(text) > LONGEST_FILTER:
        raise InvalidFilterException(
            detail=f"a filter has at most {LONGEST_FILTER} characters: ask for less"
        )


def read(body: bytes) -> Mapping[str, object]:
    """The object that a body is; raises InvalidSyntaxException, TooManyException,
    InvalidFilterException.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidSyntaxException(detail="the body is no JSON object: send one")
    waiting: list[object] = [found]
    values = 0
    while waiting:
        each = waiting.pop()
        values += 1
        if isinstance(each, dict):
            for name, value in each.items():
                _check_name(name, value)
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
        if values + len(waiting) > MOST_VALUES:
            raise TooManyException(detail=f"a request has at most {MOST_VALUES} values: send less")
    return found


def _check_name(name: str, value: object) -> None:
    # Names are the same in whatever case (RFC 7643, 2.1), and can be paths in a change.
    kind = name.lower()
    if len(name) > LONGEST_PATH or (
        kind == "path" and isinstance(value, str) and len(value) > LONGEST_PATH
    ):
        raise InvalidSyntaxException(
            detail=f"a path or name has at most {LONGEST_PATH} characters: write a shorter one"
        )
    if kind == "filter" and isinstance(value, str):
        check_filter(value)
    if kind == "operations" and isinstance(value, list) and len(value) > MOST_OPERATIONS:
        raise TooManyException(
            detail=f"a change has at most {MOST_OPERATIONS} operations: send several"
        )
