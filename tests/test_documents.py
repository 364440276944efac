"""Documents name only existing settings, variables, metrics and files, and their sentences are short and plain.

Docstrings and comments of `proxy/`, in Python and Rust, follow the same rules. (`tests/interop` runs the documents'
examples.)
"""

import ast
import io
import os
import re
import tokenize
import typing
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from proxy.cli import main
from proxy.config import Flags, Settings, environment_twins, load
from proxy.observe.admin import Admin
from proxy.observe.exposition import exposition
from proxy.observe.families import FAMILIES
from proxy.observe.metrics import Metrics

ROOT = Path(__file__).parent.parent
PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
SOURCES = sorted((ROOT / "proxy").rglob("*.py"))
RUST = sorted((ROOT / "proxy" / "native" / "src").rglob("*.rs"))
VARIABLE = re.compile(r"\bFLASK_CACHE_PROXY_[A-Z_]+\b")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

LONGEST = 35
"""Words of a sentence. (Aim for 25.)"""

HARD = re.compile(
    r"\b(?:anew|whoever|but for|none (?:of|any|but)|(?<!there )is none)\b|^(?:What|Who|Whose|Whatever)\b(?!.*\?)|;.*;"
)
"""Words that are hard to read in a second language, clauses as subjects, and stacked semicolons."""

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


def sentences(text: str) -> Iterator[str]:
    """Of Markdown: a paragraph, an item of a list, a heading and a cell of a table each end one."""
    text = re.sub(r"\A---\n.*?\n---\n|<!--.*?-->", "", FENCED.sub("\n\n", text), flags=re.DOTALL)
    text = re.sub(r"`[^`]*`", "Code", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+\.)\s)|\n(?=#)|\||^#.*$", text, flags=re.MULTILINE):
        yield from re.split(r"(?<=[.!?])[)\"*]*\s+(?=[(\"*]*[A-Z0-9])|(?<=:)\s+(?=[A-Z])", " ".join(block.split()))


def too_long(text: str) -> list[str]:
    return [each for each in sentences(text) if len(re.findall(r"[\w'\u2019-]+", each)) > LONGEST]


def hard(text: str) -> list[str]:
    return [each for each in sentences(text) if HARD.search(each)]


def docstrings(source: str) -> Iterator[str]:
    """Strings that stand alone: of modules, classes and functions, and after attributes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def comments(source: str) -> Iterator[str]:
    """Comments. Those of lines that follow each other are one text. Marks for tools and headings are left out."""
    block, last = "", 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type is tokenize.COMMENT and not re.match(r"# (?:noqa|type:|fmt:|--)", token.string):
            follows = token.start[0] == last + 1 and token.line.lstrip().startswith("#")
            if not follows:
                yield block
                block = ""
            block += token.string.lstrip("#: ") + "\n"
            last = token.start[0]
    yield block


def rust_comments(source: str) -> Iterator[str]:
    """Comments of lines that follow each other are one text."""
    for block in re.findall(r"(?:^[ ]*//(?! --).*\n)+", source, re.MULTILINE):
        yield re.sub(r"^[ ]*//[/!]?", "", block, flags=re.MULTILINE)
    yield from re.findall(r"\S[ ]+// (.*)", source)


def helps(command: click.Command) -> Iterator[str]:
    """All that `--help` says, of a command and those in it."""
    yield command.help or ""
    for parameter in command.params:
        yield getattr(parameter, "help", None) or ""
    for each in getattr(command, "commands", {}).values():
        yield from helps(each)


class TestSentences:
    """They are short, for readers whose language is another."""

    @every_paper
    def test_of_papers(self, paper: Path) -> None:
        assert too_long(paper.read_text()) == []

    def test_of_the_example_configuration(self) -> None:
        lines = (ROOT / "config.example.toml").read_text().splitlines()
        text = [line.removeprefix("#") if re.match(r"#(?! \w+ = )", line) else "" for line in lines]
        assert too_long(re.sub(r'"[^"\s]*"', "`code`", "\n".join(text))) == []

    def test_of_helps(self) -> None:
        assert [each for text in helps(main) for each in too_long(text)] == []

    @pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
    def test_of_docstrings_and_comments(self, path: Path) -> None:
        texts = [*docstrings(path.read_text()), *comments(path.read_text())]
        for check in (too_long, hard):
            assert [each for text in texts for each in check(text)] == []

    @pytest.mark.parametrize("path", RUST, ids=lambda path: str(path.relative_to(ROOT)))
    def test_of_comments_in_rust(self, path: Path) -> None:
        for text in rust_comments(path.read_text()):
            assert too_long(text) == []
            assert hard(text) == []

    def test_that_are_hard_to_read_are_found(self) -> None:
        source = '"""Read it anew."""\nx = 1  # What it is.\n# One;\n# two; three.\n"""None: absent. What now?"""\n'
        assert [each for text in docstrings(source) for each in hard(text)] == ["Read it anew."]
        assert [each for text in comments(source) for each in hard(text)] == ["What it is.", "One; two; three."]
        source = "/// Read it anew.\n/// Or once.\nfn f() {} // What it is.\n    // One;\n    // two; three.\n"
        found = [each for text in rust_comments(source) for each in hard(text)]
        assert found == ["Read it anew.", "One; two; three.", "What it is."]

    def test_that_are_too_long_are_found(self) -> None:
        word = "`one or` [a](b) "
        assert too_long(word * 17) == []
        assert len(too_long(f"{word * 18}. A short one.")) == 1
        assert too_long(f"| {word * 10} | {word * 10} |\n\n- {word * 10}\n- {word * 10}") == []
        assert too_long(f"{word * 10}. `one` {word * 10}. (One {word * 10}.) One {word * 10}") == []


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
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", re.sub(r"`[^`]*`", "", prose(paper))):
        if "://" not in target:
            there = paper.parent / target if target else paper
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), (target, anchor)


def anchors(paper: Path) -> set[str]:
    """The headings of a document, as GitHub links to them."""
    headings = re.findall(r"^#+ (.*)$", prose(paper), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_metric_that_is_named_exists() -> None:
    prefix = "flask_cache_proxy_"
    told = {
        "counter": {"_total"},
        "gauge": {""},
        "histogram": {"_bucket", "_count", "_sum"},
    }
    there = {f"{prefix}{family.name}{end}" for family in FAMILIES.values() for end in told[family.kind]}
    there |= set(re.findall(rf"^{prefix}\w+", exposition(Metrics().snapshot(), [os.getpid()]).decode(), re.MULTILINE))
    named = set(re.findall(rf"\b{prefix}\w+", OPERATIONS))
    assert len(named) > 10
    assert named <= there


def test_every_path_of_the_admin_port_is_named() -> None:
    routes = Admin(typing.cast("typing.Any", None), typing.cast("typing.Any", None))._routes
    for path, (method, _) in routes.items():
        assert f"`{path}`" in OPERATIONS or f"`{method} {path}`" in OPERATIONS
