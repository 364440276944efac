"""The fast path on both engines: the native one takes no more than the reference, and writes the same bytes."""

import random
from itertools import repeat
from typing import Any

from proxy import _native
from proxy.codec import CodecError, Options
from proxy.codec.transcoder import Transcoder
from proxy.engine import REFERENCE, Engine
from proxy.policy import As, Policy
from proxy.policy.view_keys import keys_of_views
from proxy.resp import reply_framer
from proxy.resp.encode import bulk, command
from proxy.session.cluster.kept import ReferenceRequests, Sent
from proxy.session.expected_replies import BLOCKING, PASS, Decode, Entry
from proxy.session.fastpath.plan import table_spec
from proxy.session.fastpath.reference import ReferenceTable
from proxy.session.fastpath.reference_replies import reference_joined, reference_replies
from proxy.session.lane import Lane, Owed, Ready
from proxy.session.runs import ReferenceRuns, Runs
from proxy.session.slots import NOBODY, SLOTS, key_slot
from tests.codec.samples import VECTORS
from tests.native import CASES, SEED
from tests.native.payloads import broken, packed
from tests.native.test_decode import tampered
from tests.session.playbook import policy, rule

ENGINES = (REFERENCE, Engine(_native))
KEYS = b"m:a m:view/b v:view/a v:b t:a g:xa g:a u:a r:a other".split()
NAMES = b"SET set GET get SETEX PSETEX SETNX GETSET GETDEL GETEX DEL INCR EXPIRE TTL Set NOSUCH MGET".split()
ENDS = ([], [], [b"EX", b"5"], [b"px", b"5"], [b"NX"], [b"EX"], [b"5"])


def _policy(engine: Engine) -> Policy:
    plain, packed_ = Transcoder(Options(), engine), Transcoder(Options(payload="msgpack", pickle_protocol=2), engine)
    return policy(
        rule(b"u:*", treats_as=As.UNTOUCHED),
        rule(b"r:*", treats_as=As.READ_ONLY, transcoder=plain, inline=plain),
        rule(b"v:*", views=keys_of_views(b"v:*"), transcoder=plain, inline=plain),
        rule(b"t:*", default_ttl=70, transcoder=packed_, inline=packed_),
        rule(b"g:[xy]*", transcoder=plain, inline=plain),
        rule(b"m:*", transcoder=plain, inline=plain),
    )


POLICIES = [_policy(engine) for engine in ENGINES]


def _request(rng: random.Random) -> list[bytes]:
    payload = packed(rng, rng.choice(("json", "json", "msgpack")))
    if rng.random() < 0.1:
        payload = broken(rng, payload)
    value = rng.choice((payload, payload, b"5", b"true", b'"tea"', b"null", b"1.5", b'{"py/decimal":"1"}'))
    args = [rng.choice(NAMES), rng.choice(KEYS), *rng.choice(([], [value], [value], [b"5", value]))]
    return [*args, *rng.choice(ENDS)][: rng.randrange(1, 9)]


def test_requests_at_random() -> None:
    tables = ReferenceTable(table_spec(POLICIES[0])), _native.RequestTable(table_spec(POLICIES[1]))
    taken = 0
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        commands = [_request(rng) for _ in range(rng.randrange(1, 7))]
        data = b"".join(command(*args) for args in commands)
        if rng.random() < 0.05:
            data = data.replace(b"$", b"*", 1)
        room = rng.choice((1 << 30, 1 << 30, 60, 0))
        ours, native = (table.take([list(args) for args in commands], data, room) for table in tables)
        if native is None:
            continue
        assert ours is not None
        assert native[2] <= ours[2]
        if native[2] < ours[2]:  # the native engine has left a value to the reference
            end = native[2]
            count = sum(count for _, count in native[1])
            ours = tables[0].take([list(args) for args in commands[:count]], data[:end], room)
            assert ours is not None
        assert (ours[0], ours[2]) == (native[0], native[2])
        assert _named(ours[1]) == _named(native[1])
        taken += 1
    assert taken > CASES // 10


