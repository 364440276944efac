"""Each script runs with its bytes whole, byte by byte, and in pieces."""

from collections.abc import Callable

import pytest

from tests.session.cluster.script import Script
from tests.session.test_session import bytewise, chunked, whole

Play = Callable[..., Script]


@pytest.fixture(params=[whole, bytewise, chunked])
def play(request: pytest.FixtureRequest) -> Play:
    return lambda *args, **kwargs: Script(*args, cut=request.param, **kwargs)
