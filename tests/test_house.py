"""Rules of the house that no linter knows."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "proxy").rglob("*.py"))


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles_evaluates_or_imports_by_name(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute | ast.Name):
            name = dotted(node)
            assert not re.search(r"pickle\.(?!dumps$)|Unpickler|marshal\.|shelve\.", name), name
            assert name not in {"eval", "exec", "__import__", "importlib.import_module"}, name
        if isinstance(node, ast.ImportFrom):
            assert node.module not in {"pickle", "_pickle", "marshal", "shelve"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tasks_are_started_where_they_are_kept(path: Path) -> None:
    """A task that nobody holds may vanish in mid-flight, and its exception with it."""
    allowed = {"tasks.py", "converter.py"}
    assert path.name in allowed or "create_task" not in path.read_text()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_begins_by_saying_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_the_architecture_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = {path.relative_to(ROOT / "proxy").parts[0] for path in SOURCES} - {"__init__.py", "__main__.py"}
    missing = {room for room in rooms if f"`{room}`" not in text and f"`{room}/`" not in text}
    assert not missing


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["embedded"], *extras["demo"]]
    text = (ROOT / "docs" / "design" / "dependencies.md").read_text()
    for requirement in wanted:
        if requirement.startswith(project["name"]):
            continue  # one extra of ours in another
        name = re.match(r"[\w-]+", requirement)
        assert name
        assert name[0] in text, requirement
        assert ">=" in requirement, requirement
        assert "<" in requirement, requirement
