"""How people and groups are found: by filters, in an order, a page of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from fastapi import Request
from scim2_models import Context, ListResponse, SearchRequest, TooManyException
from scim2_models.path import FilterNode
from starlette.responses import Response

from cloud_keystore.cards.directories.groups import MOST_SHOWN, Groups
from cloud_keystore.cards.directories.provisioning import Provisioning
from cloud_keystore.model.directories.entries import Sought
from cloud_keystore.model.directories.groups import SoughtGroup
from cloud_keystore.rest.calls import current
from cloud_keystore.rest.scim import filters
from cloud_keystore.rest.scim import translating as to
from cloud_keystore.rest.scim.answering import Body, base, dumped, results
from cloud_keystore.rest.scim.bounds import check_filter, read
from cloud_keystore.rest.scim.models import POLICY, Group, Person

MOST_COMPARED = 2000  # people whom a filter or an order is computed for

Wanted: TypeAlias = SearchRequest[Person | Group]
# How many there are for a filter, as far as it is looked up, and those from a place on.
Source: TypeAlias = Callable[
    [FilterNode | None, int, int, str], tuple[int, Sequence[Person | Group]]
]


@dataclass(frozen=True, slots=True)
class Searching:
    """Finds people and groups for directories."""

    provisioning: Provisioning
    groups: Groups

    def list_people(self, request: Request) -> Response:
        """People whom a filter in the query means, in an order, a page of them."""
        wanted = cast(Wanted, SearchRequest[Person].model_validate(_given(request)))
        return _answer(wanted, [self._people], request)

    def list_groups(self, request: Request) -> Response:
        """Groups that a filter in the query means, in an order, a page of them."""
        wanted = cast(Wanted, SearchRequest[Group].model_validate(_given(request)))
        return _answer(wanted, [self._groups], request)

    def search_people(self, request: Request, body: Body) -> Response:
        """People, with the filter in the body."""
        wanted = SearchRequest[Person].model_validate(
            read(body), scim_ctx=Context.SEARCH_REQUEST, scim_policy=POLICY
        )
        return _answer(cast(Wanted, wanted), [self._people], request)

    def search_groups(self, request: Request, body: Body) -> Response:
        """Groups, with the filter in the body."""
        wanted = SearchRequest[Group].model_validate(
            read(body), scim_ctx=Context.SEARCH_REQUEST, scim_policy=POLICY
        )
        return _answer(cast(Wanted, wanted), [self._groups], request)

    def search(self, request: Request, body: Body) -> Response:
        """Groups and then people, with the filter in the body."""
        wanted = SearchRequest[Person | Group].model_validate(
            read(body), scim_ctx=Context.SEARCH_REQUEST, scim_policy=POLICY
        )
        return _answer(wanted, [self._groups, self._people], request)

    def _people(
        self, node: FilterNode | None, first: int, most: int, at: str
    ) -> tuple[int, Sequence[Person | Group]]:
        sought = Sought() if node is None else filters.sought(node)
        found = self.provisioning.list_all(sought, first, most, actor=current().actor)
        return found.total, [to.person(each, at) for each in found.shown]

    def _groups(
        self, node: FilterNode | None, first: int, most: int, at: str
    ) -> tuple[int, Sequence[Person | Group]]:
        sought = SoughtGroup() if node is None else filters.sought_group(node)
        found = self.groups.list_all(sought, first, most, actor=current().actor)
        return found.total, [to.group(each, at) for each in found.shown]


def _given(request: Request) -> dict[str, object]:
    check_filter(request.query_params.get("filter", ""))
    return dict(request.query_params)


def _answer(wanted: Wanted, sources: Sequence[Source], request: Request) -> Response:
    at, first = base(request), wanted.start_index_0 or 0
    most = results(wanted.count)
    if wanted.filter is None and wanted.sort_by is None:
        total, shown = _page(sources, first, most, at)
    else:
        found = _compared(wanted, sources, at)
        total, shown = len(found), found[first : first + most]
    answer = ListResponse[Person | Group](
        total_results=total,
        start_index=first + 1,
        items_per_page=len(shown),
        resources=shown,
    )
    return dumped(answer, request, Context.RESOURCE_QUERY_RESPONSE, wanted)


def _page(
    sources: Sequence[Source], first: int, most: int, at: str
) -> tuple[int, list[Person | Group]]:
    """How many there are in all, and those from a place on: fewer than asked for, if they are more
    than one answer shows.
    """
    total, shown = 0, list[Person | Group]()
    for source in sources:
        begin, left = max(0, first - total), most - len(shown)
        count, some = source(None, begin, left, at)
        total += count
        shown += some
        if len(some) < min(left, count - begin):
            most = len(shown)
    return total, shown


def _compared(wanted: Wanted, sources: Sequence[Source], at: str) -> list[Person | Group]:
    """All that a filter means, in their order."""
    found = list[Person | Group]()
    node = None if wanted.filter is None else wanted.filter.ast
    for source in sources:
        count, some = source(node, 0, MOST_COMPARED, at)
        if len(some) < count:
            raise TooManyException(
                detail=f"there are more than {MOST_COMPARED} people, or groups with more than "
                f"{MOST_SHOWN} members, to compare: ask by eq for userName, displayName, "
                "externalId, emails.value, members.value or id, or leave filter and sortBy out"
            )
        found += some
    if wanted.filter is not None:
        found = [each for each in found if wanted.filter.match(each)]
    return found if wanted.sort_by is None else wanted.sort(found)
