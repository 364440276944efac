"""The fixtures of the end-to-end tests, for programs in other languages."""

from tests.e2e.conftest import direct, flask, proxy, shared_proxy

__all__ = ["direct", "flask", "proxy", "shared_proxy"]
