"""The reports of `scan`. Each takes the entries of the cache one by one, prints lines, and gives the exit status."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import click

from proxy.cli.options import NO, complain
from proxy.cli.output import counted, duration, write_object
from proxy.config.printable import printable
from proxy.inspection import ndjson
from proxy.inspection.audit import ClassCounts, names_in
from proxy.inspection.entries import Entry, Finding, find, lossless
from proxy.inspection.json_ready import obstacles
from proxy.inspection.pickle_names import Names
from proxy.inspection.storage_guess import guess
from proxy.policy import Policy

_UNDECODABLE: Final = "undecodable"
_KIND: Final = 12
_WIDEST: Final = 60
"""The most characters of a name that sets the width of its column. Longer ones are cut."""


class Report(Protocol):
    """A report on the entries of a scan."""

    def begin(self) -> None:
        """Print the heading, for people."""

    def take(self, entry: Entry) -> None:
        """Look at an entry."""

    def end(self, total: int) -> int:
        """Print the result of so many entries. Returns the exit status."""


class Lines:
    """Prints a line for people, or an object for programs."""

    def __init__(self, policy: Policy, as_json: bool, before: Callable[[], None], heading: str = "") -> None:
        """`before`: called before a line is printed, to make room for it."""
        self._policy = policy
        self._limits = policy.limits.codec
        self._as_json = as_json
        self._before = before
        self._heading = heading

    def begin(self) -> None:
        """Print the heading, for people."""
        if self._heading and not self._as_json:
            click.echo(self._heading)

    def _print(self, fields: dict[str, Any], line: Callable[[], str]) -> None:
        self._before()
        write_object(fields) if self._as_json else click.echo(line())

    def _sum(self, fields: dict[str, Any], line: str) -> None:
        """Print what all of it comes to: on stdout for programs, on stderr for people."""
        write_object(fields) if self._as_json else complain(line)

    def _found(self, entry: Entry) -> Finding:
        """Decode an entry. Where no rule says how it is stored, its bytes do."""
        storage = "flask" if self._policy.match(entry.key) else guess(entry.stored, self._limits).storage
        return find(entry, self._policy, lossless(self._limits, storage))


class Listing(Lines):
    """Lists the keys."""

    def __init__(self, policy: Policy, as_json: bool, before: Callable[[], None], only_undecodable: bool) -> None:
        """`only_undecodable`: list only values that cannot be decoded, and end with 1 if there are any."""
        self._rule = _width(("RULE", *(printable(rule.name) for rule in policy.rules)))
        super().__init__(policy, as_json, before, self._line("KIND", "SIZE", "TTL", "RULE", "KEY"))
        self._only_undecodable = only_undecodable
        self._undecodable = 0

    def take(self, entry: Entry) -> None:
        """Print a line for an entry."""
        found = self._found(entry)
        self._undecodable += found.fault != ""
        if found.fault or not self._only_undecodable:
            self._print(_fields(found), lambda: self._row(found))

    def _row(self, found: Finding) -> str:
        entry = found.entry
        kind = found.kind or (_UNDECODABLE if entry.type == "string" else printable(entry.type))
        rule = "-" if found.rule is None else printable(found.rule.name)
        row = self._line(kind, str(entry.size), duration(entry.ttl), rule, printable(entry.key))
        return row if not found.fault else click.style(f"{row}  ({printable(found.fault)})", fg="red")

    def _line(self, kind: str, size: str, ttl: str, rule: str, key: str) -> str:
        return f"{_cell(kind, _KIND)}  {size:>9}  {ttl:>12}  {_cell(rule, self._rule)}  {key}"

    def end(self, total: int) -> int:
        """Print the counts on a terminal."""
        if sys.stderr.isatty() and not self._as_json:
            complain(f"{counted(total, 'key')}, {self._undecodable} of them undecodable")
        return NO if self._only_undecodable and self._undecodable else 0


class Classes(Lines):
    """Counts the classes that the values hold."""

    def __init__(self, policy: Policy, as_json: bool, before: Callable[[], None]) -> None:
        """See `Listing`."""
        super().__init__(policy, as_json, before)
        self._counts = ClassCounts()

    def take(self, entry: Entry) -> None:
        """Count the classes of a value."""
        self._counts.add(entry.key, names_in(entry, self._policy.match(entry.key), self._limits))

    def end(self, total: int) -> int:
        """Print a heading and a line for each class."""
        counts = list(self._counts.rows())
        width = _width(("CLASS", *(printable(count.name) for count in counts)))
        if not self._as_json:
            self._before()
            click.echo(f"{'KEYS':>9}  {'OBJECTS':>9}  {_cell('CLASS', width)}  EXAMPLE")
        for count in counts:
            example = None if count.example is None else ndjson.spelt(count.example)
            fields = {"class": count.name, "keys": count.keys, "objects": count.objects, "example": example}
            shown = "" if count.example is None else printable(count.example)
            row = f"{count.keys:>9}  {count.objects:>9}  {_cell(printable(count.name), width)}  {shown}"
            self._print(fields, row.rstrip)
        if self._counts.left_out:
            complain(f"{counted(self._counts.left_out, 'value')} have further classes, which are too many to count")
        return 0


class Audit(Lines):
    """Looks for names that no cache library stores, and for pickles that cannot be read."""

    def __init__(
        self, policy: Policy, as_json: bool, before: Callable[[], None], is_allowed: Callable[[str], bool]
    ) -> None:
        """`is_allowed`: whether a name is the app's own word, and no finding."""
        super().__init__(policy, as_json, before)
        self._is_allowed = is_allowed
        self._bad = 0

    def take(self, entry: Entry) -> None:
        """Print a line for each finding in a value."""
        names = names_in(entry, self._policy.match(entry.key), self._limits)
        findings = {name: why for name, why in names.findings.items() if not self._is_allowed(name)}
        self._bad += bool(findings or names.fault)
        for name, why in findings.items():
            self._report(entry.key, names, name, why)
        if names.fault:
            text = f"cannot be audited: {names.fault}"
            self._print({"key": ndjson.spelt(entry.key), "unread": names.fault}, lambda: _red(entry.key, text))

    def _report(self, key: bytes, names: Names, name: str, why: str) -> None:
        use = names.uses.get(name)
        is_called = use is not None and use.calls > 0
        fields = {"key": ndjson.spelt(key), "name": name, "is_called": is_called, "reason": why}
        how = "is called" if is_called else "is named"
        self._print(fields, lambda: _red(key, f"{printable(name)} {how} ({why})"))

    def end(self, total: int) -> int:
        """Print the counts."""
        bad = f"{self._bad} with findings" if self._bad else "nothing suspicious"
        self._sum({"keys": total, "with_findings": self._bad}, f"{counted(total, 'key')}: {bad}")
        return NO if self._bad else 0


