"""Texts that people give: names, labels, reasons. They are kept in one form, and refused if they
hold what cannot be shown.
"""

from __future__ import annotations

import unicodedata

from cloud_keystore.model.errors import InvalidInput

LONGEST_DISPLAY_NAME = 256
LONGEST_LABEL = 64  # of workstations, sites and devices
# ZERO WIDTH NON-JOINER and JOINER: Persian and several Indian languages need them within a word.
JOINERS = "\u200c\u200d"


def text_field(name: str, value: str, longest: int, *, required: bool = True) -> str:
    """Return a text in one form: composed characters (NFC), and single blanks between words.

    Raises InvalidInput if it is too long, missing, or has a character that cannot be shown, which
    the text names.
    """
    # Before its length is known to be sensible, nothing is computed from all of it.
    if len(value) > 2 * longest:
        raise InvalidInput(f"{name} has {len(value)} characters: at most {longest} are allowed")
    value = unicodedata.normalize("NFC", value.replace("\t", " "))
    spaced = "".join(" " if unicodedata.category(each) == "Zs" else each for each in value)
    value = " ".join(word for word in spaced.split(" ") if word)
    if required and not value:
        raise InvalidInput(f"{name} is empty: give 1 to {longest} characters")
    if len(value) > longest:
        raise InvalidInput(f"{name} has {len(value)} characters: at most {longest} are allowed")
    for place, each in enumerate(value):
        if not (each.isprintable() or (each in JOINERS and _joins(value, place))):
            raise InvalidInput(f"{name} holds {_named(each)}, which cannot be shown: remove it")
    return value


def comparable(value: str) -> str:
    """A text in the form in which two of them are compared: without joiners, whatever the case."""
    return "".join(each for each in value if each not in JOINERS).casefold()


def _joins(value: str, place: int) -> bool:
    """Whether a joiner is between two letters of a script that has joined letters. Elsewhere it
    would only make two texts look alike.
    """
    beside = value[place - 1 : place] + value[place + 1 : place + 2]
    return len(beside) == 2 and all(
        not each.isascii() and unicodedata.category(each)[0] in "LM" for each in beside
    )


def _named(character: str) -> str:
    """A character by its code point and name."""
    name = unicodedata.name(character, "")
    if not name:
        kind = unicodedata.category(character)
        name = {"Cc": "a control character", "Cs": "half a character"}.get(kind, "unknown")
    return f"U+{ord(character):04X} ({name})"
