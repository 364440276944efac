"""The workflow of a release: sound, its actions pinned, its rights few, and its wheels for each documented platform."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.files import DOCKERFILE, ROOT, tool

FILE = ROOT / ".github" / "workflows" / "release.yml"
JOBS: dict[str, Any] = yaml.safe_load(FILE.read_text())["jobs"]
PUBLISH = {"pypi", "image"}
ATTEST = {"attest", "image"}


def steps(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = JOBS[job]["steps"]
    return found


def uses(job: str) -> list[str]:
    """The actions of a job, without their versions."""
    return [step["uses"].partition("@")[0] for step in steps(job) if "uses" in step]


def before(job: str) -> set[str]:
    """The jobs that have succeeded when this one runs."""
    needs = JOBS[job].get("needs", [])
    direct = {needs} if isinstance(needs, str) else {*needs}
    return direct.union(*map(before, direct))


def test_the_linter_has_nothing_to_say() -> None:
    """It also checks the scripts in the workflow, by shellcheck."""
    command = [tool("actionlint"), "-shellcheck", tool("shellcheck"), "-no-color", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_tag_of_an_action_could_be_moved_so_a_commit_is_named() -> None:
    lines = re.findall(r"uses: (.*)", FILE.read_text())
    assert len(lines) > 10
    for line in lines:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    versions = {line.split("@")[0]: set[str]() for line in lines}
    for line in lines:
        versions[line.split("@")[0]].add(line.split("@")[1])
    assert {name: len(each) for name, each in versions.items()} == dict.fromkeys(versions, 1)


def test_rights_are_named_job_by_job() -> None:
    assert yaml.safe_load(FILE.read_text())["permissions"] == {}
    writing = {
        right: {name for name, job in JOBS.items() if job["permissions"].get(right) == "write"}
        for right in ("id-token", "attestations", "packages", "contents")
    }
    assert writing == {
        "id-token": ATTEST | PUBLISH,
        "attestations": ATTEST,
        "packages": {"image"},
        "contents": {"page"},
    }
    for name in JOBS:
        for step in steps(name):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_nothing_is_published_that_was_not_tried_or_without_a_tag() -> None:
    assert JOBS["attest"]["if"] == "github.ref_type == 'tag'"
    for name in PUBLISH:
        assert {"attest", "try", "wheels", "sdist"} <= before(name)
        assert JOBS[name]["environment"] == "release"
    tried = [step["run"] for step in steps("try") if "run" in step]
    for script in ("deploy/try-install", "deploy/try-image"):
        assert any(script in line for line in tried)
        assert (ROOT / script).exists()


def test_origin_and_parts_are_attested() -> None:
    assert {"anchore/sbom-action", "actions/attest-sbom", "actions/attest-build-provenance"} <= {*uses("attest")}
    (push,) = (step for step in steps("image") if step.get("id") == "push")
    assert (push["with"]["provenance"], push["with"]["sbom"]) == ("mode=max", True)
    assert push["with"]["platforms"] == "linux/amd64,linux/arm64"
    assert {line.partition("=")[0] for line in push["with"]["build-args"].splitlines()} <= {
        *re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE)
    }
    (pypi,) = (step for step in steps("pypi") if "gh-action-pypi-publish" in step.get("uses", ""))
    assert pypi["with"] == {"attestations": True}


@pytest.mark.parametrize(
    ("platform", "machines", "wheels"),
    [
        (
            "linux",
            "x86_64,aarch64",
            {f"{libc}linux_{one}" for libc in ("many", "musl") for one in ("x86_64", "aarch64")},
        ),
        ("macos", "x86_64,arm64", {"macosx_x86_64", "macosx_arm64"}),
    ],
)
def test_there_is_one_wheel_for_each_platform(platform: str, machines: str, wheels: set[str]) -> None:
    command = [tool("cibuildwheel"), "--print-build-identifiers", "--platform", platform, "--archs", machines]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {*done.stdout.split()} == {f"cp311-{wheel}" for wheel in wheels}


def test_each_machine_builds_its_own() -> None:
    assert JOBS["wheels"]["strategy"]["matrix"]["runner"] == [
        "ubuntu-24.04",
        "ubuntu-24.04-arm",
        "macos-15",
        "macos-15-intel",
    ]


@pytest.mark.parametrize(("kind", "tag"), [("branch", "main"), ("tag", "v{version}")])
def test_a_tag_must_be_the_version(kind: str, tag: str, tmp_path: Path) -> None:
    (check,) = (step["run"] for step in steps("sdist") if step.get("id") == "version")
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version

    def run(name: str) -> int:
        env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "GITHUB_OUTPUT": str(tmp_path / "output")}
        env |= {"GITHUB_REF_TYPE": kind, "GITHUB_REF_NAME": name}
        return subprocess.run(["bash", "-e", "-c", check], cwd=ROOT, env=env).returncode

    assert run(tag.format(version=version[1])) == 0
    assert (tmp_path / "output").read_text() == f"version={version[1]}\n"
    assert (run("v9.9.9") == 0) == (kind == "branch")
