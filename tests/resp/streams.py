"""Streams for the tests of the wire: how to cut them, and how to describe random ones."""

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import strategies as st


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """`data` cut at `cuts`, wherever these lie; empty pieces are left out."""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, stop in pairwise(edges):
        yield data[start:stop]


def one_by_one(data: bytes) -> Iterator[bytes]:
    """`data` byte by byte."""
    for at in range(len(data)):
        yield data[at : at + 1]


cuts = st.lists(st.integers(0, 4096), max_size=12)
"""For `pieces`."""


@st.composite
def mutated(draw: st.DrawFn, streams: st.SearchStrategy[bytes], scraps: st.SearchStrategy[bytes]) -> bytes:
    """A stream with a few bytes replaced, removed or put in."""
    data = draw(streams)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        removed = draw(st.integers(0, 3))
        data = data[:at] + draw(scraps) + data[at + removed :]
    return data
