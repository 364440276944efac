"""How far random searches go: CI tries all cases, and the same ones each time; a developer's run tries a quarter.

`FCP_TEST_EFFORT` (`ci` or `dev`) overrides it. Cases by hypothesis differ from one run of a developer to the next.
"""

import os

from hypothesis import settings

_IN_CI = bool(os.environ.get("CI"))
_PROFILE = os.environ.get("FCP_TEST_EFFORT") or ("ci" if _IN_CI else "dev")


def cases(whole: int) -> int:
    """How many cases this run tries of a search that has `whole` in CI."""
    return whole if _PROFILE == "ci" else max(whole // 4, 1)


def load_profile() -> None:
    """Have hypothesis search as far as this run does."""
    settings.register_profile("dev", deadline=None, max_examples=cases(100), derandomize=_IN_CI, print_blob=_IN_CI)
    settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
    settings.load_profile(_PROFILE)
