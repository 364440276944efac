"""The Go client: vet, staticcheck and gofmt find nothing, its tests and examples pass, and its README is right."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import redis

from tests.interop.programs import HERE, PATIENCE, missing, run

CLIENT = HERE.parent.parent / "clients" / "go"
README = (CLIENT / "README.md").read_text()


@pytest.fixture(scope="module")
def go() -> str:
    """The go command."""
    found = shutil.which("go")
    if found is None:
        missing("go is not installed")
    return str(found)


def test_vet_and_gofmt_find_nothing(go: str) -> None:
    for place in (CLIENT, HERE / "go" / "flaskcache"):
        assert run(go, "vet", "./...", at=place) == ""
        assert run(str(Path(go).parent / "gofmt"), "-s", "-l", ".", at=place) == ""


def test_staticcheck_finds_nothing(go: str, tmp_path: Path) -> None:
    build = [go, "build", "-o", str(tmp_path), "honnef.co/go/tools/cmd/staticcheck"]
    done = subprocess.run(
        build, cwd=HERE / "staticcheck", capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode:
        missing(f"staticcheck does not build (go mod download in tests/interop/staticcheck): {done.stderr}")
    for place in (CLIENT, HERE / "go" / "flaskcache"):
        assert run(str(tmp_path / "staticcheck"), "-checks", "all", "./...", at=place) == ""


def test_its_tests_and_examples_pass(go: str, address: str) -> None:
    said = run(go, "test", "-count=1", "-v", "./...", at=CLIENT, PROXY=address)
    assert len(set(re.findall(r"^--- PASS: (Example\w+)", said, re.MULTILINE))) >= 6
    assert "SKIP" not in said


def test_the_readme(go: str, address: str, direct: redis.Redis, tmp_path: Path) -> None:
    """Its commands and its program, with the repository beside the reader's module."""
    (script,) = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (program,) = re.findall(r"^```go\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (tmp_path / "flask-cache-proxy").symlink_to(CLIENT.parent.parent)
    module = tmp_path / "shop"
    module.mkdir()
    (module / "main.go").write_text(program)
    (module / "go.mod").write_text("module shop\n\ngo 1.24\n")
    done = subprocess.run(
        ["sh", "-euc", script], cwd=module, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert run(go, "run", ".", at=module, PROXY=address) == "<h1>Tea</h1> <nil>\n"
    assert direct.get("flask_cache_view//index") is not None
