"""The dashboard and the alerts ask for numbers that there are, and Prometheus finds nothing wrong with either."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from proxy.config import Settings, TcpAddress
from proxy.observe.access import is_our_host
from proxy.observe.exposition import exposition, processes
from proxy.observe.families import FAMILIES
from proxy.observe.metrics import Metrics
from tests.deploy.files import DEPLOY, compose_settings, kubernetes_settings, sidecar, tool
from tests.e2e.admin import ask
from tests.e2e.conftest import StartProxy, start_proxy
from tests.e2e.wire import Wire

__all__ = ["start_proxy"]

ALERTS = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())
DASHBOARD = json.loads((DEPLOY / "grafana.json").read_text())
SAMPLES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
OF_PROMETHEUS = {"instance", "job"}


def panels() -> dict[str, str]:
    """The dashboard's expressions, its variables set."""
    set_to = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*"}
    exprs = {}
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            expr = target["expr"]
            for variable, value in set_to.items():
                expr = expr.replace(variable, value)
            exprs[f"{panel['title']} {target['refId']}"] = expr
    return exprs


EXPRESSIONS = panels() | {rule["alert"]: rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]}


def known() -> Iterator[tuple[str, set[str]]]:
    """The name of each sample that may be told, and its labels."""
    for family in FAMILIES.values():
        for suffix in SAMPLES[family.kind]:
            yield f"flask_cache_proxy_{family.name}{suffix}", {*family.labels, *(["le"] if suffix == "_bucket" else [])}
    told = text_string_to_metric_families(exposition(Metrics().snapshot(), processes()).decode())
    for sample in (sample for family in told for sample in family.samples):
        if "_process_" in sample.name or sample.name.endswith("_build_info"):
            yield sample.name, set(sample.labels)


KNOWN = dict(known())


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_asks_for_numbers_and_labels_that_there_are(name: str) -> None:
    expr = EXPRESSIONS[name]
    names = re.findall(r"\bflask_cache_proxy_\w+|\bup\b", expr)
    assert names
    assert set(names) <= KNOWN.keys() | {"up"}
    labels = set.union(OF_PROMETHEUS, *(KNOWN.get(each, set()) for each in names))
    grouped = [label.strip() for by in re.findall(r"by \(([^)]*)\)", expr) for label in by.split(",")]
    matched = re.findall(r"(\w+)=~?\"", expr)
    assert {*grouped, *matched} <= labels


def test_every_family_is_on_the_dashboard() -> None:
    shown = " ".join(panels().values())
    missing = {
        family.name
        for family in FAMILIES.values()
        if not re.search(rf"flask_cache_proxy_{family.name}\b|_{family.name}_", shown)
    }
    assert missing <= {"accepted_clients"}  # the number of connects to Redis says the same


def test_legends_and_annotations_name_labels_that_are_kept() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            kept = {label.strip() for by in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in by.split(",")}
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) == kept - {"le"}, panel["title"]


def test_panels_do_not_overlap() -> None:
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


@pytest.mark.parametrize(
    ("job", "settings"), [("compose", compose_settings), ("kubernetes-service", kubernetes_settings)]
)
def test_a_target_with_a_name_is_answered(job: str, settings: Callable[[Path], Settings], tmp_path: Path) -> None:
    (static,) = next(each for each in PROMETHEUS["scrape_configs"] if each["job_name"] == job)["static_configs"]
    (target,) = static["targets"]
    made = settings(tmp_path).admin
    assert isinstance(made.address, TcpAddress)
    assert target.endswith(f":{made.address.port}")
    assert is_our_host(target, made.hosts)
    assert not is_our_host(target, ())


class TestPromtool:
    def run(self, *arguments: str, given: str = "") -> str:
        done = subprocess.run([tool("promtool"), *arguments], input=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def test_alerts_are_rules(self) -> None:
        self.run("check", "rules", str(DEPLOY / "alerts.yaml"))

    def test_its_own_configuration_is_valid(self, tmp_path: Path) -> None:
        """Debian's promtool knows no Kubernetes. So that job finds its pods in a file here."""
        jobs = [dict(job) for job in PROMETHEUS["scrape_configs"]]
        assert [job.pop("kubernetes_sd_configs") for job in jobs if "kubernetes_sd_configs" in job] == [
            [{"role": "pod"}]
        ]
        for job in jobs:
            job.setdefault("static_configs", [{"targets": ["10.0.0.1:9380"]}])
        (tmp_path / "prometheus.yaml").write_text(json.dumps({**PROMETHEUS, "scrape_configs": jobs}))
        (tmp_path / "alerts.yaml").write_text((DEPLOY / "alerts.yaml").read_text())
        self.run("check", "config", str(tmp_path / "prometheus.yaml"))

    def test_only_the_port_of_the_proxy_is_asked_in_a_pod(self) -> None:
        (job,) = (each for each in PROMETHEUS["scrape_configs"] if "kubernetes_sd_configs" in each)
        keep = job["relabel_configs"][0]
        assert keep["action"] == "keep"
        assert keep["regex"] == f"{sidecar()['name']};{sidecar()['ports'][0]['name']}"

    @pytest.mark.parametrize("job", PROMETHEUS["scrape_configs"], ids=lambda job: job["job_name"])
    def test_each_job_has_the_label_that_the_alerts_ask_for(self, job: dict[str, list[dict[str, str]]]) -> None:
        (label,) = (each for each in job["relabel_configs"] if each.get("target_label") == "job")
        assert label == {"target_label": "job", "replacement": "flask-cache-proxy"}
        expressions = {rule["alert"]: rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]}
        for alert in ("FlaskCacheProxyDown", "FlaskCacheProxyAbsent"):
            assert f'up{{job="{label["replacement"]}"}}' in expressions[alert]

    def test_panels_have_valid_expressions(self, tmp_path: Path) -> None:
        file = tmp_path / "panels.yaml"
        rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(panels().values())]
        file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
        self.run("check", "rules", str(file))

    def test_alerts_are_raised_when_something_is_wrong_and_only_then(self) -> None:
        self.run("test", "rules", str(Path(__file__).parent / "alerts_test.yaml"))

    @pytest.mark.parametrize("workers", [1, 2])
    def test_it_has_nothing_to_say_about_the_metrics_of_a_proxy(
        self, start_proxy: StartProxy, tmp_path: Path, workers: int
    ) -> None:
        address = str(tmp_path / "admin.sock")
        env = {"ADMIN_BIND": f"unix:{address}", "SERVER_WORKERS": str(workers)}
        proxy = start_proxy(env={f"FLASK_CACHE_PROXY_{name}": value for name, value in env.items()})
        with Wire(proxy.json) as client:
            for words in (("SET", "flask_cache_a", "1"), ("GET", "flask_cache_a"), ("SET", "flask_cache_a", "no")):
                client(*words)
            assert self.run("check", "metrics", given=ask(address, "GET /metrics")[2]) == ""
