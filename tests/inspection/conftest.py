"""A Redis of a test's own, and the settings that lead there."""

from tests.e2e.conftest import private_redis

__all__ = ["private_redis"]
