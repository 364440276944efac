"""Log lines."""

import json
import logging
import re

import pytest

from proxy.observe import logs


def test_text_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")
    logging.getLogger("proxy.x").info("hello %s", "there")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    hello there\n", capsys.readouterr().err)


def test_json_lines_are_for_collectors(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "json")
    logging.getLogger("proxy.x").info("not shown")
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        logging.getLogger("proxy.x").exception("failed")
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["logger"], line["message"]) == ("error", "proxy.x", "failed")
    assert "ValueError" in line["traceback"]
    assert line["time"].endswith("Z")


def test_what_is_no_text_is_logged_as_it_reads(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logging.getLogger("proxy.x").error(OSError("of a library"))
    assert json.loads(capsys.readouterr().err)["message"] == "of a library"


def test_a_line_about_a_connection_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("proxy.x")
    logs.configure("info", "text")
    log.warning("[%d] slow: %s", 12, "GET")
    assert capsys.readouterr().err.endswith(" WARNING [12] slow: GET\n")
    logs.configure("info", "json", 3)
    log.warning("[%d] slow: %s", 12, "GET")
    log.warning("[1] is what it begins with")
    about_one, about_none = map(json.loads, capsys.readouterr().err.splitlines())
    assert (about_one["connection"], about_one["message"], about_one["worker"]) == (12, "slow: GET", 3)
    assert (about_none.get("connection"), about_none["message"]) == (None, "[1] is what it begins with")


@pytest.mark.parametrize(
    ("style", "wanted"),
    [("text", "INFO    worker 3: hello\n"), ("json", '"worker": 3, "message": "hello"}\n')],
)
def test_each_of_several_workers_says_which_it_is(capsys: pytest.CaptureFixture[str], style: str, wanted: str) -> None:
    logs.configure("info", style, 3)
    logging.getLogger("proxy.x").info("hello")
    assert capsys.readouterr().err.endswith(wanted)


def test_many_warnings_of_a_kind_are_counted_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")
    log, now = logging.getLogger("proxy.x"), 1000.0

    def warn(text: str, after: float = 0.0) -> list[str]:
        record = log.makeRecord(log.name, logging.WARNING, "", 0, "%s is away", (text,), None)
        record.created = now + after
        log.handle(record)
        return [line.partition(" WARNING ")[2] for line in capsys.readouterr().err.splitlines()]

    assert [warn(str(number)) for number in range(19)] == [[f"{number} is away"] for number in range(19)]
    assert warn("19") == ["19 is away (more like this are not logged for up to 10 s)"]
    assert [warn("x", 9.9) for _ in range(100)] == [[]] * 100
    log.warning("another kind")
    log.info("%s is away", "information")
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert warn("20", 10.0) == ["20 is away (100 more like this were not logged)"]
    assert warn("21", 20.0) == ["21 is away"]


def test_what_is_logged_elsewhere_is_another_kind_though_it_may_read_alike(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")
    log = logging.getLogger("proxy.x")
    for number in range(100):
        log.warning("[%d] %s", number, "Redis is away")
    log.warning("[%d] %s", 100, "another reason")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("[100] another reason")


@pytest.mark.parametrize("style", ["text", "json"])
def test_what_redis_says_cannot_forge_a_line_nor_harm_a_terminal(
    capsys: pytest.CaptureFixture[str], style: str
) -> None:
    logs.configure("info", style)
    said = "unknown command '\x9b2J\u202e\x7f\u2028é\n2026-01-01T00:00:00.000Z INFO    forged'"
    logging.getLogger("proxy.x").warning("Redis says: %s", said)
    try:
        raise ValueError(said)
    except ValueError:
        logging.getLogger("proxy.x").exception("failed: %s", said)
    lines = capsys.readouterr().err.splitlines()
    assert all(map(str.isprintable, lines))
    assert not [line for line in lines if line.startswith("2026-01-01")]
    if style == "json":
        assert [json.loads(line)["message"].endswith(said) for line in lines] == [True, True]
    else:
        assert "é" in lines[0]
