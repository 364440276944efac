"""Requests that would change a shared connection: the session answers them, in order, and nothing goes upstream."""

import pytest

from proxy.resp.encode import bulk, command
from proxy.session import Gate
from tests.session.playbook import policy
from tests.session.sharing.script import NUMBER, Script, greeting

OK, RESET = b"+OK\r\n", b"+RESET\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"
NOAUTH_HELLO = (
    b"-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> "
    b"<pass> option can be used to authenticate the client and select the RESP protocol version at the same time\r\n"
)
WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
HELLO_2, HELLO_3 = greeting(2, NUMBER), greeting(3, NUMBER)
PING = command(b"PING")
NULL_2, NULL_3 = b"$-1\r\n", b"_\r\n"


def words(text: str) -> bytes:
    return command(*(word.encode() for word in text.split()))


def in_resp3(**options: object) -> Script:
    played = Script(**options)  # type: ignore[arg-type]
    played.sends(words("HELLO 3")).asks_for(3).is_linked(greeting(3)).to_client(HELLO_3)
    return played


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("HELLO", HELLO_2),
        ("hello 2", HELLO_2),
        ("HELLO 2 SETNAME me", HELLO_2),
        ("CLIENT ID", b":%d\r\n" % NUMBER),
        ("client getname", NULL_2),
        ("CLIENT SETNAME me", OK),
        ("CLIENT SETINFO LIB-NAME redis-py", OK),
        ("CLIENT SETINFO lib-ver 8.1", OK),
        ("SELECT 0", OK),
        ("RESET", RESET),
    ],
)
def test_it_is_answered_in_its_turn(text: str, reply: bytes) -> None:
    played = Script().sends(PING + words(text) + PING).to_upstream(PING + PING).to_client(b"")
    played.replies(b"+PONG\r\n" * 2).to_client(b"+PONG\r\n" + reply + b"+PONG\r\n").shares()


@pytest.mark.parametrize("text", ["QUIT", "quit now"])
def test_quit_ends_behind_the_replies(text: str) -> None:
    played = Script().sends(PING + words(text) + PING).to_upstream(PING)
    played.replies(b"+PONG\r\n").to_client(b"+PONG\r\n" + OK)
    assert played.closed == "QUIT"
    assert not played.redis_fails


class TestNames:
    def test_the_last_one_counts(self) -> None:
        played = Script().sends(words("CLIENT SETNAME a") + words("HELLO 2 SETNAME b") + words("CLIENT GETNAME"))
        played.to_client(OK + HELLO_2 + bulk(b"b")).shares()

    def test_an_empty_one_takes_it_away(self) -> None:
        played = Script().sends(words("CLIENT SETNAME a") + command(b"CLIENT", b"SETNAME", b""))
        played.sends(words("CLIENT GETNAME")).to_client(OK + OK + NULL_2)

    def test_reset_takes_it_away(self) -> None:
        played = Script().sends(words("CLIENT SETNAME a") + words("RESET") + words("CLIENT GETNAME"))
        played.to_client(OK + RESET + NULL_2)

    def test_no_name_is_a_null_of_the_protocol(self) -> None:
        in_resp3().sends(words("CLIENT GETNAME")).to_client(NULL_3)

    def test_refusals_are_reported_under_it(self) -> None:
        played = Script().sends(words("CLIENT SETNAME a") + words("SYNC"))
        assert played.reports[-1].name == b"a"


class TestHello:
    def test_another_protocol_waits_for_the_replies_and_then_for_its_link(self) -> None:
        played = Script().sends(PING + words("HELLO 3 SETNAME me") + words("CLIENT GETNAME") + PING)
        played.to_upstream(PING).to_client(b"")
        assert not played.relinks
        played.replies(b"+PONG\r\n").to_client(b"+PONG\r\n").asks_for(3)
        played.is_linked(greeting(3)).to_client(HELLO_3 + bulk(b"me")).to_upstream(PING)
        played.replies(b"+PONG\r\n").to_client(b"+PONG\r\n").shares()

    def test_it_is_asked_for_once(self) -> None:
        played = Script().sends(words("HELLO 3")).asks_for(3)
        played.sends(PING).to_upstream(b"")
        assert not played.relinks

    def test_in_the_same_protocol_it_needs_no_link(self) -> None:
        in_resp3().sends(words("HELLO 3") + words("HELLO")).to_client(HELLO_3 * 2).shares()

    def test_it_goes_back(self) -> None:
        played = in_resp3().sends(words("HELLO 2") + words("HELLO")).asks_for(2)
        played.is_linked(greeting(2)).to_client(HELLO_2 * 2).shares()

    def test_a_server_that_refuses_the_protocol_leaves_it_as_it_was(self) -> None:
        error = b"-NOPROTO unsupported protocol version\r\n"
        played = Script().sends(words("HELLO 3 SETNAME me") + words("CLIENT GETNAME") + words("HELLO")).asks_for(3)
        played.is_linked(error).to_client(error + NULL_2 + HELLO_2).shares()

    def test_a_server_without_hello_says_so(self) -> None:
        error = b"-ERR unknown command `HELLO`, with args beginning with: `2`, \r\n"
        Script(hello=error).sends(words("HELLO 2")).to_client(error).shares()

    @pytest.mark.parametrize("text", ["HELLO", "HELLO 2 SETNAME me", "RESET"])
    def test_a_server_without_hello_answers_other_forms_itself(self, text: str) -> None:
        assert [pin for _, pin in Script(hello=b"-ERR no\r\n").sends(words(text)).relinks] != [""]

    def test_cluster_mode_is_hidden(self) -> None:
        played = Script(hello=greeting(2, mode=b"cluster")).sends(words("HELLO"))
        played.to_client(HELLO_2)
        assert played.tally.in_cluster_mode is True
        assert Script().sends(words("HELLO")).tally.in_cluster_mode is False


