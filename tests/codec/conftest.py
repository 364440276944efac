"""Measures the cost of reading with the reference. `tests/native` checks the same budgets with the native engine."""

import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest

from proxy.codec import CodecLimits, Options, Transcoder, UndecodableError
from proxy.codec.unpickle import opcodes
from proxy.codec.unpickle.machine import INSTRUCTIONS_PER_NODE, STRIDE, Handler, Machine
from proxy.engine import REFERENCE
from tests.codec.pickles import MEMORY, PART


class Cost:
    """Instructions and memory of one reading."""

    instructions = 0
    peak = 0


@pytest.fixture
def cost(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Cost]:
    """Read a pickle and return the cost. Fail if it exceeds the budgets."""
    counter = Cost()

    def counted(handler: Handler) -> Handler:
        def run(reader: Machine, pos: int) -> int:
            counter.instructions += 1
            return handler(reader, pos)

        return run

    monkeypatch.setattr(opcodes, "TABLE", [counted(handler) for handler in opcodes.TABLE])

    def measure(body: bytes, limits: CodecLimits = PART) -> Cost:
        stored = b"!" + body
        counter.instructions = 0
        tracemalloc.start()
        with suppress(UndecodableError):
            Transcoder(Options(limits=limits), engine=REFERENCE).decode(stored)
        counter.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert counter.peak < MEMORY * limits.nodes // CodecLimits().nodes + len(stored)
        assert counter.instructions <= limits.nodes * INSTRUCTIONS_PER_NODE + STRIDE
        return counter

    return measure
