"""Which examples hypothesis tries."""

from __future__ import annotations

import sys

import pytest
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import is_local_module_file


def settle(patch: pytest.MonkeyPatch) -> None:
    """Let no module that is imported from now on change what is tried.

    Hypothesis also tries the constants of our modules, of which another test may import one or not:
    with the same seed, each order of the tests would have other examples.
    """
    known = {getattr(module, "__file__", None) for module in list(sys.modules.values())}

    def is_ours(file: str) -> bool:
        return file in known and is_local_module_file(file)

    patch.setattr(providers, "is_local_module_file", is_ours)