def test_requests_that_pass_at_random() -> None:
    tables = ReferenceTable(table_spec(POLICIES[0])), _native.RequestTable(table_spec(POLICIES[1]))
    taken = cut = 0
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        keys = rng.choice((KEYS, [b"other", b"u:a", b"g:a"]))
        commands = [
            [rng.choice(NAMES), rng.choice(keys), *(b"v" * rng.choice((0, 9, 600)) for _ in range(rng.randrange(4)))]
            for _ in range(rng.randrange(1, 7))
        ]
        data = b"".join(command(*args) for args in commands)
        if rng.random() < 0.3:
            at = rng.randrange(len(data))
            data = data[:at] + rng.choice((b"", b"x", b"\r", b"$", b"$1\r\n", b"0")) + data[at + rng.randrange(2) :]
        data = b"x" * (start := rng.choice((0, 0, 3))) + data[: rng.randrange(len(data) + 1)]
        numbers = start, rng.randrange(1, 9), rng.choice((1, 100, 512)), rng.choice((1 << 30, 700))
        ours, native = (table.pass_on(data, *numbers) for table in tables)
        assert (ours is None) is (native is None), (data, numbers)
        if ours is None or native is None:
            continue
        assert (ours[0], ours[2]) == (native[0], native[2]), (data, numbers)
        assert _named(ours[1]) == _named(native[1]), (data, numbers)
        assert _rest(ours[3]) == _rest(native[3]), (data, numbers)
        taken += 1
        cut += native[3] is not None
    assert taken > CASES // 10
    assert cut > CASES // 50


def _rest(cut: Any) -> object:
    return cut and (cut[0].command.name, *cut[1:])


def test_requests_by_node_at_random() -> None:
    """A part is what `take` would write for its requests alone."""
    tables = ReferenceTable(table_spec(POLICIES[0])), _native.RequestTable(table_spec(POLICIES[1]))
    taken = 0
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        commands = [_request(rng) for _ in range(rng.randrange(1, 9))]
        data = b"".join(command(*args) for args in commands)
        if rng.random() < 0.05:
            data = data.replace(b"$", b"*", 1)
        room = rng.choice((1 << 30, 1 << 30, 60, 0))
        owners = [rng.choice((0, 1, 2, 2, 1022)) for _ in KEYS]
        if rng.random() < 0.1:
            owners[rng.randrange(len(KEYS))] = NOBODY
        of_slot = [NOBODY] * SLOTS
        for key, owner in zip(KEYS, owners, strict=True):
            of_slot[key_slot(key)] = owner
        args = commands, data, room, tuple(of_slot)
        ours, native = (table.take_by_node(*args) for table in tables)
        if native is None:
            continue
        assert ours is not None
        assert native[2] <= ours[2]
        if native[2] < ours[2]:  # the native engine has left a value to the reference
            count = sum(count for _, count in native[1])
            ours = tables[0].take_by_node(commands[:count], data[: native[2]], room, tuple(of_slot))
            assert ours is not None
        assert (ours[1:], _parts(ours)) == (native[1:], _parts(native))
        assert (ours[2], ours[3]) == _one_by_one(tables[0], commands, ours)
        taken += 1
    assert taken > CASES // 10


def _parts(taken: Any) -> list[tuple[int, bytes, int, list[tuple[bytes, bytes, int]]]]:
    return [(node, out, count, _named(runs)) for node, out, count, runs in taken[0]]


def _one_by_one(table: ReferenceTable, commands: list[list[bytes]], taken: Any) -> tuple[int, int]:
    """Check the parts against `take` of each request. Returns the bytes and the request to watch."""
    nodes = [node for node, count in taken[1] for _ in range(count)]
    size, watched, outs = 0, -1, dict.fromkeys(nodes, b"")
    for number, (args, node) in enumerate(zip(commands, nodes, strict=False)):
        alone = table.take([args], command(*args), 1 << 30)
        assert alone is not None
        outs[node] += alone[0]
        size += alone[2]
        if watched < 0 and len(args) == 2 and alone[1][0][0].watches:
            watched = number
    assert [(node, out) for node, out, _, _ in taken[0]] == [*outs.items()]
    assert [nodes.count(node) for node in outs] == [count for _, _, count, _ in taken[0]]
    return size, watched


