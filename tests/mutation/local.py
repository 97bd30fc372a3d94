"""How the tests run for mutants: in one process, without servers, and alike each time."""

from __future__ import annotations

import pytest

EXAMPLES = 25  # of a property
OPTIONS = ("-q", "-p", "no:cacheprovider", "-n0", "-o", "tmp_path_retention_policy=failed")


class Local:
    """Leaves out the tests that run beside a server or in processes of their own. Hypothesis tries
    fewer examples, and the same ones in each run.
    """

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        # Not imported earlier, because pytest rewrites hypothesis for its plugin.
        from hypothesis import settings

        settings.register_profile(
            "mutation", deadline=None, derandomize=True, database=None, max_examples=EXAMPLES
        )
        settings.load_profile("mutation")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not _is_away(item)]


def _is_away(item: pytest.Item) -> bool:
    of_module = vars(item.getparent(pytest.Module).obj)  # type: ignore[union-attr]
    return (
        "KeystoreProcess" in of_module
        or "postgresql" in item.name
        or ("postgresql" in getattr(item, "fixturenames", ()))
    )
