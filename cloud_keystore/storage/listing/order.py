"""A page of identifiers in any order."""

from __future__ import annotations

from typing import TypeAlias

from sqlalchemy import Column, ColumnElement, Connection, Select, and_, literal, tuple_

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.pages import Order, Page

Key: TypeAlias = "ColumnElement[str] | ColumnElement[int]"


def ordered(
    connection: Connection,
    query: Select[str],
    key: Key,
    own: Column[str],
    order: Order,
    page: Page | None,
    whole: Select[str] | None = None,
) -> list[str]:
    """The identifiers of a query's rows in the order of a key, and of the identifiers themselves
    where that is the same; or a page of them. Raises InvalidInput for a page after what is not
    among them, or among a whole list of which they were chosen: the last one of the page before
    can be another now.
    """
    if page is not None and page.after:
        among = query if whole is None else whole
        last = connection.execute(among.add_columns(key).where(own == page.after)).first()
        if last is None:
            raise InvalidInput("after is no item of this list: begin with its first page")
        query = query.where(_behind(key, own, order, last[1], page.after))
    query = query.order_by(*((each.desc() if order.descending else each) for each in (key, own)))
    if page is not None:
        query = query.limit(page.size)
    return [found for (found,) in connection.execute(query)]


def _behind(
    key: Key, own: Column[str], order: Order, value: object, after: str
) -> ColumnElement[bool]:
    """The condition that an item comes after the one with this value and identifier."""
    if key is own:  # both databases find the place in an index of one column by one comparison
        return own < after if order.descending else own > after
    there = literal(value, key.type)
    here, place = tuple_(key, own), tuple_(there, after)
    # The first condition follows from the other; an index of the key alone leads to its place.
    if order.descending:
        return and_(key <= there, here < place)
    return and_(key >= there, here > place)
