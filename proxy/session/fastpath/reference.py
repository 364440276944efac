"""The reference of the class that the native engine has for the requests of a read. See also `reference_replies`.

It decides nothing. It stops at the first request that it does not know, and leaves the rest untouched.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from proxy.codec import CodecError
from proxy.codec.glob import Matcher
from proxy.codec.unservable import is_servable
from proxy.engine import ENGINE
from proxy.resp.canonical import ARRAY_HEADER, BULK_HEADER, canonical_ends
from proxy.resp.encode import header, pack
from proxy.resp.rest_of_command import rest_from
from proxy.session.fastpath.plan import USUAL_EXPIRY, Plan, Spec, TableSpec, Value
from proxy.session.slots import NOBODY, key_slot

LONG: Final = 64
"""A request of so many declared bytes passes before it is whole."""
_Item = TypeVar("_Item")

Taken = tuple[bytes, list[tuple[Plan, int]], int]
"""The bytes for Redis, the runs of plans with the number of their requests, and the number of bytes taken."""

Cut = tuple[Plan, bytes, int, int, int]
"""The plan and the key of the request at the end, which is not whole, and the state that `rest_of_command` needs."""
Passed = tuple[int, list[tuple[Plan, int]], dict[int, list[bytes]], Cut | None]
"""The number of bytes taken, the runs, the arguments of GETs that may be watched (see `record`), the cut request."""


TakenByNode = tuple[list[tuple[int, bytes, int, list[tuple[Plan, int]]]], list[tuple[int, int]], int, int]
"""Requests that several nodes get: their parts, the order, the number of bytes taken, and the request to watch.

