"""What the documents under one approval are, in words that their signer reads on the phone."""

from __future__ import annotations

from collections.abc import Sequence

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.texts import text_field

LONGEST_DOCUMENT = 64  # characters of one text
LARGEST_DOCUMENTS = 16_000  # bytes of all of them: the payload is kept with each entry about it


def documents_field(documents: Sequence[str], inputs: int) -> tuple[str, ...]:
    """Texts in one form, one for each input, or none at all. Raises InvalidInput if their number
    is another one, if they are too long, or if one is empty or cannot be shown.
    """
    if not documents:
        return ()
    if len(documents) != inputs:
        raise InvalidInput(
            f"{len(documents)} documents for {inputs} inputs: say what each input is, in the same "
            "order, or nothing of any"
        )
    found: list[str] = []
    left = LARGEST_DOCUMENTS
    for number, each in enumerate(documents, 1):
        found.append(text_field(f"document {number}", each, LONGEST_DOCUMENT))
        left -= len(found[-1].encode())
        if left < 0:
            raise InvalidInput(
                f"the documents have more than {LARGEST_DOCUMENTS} bytes: say less of each"
            )
    return tuple(found)
