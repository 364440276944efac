"""The request guard: both readers give the same, nothing lax gets through, nothing hostile costs much."""

import tracemalloc
from collections.abc import Iterable
from contextlib import suppress
from itertools import repeat
from typing import Any, NamedTuple

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.resp import ProtocolError, Request, RequestLimits, RequestParser
from proxy.resp.encode import command
from proxy.resp.inline import MAX_INLINE_BYTES
from proxy.resp.strict_reader import StrictReader
from tests import effort
from tests.resp.streams import cuts, mutated, one_by_one, pieces

DEFAULTS = RequestLimits()
LIMITS = RequestLimits(request_bytes=1000, arguments=20)
INT_MAX = 2**31 - 1
PING = b"*1\r\n$4\r\nPING\r\n"


class UnaidedReader(StrictReader):
    """Reads header by header."""

    __slots__ = ()

    def _whole_arguments(self) -> bool:
        return False


class StrictParser(RequestParser):
    """Never hands anything to hiredis."""

    __slots__ = ()
    _read_commands = staticmethod(lambda *_: 0)

    def __init__(self, limits: RequestLimits) -> None:
        super().__init__(limits)
        self._strict = UnaidedReader(limits, self._arrived)


class Read(NamedTuple):
    """A request, wherever its bytes stand."""

    args: list[bytes]
    raw: bytes


def read(request: Request | None) -> Read:
    assert request is not None
    return Read(request.args, request.raw)


def parsed(
    chunks: Iterable[bytes], limits: RequestLimits = DEFAULTS, kind: type[RequestParser] = RequestParser
) -> tuple[list[Read], str]:
    """The requests in `chunks`, taken as they come, and the error that ends them, if any."""
    parser, requests = kind(limits), list[Read]()
    try:
        for chunk in chunks:
            parser.feed(chunk)
            while request := parser.next():
                requests.append(read(request))
    except ProtocolError as error:
        with pytest.raises(ProtocolError):
            parser.next()
        return requests, error.text
    return requests, ""


def args_of(data: bytes, limits: RequestLimits = DEFAULTS) -> list[list[bytes]]:
    """The arguments of a stream without an error, however it is cut."""
    requests, error = parsed([data], limits)
    assert error == ""
    assert parsed(one_by_one(data), limits) == (requests, "")
    return [request.args for request in requests]


def error_of(data: bytes, limits: RequestLimits = DEFAULTS) -> str:
    """The error of a stream that holds no whole request before it, however it is cut."""
    requests, error = parsed([data], limits)
    assert requests == []
    assert parsed(one_by_one(data), limits) == ([], error)
    return error


# -- what is a request ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PING, [[b"PING"]]),
        (PING * 3, [[b"PING"]] * 3),
        (b"*2\r\n$0\r\n\r\n$4\r\n\r\n\0\xff\r\n", [[b"", b"\r\n\0\xff"]]),
        (b"*0\r\n" + PING, [[b"PING"]]),
        (b"*-1\r\n" + PING, [[b"PING"]]),
        (b"*-5\r\n" + PING, [[b"PING"]]),
        (b"*-9223372036854775808\r\n" + PING, [[b"PING"]]),
        (b"\r\n" + PING, [[b"PING"]]),
        (b"\n\n\r\n" + PING + b"\r\n\n" + PING + b"\n", [[b"PING"]] * 2),
        (b"*1\r\n$4\r\n*99\r\r\n" + PING, [[b"*99\r"], [b"PING"]]),
        (b"*2\r\n$4\r\nECHO\r\n$12\r\n\r\n>99999999\r\r\n", [[b"ECHO", b"\r\n>99999999\r"]]),
        (b"*2\r\n$4\r\nECHO\r\n$13\r\n\r\n*99999999\r\n\r\n", [[b"ECHO", b"\r\n*99999999\r\n"]]),
        (b"*2\r\n$4\r\nECHO\r\n$7\r\n%1~2|3>\r\n", [[b"ECHO", b"%1~2|3>"]]),
    ],
)
def test_a_request_is_an_array_of_bulks(data: bytes, expected: list[list[bytes]]) -> None:
    assert args_of(data) == expected


