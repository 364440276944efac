"""MetricsAnswer for Prometheus."""

import os
import subprocess

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from proxy import __version__, engine
from proxy.net.ipc import framed
from proxy.observe.exposition import exposition, processes
from proxy.observe.families import (
    ACCEPTED,
    CLIENTS,
    FAMILIES,
    RECEIVED_BYTES,
    REJECTED,
    ROUND_TRIP_SECONDS,
    SENT_BYTES,
    TRANSCODING_FAILURES,
    TRANSCODING_SECONDS,
    UPSTREAM_FAILURES,
)
from proxy.observe.metrics import SECONDS, Metrics, Snapshot, add_snapshot, lasting
from proxy.workers.messages import MetricsAnswer


def told(snapshot: Snapshot, *pids: int) -> dict[tuple[str, ...], float]:
    """The samples that Prometheus reads, by name and the values of labels in the order of the labels' names."""
    families = text_string_to_metric_families(exposition(snapshot, pids).decode())
    samples = (sample for family in families for sample in family.samples)
    return {
        (sample.name.removeprefix("flask_cache_proxy_"), *sample.labels.values()): sample.value for sample in samples
    }


def test_every_family_has_the_prefix_and_the_number_counted() -> None:
    metrics = Metrics()
    metrics.set(CLIENTS, 2, "1")
    metrics.add(REJECTED, 3, "max_clients")
    assert [metrics.add(ACCEPTED, number) for number in (4, 1)] == [4, 5]
    metrics.add(UPSTREAM_FAILURES, 1)
    metrics.add(TRANSCODING_FAILURES, 4, "encode", "json", "views", "nodes")
    assert all(
        family.name.startswith("flask_cache_proxy_")
        for family in text_string_to_metric_families(exposition(metrics.snapshot()).decode())
    )
    samples = told(metrics.snapshot())
    assert samples["clients", "1"] == 2
    assert samples["accepted_clients_total",] == 5
    assert samples["rejected_clients_total", "max_clients"] == 3
    assert samples["upstream_connect_failures_total",] == 1
    assert samples["transcoding_failures_total", "encode", "json", "nodes", "views"] == 4
    assert samples["build_info", engine.CHOICE.name, __version__] == 1


def test_every_family_is_exposed_and_one_without_labels_starts_with_zero() -> None:
    exposed = {one.name: one for one in text_string_to_metric_families(exposition({}).decode())}
    for family in FAMILIES.values():
        samples = exposed[f"flask_cache_proxy_{family.name}"].samples
        counts = family.kind != "histogram" and not family.labels
        assert [sample.value for sample in samples if not sample.name.endswith("_created")] == [0.0] * counts


def test_observations_fall_into_buckets_and_histograms_of_the_same_labels_are_one() -> None:
    metrics = Metrics()
    for histogram in (metrics.histogram(TRANSCODING_SECONDS, "encode", "json", "r") for _ in range(2)):
        for seconds in (0.0, SECONDS[0], 0.002, 99.0):
            histogram.observe(seconds)
    for _ in range(2):  # a second snapshot does not count them twice
        samples = told(metrics.snapshot())
    labels = {name[1:]: value for name, value in samples.items() if name[0] == "transcoding_seconds_bucket"}
    assert set(labels.values()) == {4, 6, 8}
    assert samples["transcoding_seconds_count", "encode", "json", "r"] == 8
    assert round(samples["transcoding_seconds_sum", "encode", "json", "r"], 3) == 198.004


def test_a_series_flushes_when_its_last_user_is_gone() -> None:
    metrics = Metrics()
    counts = [metrics.count(TRANSCODING_FAILURES, *"abcd") for _ in range(2)]
    for count in counts:
        count.count += 2
    del count
    counts.clear()
    assert metrics.get(TRANSCODING_FAILURES, *"abcd") == 4


def process(clients: int, accepted: int, seconds: float) -> Metrics:
    metrics = Metrics()
    metrics.set(CLIENTS, clients)
    metrics.set(ACCEPTED, accepted)
    metrics.traffic.received_client += 10 * clients
    metrics.traffic.sent_upstream += accepted
    metrics.histogram(ROUND_TRIP_SECONDS).observe(seconds)
    return metrics


def test_numbers_of_several_processes_add_up_and_counters_outlive_them() -> None:
    one = process(2, 5, 0.002)
    total: Snapshot = {}
    add_snapshot(total, one.snapshot())
    add_snapshot(total, lasting(process(1, 4, 7.0).snapshot()))
    assert total[CLIENTS.name, ()] == 2
    assert total[ACCEPTED.name, ()] == 9
    assert total[RECEIVED_BYTES.name, ("client",)] == 30
    assert total[SENT_BYTES.name, ("upstream",)] == 9
    assert total[SENT_BYTES.name, ("client",)] == 0
    assert one.get(RECEIVED_BYTES, "client") == 20
    samples = told(total)
    assert samples["upstream_round_trip_seconds_count",] == 2
    assert samples["upstream_round_trip_seconds_sum",] == 7.002


def test_a_snapshot_crosses_between_processes() -> None:
    metrics = process(3, 3, 0.5)
    metrics.add(REJECTED, 1, "max_clients")
    message = MetricsAnswer(7, metrics.snapshot())
    assert msgspec.msgpack.decode(framed(message)[4:], type=MetricsAnswer) == message


def test_cpu_memory_and_descriptors_of_processes_are_added_up() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        ours = processes()
        assert {os.getpid(), child.pid} <= set(ours)
        alone, both = told({}, os.getpid()), told({}, os.getpid(), child.pid)
        assert child.stdin is not None
        child.stdin.close()
    resident = ("process_resident_memory_bytes",)
    assert both[resident] > alone[resident] > 0
    assert both["process_start_time_seconds",] >= alone["process_start_time_seconds",]
    assert child.pid not in processes()
