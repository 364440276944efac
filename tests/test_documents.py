"""What the documents name is there: settings, variables, metrics, files. (What they show is run in `tests/interop`.)"""

import os
import re
import typing
from pathlib import Path

import msgspec
import pytest

from proxy.admin import Admin
from proxy.config import Flags, Settings, environment_twins, load
from proxy.metrics import FAMILIES, Metrics

ROOT = Path(__file__).parent.parent
PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
SOURCES = sorted((ROOT / "proxy").rglob("*.py"))
VARIABLE = re.compile(r"\bFLASK_CACHE_PROXY_[A-Z_]+\b")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

every_paper = pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)


def settings() -> list[str]:
    """All of them, as section and key."""
    found = []
    for section, kind in typing.get_type_hints(Settings).items():
        struct = typing.get_args(kind)[0] if typing.get_args(kind) else kind
        found += [f"{section}.{field.encode_name}" for field in msgspec.structs.fields(struct)]
    return found


def prose(paper: Path) -> str:
    return FENCED.sub("", paper.read_text())


def test_every_setting_is_covered_once_and_no_other() -> None:
    covered = re.findall(r"^\| `(\w+\.\w+)` \|", OPERATIONS, re.MULTILINE)
    assert sorted(covered) == sorted(settings())


def test_every_setting_says_when_and_what_breaks() -> None:
    for row in re.findall(r"^\| `\w+\.\w+` \|.*$", OPERATIONS, re.MULTILINE):
        assert [bool(cell.strip()) for cell in row.strip("|").split("|")] == [True] * 3, row


@every_paper
def test_a_setting_that_is_named_exists(paper: Path) -> None:
    sections = "|".join(Settings.__struct_fields__)
    named = set(re.findall(rf"`((?:{sections})\.(?!py\b)[a-z_]+)", prose(paper)))
    assert named <= {*settings()}


@every_paper
def test_a_variable_that_is_named_exists(paper: Path) -> None:
    read = {*environment_twins(), *VARIABLE.findall("".join(path.read_text() for path in SOURCES))}
    assert {*VARIABLE.findall(paper.read_text())} <= read


@every_paper
def test_settings_that_are_shown_load(paper: Path, tmp_path: Path) -> None:
    """Together: what a document shows piece by piece is one file."""
    shown = [code for language, code in FENCED.findall(paper.read_text()) if language == "toml"]
    for code in shown:
        (tmp_path / "config.toml").write_text(code)
        load(tmp_path / "config.toml", {}, Flags(), serves="[[listener]]" in code)


@every_paper
def test_what_is_linked_is_there(paper: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", prose(paper)):
        if "://" not in target:
            assert (paper.parent / target).exists(), target


def test_every_metric_that_is_named_exists() -> None:
    prefix = "flask_cache_proxy_"
    told = {
        "counter": {"_total"},
        "gauge": {""},
        "histogram": {"_bucket", "_count", "_sum"},
    }
    there = {f"{prefix}{family.name}{end}" for family in FAMILIES.values() for end in told[family.kind]}
    there |= set(re.findall(rf"^{prefix}\w+", Metrics("0").exposition([os.getpid()]).decode(), re.MULTILINE))
    named = set(re.findall(rf"\b{prefix}\w+", OPERATIONS))
    assert len(named) > 10
    assert named <= there


def test_every_path_of_the_admin_port_is_named() -> None:
    routes = Admin(typing.cast("typing.Any", None), typing.cast("typing.Any", None))._routes
    for path, (method, _) in routes.items():
        assert f"`{path}`" in OPERATIONS or f"`{method} {path}`" in OPERATIONS