@pytest.mark.parametrize("data", [b"", b"*", b"*1", b"*1\r", b"*1\r\n$4\r\nPIN", b"*1\r\n$4\r\nPING\r", b"PING", b"\r"])
def test_what_is_not_whole_is_waited_for(data: bytes) -> None:
    assert args_of(data) == []


@given(commands=st.lists(st.lists(st.binary(max_size=12), min_size=1, max_size=5), max_size=6), cuts=cuts)
def test_commands_come_out_as_they_went_in_and_canonical(commands: list[list[bytes]], cuts: list[int]) -> None:
    stream = b"".join(command(*args) for args in commands)
    requests, error = parsed(pieces(stream, cuts))
    assert error == ""
    assert requests == [Read(args, command(*args)) for args in commands]
    assert b"".join(request.raw for request in requests) == stream


def test_requests_before_an_error_come_first() -> None:
    parser = RequestParser(LIMITS)
    parser.feed(PING * 2 + b"*x\r\n" + PING)
    parser.feed(PING)
    assert [read(parser.next()), read(parser.next())] == [Read([b"PING"], PING)] * 2
    for _ in range(2):
        with pytest.raises(ProtocolError):
            parser.next()
    assert parser.buffered == 0


def test_buffered_counts_what_waits_for_its_end() -> None:
    parser = RequestParser(LIMITS)
    begun = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\nva"
    parser.feed(PING + begun)
    assert parser.next() is not None
    assert parser.next() is None
    assert parser.buffered == len(begun)
    parser.feed(b"lue67890\r")
    assert parser.next() is None
    assert parser.buffered == len(b"SETkvalue67890\r")
    parser.feed(b"\n")
    assert parser.next() is not None
    assert parser.buffered == 0


def test_what_takes_long_to_read_is_read_when_it_is_asked_for() -> None:
    parser, odd = RequestParser(LIMITS), b"\r\n" + PING  # which hiredis is not to see
    parser.feed(odd * 100)
    assert parser.buffered == 100 * len(odd)
    for left in range(99, -1, -1):
        assert parser.has_more
        assert read(parser.next()) == Read([b"PING"], PING)
        assert parser.buffered == left * len(odd)
    assert parser.next() is None
    assert not parser.has_more


