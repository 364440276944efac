"""A client's name is the one that Redis has accepted, and no other."""

import pytest

from proxy.resp.encode import bulk, command
from proxy.session import Gate
from tests.session.playbook import POISON, Playbook

OK, QUEUED, ERROR = b"+OK\r\n", b"+QUEUED\r\n", b"-ERR Client names cannot contain spaces\r\n"
HELLO = b"%0\r\n"


def name(played: Playbook) -> bytes:
    """The name in the report of the next refusal."""
    before = len(played.reports)
    played.command(b"SYNC")
    assert len(played.reports) == before + 1
    return played.reports[-1].name


def named(given: bytes = b"a") -> Playbook:
    return Playbook().command(b"CLIENT", b"SETNAME", given).replies(OK)


def test_it_is_known_once_redis_has_accepted_it() -> None:
    played = Playbook().command(b"client", b"SetName", b"a")
    assert name(played) == b""
    assert name(played.replies(OK)) == b"a"


@pytest.mark.parametrize("refusal", [ERROR, b"!9\r\nERR wrong\r\n"])
def test_a_name_that_redis_refuses_changes_nothing(refusal: bytes) -> None:
    assert name(named().command(b"CLIENT", b"SETNAME", b"b c").replies(refusal)) == b"a"


@pytest.mark.parametrize(
    "args", [(b"SETNAME",), (b"SETNAME", b"b", b"c"), (b"SETINFO", b"LIB-NAME", b"b"), (b"GETNAME",)]
)
def test_no_other_request_gives_a_name(args: tuple[bytes, ...]) -> None:
    assert name(named().command(b"CLIENT", *args).replies(OK)) == b"a"


def test_an_empty_name_takes_it_away() -> None:
    assert name(named().command(b"CLIENT", b"SETNAME", b"").replies(OK)) == b""


def test_inside_multi_it_comes_with_exec() -> None:
    played = Playbook().command(b"MULTI").replies(OK).command(b"CLIENT", b"SETNAME", b"a").replies(QUEUED)
    assert played.command(b"EXEC").session.pending == 1
    assert name(played.replies(b"*1\r\n+OK\r\n")) == b"a"


@pytest.mark.parametrize("end", [b"-EXECABORT no\r\n", b"*-1\r\n", b"*1\r\n" + ERROR])
def test_without_an_exec_that_runs_it_there_is_none(end: bytes) -> None:
    played = Playbook().command(b"MULTI").replies(OK).command(b"CLIENT", b"SETNAME", b"a").replies(QUEUED)
    assert name(played.command(b"EXEC").replies(end)) == b""


def test_a_silent_client_has_a_name_too() -> None:
    played = Playbook().command(b"CLIENT", b"REPLY", b"OFF").replies(OK)
    assert name(played.command(b"CLIENT", b"SETNAME", b"a").replies(OK)) == b"a"


def test_reset_takes_it_away_once_redis_has_reset() -> None:
    played = named().command(b"RESET")
    assert name(played.replies(b"+RESET\r\n")) == b""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((b"SETNAME", b"b"), b"b"),
        ((b"setname\0x", b"b"), b"b"),
        ((b"AUTH", b"u", b"SETNAME", b"SETNAME", b"b"), b"b"),
        ((b"AUTH", b"SETNAME", b"p"), b"a"),
        ((b"SETNAME", b"b", b"SETNAME", b"c"), b"c"),
        ((b"SETNAME", b""), b""),
        ((), b"a"),
    ],
    ids=["plain", "up to NUL", "behind a password", "the user's name", "last", "empty", "none"],
)
def test_hello_gives_one_too(options: tuple[bytes, ...], expected: bytes) -> None:
    assert name(named().command(b"HELLO", b"3", *options).replies(HELLO)) == expected


def test_a_hello_that_fails_gives_none() -> None:
    assert name(named().command(b"HELLO", b"3", b"SETNAME", b"b").replies(b"-NOPROTO no\r\n")) == b"a"


def test_hello_with_a_password_of_ours_gives_one() -> None:
    played = Playbook(gate=Gate([b"p"]))
    played.command(b"HELLO", b"3", b"AUTH", b"default", b"p", b"SETNAME", b"a").replies(HELLO)
    assert name(played) == b"a"


def test_behind_a_login_that_redis_leaves_unanswered_there_is_none() -> None:
    played = Playbook().command(b"HELLO", b"3").replies(HELLO)
    played.command(b"HELLO", b"3", b"AUTH", b"u", b"wrong", b"SETNAME", b"a")
    assert played.upstream.endswith(POISON)
    assert name(played.replies(b"-ERR wrong number of arguments for 'get' command\r\n")) == b""


def test_a_long_name_takes_little_memory() -> None:
    long = "é".encode() * 1_000_000
    played = named(long)
    assert len(name(played)) == 256
    assert name(played.command(b"HELLO", b"3", b"SETNAME", long).replies(HELLO)) == long[:256]


def test_names_that_wait_count_as_memory() -> None:
    played = Playbook()
    before = played.session.memory
    played.sends(command(b"CLIENT", b"SETNAME", b"x" * 256) * 100)
    assert played.session.memory - before > 100 * 256
    played.replies(OK * 100)
    assert played.session.memory == before


def test_a_reply_that_is_no_status_gives_no_name() -> None:
    assert name(Playbook().command(b"CLIENT", b"SETNAME", b"a").replies(bulk(b"OK"))) == b""