A part is the node, its bytes, the number of its requests, and the runs of their plans. The order of the requests of all
parts is runs of nodes. The request to watch is a number among them; -1: there is none.
"""


class _Usual(NamedTuple):
    """A usual request of a read."""

    args: list[bytes]
    plan: Plan
    start: int
    stop: int
    written: bytes | None
    """The request with its value encoded. None: the bytes as they stand."""


class ReferenceTable:
    """The plans of one policy."""

    def __init__(self, spec: TableSpec) -> None:
        self._spec = spec
        self._plans: dict[tuple[int, int], Spec | None] = {}

    def take(self, commands: list[list[bytes]], data: bytes, room: int) -> Taken | None:
        """Take the usual requests at the head of `data`. None: the first request is not usual.

        `commands`: the arguments of all complete requests in `data`, in order. `data` must have their canonical
        encodings; the bytes behind the last proven one are not taken. `room`: most bytes of payloads to encode.
        """
        out: list[bytes] = []
        runs: list[tuple[Plan, int]] = []
        end = copied = 0
        for usual in self._usual(commands, data, room):
            if usual.written is not None:
                out += (data[copied : usual.start], usual.written)
                copied = usual.stop
            end = usual.stop
            _count(runs, usual.plan)
        if not runs:
            return None
        return (b"".join((*out, data[copied:end])) if copied else data[:end]), runs, end

    def take_by_node(
        self, commands: list[list[bytes]], data: bytes, room: int, owners: Sequence[int]
    ) -> TakenByNode | None:
        """As `take`, where each request goes to the node that owns the slot of its key. `owners`: see SlotMap."""
        parts: dict[int, tuple[list[bytes], list[tuple[Plan, int]]]] = {}
        order: list[tuple[int, int]] = []
        end, watched = 0, -1
        for number, usual in enumerate(self._usual(commands, data, room)):
            node = owners[key_slot(usual.args[1])]
            if node == NOBODY:
                break
            out, runs = parts.setdefault(node, ([], []))
            out.append(data[usual.start : usual.stop] if usual.written is None else usual.written)
            _count(runs, usual.plan)
            _count(order, node)
            end = usual.stop
            if watched < 0 and usual.plan.watches and len(usual.args) == 2:
                watched = number
        if not order:
            return None
        made = [(node, b"".join(out), sum(count for _, count in runs), runs) for node, (out, runs) in parts.items()]
        return made, order, end, watched

    def _usual(self, commands: list[list[bytes]], data: bytes, room: int) -> Iterator[_Usual]:
        """The usual requests at the head of `data`, up to the first one that is not."""
        start = 0
        for args, stop in zip(commands, _proven(commands, data), strict=False):
            spec = self._spec_of(args)
            if spec is None:
                return
            written = None
            if spec.value is not None:
                payload = args[spec.value.at]
                written = _written(spec, spec.value, args) if len(payload) <= room else None
                if written is None:
                    return
                room -= len(payload)
            yield _Usual(args, spec.plan, start, stop, written)
            start = stop

    def take_one(self, args: list[bytes], data: bytes, room: int) -> tuple[bytes, Plan] | None:
        """As `take`, for a read that is one request."""
        spec = self._spec_of(args)
        if spec is None or spec.value is None:
            return None if spec is None else (data, spec.plan)
        written = _written(spec, spec.value, args) if len(args[spec.value.at]) <= room else None
        return None if written is None else (written, spec.plan)

    def pass_on(self, data: bytes, start: int, most: int, least: int, room: int) -> Passed | None:
        """Take the requests in `data` that pass unchanged, from `start` on. A large one may end in an argument.

        None: the first request is not such. Nothing is parsed or copied but names and keys. `most`: requests. `least`:
        bytes of an argument, on average. `room`: the limit for the bytes of a request.
        """
        runs: list[tuple[Plan, int]] = []
        firsts: dict[int, list[bytes]] = {}
        end, taken, arguments, cut = start, 0, 0, None
        while cut is None and taken < most:
            found = self._head(data, end)
            if found is None:
                break
            plan, args, count, behind = found
            arguments += count
            if len(data) - end < least * count:
                break
            passed, left, awaited, size = rest_from(data, behind, 0, count - 2, behind - end, room)
            if size > room or end - start + size < least * arguments:
                break
            if not left and not awaited:
                if runs and runs[-1][0] is plan:
                    runs[-1] = plan, runs[-1][1] + 1
                else:
                    if plan.watches:
                        firsts[taken] = args if count == 2 else []
                    runs.append((plan, 1))
                taken += 1
            elif left and size >= LONG:
                cut = plan, args[1], left, awaited, size
            else:
                break
            end = passed
        return (end, runs, firsts, cut) if end > start else None

    def _head(self, data: bytes, pos: int) -> tuple[Plan, list[bytes], int, int] | None:
        """The plan of the request at `pos` if it passes, its name and key, its arguments' number, and the key's end."""
        header = ARRAY_HEADER.match(data, pos)
        count = int(header[1]) if header is not None else 0
        if header is None or not 2 <= count <= self._spec.longest:
            return None
        args, end = [], header.end()
        for _ in range(2):
            bulk_header = BULK_HEADER.match(data, end)
            if bulk_header is None:
                return None
            start = bulk_header.end()
            end = start + int(bulk_header[1]) + 2
            if data[end - 2 : end] != b"\r\n":
                return None
            args.append(data[start : end - 2])
        spec = self._spec_at(args)
        return None if spec is None or spec.length else (spec.plan, args, count, end)

    def _spec_of(self, args: list[bytes]) -> Spec | None:
        """The plan for a request, if it has the arguments that the plan is for."""
        count = len(args)
        spec = self._spec_at(args) if count >= 2 else None
        if spec is None:
            return None
        if not spec.length:
            return spec if count <= self._spec.longest else None
        fits = count == spec.length or (count == spec.length_with_expiry and args[-2] in USUAL_EXPIRY)
        return spec if fits else None

    def _spec_at(self, args: list[bytes]) -> Spec | None:
        """The plan for the name and the key at the head of `args`."""
        key, of = args[1], self._spec
        row = of.names.get(args[0])
        if row is None or len(key) > of.longest_key:
            return None
        number = 0
        for at, rule in enumerate(of.rules, 1):
            if key.startswith(rule.prefix) and (rule.is_prefix or rule.matches(key)):
                number = at if rule.is_managed else 0
                break
        place = row, number
        if place not in self._plans:
            self._plans[place] = of.make(row, number)
        return self._plans[place]


def _count(runs: list[tuple[_Item, int]], item: _Item) -> None:
    """Append an item to a list of runs."""
    if runs and runs[-1][0] == item:
        runs[-1] = item, runs[-1][1] + 1
    else:
        runs.append((item, 1))


def _proven(commands: list[list[bytes]], data: bytes) -> list[int]:
    """The end of each command, if `data` has their canonical encodings. Otherwise an empty list."""
    try:
        return canonical_ends(commands, data, 0) or []
    except (TypeError, ValueError):  # hiredis has read something other than strings
        return []


def _written(spec: Spec, value: Value, args: list[bytes]) -> bytes | None:
    """The request with its value encoded. None: the long way must handle it."""
    try:
        stored = value.codec.encode(args[value.at])
    except CodecError:
        return None
    if value.views is not None and not _is_allowed(value.views, args[1], stored):
        return None
    encoded = args.copy()
    encoded[value.at] = stored
    if not value.expiry or len(args) != spec.length:
        return pack(tuple(encoded))
    return header(len(args) + 2) + pack(tuple(encoded)).partition(b"\r\n")[2] + value.expiry


def _is_allowed(views: Matcher, key: bytes, stored: bytes) -> bool:
    return is_servable(stored) or not views(key)


RequestTable: Final = ENGINE.of("RequestTable", ReferenceTable)
