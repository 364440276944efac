"""How soon a worker is replaced. The rest takes real processes: tests/e2e/test_workers.py."""

from itertools import accumulate, repeat

import pytest

from proxy.workers.supervisor import next_delay


def test_a_worker_that_ends_again_and_again_is_replaced_ever_more_slowly_but_always() -> None:
    delays = list(accumulate(repeat(1.0, 9), next_delay, initial=0.0))
    assert delays == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10])


def test_one_that_had_served_for_long_is_replaced_at_once() -> None:
    assert next_delay(10.0, served=3600.0) == 0