# -- what is not ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"*\r\n", "invalid multibulk length"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1x\r\n", "invalid multibulk length"),
        (b"* 1\r\n", "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"*01\r\n", "invalid multibulk length"),
        (b"*-0\r\n", "invalid multibulk length"),
        (b"*00\r\n", "invalid multibulk length"),
        (b"*1\0\r\n", "invalid multibulk length"),
        (b"*1\n\r\n", "invalid multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*9223372036854775808\r\n", "invalid multibulk length"),
        (b"*99999999999999999999999\r\n", "invalid multibulk length"),
        (b"*-9223372036854775809\r\n", "invalid multibulk length"),
        (b"*-99999999999999999999999\r\n", "invalid multibulk length"),
        (b"*" + b"1" * 5000 + b"\r\n", "invalid multibulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*2\r\n$3\r\nGET\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$+4\r\nPING\r\n", "invalid bulk length"),
        (b"*1\r\n$04\r\nPING\r\n", "invalid bulk length"),
        (b"*1\r\n$4 \r\nPING\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$9223372036854775807\r\n", "invalid bulk length"),
        (b"*1\r\n$18446744073709551615\r\n", "invalid bulk length"),
        (b"*1\r\n:5\r\n", "expected '$', got ':'"),
        (b"*2\r\n$3\r\nGET\r\n:5\r\n", "expected '$', got ':'"),
        (b"*1\r\n+PING\r\n", "expected '$', got '+'"),
        (b"*1\r\n*1\r\n$4\r\nPING\r\n", "expected '$', got '*'"),
        (b"*2\r\n$1\r\na\r\n*100000000\r\n", "expected '$', got '*'"),
        (b"*2\r\n>99999999\r\n", "expected '$', got '>'"),
        (b"*2\r\n%1\r\n+a\r\n+b\r\n", "expected '$', got '%'"),
        (b"*2\r\n~1\r\n+a\r\n", "expected '$', got '~'"),
        (b"*2\r\n|1\r\n+a\r\n+b\r\n", "expected '$', got '|'"),
        (b"*1\r\n=8\r\ntxt:PING\r\n", "expected '$', got '='"),
        (b"*1\r\n_\r\n", "expected '$', got '_'"),
        (b"*1\r\n#t\r\n", "expected '$', got '#'"),
        (b"*1\r\n,1.5\r\n", "expected '$', got ','"),
        (b"*1\r\n(1\r\n", "expected '$', got '('"),
        (b"*1\r\n-ERR\r\n", "expected '$', got '-'"),
        (b"*1\r\n\r\n", "expected '$', got '\r'"),
        (b"*1\r\n\xff\r\n", "expected '$', got '\udcff'"),
        (b"*1\r\n\0\r\n", "expected '$', got '?'"),
        (b"*1\rX$4\r\nPING\r\n", "expected LF after CR"),
        (b"*1\r\n$4\rXPING\r\n", "expected LF after CR"),
        (b"*1\r\r\n", "expected LF after CR"),
        (b"*1\r\n$4\r\nPINGXX", "expected CRLF after a bulk"),
        (b"*1\r\n$4\r\nPING\n\n", "expected CRLF after a bulk"),
        (b"*1\r\n$4\r\nPING\rX", "expected CRLF after a bulk"),
        (b"*2\r\n$1\r\naXY>99999999\r\n", "expected CRLF after a bulk"),
        (b"*2\r\n$1\r\naXY|1\r\n+a\r\n+b\r\n+c\r\n", "expected CRLF after a bulk"),
        (b"*" + b"1" * MAX_INLINE_BYTES, "too big mbulk count string"),
        (b"*" + b"1" * MAX_INLINE_BYTES + b"\r\n", "too big mbulk count string"),
        (b"*1\n" * MAX_INLINE_BYTES, "too big mbulk count string"),
        (b"*1\r\n$" + b"1" * MAX_INLINE_BYTES, "too big bulk count string"),
        (b"*1\r\n$" + b"1" * MAX_INLINE_BYTES + b"\r\n", "too big bulk count string"),
        (b"a" * (MAX_INLINE_BYTES + 1), "too big inline request"),
        (b"a" * (MAX_INLINE_BYTES + 1) + b"\r\n", "too big inline request"),
        (b"GET 'a\r\n", "unbalanced quotes in request"),
        (b"PING\0\r\n", "NUL byte in inline request"),
    ],
)
def test_what_is_no_request_is_an_error_in_redis_words(data: bytes, text: str) -> None:
    assert error_of(data) == f"ERR Protocol error: {text}"


@pytest.mark.parametrize(
    ("behind", "got"),
    [(b"PING\r\n", "P"), (b" \r\n", " "), (b"$4\r\nPING\r\n", "$"), (b"\rX", "\r"), (b"\0", "?"), (b"POST /\r\n", "P")],
)
def test_behind_a_command_in_resp_an_inline_one_is_an_error_in_whichever_read(behind: bytes, got: str) -> None:
    get = command(b"GET", b"k")
    for before in (get, PING + get, b"PING\r\n" + get + PING, get + b"\r\n"):
        taken = [request.args for request in parsed([before])[0]]
        for chunks in ([before + behind], [before, behind], one_by_one(before + behind)):
            requests, error = parsed(chunks)
            assert [request.args for request in requests] == taken
            assert error == f"ERR Protocol error: expected '*', got '{got}'"


