"""The flat functions take what is usual as the session does, and nothing that only looks usual."""

import pytest

from proxy.codec import Options, Transcoder
from proxy.policy import Policy, SessionLimits
from proxy.resp.encode import command
from tests.session.playbook import Playbook, policy, rule

GET = command(b"GET", b"k")


@pytest.fixture
def under() -> Policy:
    codec = Transcoder(Options())
    return policy(rule(transcoder=codec, inline=codec))


@pytest.fixture
def played(under: Policy) -> Playbook:
    """A conversation under way: its next reads take the fast path."""
    return begun(under)


def begun(under: Policy) -> Playbook:
    played = Playbook(under)
    for _ in range(2):
        played.sends(GET).replies(b":1\r\n")
    played.upstream = played.client = b""
    return played


class TestRequests:
    @pytest.mark.parametrize("data", [b"*0\r\n", b"*0\r\n" + GET, GET + b"*0\r\n", GET + b"*0\r\n" + GET])
    def test_an_empty_array_is_skipped(self, played: Playbook, data: bytes) -> None:
        played.sends(data).to_upstream(GET * data.count(GET)).to_client(b"")
        played.sends(GET).to_upstream(GET)
        assert (played.closed, played.session.pending) == (None, data.count(GET) + 1)

    def test_the_first_arguments_of_a_cut_request_stay_with_their_client(self, under: Policy) -> None:
        one, other = begun(under), begun(under)
        usual = command(b"SET", b"k", b"x" * 900)
        one.sends(usual + b"*102\r\n$4\r\nMGET\r\n").to_upstream(usual)
        many = command(b"MGET", *[b"other"] * 200)
        other.sends(many[:900]).sends(many[900:]).to_upstream(many)
        one.sends(b"$3\r\none\r\n" * 101).to_upstream(command(b"MGET", *[b"one"] * 101))

    @pytest.mark.parametrize("size", [1448, 4000, 5000, 20_000])
    def test_a_pipeline_of_values_is_taken_wherever_reads_cut_it(self, played: Playbook, size: int) -> None:
        session, value = played.session, b'"%b"' % (b"v" * 700)
        stream = command(b"SET", b"m:a", value) * 100
        written = b""
        for at in range(0, len(stream), size):
            data = stream[at : at + size]
            out = session.take_requests(data)
            out = session.take_other_requests(data) if out is None else out
            assert out is not None
            written += out
        assert written == command(b"SET", b"m:a", Transcoder(Options()).encode(value)) * 100

    def test_bytes_for_redis_are_not_kept(self, played: Playbook) -> None:
        usual = command(b"SET", b"m:a", b"[1]")
        played.sends(usual + command(b"PING"))
        assert played.upstream.endswith(command(b"PING"))
        assert played.session._requests.path._flat.give() is None

    def test_a_read_of_more_requests_than_a_turn_takes_is_left_whole(self) -> None:
        most = 100
        under = policy(limits=SessionLimits(turn_steps=most))
        for count in (most, most + 1):
            played = begun(under)
            assert (played.session.take_requests(GET * count) is None) is (count > most)
            assert played.session.pending == (0 if count > most else most)


class TestReplies:
    @pytest.mark.parametrize("looks_whole", [b"+OK\r\n", b":1\r\n", b"$1\r\nx\r\n", b"$-1\r\n"])
    def test_a_part_that_looks_like_a_whole_reply_is_none(self, played: Playbook, looks_whole: bytes) -> None:
        reply = b"$19\r\nhello" + looks_whole.ljust(14) + b"\r\n"
        cut = reply.index(looks_whole)
        behind = cut + len(looks_whole)
        played.command(b"STRLEN", b"k").replies(reply[:cut]).replies(reply[cut:behind])
        assert played.session.pending == 1
        played.replies(reply[behind:]).to_client(reply)
        played.sends(GET).replies(b":2\r\n").to_client(b":2\r\n")
        assert (played.closed, played.session.pending) == (None, 0)
