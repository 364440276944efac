"""The FIFO of runs: the same items in the same order as a plain queue, however they come and go."""

import random
from collections import deque
from itertools import pairwise

import pytest

from proxy.session.runs import Runs
from tests import effort


@pytest.mark.parametrize("seed", range(effort.cases(100)))
def test_it_is_a_queue(seed: int) -> None:
    chance = random.Random(seed)
    runs, plain = Runs[str](), deque[str]()
    for _ in range(60):
        match chance.randrange(3):
            case 0:
                item, count = chance.choice("abc"), chance.randrange(1, 4)
                runs.append(item, count)
                plain.extend(item * count)
            case 1:
                count = chance.choice((0, 1, 3, len(plain)))
                if count <= len(plain):
                    runs.take_runs(count)
                    for _ in range(count):
                        plain.popleft()
            case _ if plain:
                runs.take()
                plain.popleft()
        assert runs.size == len(plain)
        records = runs.records(1000)
        assert "".join(item * count for item, count in records) == "".join(plain)
        assert all(one is not other for (one, _), (other, _) in pairwise(records))
