"""Both splitters on the same stream, cut alike: the same parts for the same owners, or the same fault."""

import random

from proxy import _native
from proxy.resp import reply_splitter
from proxy.session.runs import ReferenceRuns
from tests.native import CASES, SEED
from tests.resp.streams import one_by_one, pieces
from tests.resp.test_reply_framer import MALFORMED, VALUES

_SCRAPS = (b"", b"\r", b"\n", b"\r\n", b"$", b"*", b">", b"|", b"9" * 15, b"9" * 16, b"-1", b"\0", b"+" + b"x" * 70_000)
_OWNERS = "abc"


def _same(chunks: list[bytes], owners: list[str]) -> bool:
    """Compare the two. True if there was a fault."""
    splitters = reply_splitter.ReplySplitter(), _native.ReplySplitter()
    owed = ReferenceRuns[str](), _native.Runs[str]()
    for owner in owners:
        for each in owed:
            each.append(owner)
    for chunk in chunks:
        wanted, got = (splitter.split(chunk, each) for splitter, each in zip(splitters, owed, strict=True))
        assert got == wanted, (chunks, owners)
        for name in ("fault", "unfinished"):
            assert getattr(splitters[1], name) == getattr(splitters[0], name), (chunks, owners)
        assert owed[0].size == owed[1].size
        if splitters[0].fault:
            return True
    return False


def test_streams_at_random() -> None:
    replies = [value for name, value in VALUES.items() if "push" not in name and "attribute" not in name]
    faults = 0
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        drawn = rng.choices([*replies, *replies, *replies, *MALFORMED.values(), *VALUES.values()], k=rng.randint(1, 5))
        stream = b"".join(drawn)
        for _ in range(rng.choice((0, 0, 1, 2))):
            at = rng.randrange(len(stream) + 1)
            stream = stream[:at] + rng.choice(_SCRAPS) + stream[at + rng.randint(0, 2) :]
        cuts = [rng.randrange(len(stream) + 1) for _ in range(rng.choice((0, 1, 3, 10)))]
        by_byte = len(stream) < 300 and rng.random() < 0.2
        owners = rng.choices(_OWNERS, k=len(drawn) + rng.randint(-1, 1))
        faults += _same(list(one_by_one(stream) if by_byte else pieces(stream, cuts)), owners)
    assert CASES // 10 < faults < CASES * 9 // 10
