"""Numbers for Prometheus."""

import os
import subprocess

from prometheus_client.parser import text_string_to_metric_families

from proxy import engine
from proxy.metrics import FAMILIES, SECONDS, Metrics, key, processes


def told(metrics: Metrics, *pids: int) -> dict[tuple[str, ...], float]:
    """What Prometheus reads: by name and the values of labels, these in the order of their names."""
    metrics.snapshot()
    families = text_string_to_metric_families(metrics.exposition(pids).decode())
    samples = (sample for family in families for sample in family.samples)
    return {
        (sample.name.removeprefix("flask_cache_proxy_"), *sample.labels.values()): sample.value for sample in samples
    }


def test_every_family_has_the_prefix_and_the_number_counted() -> None:
    metrics = Metrics("1.2.3", clients=2, clients_total=5, upstream_failures=1)
    metrics.rejected["max_clients"] += 3
    metrics.transcoding_failures[key("encode", "json", "views", "limit")] += 4
    assert all(
        family.name.startswith("flask_cache_proxy_")
        for family in text_string_to_metric_families(metrics.exposition().decode())
    )
    samples = told(metrics)
    assert samples["clients",] == 2
    assert samples["accepted_clients_total",] == 5
    assert samples["rejected_clients_total", "max_clients"] == 3
    assert samples["transcoding_failures_total", "encode", "json", "limit", "views"] == 4
    assert samples["build_info", engine.CHOICE.name, "1.2.3"] == 1


def test_whatever_is_counted_is_told() -> None:
    names = {one.name for one in text_string_to_metric_families(Metrics("0").exposition().decode())}
    assert {f"flask_cache_proxy_{family.name}" for family in FAMILIES.values()} <= names
    assert Metrics("0").snapshot().keys() == FAMILIES.keys()


def test_observations_fall_into_buckets_and_histograms_of_the_same_labels_are_one() -> None:
    metrics = Metrics("0")
    for histogram in (metrics.histogram("transcoding_seconds", "encode", "json", "r") for _ in range(2)):
        for seconds in (0.0, SECONDS[0], 0.002, 99.0):
            histogram.observe(seconds)
    for _ in range(2):  # telling it twice does not count it twice
        samples = told(metrics)
    labels = {name[1:]: value for name, value in samples.items() if name[0] == "transcoding_seconds_bucket"}
    assert set(labels.values()) == {4, 6, 8}
    assert samples["transcoding_seconds_count", "encode", "json", "r"] == 8
    assert round(samples["transcoding_seconds_sum", "encode", "json", "r"], 3) == 198.004


def test_numbers_of_several_processes_add_up_and_outlive_them() -> None:
    one = Metrics("1.2.3", clients=2, clients_total=5)
    one.traffic.received_client += 10
    one.histogram("round_trip_seconds").observe(0.002)
    other = Metrics("1.2.3", clients=1, clients_total=1)
    other.traffic.received_client += 1
    other.traffic.sent_upstream += 4
    other.histogram("round_trip_seconds").observe(7.0)
    total = Metrics("1.2.3", workers=0)
    total.add(one.snapshot())
    total.add(other.snapshot(), gone=True)
    assert (total.workers, total.clients, total.clients_total) == (1, 2, 6)
    assert total.received_bytes == {"client": 11, "upstream": 0}
    assert total.sent_bytes == {"client": 0, "upstream": 4}
    assert one.received_bytes == {"client": 10, "upstream": 0}
    samples = told(total)
    assert samples["upstream_round_trip_seconds_count",] == 2
    assert samples["upstream_round_trip_seconds_sum",] == 7.002


def test_what_the_system_says_of_processes_is_added_up() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        ours = processes()
        assert {os.getpid(), child.pid} <= set(ours)
        alone, both = told(Metrics("0"), os.getpid()), told(Metrics("0"), os.getpid(), child.pid)
        assert child.stdin is not None
        child.stdin.close()
    resident = ("process_resident_memory_bytes",)
    assert both[resident] > alone[resident] > 0
    assert both["process_start_time_seconds",] >= alone["process_start_time_seconds",]
    assert child.pid not in processes()