class JsonReady(Lines):
    """Looks for values that would not survive `stored = "json"`."""

    def __init__(self, policy: Policy, as_json: bool, before: Callable[[], None]) -> None:
        """See `Listing`."""
        super().__init__(policy, as_json, before)
        self._lost = 0

    def take(self, entry: Entry) -> None:
        """Print a line for a value that would not survive."""
        found = self._found(entry)
        reasons = [found.fault] if found.payload is None else obstacles(found.payload)
        if reasons:
            self._lost += 1
            fields = {"key": ndjson.spelt(entry.key), "not_json": reasons}
            self._print(fields, lambda: _red(entry.key, printable(", ".join(reasons))))

    def end(self, total: int) -> int:
        """Print the counts."""
        ready = total - self._lost
        self._sum(
            {"keys": total, "ready": ready}, f'{ready} of {counted(total, "value")} would survive stored = "json"'
        )
        return NO if self._lost else 0


def _red(key: bytes, text: str) -> str:
    return f"{printable(key)}: {click.style(text, fg='red')}"


def _fields(found: Finding) -> dict[str, Any]:
    entry = found.entry
    fields: dict[str, Any] = {
        "key": ndjson.spelt(entry.key),
        "rule": found.rule and found.rule.name,
        "type": entry.type,
        "size": entry.size,
        "ttl": None if entry.ttl is None else ndjson.seconds(entry.ttl),
    }
    told = {"kind": found.kind, "undecodable": found.fault}
    return fields | {name: text for name, text in told.items() if text}


def _width(names: Iterable[str]) -> int:
    """The width of a column for these names."""
    return min(_WIDEST, max(map(len, names)))


def _cell(text: str, width: int) -> str:
    """A text in a column: padded, or cut."""
    return f"{text:<{width}}" if len(text) <= width else f"{text[: width - 3]}..."
