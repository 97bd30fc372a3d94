"""Hatchling's hook that makes the README of the distribution: on a package index, its links lead to
the repository.
"""

from __future__ import annotations

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?<=\]\()(?!#)([^):\s]+)(?=\))")


class AbsoluteLinks(MetadataHookInterface):
    """Sets the project's dynamic field `readme`."""

    def update(self, metadata: dict[str, object]) -> None:
        """Add the text to the project's metadata."""
        urls = metadata["urls"]
        assert isinstance(urls, dict)  # noqa: S101 (as pyproject.toml has them)
        text = (Path(self.root) / "README.md").read_text("utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, f"{urls['Source']}/blob/main/"),
        }


def absolute(text: str, place: str) -> str:
    """A text of Markdown whose links to files lead to `place`."""
    return LINK.sub(lambda link: place + link[1], text)
