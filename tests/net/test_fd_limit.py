"""How many clients the limit of open files bears."""

import resource
from collections.abc import Iterator

import pytest

from proxy.net.fd_limit import clients_at_most


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The soft and the hard limit, of no process."""
    limits = [1024, 4096]
    monkeypatch.setattr(resource, "getrlimit", lambda _number: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _number, new: limits.__setitem__(slice(None), new))
    return limits


@pytest.mark.parametrize(("wanted", "soft"), [(100, 1024), (480, 1024), (481, 1026), (2016, 4096)])
def test_there_is_room_for_all_once_the_soft_limit_is_raised(limits: list[int], wanted: int, soft: int) -> None:
    assert clients_at_most(wanted) == wanted
    assert limits == [soft, 4096]


@pytest.mark.parametrize("wanted", [2017, 10_000])
def test_there_is_room_for_as_many_as_the_hard_limit_bears(limits: list[int], wanted: int) -> None:
    assert clients_at_most(wanted) == 2016
    assert limits == [4096, 4096]


def test_a_limit_that_is_none_is_none(limits: list[int]) -> None:
    limits[:] = resource.RLIM_INFINITY, resource.RLIM_INFINITY
    assert clients_at_most(1_000_000) == 1_000_000
    limits[:] = 1024, resource.RLIM_INFINITY
    assert clients_at_most(1_000_000) == 1_000_000


def test_a_system_that_raises_nothing_leaves_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_number: int, _new: object) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert clients_at_most(10_000) == 480


def test_shared_connections_take_theirs(limits: list[int]) -> None:
    """Each client still counts as two, because all of them may need connections of their own at once."""
    assert clients_at_most(100, shared=128) == 100
    assert limits == [1024, 4096]
    assert clients_at_most(1000, shared=128) == 1000
    assert limits == [2192, 4096]
    assert clients_at_most(10_000, shared=128) == 1952
    assert limits == [4096, 4096]


def test_there_is_always_room_for_one(limits: list[int]) -> None:
    limits[:] = 10, 10
    assert clients_at_most(10_000) == 1