@pytest.mark.parametrize("name", [b"AUTH", b"hello", b"Select", b"CLIENT", b"PING"])
def test_behind_what_begins_a_conversation_inline_commands_are_taken(name: bytes) -> None:
    begun = command(name, b"x" * 100) * 2
    assert args_of(begun + b"GET k\r\n" + begun + b"\n\r\nGET k\n") == [
        *[[name, b"x" * 100]] * 2,
        [b"GET", b"k"],
        *[[name, b"x" * 100]] * 2,
        [b"GET", b"k"],
    ]


@pytest.mark.parametrize("name", [b"PING\0", b"PING ", b"", b"GET", b"RESET", b"QUIT"])
def test_behind_any_other_they_are_not(name: bytes) -> None:
    for stream in (command(name) + b"PING\r\n", command(name) + PING + b"PING\r\n"):
        for chunks in ([stream], one_by_one(stream)):
            assert parsed(chunks)[1] == "ERR Protocol error: expected '*', got 'P'"


# -- limits --------------------------------------------------------------------------------------------------


def test_a_request_may_be_as_long_as_the_limit() -> None:
    longest = command(b"SET", b"k", b"v" * (LIMITS.request_bytes - len(command(b"SET", b"k", b"")) - 2))
    assert len(longest) == LIMITS.request_bytes
    assert args_of(longest * 2, LIMITS) == [hiredis_args(longest)] * 2


