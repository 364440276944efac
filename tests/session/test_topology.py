"""Replies that name other servers do not reach clients: cluster nodes, replicas, redirections."""

from collections.abc import Callable
from itertools import product

import pytest

from proxy.resp.encode import bulk, command, error
from proxy.session import topology
from tests.session.playbook import Playbook
from tests.session.test_session import bytewise, chunked, whole

MULTI, EXEC = command(b"MULTI"), command(b"EXEC")
DISABLED = b"-ERR This instance has cluster support disabled\r\n"
REDIRECTED = error(
    "ERR flask-cache-proxy: Redis redirected this command; a cluster needs upstream.url = redis-cluster://"
)
STAND_IN = command(b"CLUSTER", b"KEYSLOT", b"")
SLOTS = b"*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$8\r\n10.0.0.1\r\n:7000\r\n$2\r\nid\r\n*0\r\n"
REPLICAS = b"*1\r\n*3\r\n$8\r\n10.0.0.1\r\n$4\r\n6380\r\n$2\r\n14\r\n"
Play = Callable[[], Playbook]


@pytest.fixture(params=[whole, bytewise, chunked])
def play(request: pytest.FixtureRequest) -> Play:
    return lambda: Playbook(cut=request.param)


class TestCluster:
    @pytest.mark.parametrize(
        "reply", [SLOTS, b"$5\r\n10.0.\r\n", b":1\r\n", b"+OK\r\n", b"*0\r\n", b"%0\r\n", b"_\r\n"]
    )
    @pytest.mark.parametrize("subcommand", [b"SLOTS", b"nodes", b"Shards", b"INFO", b"MYID", b"LINKS"])
    def test_no_reply_of_a_node_arrives(self, play: Play, subcommand: bytes, reply: bytes) -> None:
        request = command(b"CLUSTER", subcommand)
        played = play().sends(request + command(b"PING")).to_upstream(request + command(b"PING"))
        played.replies(reply + b"+PONG\r\n").to_client(DISABLED + b"+PONG\r\n")

    @pytest.mark.parametrize(
        ("said", "shown"),
        [
            (DISABLED, DISABLED),
            (b"-ERR Unknown node 10.0.0.1\r\n", DISABLED),
            (b"-ERR Invalid slot\r\n", DISABLED),
            (b"-ERR Unknown node " + b"x" * 600 + b"\r\n", DISABLED),
            (b"-ERR unknown subcommand or wrong number of arguments for 'x'. Try CLUSTER HELP.\r\n", DISABLED),
            (b"!20\r\nERR Unknown node 10.\r\n", DISABLED),
            *[
                (line, line)
                for line in (
                    b"-ERR wrong number of arguments for 'cluster|slots' command\r\n",
                    b"-ERR unknown subcommand 'MYSHARDID'. Try CLUSTER HELP.\r\n",
                    b"-ERR unknown command 'CLUSTER', with args beginning with: 'SLOTS' \r\n",
                    b"-ERR Can't execute 'cluster|slots': only (P|S)SUBSCRIBE ... are allowed in this context\r\n",
                    b"-NOPERM this user has no permissions to run the 'cluster|slots' command\r\n",
                    b"-NOAUTH Authentication required.\r\n",
                    b"-LOADING Redis is loading the dataset in memory\r\n",
                )
            ],
            (b"-MOVED 1 10.0.0.1:7000\r\n", REDIRECTED),
        ],
    )
    def test_only_errors_that_stop_any_command_arrive(self, play: Play, said: bytes, shown: bytes) -> None:
        play().command(b"CLUSTER", b"REPLICAS", b"x").replies(said).to_client(shown)

    def test_inside_multi_the_error_is_in_the_reply_to_exec(self, play: Play) -> None:
        slots, get = command(b"CLUSTER", b"SLOTS"), command(b"GET", b"m:1")
        played = play().sends(MULTI + slots + get + EXEC).to_upstream(MULTI + slots + get + EXEC)
        played.replies(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" + SLOTS + b"$2\r\n!1\r\n")
        played.to_client(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" + DISABLED + b"$1\r\n1\r\n")

    def test_silenced(self, play: Play) -> None:
        played = play().command(b"CLIENT", b"REPLY", b"OFF").replies(b"+OK\r\n").command(b"CLUSTER", b"SLOTS")
        played.command(b"HELLO").command(b"ROLE").replies(SLOTS + hello(b"cluster") + REPLICAS).to_client(b"")

    def test_help_arrives(self, play: Play) -> None:
        play().command(b"CLUSTER", b"HELP").replies(b"*1\r\n+CLUSTER ...\r\n").to_client(b"*1\r\n+CLUSTER ...\r\n")

    @pytest.mark.parametrize("request_", [[b"READONLY"], [b"READWRITE"], [b"ASKING"], [b"CLUSTER", b"KEYSLOT", b"k"]])
    @pytest.mark.parametrize("reply", [b"+OK\r\n", b":9842\r\n", DISABLED])
    def test_what_valkey_answers_in_any_mode(self, play: Play, request_: list[bytes], reply: bytes) -> None:
        play().command(*request_).replies(reply).to_client(DISABLED)
        for mode, shown in ((b"standalone", reply), (b"cluster", DISABLED)):
            told = play().command(b"HELLO").replies(hello(mode)).to_client(hello(b"standalone"))
            told.command(*request_).replies(reply).to_client(shown)

    def test_a_node_is_known_by_what_it_answers(self, play: Play) -> None:
        played = play()
        heard: list[bool] = []
        played.tally.on_mode = heard.append
        played.command(b"CLUSTER", b"COUNTKEYSINSLOT", b"1").replies(b":1\r\n")
        assert played.tally.in_cluster_mode is None
        for _ in range(2):
            played.command(b"CLUSTER", b"NODES").replies(b"$4\r\nabcd\r\n")
        assert heard == [True]


class TestChanges:
    """Subcommands that change a cluster, and unknown ones."""

    @pytest.mark.parametrize("name", [b"ADDSLOTS", b"failover", b"RESET", b"meet", b"NEWER"])
    def test_none_is_sent(self, play: Play, name: bytes) -> None:
        played = play().command(b"CLUSTER", name, b"1").finds("admin", arity=-2).to_upstream(STAND_IN)
        assert played.lookups == [b"CLUSTER|" + name.upper()]
        played.replies(b":0\r\n").to_client(DISABLED)
        assert played.tally.in_cluster_mode is None

    def test_multi_queues_it(self, play: Play) -> None:
        played = play().sends(MULTI + command(b"CLUSTER", b"RESET")).replies(b"+OK\r\n").finds("admin", arity=-2)
        played.sends(EXEC).to_upstream(MULTI + STAND_IN + EXEC)
        played.replies(b"+QUEUED\r\n*1\r\n:0\r\n").to_client(b"+OK\r\n+QUEUED\r\n*1\r\n" + DISABLED)

    @pytest.mark.parametrize(
        ("arity", "fits"), [(3, True), (-3, True), (-2, True), (2, False), (4, False), (-4, False)]
    )
    def test_the_server_knows_its_length(self, play: Play, arity: int, fits: bool) -> None:
        played = play().command(b"cluster", b"addSlots", b"1").finds("admin", arity=arity)
        wrong = b"-ERR wrong number of arguments for 'cluster|addslots' command\r\n"
        played.to_upstream(STAND_IN if fits else b"").replies(b":0\r\n" if fits else b"")
        played.to_client(DISABLED if fits else wrong)

    def test_an_older_server_does_not_know_it(self, play: Play) -> None:
        played = play().command(b"cluster", b"flushSlot", b"1").finds_nothing().to_upstream(b"")
        played.to_client(b"-ERR unknown subcommand 'flushSlot'. Try CLUSTER HELP.\r\n")

    def test_a_server_that_does_not_say(self, play: Play) -> None:
        played = play().command(b"CLUSTER", b"RESET").finds(unknown_because="NOAUTH").to_upstream(STAND_IN)
        played.replies(b"-NOAUTH Authentication required.\r\n").to_client(b"-NOAUTH Authentication required.\r\n")


def hello(mode: bytes, header: bytes = b"*6\r\n", modules: bytes = b"*0\r\n") -> bytes:
    fields = bulk(b"server"), bulk(b"mode"), bulk(b"mode"), bulk(mode), bulk(b"modules"), modules
    return header + b"".join(fields)


LURE = b"*1\r\n*4\r\n" + bulk(b"mode") + bulk(b"cluster") + bulk(b"mode") + bulk(b"cluster")


class TestHello:
    @pytest.mark.parametrize("header", [b"*6\r\n", b"%3\r\n"])
    @pytest.mark.parametrize("modules", [b"*0\r\n", LURE, b"%0\r\n"])
    @pytest.mark.parametrize("mode", [b"cluster", b"standalone", b"sentinel"])
    def test_its_mode_alone_is_another(self, play: Play, mode: bytes, header: bytes, modules: bytes) -> None:
        shown = b"standalone" if mode == b"cluster" else mode
        played = play().command(b"HELLO", b"3").command(b"PING")
        played.replies(hello(mode, header, modules) + b"+PONG\r\n")
        played.to_client(hello(shown, header, modules) + b"+PONG\r\n")
        assert played.tally.in_cluster_mode is (mode == b"cluster")

    def test_inside_multi(self, play: Play) -> None:
        played = play().sends(MULTI + command(b"HELLO", b"3") + command(b"GET", b"m:1") + EXEC)
        played.replies(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" + hello(b"cluster", b"%3\r\n") + b"_\r\n")
        played.to_client(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" + hello(b"standalone", b"%3\r\n") + b"_\r\n")

    def test_an_error(self, play: Play) -> None:
        played = play().command(b"HELLO", b"4").replies(b"-NOPROTO unsupported protocol version\r\n")
        played.to_client(b"-NOPROTO unsupported protocol version\r\n")
        assert played.tally.in_cluster_mode is None


def master(offset: int, replicas: bytes = b"*0\r\n") -> bytes:
    return b"*3\r\n$6\r\nmaster\r\n:%d\r\n%b" % (offset, replicas)


ROLES = [
    (master(0), master(0)),
    (master(3129659, REPLICAS), master(3129659)),
    (b"*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n:77\r\n", master(77)),
    (b"*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.1\r\n:6379\r\n$7\r\nconnect\r\n:-1\r\n", master(-1)),
    (b"*2\r\n$8\r\nsentinel\r\n*1\r\n$8\r\nmymaster\r\n", master(0)),
    (b"*0\r\n", master(0)),
]


class TestRole:
    @pytest.mark.parametrize(("said", "shown"), ROLES)
    def test_a_master_without_replicas(self, play: Play, said: bytes, shown: bytes) -> None:
        play().command(b"role").command(b"PING").replies(said + b"+PONG\r\n").to_client(shown + b"+PONG\r\n")

    def test_inside_multi(self, play: Play) -> None:
        for (one, first), (other, second) in product(ROLES[:2], ROLES[2:]):
            played = play().sends(MULTI + command(b"ROLE") + command(b"ROLE") + EXEC)
            played.replies(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" + one + other)
            played.to_client(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" + first + second)

    def test_an_error(self, play: Play) -> None:
        said = b"-ERR wrong number of arguments for 'role' command\r\n"
        play().command(b"ROLE", b"x").replies(said).to_client(said)


class TestRedirection:
    @pytest.mark.parametrize("word", [b"MOVED", b"ASK", b"REDIRECT"])
    @pytest.mark.parametrize("form", [b"-%b 1 10.0.0.1:7\r\n", b"!%d\r\n%b 1 10.0.0.1:7\r\n"])
    def test_none_arrives(self, play: Play, word: bytes, form: bytes) -> None:
        said = form % word if form.startswith(b"-") else form % (len(word) + 13, word)
        play().command(b"GET", b"m:1").replies(said).to_client(REDIRECTED)
        played = play().sends(MULTI + command(b"GET", b"m:1")).replies(b"+OK\r\n" + said)
        played.to_client(b"+OK\r\n" + REDIRECTED)
        played = play().sends(MULTI + command(b"EVAL_RO", b"x", b"0") + command(b"MGET", b"m:1") + EXEC)
        played.replies(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" + said + said)
        played.to_client(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" + REDIRECTED + REDIRECTED)
        play().sends(MULTI + EXEC).replies(b"+OK\r\n" + said).to_client(b"+OK\r\n" + REDIRECTED)

    @pytest.mark.parametrize(
        "said", [b"-MOVEDx\r\n", b"-ASKING\r\n", b"!5\r\nMOVED\r\n", b"!600\r\n" + b"a" * 600 + b"\r\n"]
    )
    def test_what_only_begins_alike_does(self, play: Play, said: bytes) -> None:
        play().command(b"GET", b"m:1").replies(said).to_client(said)


def test_a_reply_to_hello_is_not_copied_without_need() -> None:
    reply = hello(b"standalone", modules=LURE[:4] + b"*0\r\n")
    assert topology.as_standalone(reply) is reply
