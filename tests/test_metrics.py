"""Numbers for Prometheus."""

from prometheus_client.parser import text_string_to_metric_families

from proxy.metrics import Metrics


def test_every_family_has_the_prefix_and_the_number_counted() -> None:
    metrics = Metrics("1.2.3", clients=2, clients_total=5, upstream_failures=1)
    metrics.rejected["max_clients"] += 3
    families = {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}
    assert all(name.startswith("flask_cache_proxy_") for name in families)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert samples["flask_cache_proxy_clients",] == 2
    assert samples["flask_cache_proxy_accepted_clients_total",] == 5
    assert samples["flask_cache_proxy_rejected_clients_total", "max_clients"] == 3
    assert samples["flask_cache_proxy_build_info", "1.2.3"] == 1


def test_numbers_of_several_processes_add_up_and_outlive_them() -> None:
    one = Metrics("1.2.3", clients=2, clients_total=5)
    one.received_bytes["client"] += 10
    other = Metrics("1.2.3", clients=1, clients_total=1)
    other.received_bytes.update(client=1, upstream=4)
    total = Metrics("1.2.3", workers=0)
    total.add(one.snapshot())
    total.add(other.snapshot(), gone=True)
    assert (total.workers, total.clients, total.clients_total) == (1, 2, 6)
    assert total.received_bytes == {"client": 11, "upstream": 4}
    assert one.received_bytes == {"client": 10}
