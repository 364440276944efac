"""The Dockerfile, as far as it can be judged without building it. `deploy/try-image` builds and runs it."""

import json
import re
import subprocess
import tomllib
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from proxy.cli import main
from proxy.config import Flags, environment_twins, load, parse_address
from tests.deploy.files import COMPOSE, DEPLOY, DOCKERFILE, ROOT, tool

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PROGRAM = "/opt/flask-cache-proxy/bin/flask-cache-proxy"
BASES: list[dict[str, str]] = [
    {"python_version": full.rpartition(".")[0], "python_full_version": full, "sys_platform": "linux"}
    for full in ("3.11.2", "3.13.15")
]
"""The Pythons of Debian 12 and of the default base."""
FILES = [ROOT / "Dockerfile", *(path for path in DEPLOY.iterdir() if path.is_file())]


@pytest.mark.parametrize(
    "dockerfile", [DOCKERFILE, COMPOSE["services"]["flask"]["build"]["dockerfile_inline"]], ids=["ours", "the app's"]
)
def test_the_linter_has_nothing_to_say(dockerfile: str) -> None:
    done = subprocess.run([tool("hadolint"), "-"], input=dockerfile, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("script", ["deploy/try-image", "deploy/try-install", ".ci/run"])
def test_scripts_are_sound(script: str) -> None:
    done = subprocess.run([tool("shellcheck"), ROOT / script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_an_argument_and_pinned_by_default() -> None:
    assert re.search(r"^ARG BASE=\S+:\d+\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}"}


def test_it_runs_as_nobody_without_a_shell() -> None:
    final = DOCKERFILE.rpartition("FROM ")[2]
    assert re.findall(r"^USER (.*)", final, re.MULTILINE) == ["65532:65532"]
    assert not re.search(r"^RUN", final, re.MULTILINE)
    entry = [PROGRAM, "--default", "admin.bind=127.0.0.1:9380"]
    assert instruction("ENTRYPOINT") == entry
    assert instruction("HEALTHCHECK") == [*entry, "healthcheck"]
    assert instruction("CMD") == ["serve"]
    assert {"serve", "healthcheck"} <= main.commands.keys()


def instruction(name: str) -> list[str]:
    """The words of one that is a list, in the last stage."""
    final = DOCKERFILE.rpartition("FROM ")[2]
    found = re.search(rf"^{name} [^\[\n]*(?:\\\n +CMD )?(\[.*\])$", final, re.MULTILINE)
    assert found
    words: list[str] = json.loads(found[1])
    return words


def test_its_label_has_the_version_of_the_project() -> None:
    assert f"\nARG VERSION={PROJECT['version']}\n" in DOCKERFILE


def test_labels_say_what_it_is_and_where_from() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', DOCKERFILE))
    assert labels.pop("description")
    assert labels == {
        "title": PROJECT["name"],
        "licenses": PROJECT["license"],
        "version": "${VERSION}",
        "revision": "${REVISION}",
        "base.name": "${BASE}",
    }


def test_it_is_for_any_architecture() -> None:
    instructions = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    assert not re.search(r"amd64|x86|arm|aarch|--platform", "\n".join(instructions))


def test_only_the_container_itself_reaches_the_admin_port_unless_somebody_says_so() -> None:
    settings = load(None, {}, Flags(defaults=(instruction("ENTRYPOINT")[-1],)))
    assert settings.admin.address == parse_address("127.0.0.1:9380")
    exposed = re.search(r"^EXPOSE (.*)", DOCKERFILE, re.MULTILINE)
    assert exposed
    assert exposed[1].split() == [each.rpartition(":")[2] for each in (settings.listener[0].bind, settings.admin.bind)]


def test_it_sets_no_variable_of_the_program() -> None:
    """A variable would override a mounted file."""
    assert "FLASK_CACHE_PROXY" not in DOCKERFILE


def on_a_base(requirement: Requirement) -> bool:
    """Whether it is wanted by one of the Pythons, without an extra."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**base, "extra": ""}) for base in BASES)


def test_all_that_the_program_needs_is_pinned_and_in_range_and_nothing_else() -> None:
    lines = (DEPLOY / "constraints.txt").read_text().splitlines()
    pins = {pin.name.replace("_", "-"): pin for pin in (Requirement(line) for line in lines if line[0] != "#")}
    ours = [*map(Requirement, PROJECT["dependencies"])]
    theirs = [one for each in ours for one in map(Requirement, requires(each.name) or ()) if on_a_base(one)]
    assert pins.keys() == {one.name for one in (*ours, *theirs)}
    for one in (*ours, *theirs):
        (pin,) = pins[one.name].specifier
        assert Version(pin.version) in one.specifier, one.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_is_one_that_is_read(path: object) -> None:
    assert isinstance(path, type(ROOT))
    variable = re.compile(r"FLASK_CACHE_PROXY_[A-Z_]*[A-Z]")
    read = {name for source in (ROOT / "proxy").rglob("*.py") for name in variable.findall(source.read_text())}
    assert {*variable.findall(path.read_text())} <= environment_twins().keys() | read


def test_what_the_build_needs_is_in_its_context() -> None:
    wanted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"pyproject.toml", "proxy", "deploy/constraints.txt", PROJECT["readme"], *PROJECT["license-files"]} <= wanted
