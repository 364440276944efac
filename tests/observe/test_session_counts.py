"""The counters of sessions, as metrics."""

import gc

from proxy.assembly import policies_for
from proxy.codec import Options
from proxy.commands import COMMANDS
from proxy.config import Settings
from proxy.observe.exposition import exposition
from proxy.observe.families import HITS
from proxy.observe.metered_transcoder import MeteredTranscoder
from proxy.observe.metrics import Metrics
from proxy.observe.session_counts import numbers
from proxy.policy import Policy
from proxy.resp.encode import bulk, command
from proxy.session import Session, Tally
from proxy.session.refusals import Reason


def counted() -> tuple[Metrics, Tally]:
    metrics, tally = Metrics(), Tally()
    for payload in ("json", "msgpack"):
        transcoder = MeteredTranscoder(Options(payload=payload), metrics, "r")
        assert transcoder.decode(transcoder.encode(b"\x01" if payload == "msgpack" else b"1"))
    tally.refusals[COMMANDS[b"CONFIG|SET"], Reason.GUARD] += 2
    tally.refusals[None, Reason.NOT_KNOWN] += 1
    tally.failures["decode", "json", "r", "nodes"] += 3
    tally.misses["r"] += 4
    tally.managed, tally.untouched = 5, 6
    return metrics, tally


def test_they_have_their_families() -> None:
    text = exposition(numbers(*counted())).decode()
    for line in (
        'refused_commands_total{command="CONFIG|SET",reason="guard"} 2.0',
        'refused_commands_total{command="other",reason="not_known"} 1.0',
        'transcoding_failures_total{direction="decode",payload="json",reason="nodes",rule="r"} 3.0',
        'hits_total{rule="r"} 2.0',
        'misses_total{rule="r"} 4.0',
        "managed_commands_total 5.0",
        "untouched_commands_total 6.0",
    ):
        assert f"\nflask_cache_proxy_{line}\n" in text, line


def test_asking_twice_changes_nothing() -> None:
    metrics, tally = counted()
    assert numbers(metrics, tally) == numbers(metrics, tally)


def policies_alive() -> int:
    gc.collect()
    return sum(isinstance(each, Policy) for each in gc.get_objects())


def test_many_reloads_add_no_series_and_keep_no_policy() -> None:
    metrics, tally = Metrics(), Tally()
    bad, key = bulk(b"!bad"), b"flask_cache_a"
    sizes = set()
    before = policies_alive()
    for _ in range(200):
        policy = policies_for(Settings(), metrics)[0]
        session = Session(policy, None, tally)
        session.start()
        session.from_client(command(b"GET", key) * 3 + command(b"SET", key, b"no") + command(b"SYNC"))
        session.from_upstream(b"$-1\r\n" + bad + bulk(b"5"))
        sizes.add(len(numbers(metrics, tally)))
        del policy, session
    assert policies_alive() == before
    assert len(sizes) == 1
    assert tally.misses == {"flask_cache_*": 200}
    assert numbers(metrics, tally)[HITS.name, ("flask_cache_*",)] == 200
    assert len(tally.refusals) == 2