def test_a_request_over_the_limit_is_refused_at_its_header() -> None:
    for data in (command(b"SET", b"k", b"v" * 1000), b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\n"):
        assert error_of(data, LIMITS) == (
            "ERR flask-cache-proxy: a request of 1029 bytes or more is over the limit of 1000 ([limits] request_bytes)"
        )


def test_a_request_may_have_as_many_arguments_as_the_limit() -> None:
    most = command(*[b"x"] * LIMITS.arguments)
    assert args_of(most * 2, LIMITS) == [[b"x"] * LIMITS.arguments] * 2


def test_a_request_of_more_arguments_is_refused_at_its_header() -> None:
    for data in (command(*[b"x"] * 21), b"*21\r\n"):
        assert error_of(data, LIMITS) == (
            "ERR flask-cache-proxy: a request of 21 arguments is over the limit of 20 ([limits] arguments)"
        )


def test_the_largest_count_that_redis_takes_is_measured_by_our_limit() -> None:
    for count in (100_000_000, INT_MAX):
        assert f"a request of {count} arguments is over the limit of 1048576" in error_of(b"*%d\r\n" % count)


def test_limits_hold_for_inline_commands_too() -> None:
    assert args_of(b" x" * 20 + b"\r\n", LIMITS) == [[b"x"] * 20]
    assert "a request of 21 arguments is over the limit" in error_of(b" x" * 21 + b"\r\n", LIMITS)
    assert args_of(b"x" * 988 + b"\r\n", LIMITS) == [[b"x" * 988]]
    assert "a request of 1001 bytes or more is over the limit" in error_of(b"x" * 989 + b"\r\n", LIMITS)


def test_the_first_request_may_have_a_limit_of_its_own() -> None:
    limits = RequestLimits(first_bytes=100)
    first, over = (command(b"SET", b"k", b"v" * size) for size in (73, 74))
    assert len(first) == 100
    assert args_of(first + over, limits) == [hiredis_args(first), hiredis_args(over)]
    assert args_of(b"PING\r\n" + over, limits) == [[b"PING"], hiredis_args(over)]
    assert error_of(over, limits) == error_of(over[:-73], limits)
    assert error_of(over, limits) == (
        "ERR flask-cache-proxy: a first command of 101 bytes or more is over the limit of 100"
        " ([limits] first_command_bytes)"
    )


def test_memory_counts_what_waits_to_be_taken_and_small_arguments_too() -> None:
    parser = RequestParser(DEFAULTS)
    parser.feed(PING * 1000)
    assert parser.memory > 1000 * len(PING)
    while parser.next():
        pass
    assert parser.memory == 0
    parser.feed(b"*1001\r\n" + b"$1\r\na\r\n" * 1000)
    assert parser.next() is None
    assert parser.memory > 8 * 1000


def test_a_first_line_has_the_limit_of_a_first_command_before_its_end_is_there() -> None:
    parser = RequestParser(RequestLimits(first_bytes=100))
    parser.feed(b"x" * 100)
    assert parser.next() is None
    parser.feed(b"x")
    with pytest.raises(ProtocolError, match="first_command_bytes"):
        parser.next()


def test_a_line_may_be_as_long_as_redis_takes_it() -> None:
    longest = b"x" * MAX_INLINE_BYTES
    assert args_of(longest + b"\n") == [[longest]]


def hiredis_args(data: bytes) -> list[bytes]:
    reader = hiredis.Reader()
    reader.feed(data)
    args: list[bytes] = reader.gets()
    return args


# -- inline --------------------------------------------------------------------------------------------------


def test_a_read_may_hold_inline_commands_and_some_in_resp() -> None:
    stream = b"PING\r\n\r\n  GET 'a b' \n" + PING
    expected = [[b"PING"], [b"GET", b"a b"], [b"PING"]]
    assert args_of(stream * 2 + b"ECHO x\n") == [*expected, *expected, [b"ECHO", b"x"]]
    assert all(request.raw == command(*request.args) for request in parsed([stream])[0])


def test_http_is_a_sequence_of_inline_commands_as_it_is_to_redis() -> None:
    # Redis hangs up at POST and Host:, which are command names to it; who takes these requests must see to that.
    assert args_of(b"POST / HTTP/1.1\r\nHost: redis\r\n\r\n") == [[b"POST", b"/", b"HTTP/1.1"], [b"Host:", b"redis"]]


def test_tls_is_no_request() -> None:
    requests, error = parsed([bytes.fromhex("160301020001000001fc0303") + b"x" * 40 + b"\n"])
    assert (requests, error) == ([], "ERR Protocol error: NUL byte in inline request")


# -- two readers, one result ---------------------------------------------------------------------------------

scraps = st.sampled_from(
    [
        b"",
        b"\r",
        b"\n",
        b"\r\n",
        b"*1\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"$",
        b"*",
        b">1\r\n",
        b"0",
        b"+",
        b"-",
        b"\0",
        b"PING\r\n",
    ]
) | st.binary(max_size=3)
commands = st.builds(lambda args: command(*args), st.lists(st.binary(max_size=6), max_size=4))
streams = mutated(st.builds(b"".join, st.lists(commands, max_size=5)), scraps)
small_limits = st.builds(
    RequestLimits, st.integers(10, 60), st.integers(1, 5), st.just(DEFAULTS.first_bytes)
) | st.just(DEFAULTS)


@given(stream=streams, cuts=cuts, limits=small_limits)
@settings(max_examples=effort.cases(500))
def test_hiredis_and_the_strict_reader_agree_on_every_read(
    stream: bytes, cuts: list[int], limits: RequestLimits
) -> None:
    for chunks in ([stream], list(pieces(stream, cuts)), list(one_by_one(stream))):
        assert parsed(chunks, limits) == parsed(chunks, limits, StrictParser)


@given(stream=streams, cuts=cuts, limits=small_limits)
@settings(max_examples=effort.cases(500))
def test_how_a_stream_is_cut_does_not_matter(stream: bytes, cuts: list[int], limits: RequestLimits) -> None:
    requests, error = parsed([stream], limits)
    for chunks in (pieces(stream, cuts), one_by_one(stream)):
        assert parsed(chunks, limits) == (requests, error)


@given(stream=streams, cuts=cuts)
def test_what_comes_out_is_always_canonical(stream: bytes, cuts: list[int]) -> None:
    for request in parsed(pieces(stream, cuts))[0]:
        assert request.args
        assert request.raw == command(*request.args)
        assert hiredis_args(request.raw) == request.args


@given(count=st.integers(90, 1100), cut=st.integers(0, 8000))
@settings(max_examples=30)
def test_long_commands_read_the_same_either_way(count: int, cut: int) -> None:
    stream = PING + command(*[b"x"] * count) + PING
    assert parsed(pieces(stream, [cut])) == parsed(pieces(stream, [cut]), kind=StrictParser)


long_commands = st.builds(lambda args: command(*args), st.lists(st.binary(max_size=40), min_size=1, max_size=60))


@given(
    stream=mutated(st.builds(b"".join, st.lists(long_commands, min_size=1, max_size=3)), scraps),
    size=st.integers(1, 900),
    limits=st.builds(RequestLimits, st.integers(300, 2000), st.integers(10, 60), st.integers(100, 2000))
    | st.just(DEFAULTS),
)
@settings(max_examples=effort.cases(300))
def test_how_a_long_command_is_cut_does_not_matter(stream: bytes, size: int, limits: RequestLimits) -> None:
    expected = parsed([stream], limits, StrictParser)
    for chunks in ([stream], [stream[at : at + size] for at in range(0, len(stream), size)], one_by_one(stream)):
        assert parsed(chunks, limits) == expected


@given(
    lengths=st.lists(st.integers(0, 40) | st.sampled_from([900, 1020, 1024, 2000, 16_370]), min_size=1, max_size=60),
    times=st.integers(1, 40),
    size=st.integers(1000, 70_000),
)
@settings(max_examples=effort.cases(100))
def test_how_a_command_larger_than_a_slice_is_cut_does_not_matter(lengths: list[int], times: int, size: int) -> None:
    args = [b"v" * length for length in lengths] * times
    for stream in (command(*args), b"\r\n" + command(*args) + command(*args[:9]) + PING):
        requests, error = parsed([stream])
        assert error == ""
        assert requests[0] == Read(args, command(*args))
        assert parsed(stream[at : at + size] for at in range(0, len(stream), size)) == (requests, "")


@pytest.mark.parametrize("count", range(1090, 1097))
def test_an_argument_that_a_slice_cuts_is_read_without_more_bytes(count: int) -> None:
    args = [b"123456789"] * count  # of 15 bytes each; a slice has 16,384
    assert parsed([b"\r\n" + command(*args)])[0] == [Read(args, command(*args))]
    assert parsed([command(*args)[:9], command(*args)[9:]])[0] == [Read(args, command(*args))]


def test_a_limit_bites_at_its_header_however_the_command_is_cut() -> None:
    whole = command(b"RPUSH", b"k", *[b"v" * 20] * 30)
    header = b"*40\r\n" + whole.partition(b"\n")[2] + b"$1000\r\n"
    limits = RequestLimits(request_bytes=len(header) + 999)
    for size in (1, 64, 100, 500, len(header)):
        requests, error = parsed((header[at : at + size] for at in range(0, len(header), size)), limits)
        assert requests == []
        assert f"of {len(header) + 1002} bytes or more is over the limit" in error


# -- cost ----------------------------------------------------------------------------------------------------


def peak_of(chunks: Iterable[bytes]) -> int:
    """The most memory (bytes) that reading `chunks` takes, beyond the chunks themselves."""
    chunks = list(chunks)
    tracemalloc.start()
    try:
        parsed(chunks)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"*2147483647\r\n",
        b"*100000000\r\n",
        b"*1048576\r\n",
        b"*9999\r\n" * 1100,
        b"*99\r\n" * 1100,
        b"*2\r\n$1\r\na\r\n*9999\r\n" * 1000,
        b"*2\r\n>99999999\r\n",
        b"*2\r\n$1\r\naXY>99999999\r\n",
        b"*2\r\n$1\r\naXY*99999999\r\n",
        b"*2\r\n$1\r\naXY%99999999\r\n",
        b"*2\r\n$1\r\na>*99999999\r\n",
        b"*2\r\n$1\r\naXY~99999999\r\n",
        b"*2\r\n$1\r\naXY|99999999\r\n",
        b"*2\r\n$67000000\r\n",
        b"*2\r\n$1\r\na\r\n$9223372036854775807\r\n",
        PING + b"*1\r\n$4\r\nPINGXX*99999999\r\n",
    ],
)
def test_what_a_header_declares_costs_nothing(data: bytes) -> None:
    for chunks in ([data], [data[:5], data[5:]], [PING, data]):
        assert peak_of(chunks) < 1_500_000


