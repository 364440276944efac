"""The demo is what a newcomer sees first: it must run, and fail when it should."""

import subprocess
import sys

import pytest

from proxy.cli import demo


def test_the_demo_shows_each_step_and_succeeds() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "demo"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for shown in (
        "SET flask_cache_view//index '\"Hello from the producer\"' EX 60",
        r"b'!\x80\x04\x95",
        "the view ran 0 times",
        "the view ran 1 time",
        '-> {"name":"kettle","price":29.5,"tags":["kitchen","new"]}',
    ):
        assert shown in done.stdout


def test_a_step_that_fails_ends_the_demo_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_GREETING", "Hello")
    monkeypatch.setattr(demo._App, "get", lambda _self, _path: ("something else", "text/html", 1))
    assert demo.run() == 1
    assert "Flask did not serve the producer's value" in capsys.readouterr().err
