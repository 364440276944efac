"""Work on one request that may have a million arguments, spread over turns of the event loop.

Each generator here yields between two turns, and never before the first or after the last. It finishes work that fits
into one turn without a yield.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

from proxy.policy import SessionLimits
from proxy.session.state import NextTurn, Steps

_T = TypeVar("_T")
_R = TypeVar("_R")

_LARGE: Final = 64 * 1024
"""A request with more bytes than this takes several turns."""
_STEP_BYTES: Final = 64
"""So many bytes of a key count as one more step."""
AT_ONCE: Final = 10_000
"""Arguments that may be freed in one turn."""
_OBJECT: Final = 64
"""Estimate of Python's overhead for an argument, in bytes."""


def is_large(args: list[bytes], size: int, limits: SessionLimits) -> bool:
    """Whether a request of `size` bytes may exceed the budget of one turn."""
    return len(args) > limits.turn_steps or size > _LARGE


def memory(args: list[bytes], raw: bytes) -> int:
    """Estimate of the bytes that a request holds."""
    return 2 * len(raw) + _OBJECT * len(args)


def map_keys(
    ask: Callable[[bytes], _R], keys: Iterable[bytes], most: int
) -> Generator[type[NextTurn], None, tuple[list[_R], set[_R]]]:
    """The result of `ask` for each key, and the set of results. `most`: steps of a turn."""
    left = most
    given: list[_R] = []
    different: set[_R] = set()
    for key in keys:
        if left <= 0:
            yield NextTurn
            left = most
        left -= 1 + len(key) // _STEP_BYTES
        given.append(answer := ask(key))
        different.add(answer)
    return given, different


def map_items(translate: Callable[[_T], _R], items: list[_T], most: int) -> Generator[type[NextTurn], None, list[_R]]:
    """The result of `translate` for each item. `most`: items of a turn."""
    done = list(map(translate, islice(items, most)))
    while len(done) < len(items):
        yield NextTurn
        done += map(translate, items[len(done) : len(done) + most])
    return done


def released(args: list[bytes]) -> Iterator[bytes]:
    """Yield each argument and remove it from the list, so that its memory can be freed."""
    for at, arg in enumerate(args):
        args[at] = b""
        yield arg


def free(args: list[bytes]) -> Steps:
    """Free the arguments in turns: freeing a million takes long too."""
    while len(args) > AT_ONCE:
        del args[-AT_ONCE:]
        yield NextTurn