@pytest.mark.parametrize("start", [b"", b"*", b"*1\r\n$", b"PING "], ids=["inline", "count", "length", "command"])
def test_a_line_without_end_is_given_up_early(start: bytes) -> None:
    chunk = b"1" * 65536
    parser = RequestParser(RequestLimits())
    tracemalloc.start()
    try:
        for piece in (start, *repeat(chunk, 1600)):
            parser.feed(piece)
            with suppress(ProtocolError):
                assert parser.next() is None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    with pytest.raises(ProtocolError, match="too big"):
        parser.next()
    assert parser.buffered == 0
    assert peak < 1_500_000


class Searched(bytearray):
    """Counts the bytes that searches go over."""

    searched = 0

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        found = super().find(sub, start)
        self.searched += (len(self) if found < 0 else found) - start
        return found


@pytest.mark.parametrize(
    "data",
    [
        command(b"SET", b"k", b"v" * 100_000),
        command(*[b"x"] * 10_000),
        b"*" + b"1" * 60_000,
        b"GET " + b"x" * 60_000 + b"\r\n",
        PING * 5000,
    ],
    ids=["a long argument", "many arguments", "a long header", "a long line", "many commands"],
)
def test_one_byte_at_a_time_is_linear(data: bytes) -> None:
    parser = RequestParser(RequestLimits())
    buffer = parser._strict.buffer = Searched()
    parsed_so_far = 0
    for byte in one_by_one(data):
        parser.feed(byte)
        parsed_so_far += parser.next() is not None
    assert parsed_so_far == len(parsed([data])[0])
    assert buffer is parser._strict.buffer
    assert buffer.searched <= 3 * len(data)


