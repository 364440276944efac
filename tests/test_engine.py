"""Which engine runs, and what is said about it."""

import os
import subprocess
import sys
from types import ModuleType

import pytest

from proxy import engine
from proxy.engine import REFERENCE, VARIABLE, Engine, choose

EXTENSION = ModuleType("extension")
MISSING = "the native engine is not installed"


@pytest.mark.parametrize(
    ("wanted", "found", "name", "remarked"),
    [
        (None, EXTENSION, "native", False),
        ("", EXTENSION, "native", False),
        ("native", EXTENSION, "native", False),
        ("python", EXTENSION, "Python", False),
        ("python", None, "Python", False),
        (None, None, "Python", True),
    ],
)
def test_the_native_engine_runs_where_it_is_unless_the_other_is_asked_for(
    wanted: str | None, found: ModuleType | None, name: str, remarked: bool
) -> None:
    choice = choose({} if wanted is None else {VARIABLE: wanted}, found, MISSING)
    assert choice.name == name
    assert bool(choice.remark) == remarked
    assert not choice.error


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("native", ("not installed", "cargo", VARIABLE)), ("rust", ('"python" or "native"', "'rust'"))],
)
def test_an_engine_that_cannot_run_is_an_error_that_says_what_to_do(wanted: str, words: tuple[str, ...]) -> None:
    choice = choose({VARIABLE: wanted}, None, MISSING)
    assert choice.native is None
    assert all(word in choice.error for word in words)


def test_an_engine_has_the_extensions_functions_or_those_of_the_reference() -> None:
    native = ModuleType("native")
    native.bulks = len  # type: ignore[attr-defined]
    native.Codec = dict  # type: ignore[attr-defined]
    assert (Engine(native).of("bulks", sum), REFERENCE.of("bulks", sum)) == (len, sum)
    assert (Engine(native).codec(payload="json"), REFERENCE.codec(payload="json")) == ({"payload": "json"}, None)
    assert (Engine(native).is_native, REFERENCE.is_native) == (True, False)


def run(*arguments: str, wanted: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        env=os.environ | {VARIABLE: wanted},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_version_names_the_engine() -> None:
    assert run("--version", wanted="python").stdout.endswith(" (Python engine)\n")
    assert run("--version", wanted="").stdout.endswith(f" ({choose({}, *engine._find()).name} engine)\n")


def test_a_start_with_an_unknown_engine_fails() -> None:
    ended = run("serve", "--upstream", "redis://127.0.0.1:1", wanted="rust")
    assert ended.returncode == 2
    assert ended.stderr == f'{VARIABLE} must be "python" or "native", got \'rust\'\n'
