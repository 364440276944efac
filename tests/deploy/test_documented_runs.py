"""The ways of docs/operations.md to run the proxy: each in ten lines, valid, and at one with what the program takes.

`deploy/try-image` runs the Docker section with buildah, and `deploy/try-install` runs the commands of docs/install.md.
"""

import re
import shlex
import socket
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from proxy.cli import main
from proxy.config import Flags, Settings, load
from tests.deploy.files import ROOT, tool
from tests.e2e.conftest import StartProxy, start_proxy

__all__ = ["start_proxy"]

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
SIDECAR, JOB = "Kubernetes: a sidecar", "Kubernetes: beside a Job"
WAYS = {"Docker": "sh", "compose": "yaml", SIDECAR: "yaml", JOB: "yaml", "systemd": "ini"}
MIB = 1024 * 1024


def block(way: str) -> str:
    """The one that a section shows."""
    section = OPERATIONS.partition(f"\n### {way}\n")[2].partition("\n#")[0]
    (found,) = re.findall(rf"^```{WAYS[way]}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return str(found)


def settings_of(container: dict[str, Any]) -> Settings:
    """Those of a container without a file, with the image's own defaults."""
    environ = {each["name"]: each["value"] for each in container["env"]}
    return load(None, environ, Flags(defaults=("admin.bind=127.0.0.1:9380",)))


def check_command(words: list[str]) -> None:
    """Whether the program takes these words. Fails if not."""
    program, command, *options = words
    assert Path(program).name == "flask-cache-proxy"
    main.commands[command].make_context(command, options)


@pytest.mark.parametrize("way", WAYS)
def test_ten_lines_are_enough(way: str) -> None:
    assert len(block(way).splitlines()) <= 12


def test_docker_gets_everything_by_environment() -> None:
    words = shlex.split(block("Docker").replace("\\\n", ""))
    second, third = words.index("docker", 1), words.index("redis-cli")
    run, check, use = words[:second], words[second:third], words[third:]
    settings = load(None, dict(run[at + 1].split("=", 1) for at, word in enumerate(run) if word == "-e"), Flags())
    assert settings.upstream.logs_in
    (listener,) = settings.listener
    assert listener.bind == f"0.0.0.0:{run[run.index('-p') + 1].rpartition(':')[2]}"
    assert listener.password == use[use.index("-a") + 1]
    assert run[-1] == "flask-cache-proxy"
    assert check[:3] == ["docker", "exec", run[run.index("--name") + 1]]
    check_command(check[3:])


class TestCompose:
    SHOWN = yaml.safe_load(block("compose"))

    def test_it_is_of_the_specification(self, tmp_path: Path) -> None:
        file = tmp_path / "compose.yaml"
        file.write_text(block("compose"))
        arguments = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(file)]
        done = subprocess.run(arguments, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout

    def test_the_producer_comes_after_the_proxy_that_it_asks(self) -> None:
        services = self.SHOWN["services"]
        settings = load(None, services["proxy"]["environment"], Flags())
        host, port = settings.upstream.url.removeprefix("redis://").partition("/")[0].split(":")
        assert (host in services, port) == (True, "6379")
        producer = services["producer"]
        assert producer["depends_on"]["proxy"]["condition"] == "service_healthy"
        assert producer["command"][:5] == ["redis-cli", "-h", "proxy", "-p", settings.listener[0].bind.split(":")[1]]


class TestKubernetes:
    @pytest.mark.parametrize("version", ["1.29", "1.34"])
    @pytest.mark.parametrize("way", [SIDECAR, JOB])
    def test_it_is_of_the_schema(self, way: str, version: str) -> None:
        pod = yaml.safe_load(block(way))
        wrapped: dict[str, Any] = {"metadata": {"name": "producer"}, "spec": {"template": pod}}
        if way == JOB:
            wrapped |= {"apiVersion": "batch/v1", "kind": "Job"}
        else:
            pod["metadata"] = {"labels": {"app": "producer"}}
            wrapped |= {"apiVersion": "apps/v1", "kind": "Deployment"}
            wrapped["spec"]["selector"] = {"matchLabels": {"app": "producer"}}
        kubernetes_validate.validate(wrapped, version, strict=True)

    def test_the_sidecar_starts_before_the_producer(self) -> None:
        spec = yaml.safe_load(block(SIDECAR))["spec"]
        (container,) = spec["initContainers"]
        assert container["restartPolicy"] == "Always"
        check_command(container["startupProbe"]["exec"]["command"])
        settings = settings_of(container)
        assert spec["containers"][0]["env"] == [{"name": "PROXY", "value": settings.listener[0].bind}]
        limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi")) * MIB
        assert limit >= settings.limits.total_buffered_bytes + 150 * MIB

    def test_what_an_older_kubernetes_needs_is_the_same(self) -> None:
        (shown,) = re.findall(r"`(lifecycle: .*)`", OPERATIONS)
        job = yaml.safe_load(block(JOB))["spec"]["containers"][0]
        assert yaml.safe_load(shown)["lifecycle"] == job["lifecycle"]
        check_command(job["lifecycle"]["postStart"]["exec"]["command"])

    @pytest.mark.parametrize("status", [0, 7])
    def test_the_job_ends_the_proxy_and_keeps_its_status(
        self, start_proxy: StartProxy, tmp_path: Path, status: int
    ) -> None:
        job = yaml.safe_load(block(JOB))["spec"]["containers"]
        (address,) = re.findall(r"http://([\d.:]+)/", job[1]["command"][2])
        assert address == settings_of(job[0]).admin.bind
        tool("wget")
        with socket.create_server(("127.0.0.1", 0)) as free:
            here = f"127.0.0.1:{free.getsockname()[1]}"
        proxy = start_proxy(env={"FLASK_CACHE_PROXY_ADMIN_BIND": here})
        (tmp_path / "producer").write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / "producer").chmod(0o755)
        command = [*job[1]["command"][:2], f"PATH={tmp_path}:$PATH; {job[1]['command'][2].replace(address, here)}"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (status, "draining\n")
        assert proxy.wait() == 0


class TestSystemd:
    def test_systemd_has_nothing_to_say(self, tmp_path: Path) -> None:
        file = tmp_path / "flask-cache-proxy.service"
        file.write_text(re.sub(r"=/opt/\S+", "=/bin/true", block("systemd")))
        done = subprocess.run([tool("systemd-analyze"), "verify", str(file)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_its_commands_are_the_programs(self) -> None:
        lines = dict(line.split("=", 1) for line in block("systemd").splitlines() if "=" in line)
        for name in ("ExecStart", "ExecStartPost"):
            check_command(lines[name].split())


def test_the_script_runs_each_documented_way_to_install() -> None:
    """It takes these lines from the document, by this pattern."""
    shown = re.findall(r"^(?:uvx|pipx run) .*dist/\*\.whl.* serve$", (ROOT / "docs" / "install.md").read_text(), re.M)
    assert [line.split()[0] for line in shown] == ["uvx", "pipx"]
    assert (
        "grep -E '^(uvx|pipx run) .*dist/\\*\\.whl.* serve$' docs/install.md"
        in (ROOT / "deploy" / "try-install").read_text()
    )
