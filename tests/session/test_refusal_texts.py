"""A refusal says why, and what lets the command through."""

import hashlib

import pytest

from proxy.policy import Guard
from tests.session.playbook import Playbook, policy

OURS = "-ERR flask-cache-proxy: "
WAY_OUT = '; if this key is no cached value, a rule with as = "untouched" before the others lets it through\r\n'
SCRIPT = b"return redis.call('GET', KEYS[1])"
SHA1 = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()


def refusal(*args: bytes, guard: Guard = Guard()) -> str:  # noqa: B008
    played = Playbook(policy(guard=guard)).command(*args).to_upstream(b"")
    return played.client.decode()


@pytest.mark.parametrize(
    "args",
    [
        (b"HSET", b"m:a", b"f", b"v"),
        (b"LPUSH", b"m:a", b"x"),
        (b"SADD", b"m:a", b"x"),
        (b"ZADD", b"m:a", b"1", b"x"),
        (b"GEOADD", b"m:a", b"1", b"2", b"x"),
        (b"XADD", b"m:a", b"*", b"f", b"v"),
        (b"XGROUP", b"CREATE", b"m:a", b"g", b"$"),
        (b"JSON.SET", b"m:a", b"$", b"1"),
        (b"BF.ADD", b"m:a", b"x"),
        (b"SUNIONSTORE", b"m:a", b"other"),
    ],
    ids=lambda args: args[0].decode(),
)
def test_a_write_of_another_type_says_so_and_names_the_way_out(args: tuple[bytes, ...]) -> None:
    name = " ".join(word.decode() for word in args[: 2 if args[0] == b"XGROUP" else 1])
    said = f"{OURS}{name} is refused on keys that hold cached values: it would put another type there{WAY_OUT}"
    assert refusal(*args) == said


@pytest.mark.parametrize(
    ("args", "because"),
    [
        ((b"HGETALL", b"m:a"), "it reads another type"),
        ((b"LRANGE", b"m:a", b"0", b"1"), "it reads another type"),
        ((b"APPEND", b"m:a", b"x"), "it works on their stored bytes"),
        ((b"PFADD", b"m:a", b"x"), "it works on their stored bytes"),
        ((b"GETRANGE", b"m:a", b"0", b"1"), "it works on their stored bytes"),
    ],
    ids=lambda it: it[0].decode() if isinstance(it, tuple) else "",
)
def test_other_commands_say_theirs(args: tuple[bytes, ...], because: str) -> None:
    said = f"{OURS}{args[0].decode()} is refused on keys that hold cached values: {because}{WAY_OUT}"
    assert refusal(*args) == said


@pytest.mark.parametrize("guard", [Guard(), Guard(allowed_scripts=frozenset({b"0" * 40}))], ids=["none", "another"])
@pytest.mark.parametrize("name", ["EVAL", "EVALSHA"])
def test_a_refused_script_is_named_by_its_sha1(name: str, guard: Guard) -> None:
    script = SCRIPT if name == "EVAL" else SHA1.upper().encode()
    assert refusal(name.encode(), script, b"1", b"other", guard=guard) == (
        f'{OURS}{name} is refused, because a script can write any key; "{SHA1}" in [guard] allow_scripts lets it'
        f" through, or use {name}_RO for a script that only reads\r\n"
    )
    allowed = Guard(allowed_scripts=frozenset({SHA1.encode()}))
    assert Playbook(policy(guard=allowed)).command(name.encode(), script, b"1", b"other").upstream


@pytest.mark.parametrize("sha1", [b"x" * 40, b"\r\n" * 20, b"1" * 41, b"", b"1" * 39 + b"\0"])
def test_what_is_no_sha1_is_not_repeated(sha1: bytes) -> None:
    said = refusal(b"EVALSHA", sha1, b"0")
    assert "; its SHA1 in [guard] allow_scripts lets it through, or use EVALSHA_RO" in said
    assert sha1.decode() not in said or not sha1


@pytest.mark.parametrize("digest", [hashlib.sha256(SCRIPT).hexdigest().encode(), b"", b"x" * 40])
def test_what_is_no_sha1_matches_no_script_where_some_are_allowed(digest: bytes) -> None:
    """Version 4.14 of redsync sends a SHA256, and the script itself after this answer of Redis."""
    guard = Guard(allowed_scripts=frozenset({SHA1.encode()}))
    assert refusal(b"EVALSHA", digest, b"0", guard=guard) == "-NOSCRIPT No matching script. Please use EVAL.\r\n"


def test_the_sha1_of_a_huge_script_is_computed_only_where_it_may_be_allowed() -> None:
    huge = b"-" * (1024 * 1024 + 1)
    sha1 = hashlib.sha1(huge, usedforsecurity=False).hexdigest()
    assert sha1 not in refusal(b"EVAL", huge, b"0")
    assert sha1 in refusal(b"EVAL", huge[1:] + b"-", b"0", guard=Guard(allowed_scripts=frozenset({b"0" * 40})))
    assert (
        Playbook(policy(guard=Guard(allowed_scripts=frozenset({sha1.encode()})))).command(b"EVAL", huge, b"0").upstream
    )


def test_a_function_has_no_sha1() -> None:
    said = refusal(b"FCALL", b"f", b"0")
    assert 'scripts = "allow" in [guard] lets it through, or use FCALL_RO for a script that only reads' in said
