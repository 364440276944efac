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
