"""The two engines beside each other: same bytes out, or the same class of error. Skipped where there is but one.

NATIVE_CASES=200000 NATIVE_SEED=7 in the environment make a longer hunt, and another one.
"""

import os

import pytest

from tests import effort

pytest.importorskip("proxy._native", reason="the native engine is not installed")

CASES = int(os.environ.get("NATIVE_CASES", effort.cases(6000)))
SEED = int(os.environ.get("NATIVE_SEED", "1"))
