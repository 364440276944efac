"""The snippets of the README are programs, and they do what the README says."""

from pathlib import Path

import pytest

from tests.e2e.flask_app import FlaskApp
from tests.interop.programs import HERE, run

README = HERE.parent.parent / "README.md"


def test_go(go_programs: Path, address: str, flask: FlaskApp) -> None:
    assert run(str(go_programs / "readme"), PROXY=address) == '"Hello from Go"\n'
    assert flask.get("/index") == "Hello from Go"
    assert flask.runs["index"] == 0


def test_node(node: str, address: str, flask: FlaskApp) -> None:
    assert run(node, "readme.mjs", at=HERE / "node", PROXY=address) == '"Hello from Node"\n'
    assert flask.get("/index") == "Hello from Node"
    assert flask.runs["index"] == 0


@pytest.mark.parametrize(("language", "program"), [("go", "go/readme/main.go"), ("js", "node/readme.mjs")])
def test_it_shows_them_verbatim(language: str, program: str) -> None:
    assert f"```{language}\n{(HERE / program).read_text()}```\n" in README.read_text()
