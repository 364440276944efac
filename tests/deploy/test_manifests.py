"""compose.yaml, kubernetes.yaml and the systemd unit: valid, and at one with what the program takes."""

import configparser
import re
import socket
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.config import Flags, PassedAddress, Settings, TcpAddress, UnixAddress, load
from proxy.observe.admin import Admin
from tests.deploy.files import (
    COMPOSE,
    DEPLOY,
    KUBERNETES,
    compose_settings,
    compose_users,
    kubernetes_settings,
    kubernetes_users,
    pod,
    resource,
    sidecar,
    tool,
)

MIB = 1024 * 1024
PROCESSES = 150 * MIB
"""What config.example.toml says that the proxy takes beside its buffers."""


@pytest.fixture(params=[compose_settings, kubernetes_settings], ids=["compose", "kubernetes"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The settings of the proxy in each manifest."""
    made: Settings = request.param(tmp_path)
    return made


class TestBoth:
    def test_clients_come_by_a_unix_socket_and_the_proxy_logs_in_itself(self, settings: Settings) -> None:
        assert [listener.address for listener in settings.listener] == [UnixAddress("/run/flask-cache-proxy/json.sock")]
        assert settings.upstream.username == "flask-cache-proxy"
        assert settings.upstream.logs_in

    def test_health_is_at_the_port_that_is_asked(self, settings: Settings) -> None:
        assert settings.admin.address == TcpAddress("0.0.0.0", 9380)

    def test_they_have_the_same_users(self) -> None:
        shared = [line for line in kubernetes_users().splitlines() if not line.startswith("user others ")]
        assert compose_users().splitlines() == shared


class TestCompose:
    def test_it_is_of_the_specification(self) -> None:
        arguments = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]
        done = subprocess.run(arguments, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout

    def test_the_memory_is_enough_for_what_may_be_held(self, tmp_path: Path) -> None:
        limit = int(COMPOSE["services"]["proxy"]["mem_limit"].removesuffix("m")) * MIB
        assert limit >= compose_settings(tmp_path).limits.total_buffered_bytes + PROCESSES

    def test_the_grace_is_enough_to_drain(self, tmp_path: Path) -> None:
        grace = int(COMPOSE["services"]["proxy"]["stop_grace_period"].removesuffix("s"))
        assert grace > compose_settings(tmp_path).server.drain_timeout

    def test_nothing_is_written_into_a_root_that_is_read_only(self) -> None:
        """Compose refuses configs and secrets that are no files there."""
        proxy = COMPOSE["services"]["proxy"]
        assert proxy["read_only"]
        assert not {"configs", "secrets"} & proxy.keys()

    def test_the_images_own_healthcheck_knows_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It has the environment, but not the options of `serve`."""
        for name, value in COMPOSE["services"]["proxy"]["environment"].items():
            monkeypatch.setenv(name, str(value))
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        monkeypatch.setenv("FLASK_CACHE_PROXY_ADMIN_BIND", f"0.0.0.0:{port}")
        done = CliRunner().invoke(main, ["healthcheck"])
        assert done.output == f"flask-cache-proxy cannot be reached at 0.0.0.0:{port}: Connection refused\n"

    def test_the_admin_port_is_known_by_the_name_of_the_service(self, tmp_path: Path) -> None:
        assert compose_settings(tmp_path).admin.hosts == ("proxy",)
        assert set(compose_settings(tmp_path).admin.hosts) <= COMPOSE["services"].keys()

    def test_the_producer_gets_at_the_socket_and_at_nothing_else(self, tmp_path: Path) -> None:
        producer, proxy = COMPOSE["services"]["producer"], COMPOSE["services"]["proxy"]
        assert producer["network_mode"] == "none"
        assert producer["volumes"] == proxy["volumes"]
        address = compose_settings(tmp_path).listener[0].address
        assert isinstance(address, UnixAddress)
        assert f" -s {address.path} " in producer["command"][0]
        assert producer["user"] == "65532:65532"
        assert "uid=65532," in COMPOSE["volumes"]["socket"]["driver_opts"]["o"]


class TestKubernetes:
    @pytest.mark.parametrize("one", KUBERNETES, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
    @pytest.mark.parametrize("version", ["1.29", "1.34"])
    def test_it_is_of_the_schema(self, one: dict[str, object], version: str) -> None:
        kubernetes_validate.validate(one, version, strict=True)

    def test_it_is_a_native_sidecar(self) -> None:
        assert sidecar()["restartPolicy"] == "Always"

    @pytest.mark.parametrize(
        ("probe", "path"), [("startup", "/startup"), ("liveness", "/livez"), ("readiness", "/readyz")]
    )
    def test_each_probe_asks_what_is_answered(self, probe: str, path: str, tmp_path: Path) -> None:
        container = sidecar()
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "admin"}
        method, _ = Admin(None, None)._routes[path]  # type: ignore[arg-type]  # nobody is asked
        assert method == "GET"
        address = kubernetes_settings(tmp_path).admin.address
        assert isinstance(address, TcpAddress)
        assert container["ports"] == [{"name": "admin", "containerPort": address.port}]

    def test_the_service_of_the_admin_port_is_known_to_it_by_name(self, tmp_path: Path) -> None:
        spec = resource("Service", "producer-admin")["spec"]
        assert (
            spec["selector"].items()
            <= resource("Deployment", "producer")["spec"]["template"]["metadata"]["labels"].items()
        )
        assert spec["ports"] == [{"name": "admin", "port": 9380, "targetPort": "admin"}]
        names = ["producer-admin", *(f"producer-admin.default{end}" for end in ("", ".svc", ".svc.cluster.local"))]
        assert list(kubernetes_settings(tmp_path).admin.hosts) == names

    def test_the_container_may_do_nothing_that_it_need_not(self) -> None:
        allowed = sidecar()["securityContext"]
        assert allowed == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod("producer")["securityContext"]["runAsUser"] == 65532
        assert pod("producer")["automountServiceAccountToken"] is False

    def test_memory_and_grace_are_enough(self, tmp_path: Path) -> None:
        settings = kubernetes_settings(tmp_path)
        limit = int(sidecar()["resources"]["limits"]["memory"].removesuffix("Mi")) * MIB
        assert limit >= settings.limits.total_buffered_bytes + PROCESSES
        assert pod("producer")["terminationGracePeriodSeconds"] > settings.server.drain_timeout

    def test_files_are_where_the_proxy_looks(self, tmp_path: Path) -> None:
        mounts = {mount["name"]: mount["mountPath"] for mount in sidecar()["volumeMounts"]}
        (secret,) = resource("Secret", "flask-cache-proxy")["stringData"]
        settings = kubernetes_settings(tmp_path)
        assert settings.upstream.password_file == f"{mounts['secrets']}/{secret}"
        variables = {each["name"]: each["value"] for each in sidecar()["env"]}
        (file,) = resource("ConfigMap", "flask-cache-proxy")["data"]
        assert variables["FLASK_CACHE_PROXY_CONFIG"] == f"{mounts['config']}/{file}"
        assert str(settings.listener[0].address) == f"unix:{mounts['socket']}/json.sock"

    def test_only_those_who_write_the_cache_reach_redis(self) -> None:
        (rule,) = resource("NetworkPolicy", "redis")["spec"]["ingress"]
        (origin,) = rule["from"]
        wanted = origin["podSelector"]["matchLabels"]
        deployments = [one for one in KUBERNETES if one["kind"] == "Deployment"]
        let_in = {
            one["metadata"]["name"]
            for one in deployments
            if wanted.items() <= one["spec"]["template"]["metadata"]["labels"].items()
        }
        assert let_in == {"flask", "producer"}


class TestSystemd:
    UNIT = DEPLOY / "flask-cache-proxy.service"

    @pytest.fixture
    def here(self, tmp_path: Path) -> Path:
        """The unit, with a program that is there."""
        file = tmp_path / self.UNIT.name
        file.write_text(
            re.sub(r"^(ExecStart|ExecStartPost)=(-?)\S+", r"\1=\2/bin/true", self.UNIT.read_text(), flags=re.MULTILINE)
        )
        return file

    def test_systemd_has_nothing_to_say(self, here: Path) -> None:
        done = subprocess.run([tool("systemd-analyze"), "verify", str(here)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_what_is_exposed_is_little(self, here: Path) -> None:
        arguments = [tool("systemd-analyze"), "security", "--offline=yes", "--threshold=20", str(here)]
        done = subprocess.run(arguments, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout

    def test_it_starts_a_command_that_there_is_and_reloads_by_hup(self) -> None:
        unit = configparser.RawConfigParser(strict=False)
        unit.optionxform = str  # type: ignore[assignment,method-assign]  # as they are
        unit.read(self.UNIT)
        service = unit["Service"]
        for name in ("ExecStart", "ExecStartPost"):
            _, command, *options = service[name].split()
            assert set(options[::2]) <= {name for option in main.commands[command].params for name in option.opts}
        assert service["ExecReload"] == "kill -HUP $MAINPID"
        assert int(service["TimeoutStopSec"]) > Settings().server.drain_timeout


class TestSocketOfSystemd:
    UNIT = DEPLOY / "flask-cache-proxy.socket"

    def test_systemd_has_nothing_to_say(self, tmp_path: Path) -> None:
        service = (DEPLOY / "flask-cache-proxy.service").read_text()
        service = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", service, flags=re.MULTILINE)
        (tmp_path / "flask-cache-proxy.service").write_text(service)
        (socket_unit := tmp_path / self.UNIT.name).write_text(self.UNIT.read_text())
        done = subprocess.run([tool("systemd-analyze"), "verify", str(socket_unit)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_it_is_the_first_listener_of_the_example_by_another_way(self, tmp_path: Path) -> None:
        text = self.UNIT.read_text()
        (config := tmp_path / "config.toml").write_text(
            "\n".join(re.findall(r"^#   (\[\[listener\]\]|bind = .*)$", text, re.MULTILINE))
        )
        (listener,) = load(config, {}, Flags()).listener
        assert listener.address == PassedAddress(re.findall(r"^FileDescriptorName=(.*)$", text, re.MULTILINE)[0])
        assert re.findall(r"^ListenStream=(.*)$", text, re.MULTILINE) == [Settings().listener[0].bind]

    def test_no_socket_is_in_a_directory_that_ends_with_the_service(self) -> None:
        service = (DEPLOY / "flask-cache-proxy.service").read_text()
        (directory,) = re.findall(r"^RuntimeDirectory=(.*)$", service, re.MULTILINE)
        places = re.findall(r"^#?ListenStream=(/.*)$", self.UNIT.read_text(), re.MULTILINE)
        assert places
        assert not any(place.startswith(f"/run/{directory}/") for place in places)
