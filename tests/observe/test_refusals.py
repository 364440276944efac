"""The last refusals, and the lines about them in the log."""

import json
import logging

import msgspec
import pytest

from proxy.observe import logs
from proxy.observe.refusal_log import OF_CLIENT, OF_PROCESS, RefusalLog
from proxy.observe.refusals import LAST, LastRefusals, Refused, merged, shown_name
from proxy.session.refusals import Reason, Report

REPORT = Report(Reason.STORED_BYTES, "HSET", "flask_cache_*", b"checkout")
WHO = "10.0.0.1:4242"


class TestNames:
    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            (b"checkout-1", "checkout-1"),
            ("größe 日本".encode(), "größe 日本"),
            (b"a\nb\rc\td\0", "a\\nb\\rc\\td\\x00"),
            (b"\x1b[2J\x7f", "\\x1b[2J\\x7f"),
            ("\x85\x9b".encode(), "\\x85\\x9b"),
            ("\u202e\u2066\u200f\u2028\ufeff".encode(), "\\u202e\\u2066\\u200f\\u2028\\ufeff"),
            (b"\xff\xc3", "\\xff\\xc3"),
            (b'a" of b\\', 'a\\" of b\\\\'),
            (b"", ""),
        ],
        ids=["plain", "letters", "C0", "escape", "C1", "bidi", "not UTF-8", "quotes", "empty"],
    )
    def test_they_are_shown_in_printable_characters(self, name: bytes, shown: str) -> None:
        assert shown_name(name) == shown

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            (b"x" * 64, "x" * 64),
            (b"x" * 65, "x" * 64 + "…"),
            ("é".encode() * 128, "é" * 64 + "…"),
            (b"\n" * 64, "\\n" * 32 + "…"),
            (b"x" * 63 + b"\n", "x" * 63 + "…"),
        ],
        ids=["64", "65", "two bytes each", "escapes", "no half of an escape"],
    )
    def test_they_are_cut_at_64_characters(self, name: bytes, shown: str) -> None:
        assert shown_name(name) == shown


class TestLast:
    def test_the_newest_come_first_and_old_ones_go(self) -> None:
        last = LastRefusals()
        for number in range(LAST + 5):
            last.add(float(number), WHO, REPORT)
        rows = last.snapshot()
        assert [row.when for row in rows] == [float(number) for number in range(LAST + 4, 4, -1)]
        assert rows[0] == Refused(LAST + 4.0, WHO, "checkout", "HSET", "flask_cache_*", "stored_bytes")
        assert rows[0].explanation == "the command works on stored bytes, or would store another type"

        assert not rows[0].is_failure

    def test_an_option_that_libraries_ask_for_is_told_as_no_fault(self) -> None:
        last = LastRefusals()
        for command in ("CLIENT|MAINT_NOTIFICATIONS", "CLIENT|NOTHING"):
            last.add(0.0, "unix", Report(Reason.UNKNOWN_SUBCOMMAND, command))
        assert [row.explanation.partition(":")[0] for row in last.snapshot()] == [
            "the command has no such subcommand",
            "no fault",
        ]

    def test_those_of_several_processes_are_in_the_order_of_time(self) -> None:
        logs = [LastRefusals() for _ in range(3)]
        for number in range(60):
            logs[number % 3].add(float(number), str(number % 3), REPORT)
        rows = merged(log.snapshot() for log in logs)
        assert [row.when for row in rows] == [float(number) for number in range(59, 39, -1)]

    def test_they_cross_from_one_process_to_another(self) -> None:
        last = LastRefusals()
        last.add(1.5, WHO, Report(Reason.UNDECODABLE, "GET", "r", b"\xff"))
        [row] = msgspec.msgpack.decode(msgspec.msgpack.encode(last.snapshot()), type=tuple[Refused, ...])
        assert row == last.snapshot()[0]
        assert row.is_failure

    def test_what_the_operator_has_named_is_printable_too(self) -> None:
        last = LastRefusals()
        last.add(0.0, "fe80::1%\u202e", Report(Reason.GUARD, "SYNC", "a\nb"))
        [row] = last.snapshot()
        assert (row.client, row.rule) == ("fe80::1%\\u202e", "a\\nb")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "proxy.refusals")
    return caplog


class TestLog:
    def test_a_line_says_who_what_and_why(self, lines: pytest.LogCaptureFixture) -> None:
        log = RefusalLog()
        log.add(1.0, 12, WHO, [REPORT])
        log.add(1.0, 12, "unix pid 7 uid 0", [Report(Reason.UNDECODABLE, "GET", "r")])
        log.add(1.0, 12, WHO, [Report(Reason.NOT_AUTHENTICATED, "other")])
        assert lines.messages == [
            '[12] refused HSET of 10.0.0.1:4242 "checkout" under flask_cache_*: stored_bytes'
            " (the command works on stored bytes, or would store another type)",
            "[12] failed GET of unix pid 7 uid 0 under r: undecodable (the stored value cannot be decoded)",
            "[12] refused other of 10.0.0.1:4242: not_authenticated (the client has not given the listener's password)",
        ]

    def test_collectors_get_fields(self, capsys: pytest.CaptureFixture[str]) -> None:
        logs.configure("info", "json")
        RefusalLog().add(1.0, 12, WHO, [REPORT, Report(Reason.GUARD, "SYNC")])
        full, short = map(json.loads, capsys.readouterr().err.splitlines())
        fields = {"client": WHO, "name": "checkout", "command": "HSET", "rule": "flask_cache_*"}
        assert full == full | fields | {"reason": "stored_bytes", "connection": 12, "logger": "proxy.refusals"}
        assert not {"name", "rule"} & short.keys()

    def test_a_client_has_few_lines_and_is_told_of_at_the_end(self, lines: pytest.LogCaptureFixture) -> None:
        log = RefusalLog()
        log.add(1.0, 12, WHO, [REPORT] * 100)
        log.add(1.0, 13, WHO, [REPORT])
        assert len(lines.messages) == OF_CLIENT + 1
        log.end_period()
        assert lines.messages[-1] == f"{100 - OF_CLIENT} refusals of the last 10 s were left out: 95 of [12]"

    def test_so_has_the_process(self, lines: pytest.LogCaptureFixture) -> None:
        log = RefusalLog()
        for number in range(1, 101):
            log.add(1.0, number, WHO, [REPORT] * 3)
        assert len(lines.messages) == OF_PROCESS
        log.end_period()
        # Six clients have three lines each, and the seventh has two.
        assert lines.messages[-1] == "280 refusals of the last 10 s were left out: 1 of [7], 279 of other clients"

    def test_a_new_period_has_its_own(self, lines: pytest.LogCaptureFixture) -> None:
        log = RefusalLog()
        for _ in range(2):
            log.add(1.0, 12, WHO, [REPORT] * 6)
            log.end_period()
        assert len(lines.messages) == 2 * (OF_CLIENT + 1)
        log.end_period()
        assert len(lines.messages) == 2 * (OF_CLIENT + 1)

    def test_what_has_no_line_is_among_the_last_all_the_same(self) -> None:
        log = RefusalLog()
        log.add(1.0, 12, WHO, [REPORT] * 100)
        assert len(log.last.snapshot()) == LAST
