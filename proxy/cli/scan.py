"""`scan`: lists the keys of the cache, or reports on its values."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxy.cli.options import (
    BYTES,
    complain,
    fail,
    json_option,
    json_policy,
    looking_with,
    one_of,
    patterns,
    prefix_option,
    redis_of,
    settings_options,
)
from proxy.cli.output import Bar, counted
from proxy.codec.glob import name_matcher
from proxy.config import Settings
from proxy.config.printable import printable
from proxy.policy import Policy

if TYPE_CHECKING:
    from proxy.cli.scan_reports import Report  # imported where it is used: pickletools takes time
    from proxy.inspection.store import Store

_STATUS = (
    "Exit status: 0 success; 1 --undecodable, --audit or --json-ready has reported a value; "
    "2 wrong usage or configuration; 3 Redis cannot be reached or refuses the command."
)


@click.command(epilog=_STATUS, short_help="List keys with kinds, sizes, TTLs, or report on values.")
@settings_options
@prefix_option
@json_option
@click.option(
    "--undecodable",
    is_flag=True,
    help="List only values that cannot be decoded, with the reasons. Exit status 1 if there are any.",
)
@click.option(
    "--classes",
    is_flag=True,
    help="Count the classes and functions that the pickles name, with the key of one value each.",
)
@click.option(
    "--audit",
    is_flag=True,
    help="Report pickles that name what no cache library stores, such as os.system, and pickles that cannot be read. "
    "Exit status 1 if there are any.",
)
@click.option(
    "--json-ready",
    is_flag=True,
    help='Report values that would not survive stored = "json", with the reasons. Exit status 1 if there are any.',
)
@click.option(
    "--prefixes",
    is_flag=True,
    help="Count all keys of the database by prefix: values of Flask, values that cannot be read, and the rule. At the "
    "end print the flag and the TOML that manage them.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="GLOB",
    help="For --audit: names that match are no findings. May be given several times.",
)
@click.argument("pattern", type=BYTES, required=False)
def scan(
    config: Path | None,
    upstream: str | None,
    prefix: tuple[str, ...],
    as_json: bool,
    allow: tuple[str, ...],
    pattern: bytes | None,
    **reports: bool,
) -> None:
    """List the keys that match PATTERN, a glob as in Redis' KEYS. Without it, list all managed keys.

    PATTERN may also match keys that no rule manages. `scan --undecodable 'shop_*'` finds the values that a rule for
    these keys could not decode. The command reads in small steps, and Redis serves other clients between them. A key
    may appear twice while Redis resizes its table.

    With --classes, --audit, --json-ready or --prefixes, report on the values instead. Give one of them at a time.
    Nothing in a value is ever executed. How a value without a rule is stored is guessed from its bytes.
    """
    report = one_of(**reports)
    if allow and report != "audit":
        fail("--allow goes with --audit")
    settings = looking_with(config, upstream, prefix)
    policy = json_policy(settings)
    if report == "prefixes" and pattern is None:
        pattern = b"*"
    total = 0
    with redis_of(settings) as store, Bar(there := store.count(), "scanning") as bar:
        shown = _report(report, allow, policy, as_json, bar.clear, settings)
        shown.begin()
        for keys in bar.track(steps(store, settings, policy, pattern)):
            for entry in store.look(keys):
                total += 1
                shown.take(entry)
    if not total:
        complain(nothing("key", store, there, policy, pattern))
        return
    if status := shown.end(total):
        sys.exit(status)


def _report(
    name: str | None,
    allow: tuple[str, ...],
    policy: Policy,
    as_json: bool,
    before: Callable[[], None],
    settings: Settings,
) -> "Report":
    from proxy.cli import prefix_report, scan_reports

    if name == "prefixes":
        return prefix_report.Prefixes(policy, as_json, before, settings.rule)
    if name == "classes":
        return scan_reports.Classes(policy, as_json, before)
    if name == "audit":
        return scan_reports.Audit(policy, as_json, before, name_matcher(allow))
    if name == "json-ready":
        return scan_reports.JsonReady(policy, as_json, before)
    return scan_reports.Listing(policy, as_json, before, only_undecodable=name is not None)


def nothing(noun: str, store: "Store", there: int, policy: Policy, pattern: bytes | None) -> str:
    """The message for an empty result. It shows pattern and database, because one of them is usually wrong."""
    wanted = patterns(policy) if pattern is None else printable(pattern)
    if not there:
        return f"no key at all is in {store.place}: is that the app's database (upstream.url)?"
    advice = "" if pattern else "; `flask-cache-proxy scan --prefixes` lists the prefixes that are there"
    return f"no {noun} matches {wanted or 'a rule'}, of {counted(there, 'key')} in {store.place}{advice}"


def steps(
    store: "Store", settings: Settings, policy: Policy, pattern: bytes | None
) -> Iterator[tuple[int, list[bytes]]]:
    """Keys that match a pattern, or all managed keys without one. Yields (keys looked at, matching keys) in steps."""
    globs = [rule.pattern for rule in settings.rule if rule.as_ != "untouched"]
    if pattern is not None:
        yield from store.scan(pattern)
    elif globs:
        glob = globs[0] if len(globs) == 1 else b"*"
        for looked_at, keys in store.scan(glob):
            yield looked_at, [key for key in keys if policy.match(key) is not None]
