"""Where browsers see the pages: the origins that are ours, and whether a request is for one and
from one. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Origins:
    """Origins such as "https://cards.example.org", by what the field Host says for them."""

    by_host: Mapping[str, str]

    @classmethod
    def of(cls, origins: Iterable[str]) -> Origins:
        """From the origins themselves."""
        return cls({origin.partition("://")[2]: origin for origin in origins})

    def asked(self, host: str) -> str | None:
        """The origin that a request is for; None if it is none of ours."""
        return self.by_host.get(host.lower())


def is_own(method: str, origin: str, fields: Mapping[str, str]) -> bool:
    """Whether a request comes from a page of ours, or cannot change anything. Browsers say where
    the others come from (Fetch, 3.2; Fetch Metadata, 2.4); programs say nothing, and are refused.
    """
    if method in SAFE:
        return True
    said = fields.get("origin")
    return fields.get("sec-fetch-site") == "same-origin" if said is None else said == origin