def _named(runs: Any) -> list[tuple[bytes, bytes, int]]:
    return [(plan.command.name, plan.rule.name if plan.rule else b"", count) for plan, count in runs]


def _reply(rng: random.Random) -> bytes:
    stored = rng.choice(VECTORS).stored if rng.random() < 0.9 else tampered(rng)
    usual = (bulk(stored), bulk(stored), b"$-1\r\n", b"_\r\n", b"+OK\r\n", b":5\r\n", bulk(b"!N."), bulk(b"text"))
    return rng.choice((*usual, b"-ERR no\r\n", b"*1\r\n:1\r\n", b">1\r\n+x\r\n", b"$5\r\nab"))


def test_replies_at_random() -> None:
    taken = 0
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        stream = b"".join(_reply(rng) for _ in range(rng.randrange(1, 6)))
        pieces = [stream[: (cut := rng.randrange(len(stream) + 1))], stream[cut:]]
        kinds = [rng.choice((0, 0, 1, 1, 1, 2)) for _ in range(3)]
        counts = [rng.randrange(1, 4) for _ in kinds]
        room = rng.choice((1 << 30, 1 << 30, 100))
        most, watched = rng.randrange(1, sum(counts) + 1), rng.randrange(-1, 4)
        results = []
        for policy_, framer, owed, take in (
            (POLICIES[0], reply_framer.ReplyFramer(), ReferenceRuns[Entry](), reference_replies),
            (POLICIES[1], _native.ReplyFramer(), _native.Runs[Entry](), _native.take_replies),
        ):
            for kind, length in zip(kinds, counts, strict=True):
                owed.append(_entry(policy_, kind), length)
            framer.feed(pieces[0])  # type: ignore[attr-defined]
            framer.feed(pieces[1])  # type: ignore[attr-defined]
            found: Any = take(framer, owed, most, room, watched)  # type: ignore[operator]
            results.append((found, framer.buffered))  # type: ignore[attr-defined]
        (ours, left), (native, native_left) = results
        if native is None:
            continue
        assert ours is not None
        assert native[1] <= ours[1]
        if native[1] == ours[1]:  # otherwise, the native engine has left a value to the reference
            assert (native[0], native[2], native[4], native_left) == (ours[0], ours[2], ours[4], left)
            assert _counted(native[3]) == _counted(ours[3])
        taken += 1
    assert taken > CASES // 10


def test_replies_of_several_lanes_at_random() -> None:
    taken = 0
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        kinds = [[rng.choice((0, 0, 1, 1, 1, 2)) for _ in range(rng.randrange(4))] for _ in range(3)]
        streams = [b"".join(_reply(rng) for _ in each) for each in kinds]
        streams = [stream if rng.random() < 0.7 else stream[: rng.randrange(len(stream) + 1)] for stream in streams]
        order = [number for number, each in enumerate(kinds) for _ in each]
        rng.shuffle(order)
        room = rng.choice((1 << 30, 1 << 30, 100))
        most, watched = rng.randrange(1, len(order) + 2), rng.randrange(-1, 4)
        is_cut = rng.random() < 0.1
        results = []
        for policy_, framer, runs, take in (
            (POLICIES[0], reply_framer.ReplyFramer, ReferenceRuns, reference_joined),
            (POLICIES[1], _native.ReplyFramer, _native.Runs, _native.take_joined),
        ):
            lanes = [_lane(policy_, framer(), runs(), *each) for each in zip(kinds, streams, strict=True)]
            owed: Runs[Owed] = runs()
            for at, number in enumerate(order):
                owed.append(Ready(b"") if is_cut and at == 2 else lanes[number])
            found: Any = take(Lane, owed, most, room, watched)
            left = [lane.framer.buffered for lane in lanes]
            results.append((found, left, [lanes.index(lane) for lane, _ in found[4]] if found else []))
        (ours, left, numbers), (native, native_left, native_numbers) = results
        if native is None:
            continue
        assert ours is not None
        assert native[1] <= ours[1]
        assert native[1] == sum(count for _, count in native[4])
        if native[1] == ours[1]:  # otherwise, the native engine has left a value to the reference
            assert (native[0], native[2], native_left, native_numbers) == (ours[0], ours[2], left, numbers)
            assert [count for _, count in native[4]] == [count for _, count in ours[4]]
            assert _counted(native[3]) == _counted(ours[3])
        taken += 1
    assert taken > CASES // 10