def test_hiredis_holds_little_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    class Reader(hiredis.Reader):
        """hiredis moves all that it holds for every kilobyte that it gives out."""

        def gets(self, *args: Any) -> Any:
            held.append(self.len())
            return super().gets(*args)

    monkeypatch.setattr("proxy.resp.hiredis_reader.hiredis.Reader", Reader)
    monkeypatch.setattr("proxy.resp.hiredis_reader._readers", [])
    stream = PING * 100_000
    assert len(parsed([stream])[0]) == 100_000
    assert 0 < max(held) < 20_000


@pytest.mark.parametrize("size", [1, 7, 1448])
def test_bytes_that_are_absorbed_make_the_same_requests(size: int) -> None:
    """Bytes that cannot end an argument are only kept."""
    wanted = [[b"PING"], [b"SET", b"k", b"v\r\n$3\r\n" * 1000], [b"GET", b"k"], [b"SET", b"k", b""]]
    stream = b"".join(command(*args) for args in wanted)
    parser, absorbed, found = RequestParser(DEFAULTS), 0, []
    for at in range(0, len(stream), size):
        data = stream[at : at + size]
        parser.feed(data)
        if parser.absorbed:
            absorbed += 1
            continue
        while parser.has_more:
            if (request := parser.next()) is not None:
                found.append(request.args)
        parser.next()
    assert found == wanted
    assert absorbed > 0
