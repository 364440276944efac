"""Questions about the cluster: the proxy answers as its only node. Other commands that reach one node are refused."""

import hashlib

import pytest

from proxy.commands import COMMANDS, Spread
from proxy.resp.encode import bulk, command
from proxy.session import Gate, key_slot
from tests.session.cluster.conftest import Play
from tests.session.cluster.script import A, B, Script, key_of

ID = hashlib.sha1(b"proxy:6379").hexdigest().encode()
OK = b"+OK\r\n"
NODE = (
    b"$2\r\nid\r\n" + bulk(ID) + b"$4\r\nport\r\n:6379\r\n" + b"$2\r\nip\r\n$5\r\nproxy\r\n"
    b"$8\r\nendpoint\r\n$5\r\nproxy\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
    b"$18\r\nreplication-offset\r\n:0\r\n$6\r\nhealth\r\n$6\r\nonline\r\n"
)
RANGE = b"$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n"


class TestAnswers:
    @pytest.mark.parametrize(
        ("words", "reply"),
        [
            ((b"KEYSLOT", b"{a}b"), b":%d\r\n" % key_slot(b"a")),
            ((b"slots",), b"*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$5\r\nproxy\r\n:6379\r\n" + bulk(ID) + b"*0\r\n"),
            ((b"SHARDS",), b"*1\r\n*4\r\n" + RANGE + b"*14\r\n" + NODE),
            ((b"MYID",), bulk(ID)),
            ((b"NODES",), bulk(ID + b" proxy:6379@16379 myself,master - 0 0 1 connected 0-16383\n")),
            ((b"SLOTS", b"x"), b"-ERR wrong number of arguments for 'cluster|slots' command\r\n"),
            ((b"KEYSLOT",), b"-ERR wrong number of arguments for 'cluster|keyslot' command\r\n"),
        ],
    )
    def test_a_cluster_of_one_node(self, play: Play, words: tuple[bytes, ...], reply: bytes) -> None:
        play().command(b"CLUSTER", *words).to_client(reply).is_quiet()

    def test_info(self, play: Play) -> None:
        played = play().command(b"CLUSTER", b"INFO")
        assert b"cluster_state:ok\r\ncluster_slots_assigned:16384\r\n" in played.client

    def test_in_resp3(self, play: Play) -> None:
        played = play().sends(command(b"HELLO", b"3"), command(b"CLUSTER", b"SHARDS"), command(b"CLUSTER", b"INFO"))
        played.to_client().replies(A, b"%0\r\n")
        assert played.client.startswith(b"%0\r\n*1\r\n%2\r\n" + RANGE + b"%7\r\n" + NODE + b"=")
        assert b"\r\ntxt:cluster_state:ok\r\n" in played.client

    def test_they_keep_their_order(self, play: Play) -> None:
        played = play().sends(command(b"GET", key_of(B)), command(b"CLUSTER", b"MYID")).to_client()
        played.replies(B, b"$-1\r\n").to_client(b"$-1\r\n", bulk(ID))

    @pytest.mark.parametrize(
        ("announce", "host", "port"), [("[::1]:7", b"::1", 7), ("::1:7", b"::1", 7), ("10.0.0.9:80", b"10.0.0.9", 80)]
    )
    def test_the_address_is_split_at_its_last_colon(self, announce: str, host: bytes, port: int) -> None:
        played = Script(announce=announce).command(b"CLUSTER", b"SLOTS")
        assert b"*4\r\n" + bulk(host) + b":%d\r\n" % port in played.client

    @pytest.mark.parametrize("word", [b"SLOTS", b"SHARDS", b"NODES"])
    def test_without_an_address_it_is_an_error(self, play: Play, word: bytes) -> None:
        played = play(announce="").command(b"CLUSTER", word)
        assert b"[listener] announce" in played.client
        assert played.client.startswith(b"-ERR flask-cache-proxy: ")

    def test_help_passes(self, play: Play) -> None:
        play().command(b"CLUSTER", b"HELP").to(A, command(b"CLUSTER", b"HELP"))

    def test_hello_shows_the_mode(self, play: Play) -> None:
        said = b"*2\r\n$4\r\nmode\r\n$7\r\ncluster\r\n"
        played = play().command(b"HELLO").replies(A, said).to_client(said)
        assert played.tally.in_cluster_mode is None

    def test_role_names_nobody(self, play: Play) -> None:
        played = play().command(b"ROLE").replies(A, b"*3\r\n$6\r\nmaster\r\n:5\r\n*1\r\n*1\r\n$8\r\n10.0.0.1\r\n")
        played.to_client(b"*3\r\n$6\r\nmaster\r\n:5\r\n*0\r\n")


REFUSED = sorted(row.name for row in COMMANDS.values() if row.spread is Spread.REFUSED and not row.subcommands)


class TestRefused:
    @pytest.mark.parametrize("name", REFUSED, ids=bytes.decode)
    def test_it_goes_nowhere(self, name: bytes) -> None:
        played = Script().command(*name.split(b"|"), key_of(B), b"1")
        assert not played.sent
        assert played.client.startswith(b"-ERR flask-cache-proxy: " + name.replace(b"|", b" ") + b" is refused: ")
        assert played.session.is_idle

    @pytest.mark.parametrize("words", [(b"CLUSTER",), (b"CLUSTER", b"NEW"), (b"HIMPORT", b"NEW", b"k")])
    def test_so_does_an_unknown_subcommand(self, play: Play, words: tuple[bytes, ...]) -> None:
        played = play().command(*words)
        assert b" is refused: " in played.client
        assert not played.sent

    def test_select_of_the_only_database_passes(self, play: Play) -> None:
        play().command(b"SELECT", b"0").to(A, command(b"SELECT", b"0")).replies(A, OK).to_client(OK).is_quiet()

    @pytest.mark.parametrize("words", [(b"AUTH", b"x"), (b"HELLO", b"3", b"AUTH", b"default", b"x")])
    def test_logins_need_the_proxys_own(self, play: Play, words: tuple[bytes, ...]) -> None:
        played = play().command(*words)
        assert b"the proxy logs in itself" in played.client
        assert not played.sent

    def test_with_it_the_gate_answers(self, play: Play) -> None:
        played = play(gate=Gate([b"sesame"])).command(b"GET", b"k").command(b"AUTH", b"sesame")
        played.to_client(b"-NOAUTH Authentication required.\r\n", OK).is_quiet()
