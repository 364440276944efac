"""Random commands that make sense: arguments after the server's own description of them (COMMAND DOCS).

Some are bent on purpose: another case, a NUL, a word twice or missing, a key where none belongs.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import redis

from proxy.commands import COMMANDS, Command
from tests.e2e.attempts import EVIL

Argument = Mapping[str, Any]
PickKey = Callable[[random.Random, str], bytes]
"""A key for a command of a group, as COMMAND DOCS names them."""

VALUES = (EVIL, b"!\x80\x04K\x05.", b'"text"', b'{"a": [1, null]}', b"12", b"1", b"0.5", b"\x93\x01\xc4\x01!\xc0", b"x")
_LIES = 0.1
_OPTIONAL = 0.4
_BENT = 0.15
_REPEATED_LIKE_KEYS = ("weight", "id")
_NUMBERS = {
    "timeout": (0.01,), "milliseconds": (5, 50), "cursor": (0,), "destination-db": range(16), "index": range(16),
    "longitude": (0, 1.5), "latitude": (0, 1.5), "port": (1,), "bit": (0, 1), "offset": (0, 0, 1),
    "count": (1, 2, 10), "frequency": (1,), "ttl": (0, 90_000),
}  # fmt: skip
_WORDS = {
    "id": (b"0", b"*", b"9-1", b"$", b">", b"1-1"), "min": (b"0", b"-inf", b"-", b"[a"), "max": (b"9", b"+inf", b"+"),
    "start": (b"-", b"0"), "end": (b"+", b"9"), "group": (b"g",), "groupname": (b"g",), "consumer": (b"c",),
    "field": (b"f", EVIL), "member": (b"x", EVIL), "element": (b"x", EVIL), "host": (b"127.0.0.1",),
    "encoding": (b"u8", b"i16"), "min-idle-time": (b"0",), "protover": (b"2", b"3"),
}  # fmt: skip


class Grammar:
    """The commands of one server."""

    def __init__(self, unix: str, words: Mapping[str, Sequence[bytes]]) -> None:
        """`unix`: where it listens. `words`: what else to take for arguments of these names."""
        self._words = {**_WORDS, **words}
        self._docs = dict(_flattened(_ask_for_docs(unix)))

    def knows(self, name: bytes) -> bool:
        """Whether the server has this command."""
        return name in self._docs

    def command(self, row: Command, chance: random.Random, pick_key: PickKey) -> list[bytes]:
        """One request for `row`, mostly well-formed where the server knows it."""
        maker = _Maker(self._words, chance, pick_key)
        name = row.name.split(b"|")
        if row.name in self._docs:
            group, arguments = self._docs[row.name]
            args = [*name, *maker.made(arguments, group)]
        else:
            args = [*name, pick_key(chance, "generic"), *(chance.choice(VALUES) for _ in range(chance.randrange(4)))]
        if not row.blocking and chance.random() < _BENT:  # bent, one of these might wait for ever
            _bend(args, len(name), chance, pick_key)
        return args


def _ask_for_docs(unix: str) -> Mapping[str, Any]:
    with redis.Redis(unix_socket_path=unix, protocol=3, decode_responses=True) as client:
        connection = client.connection_pool.get_connection()
        connection.send_command("COMMAND", "DOCS")  # redis-py has no reading of its reply
        docs: Mapping[str, Any] = connection.read_response()
        client.connection_pool.release(connection)
        return docs


def _flattened(docs: Mapping[str, Any]) -> Iterator[tuple[bytes, tuple[str, Sequence[Argument]]]]:
    for name, entry in docs.items():
        yield name.upper().encode(), (entry["group"], entry.get("arguments", ()))
        yield from _flattened(entry.get("subcommands", {}))


class _Maker:
    """Makes the arguments of one command."""

    def __init__(self, words: Mapping[str, Sequence[bytes]], chance: random.Random, pick_key: PickKey) -> None:
        self._words = words
        self._chance = chance
        self._pick_key = pick_key
        self._keys = 1  # how many the last `key [key ...]` had

    def made(self, arguments: Sequence[Argument], group: str) -> list[bytes]:
        made: list[bytes] = []
        count_at = -1
        for argument in arguments:
            flags = argument.get("flags", ())
            if "optional" in flags and self._chance.random() > _OPTIONAL:
                if argument["type"] == "key":
                    self._keys = 0
            else:
                count_at = len(made) if argument["name"] == "numkeys" else count_at
                made += self._repeated(argument, flags, group)
            if argument["type"] == "key" and count_at >= 0:
                lie = self._chance.random() < _LIES
                made[count_at] = b"%d" % (self._keys + self._chance.choice((-1, 1, 100)) if lie else self._keys)
                count_at = -1
        return made

    def _repeated(self, argument: Argument, flags: Sequence[str], group: str) -> list[bytes]:
        times = self._chance.choice((1, 1, 2, 3)) if "multiple" in flags else 1
        if argument["name"] in _REPEATED_LIKE_KEYS and "multiple" in flags:
            times = self._keys
        if argument["type"] == "key":
            self._keys = times
        token = [argument["token"].encode()] if "token" in argument else []
        if argument["type"] == "pure-token":
            return token
        made = [self._one(argument, group) for _ in range(times)]
        if "multiple_token" in flags:
            return [word for words in made for word in (*token, *words)]
        return [*token, *(word for words in made for word in words)]

    def _one(self, argument: Argument, group: str) -> list[bytes]:
        kind, name, chance = argument["type"], argument["name"], self._chance
        if kind == "oneof":
            return self._repeated(one := chance.choice(argument["arguments"]), one.get("flags", ()), group)
        if kind == "block":
            return self.made(argument["arguments"], group)
        if kind == "key":
            return [self._pick_key(chance, group)]
        if kind == "pattern":
            return [chance.choice((b"*", b"flask_cache_*", b"free:*", b"none", b"nosort"))]
        if kind in ("integer", "double"):
            return [b"%a" % chance.choice(_NUMBERS.get(name, (-1, 0, 1, 2, 10)))]
        if kind == "unix-time":
            return [b"99999999999999" if "milli" in name else b"99999999999"]
        return [chance.choice(self._words.get(name, VALUES))]


def _bend(args: list[bytes], name: int, chance: random.Random, pick_key: PickKey) -> None:
    """Make one thing odd."""
    at = chance.randrange(len(args))
    way = chance.randrange(6)
    if way == 0:
        args[at] = args[at].swapcase()
    elif way == 1:
        args[at] += b"\0" + chance.choice((b"", b"x", b"%d" % chance.randrange(1000)))
    elif way == 2:
        args.insert(at, args[at])
    elif way == 3 and len(args) > name:
        del args[chance.randrange(name, len(args))]
    elif way == 4:
        args.append(pick_key(chance, "generic"))
    elif len(args) > name:
        args[chance.randrange(name, len(args))] = pick_key(chance, "generic")


def table_rows(*, aside: frozenset[bytes]) -> list[Command]:
    """All rows of the table that are commands, except those in `aside`."""
    return [row for row in COMMANDS.values() if not row.subcommands and row.name not in aside]
