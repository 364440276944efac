"""The report of `scan --prefixes`: the prefixes of the keys, and the flag and the TOML that manage them."""

import shlex
from collections.abc import Callable
from typing import Any, Final

import click

from proxy.cli.output import write_object
from proxy.cli.scan_reports import Lines
from proxy.codec.glob import compile_glob
from proxy.config import Rule as RuleSettings
from proxy.config.prefixes import glob_of, ordered
from proxy.config.printable import printable
from proxy.config.values import toml_value
from proxy.inspection.entries import Entry
from proxy.inspection.prefix_counts import PrefixCounts, Row, proposed
from proxy.policy import Policy

_HEADING: Final = f"{'PREFIX':<32} {'KEYS':>9} {'FLASK':>9} {'UNREADABLE':>10}  RULE"


class Prefixes(Lines):
    """Counts keys by prefix and rule."""

    def __init__(
        self, policy: Policy, as_json: bool, before: Callable[[], None], rules: tuple[RuleSettings, ...]
    ) -> None:
        """`rules`: of the settings, in their order. See `Listing` for the others."""
        super().__init__(policy, as_json, before, _HEADING)
        self._rules = rules
        self._untouched = {rule.name: compile_glob(rule.pattern) for rule in rules if rule.as_ == "untouched"}
        self._counts = PrefixCounts()

    def take(self, entry: Entry) -> None:
        """Count a key."""
        found = self._found(entry)
        hidden = None
        if found.rule is None:
            hidden = next((name for name, matches in self._untouched.items() if matches(entry.key)), None)
        self._counts.add(found, hidden)

    def end(self, total: int) -> int:
        """Print a row for each prefix and rule, then the flag and the TOML."""
        rows = self._counts.rows()
        for row in rows:
            self._print(row._asdict(), lambda row=row: _shown(row))  # type: ignore[misc]
        flag, toml = self._flag(rows), self._toml(rows)
        if self._as_json:
            write_object({"flag": flag, "toml": toml})
            return 0
        click.echo()
        click.echo("\n\n".join(self._advice(rows, flag, toml)))
        return 0

    def _used(self, rows: list[Row]) -> list[RuleSettings]:
        """The rules that have values of a cache."""
        names = {row.rule for row in rows if row.flask}
        return [rule for rule in self._rules if rule.name in names]

    def _flag(self, rows: list[Row]) -> str | None:
        """The flags for all prefixes with values of Flask. None: a rule in use has settings that flags do not have."""
        kept: list[str] = []
        for rule in self._used(rows):
            prefix = rule.keys.removesuffix("*")
            if rule != RuleSettings(keys=glob_of(prefix)):
                return None
            kept.append(prefix)
        prefixes = ordered([*kept, *proposed(rows)])
        return " ".join(f"--prefix {shlex.quote(prefix)}" for prefix in prefixes)

    def _toml(self, rows: list[Row]) -> str:
        """Rules for the prefixes that have none."""
        return "\n".join(
            f"[[rule]]\nkeys = {toml_value(glob_of(prefix))}\n" for prefix in ordered(proposed(rows))
        ).rstrip("\n")

    def _advice(self, rows: list[Row], flag: str | None, toml: str) -> list[str]:
        parts = []
        if any(row.flask and row.rule is None and row.prefix is None for row in rows):
            parts.append('Some values of Flask have keys without a prefix. To manage every key: serve --prefix ""')
        if flag:
            parts.append(f"flask-cache-proxy serve {flag}")
        if toml:
            parts.append(f"Or in the file, behind its other rules:\n\n{toml}")
        if not parts:
            parts.append("No further rule is needed." if self._used(rows) else "No key has a value of Flask.")
        return parts


def _shown(row: Row) -> str:
    prefix: Any = "-" if row.prefix is None else row.prefix
    rule = "-" if row.rule is None else printable(row.rule)
    return f"{prefix:<32} {row.keys:>9} {row.flask:>9} {row.unreadable:>10}  {rule}"
