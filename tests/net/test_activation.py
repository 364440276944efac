"""Sockets that are passed by descriptor: which are taken, which are refused, and what children see of them."""

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from proxy.net import activation
from proxy.net.activation import ActivationError, PassedSockets, passed_sockets

PID = 4711
FIRST = 700
"""Where the descriptors of these tests begin. Those from 3 on are pytest's."""

Pass = Callable[..., dict[str, str]]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pass]:
    """Puts files at the descriptors, and gives back the variables that tell of them."""
    monkeypatch.setattr(activation, "_FIRST", FIRST)
    placed: list[int] = []

    def give(*files: socket.socket | int, names: str | None = None, **more: str) -> dict[str, str]:
        for number, file in enumerate(files, FIRST):
            placed.append(fcntl.fcntl(file, fcntl.F_DUPFD, number))
            assert placed[-1] == number
            os.set_inheritable(number, True)
        named = {} if names is None else {"LISTEN_FDNAMES": names}
        return {"LISTEN_PID": str(PID), "LISTEN_FDS": str(len(files)), **named, "OTHER": "stays", **more}

    yield give
    for number in placed:
        try:
            os.close(number)
        except OSError:
            continue  # a refused socket, or one that the test has closed


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def tcp(stack: ExitStack) -> socket.socket:
    return stack.enter_context(socket.create_server(("127.0.0.1", 0)))


@pytest.fixture
def unix(stack: ExitStack, tmp_path: Path) -> socket.socket:
    made = stack.enter_context(socket.socket(socket.AF_UNIX))
    made.bind(str(tmp_path / "s"))
    made.listen()
    return made


def test_they_are_found_by_name_and_several_may_share_one(
    given: Pass, stack: ExitStack, tcp: socket.socket, unix: socket.socket
) -> None:
    passed = passed_sockets(given(tcp, unix, tcp, names="json:other:json"), PID)
    assert passed.names == "json, other"
    taken = [*passed.take("json"), *passed.take("other")]
    for each in taken:
        stack.enter_context(each)
    assert [each.fileno() for each in taken] == [FIRST, FIRST + 2, FIRST + 1]
    assert taken[0].getsockname() == tcp.getsockname()
    assert taken[0].proto == socket.IPPROTO_TCP
    assert passed.names == ""
    with pytest.raises(ActivationError, match=r"^no socket was passed to this process: start it by a systemd socket"):
        passed.take("json")


def test_children_see_neither_the_sockets_nor_the_variables(given: Pass, tcp: socket.socket) -> None:
    environ = given(tcp, names="json", LISTEN_PIDFDID="5")
    (taken,) = passed_sockets(environ, PID).take("json")
    with taken:
        assert not taken.get_inheritable()
    assert environ == {"OTHER": "stays"}


@pytest.mark.parametrize("names", [None, "unknown"])
def test_without_a_name_it_is_unknown(given: Pass, tcp: socket.socket, names: str | None) -> None:
    passed = passed_sockets(given(tcp, names=names), PID)
    with pytest.raises(
        ActivationError, match=r"^no socket with this name was passed; FileDescriptorName= is set for: unk"
    ):
        passed.take("json")
    passed.take("unknown")[0].close()


def test_those_for_another_process_are_left_to_it(given: Pass, tcp: socket.socket) -> None:
    environ = given(tcp, names="json", LISTEN_PID="12")
    before = dict(environ)
    passed = passed_sockets(environ, PID)
    assert environ == before
    assert passed.names == ""
    with pytest.raises(ActivationError, match="passed to process 12, and this is 4711: a wrapper must exec the proxy"):
        passed.take("json")


@pytest.mark.parametrize("more", [{}, {"LISTEN_PID": ""}, {"LISTEN_PID": "x", "LISTEN_FDS": "1"}])
def test_without_them_nothing_is_passed(more: dict[str, str]) -> None:
    assert passed_sockets({**more}, PID).names == ""


def test_no_sockets_at_all_are_fine() -> None:
    assert passed_sockets({"LISTEN_PID": str(PID), "LISTEN_FDS": "0", "LISTEN_FDNAMES": ""}, PID).names == ""


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"LISTEN_FDS": "x"}, "LISTEN_FDS must be a number of sockets, got 'x'"),
        ({"LISTEN_FDS": "-1"}, "LISTEN_FDS must be a number of sockets, got '-1'"),
        ({"LISTEN_FDS": "9" * 5000}, "LISTEN_FDS must be a number of sockets, got '99999999999999999999'"),
        ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a"}, "LISTEN_FDS is 2, but LISTEN_FDNAMES has 1 names"),
        ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "a:b"}, "LISTEN_FDS is 1, but LISTEN_FDNAMES has 2 names"),
        ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": ""}, "LISTEN_FDS is 1, but LISTEN_FDNAMES has 0 names"),
    ],
)
def test_variables_that_make_no_sense_are_refused(variables: dict[str, str], reason: str) -> None:
    with pytest.raises(ActivationError) as caught:
        passed_sockets({"LISTEN_PID": str(PID), **variables}, PID)
    assert str(caught.value) == reason


class TestWhatIsNoListeningStream:
    def refusal(self, environ: dict[str, str]) -> str:
        with pytest.raises(ActivationError) as caught:
            passed_sockets(environ, PID)
        return str(caught.value)

    def test_a_file(self, given: Pass, tmp_path: Path) -> None:
        with (tmp_path / "file").open("wb") as file:
            said = self.refusal(given(file.fileno(), names="json"))
        assert (
            said
            == f"the socket json that was passed (descriptor {FIRST}) is not a socket: Socket operation on non-socket"
        )

    def test_nothing(self, given: Pass) -> None:
        environ = {**given(names="json"), "LISTEN_FDS": "1"}
        assert self.refusal(environ).endswith("is not a socket: Bad file descriptor")

    @pytest.mark.parametrize(
        ("family", "kind"),
        [
            (socket.AF_INET, socket.SOCK_DGRAM),
            (socket.AF_UNIX, socket.SOCK_DGRAM),
            (socket.AF_UNIX, socket.SOCK_SEQPACKET),
            (socket.AF_NETLINK, socket.SOCK_DGRAM),
        ],
        ids=lambda value: value.name,
    )
    def test_another_kind_of_socket(self, given: Pass, family: int, kind: int) -> None:
        with socket.socket(family, kind) as other:
            said = self.refusal(given(other, names="json"))
        assert said.endswith("is neither a TCP nor a unix stream socket: set it with ListenStream=")

    def test_a_client_of_its_own_as_with_accept_yes(self, given: Pass, tcp: socket.socket) -> None:
        with socket.create_connection(tcp.getsockname()) as client:
            said = self.refusal(given(client, names="connection"))
        assert said.endswith("does not listen: the socket unit needs Accept=no")


def test_an_empty_set_says_how_to_start() -> None:
    with pytest.raises(ActivationError, match="start it by a systemd socket unit"):
        PassedSockets().take("json")
