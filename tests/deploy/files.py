"""The files of `deploy/`, read like their users read them."""

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from proxy.config import Flags, Settings, load
from tests.interop.programs import missing

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def resource(kind: str, name: str) -> dict[str, Any]:
    """The one of that name in kubernetes.yaml."""
    found = [one for one in KUBERNETES if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1
    return found[0]


def pod(name: str) -> dict[str, Any]:
    """The pod template of a Deployment."""
    spec: dict[str, Any] = resource("Deployment", name)["spec"]["template"]["spec"]
    return spec


def sidecar() -> dict[str, Any]:
    """The proxy's container in the producer's pod."""
    (found,) = pod("producer")["initContainers"]
    return dict(found)


def compose_settings(_home: Path) -> Settings:
    """The proxy's of compose.yaml."""
    serve, listen, bind = COMPOSE["services"]["proxy"]["command"]
    assert (serve, listen) == ("serve", "--listen")
    environ = {name: str(value) for name, value in COMPOSE["services"]["proxy"]["environment"].items()}
    return load(None, environ, Flags(listen=(bind,)))


def kubernetes_settings(home: Path) -> Settings:
    """The sidecar's of kubernetes.yaml."""
    environ = {each["name"]: each["value"] for each in sidecar()["env"] if "CONFIG" not in each["name"]}
    file = home / "config.toml"
    file.write_text(resource("ConfigMap", "flask-cache-proxy")["data"]["config.toml"])
    return load(file, environ, Flags())


def compose_users() -> str:
    """The users of compose.yaml, every password "change-me"."""
    return re.sub(r">\$\{\w+:\?[^}]*\}", ">change-me", COMPOSE["configs"]["users"]["content"])


def kubernetes_users() -> str:
    """The users of kubernetes.yaml."""
    return str(resource("Secret", "redis-users")["stringData"]["users.acl"])


def tool(name: str) -> str:
    """The path of a program: of this environment, or on PATH. Without it the test is skipped, but never in CI."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if found is None:
        missing(f"no {name}")
    return str(found)
