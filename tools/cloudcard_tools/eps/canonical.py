"""XML as it is hashed: read without anything of others, and written as Exclusive XML
Canonicalization 1.0 says. Pure.
"""

from __future__ import annotations

from lxml import etree

MOST_BYTES = 4 << 20


class Unreadable(ValueError):
    """A document that cannot be used; the text says why."""


def read(content: bytes) -> etree._Element:
    """Read a document: no document type, no entities, no comments. Raises Unreadable."""
    if len(content) > MOST_BYTES:
        raise Unreadable(f"the document has more than {MOST_BYTES} bytes")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(f"the document is no XML: {error}") from None
    if root.getroottree().docinfo.doctype:
        raise Unreadable("the document has a document type, which no prescription has")
    return root


def canonical(element: etree._Element) -> bytes:
    """The bytes of an element and all that is in it."""
    return bytes(etree.tostring(element, method="c14n", exclusive=True, with_comments=False))


def without_blanks(element: etree._Element) -> None:
    """Take out the blanks between elements, which count for nothing."""
    for each in element.iter():
        if len(each) and each.text is not None and not each.text.strip():
            each.text = None
        if each.tail is not None and not each.tail.strip():
            each.tail = None
    element.tail = None