def test_kept_requests_at_random() -> None:
    for case in range(CASES // 10):
        rng = random.Random(SEED * 1_000_003 + case)
        both, left = (ReferenceRequests(), _native.Requests()), 0
        for _ in range(rng.randrange(1, 20)):
            step = rng.randrange(4)
            if step < 2:
                piece, count = rng.choice(((b"x" * rng.randrange(9), rng.randrange(1, 4)), (Sent(b"one"), 1)))
                for each in both:
                    each.append(piece, count, len(piece))
                left += count
            elif step == 2:
                count = rng.randrange(left + 1)
                ours, native = (each.take(count) for each in both)
                assert ours == native
                left -= count
            elif left:
                parts = [(Sent(b"%d" % number), number) for number in range(both[0].first[1])]
                ours, native = (each.split(parts) for each in both)
                assert ours == native
            assert both[0].pieces == both[1].pieces
            assert sum(count for _, count in both[1].pieces) == left
            assert not left or both[0].first == both[1].first == both[1].pieces[0]


def _lane(policy_: Policy, framer: Any, owed: Any, kinds: list[int], stream: bytes) -> Lane:
    lane = Lane()
    lane.framer, lane.owed = framer, owed
    lane.framer.feed(stream)
    for kind in kinds:
        lane.owed.append(_entry(policy_, kind))
    return lane


def _entry(policy_: Policy, kind: int) -> Entry:
    if kind == 2:
        return BLOCKING
    if kind == 0:
        return PASS
    spec = table_spec(policy_)
    made = spec.make(spec.names[b"GET"], len(policy_.rules))
    assert made is not None
    entry = made.plan.entry
    assert type(entry) is Decode
    return entry


def _counted(converted: Any) -> list[tuple[int, int]]:
    return [(hits, misses) for _, hits, misses in converted or ()]


def test_values_that_the_native_engine_takes_are_those_of_one_by_one() -> None:
    """Decoded many at once, each is as it is alone."""
    native = POLICIES[1].rules[-1].inline
    for case in range(CASES // 20):
        rng = random.Random(SEED * 1_000_003 + case)
        values = [rng.choice(VECTORS).stored for _ in range(rng.randrange(1, 9))]
        framer = _native.ReplyFramer()
        framer.feed(b"".join(map(bulk, values)))
        owed = _native.Runs[Entry]()
        owed.append(_entry(POLICIES[1], 1), len(values))
        taken = _native.take_replies(framer, owed, len(values), 1 << 30, -1)
        count = 0 if taken is None else taken[1]
        expected = b"".join(bulk(native.decode(value)) for value in values[:count])
        assert (b"" if taken is None else taken[0]) == expected
        if count < len(values):
            assert _is_left(native, values[count])


def _is_left(native: Transcoder, value: bytes) -> bool:
    try:
        return native.codec.decode(value) is None
    except CodecError:
        return True


def test_the_samples_are_of_all_kinds() -> None:
    rng = random.Random(SEED)
    names = {_request(rng)[0] for _ in repeat(None, 300)}
    assert names == {*NAMES}
