"""What a client says of itself to the keystore: the user agent of its calls (docs/protocol.md)."""

from __future__ import annotations

import platform
from collections.abc import Collection
from importlib.metadata import version


def user_agent(capabilities: Collection[str] = ()) -> str:
    """The user agent of this computer's clients, such as "cloudcard/0.1.0 (linux 6.1.0; sign-in)"
    for one that understands sign-ins.
    """
    about = f"{_word(platform.system()).lower()} {_word(platform.release())}"
    able = "; " + ", ".join(sorted(capabilities)) if capabilities else ""
    return f"cloudcard/{version('cloudcard')} ({about}{able})"


def _word(text: str) -> str:
    """A text as one word of a user agent."""
    kept = "".join(each for each in text if "!" <= each <= "~" and each not in "();,")
    return kept[:32] or "unknown"