class TestReset:
    def test_it_returns_to_resp2(self) -> None:
        played = in_resp3().sends(PING + words("RESET") + words("CLIENT GETNAME")).to_upstream(PING)
        played.replies(b"+PONG\r\n").to_client(b"+PONG\r\n").asks_for(2)
        played.is_linked(greeting(2)).to_client(RESET + NULL_2).shares()

    def test_the_password_is_needed_again(self) -> None:
        played = Script(gate=Gate([b"p"])).sends(words("AUTH p") + words("RESET") + PING)
        played.to_client(OK + RESET + NOAUTH).to_upstream(b"").shares()
        assert not played.session.is_admitted

    def test_not_of_an_open_listener(self) -> None:
        Script(gate=Gate(None)).sends(words("RESET") + PING).to_client(RESET).to_upstream(PING)


class TestGate:
    def test_a_stranger_gets_no_further(self) -> None:
        played = Script(gate=Gate([b"p"])).sends(PING + words("HELLO 3") + words("CLIENT ID") + words("MULTI"))
        played.to_client(NOAUTH + NOAUTH_HELLO + NOAUTH + NOAUTH).shares()

    @pytest.mark.parametrize("protocol", [2, 3])
    def test_hello_logs_in(self, protocol: int) -> None:
        played = Script(gate=Gate([b"p"])).sends(words(f"HELLO {protocol} AUTH default p SETNAME me"))
        if protocol == 3:
            played.asks_for(3).is_linked(greeting(3))
        played.to_client(greeting(protocol, NUMBER)).sends(words("CLIENT GETNAME")).to_client(bulk(b"me")).shares()
        assert played.session.is_admitted

    def test_a_wrong_password_changes_nothing(self) -> None:
        played = Script(gate=Gate([b"p"])).sends(words("HELLO 3 AUTH default x SETNAME me") + words("AUTH x") + PING)
        played.to_client(WRONG + WRONG + NOAUTH).shares()

    def test_auth_is_answered_in_its_turn(self) -> None:
        played = Script(gate=Gate([b"p"])).sends(words("AUTH p") + PING + words("AUTH x") + PING).to_upstream(PING)
        played.replies(b"+PONG\r\n").to_client(OK + b"+PONG\r\n" + WRONG).to_upstream(PING)
        played.replies(b"+PONG\r\n").to_client(b"+PONG\r\n").shares()

    def test_a_new_gate_counts_from_the_next_request_on(self) -> None:
        played = Script(gate=Gate(None)).sends(PING)
        played.session.set_policy(policy(), Gate([b"p"]))
        played.replies(b"+PONG\r\n").sends(words("RESET") + PING).to_client(b"+PONG\r\n" + RESET + NOAUTH)


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_fast_path_takes_requests_behind_the_usual_beginning(protocol: int) -> None:
    played = Script(gate=Gate([b"p"])).sends(words(f"HELLO {protocol} AUTH default p"))
    if protocol == 3:
        played.asks_for(3).is_linked(greeting(3))
    played.sends(words("CLIENT SETNAME me") + words("CLIENT SETINFO LIB-NAME a") + words("SELECT 0"))
    played.sends(words("GET k")).replies(NULL_2)  # inline commands are over behind a key
    assert played.session.take_requests(words("SET k x")) == words("SET k x")
    assert played.session.take_replies(OK) == OK


@pytest.mark.parametrize("args", [("LIB-NAME", "a"), ("NOSUCH", "a"), ("LIB-NAME",)])
def test_an_old_server_answers_setinfo_itself(args: tuple[str, ...]) -> None:
    """It may have been replaced since by a later one, which would take the library for the connection's."""
    request = words(" ".join(("CLIENT SETINFO", *args)))
    played = Script(knows_setinfo=False).sends(request).to_upstream(words("CLIENT SETINFO"))
    played.replies(b"-ERR unknown\r\n").to_client(b"-ERR unknown\r\n").shares()


def test_the_database_is_that_of_the_url() -> None:
    Script(database=5).sends(words("SELECT 5")).to_client(OK).shares()


def test_the_client_never_sees_the_id_of_the_connection() -> None:
    assert b":42\r\n" not in Script().sends(words("HELLO") + words("CLIENT ID")).client


@pytest.mark.parametrize("size", [1, 3, 7])
def test_the_output_does_not_depend_on_the_reads(size: int) -> None:
    def cut(data: bytes) -> list[bytes]:
        return [data[at : at + size] for at in range(0, len(data), size)]

    played = Script(cut=cut).sends(PING + words("HELLO 2 SETNAME me") + words("CLIENT GETNAME") + PING)
    played.to_upstream(PING * 2).replies(b"+PONG\r\n" * 2).to_client(
        b"+PONG\r\n" + HELLO_2 + bulk(b"me") + b"+PONG\r\n"
    )
