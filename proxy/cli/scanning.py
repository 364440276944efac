"""`scan`: what is in the cache, a line for each key."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proxy.cli.options import (
    BYTES,
    NO,
    STATUS,
    complain,
    json_option,
    json_policy,
    looking_with,
    patterns,
    redis_of,
    settings_options,
)
from proxy.cli.output import Bar, counted, duration, printable, write_object
from proxy.config import Settings
from proxy.inside import lines
from proxy.inside.finding import Finding, find, lossless
from proxy.policy import Policy

if TYPE_CHECKING:
    from proxy.inside.store import Store

_UNDECODABLE = "undecodable"
_HEADING = f"{'KIND':<12} {'SIZE':>9} {'TTL':>10}  {'RULE':<16} KEY"


@click.command(epilog=STATUS, short_help="List keys, with kinds, sizes and TTLs.")
@settings_options
@json_option
@click.option("--undecodable", is_flag=True, help="Only what cannot be decoded, and why; 1 if there is any.")
@click.argument("pattern", type=BYTES, required=False)
def scan(config: Path | None, upstream: str | None, as_json: bool, undecodable: bool, pattern: bytes | None) -> None:
    """List the keys that match PATTERN, a glob as in Redis' KEYS; without one, all that the rules manage.

    PATTERN may reach further than the rules do: `scan --undecodable 'shop_*'` finds what a rule for these keys would
    trip over. Redis is asked in small steps, and serves others in between; a key may come twice while it resizes its
    table.
    """
    settings = looking_with(config, upstream)
    policy = json_policy(settings)
    reader = lossless(policy.limits.codec)
    counts = {False: 0, True: 0}
    with redis_of(settings) as store, Bar(there := store.count(), "scanning") as bar:
        if not as_json:
            click.echo(_HEADING)
        for keys in bar.track(steps(store, settings, policy, pattern)):
            for entry in store.look(keys):
                found = find(entry, policy, reader)
                counts[found.fault != ""] += 1
                if found.fault or not undecodable:
                    bar.clear()
                    write_object(_fields(found)) if as_json else click.echo(_row(found))
    total = sum(counts.values())
    if not total:
        complain(nothing("key", store, there, policy, pattern))
    elif sys.stderr.isatty() and not as_json:
        complain(f"{counted(total, 'key')}, {counts[True]} of them undecodable")
    if undecodable and counts[True]:
        sys.exit(NO)


def nothing(noun: str, store: "Store", there: int, policy: Policy, pattern: bytes | None) -> str:
    """That no key was found, and where: the usual reasons are another prefix and another database."""
    wanted = patterns(policy) if pattern is None else printable(pattern)
    return f"no {noun} matches {wanted or 'a rule'}, of {counted(there, 'key')} in {store.place}"


def steps(
    store: "Store", settings: Settings, policy: Policy, pattern: bytes | None
) -> Iterator[tuple[int, list[bytes]]]:
    """Keys that match a pattern, without one those that the rules manage: some at a time, and how much work it was."""
    globs = [rule.pattern for rule in settings.rule if rule.as_ != "untouched"]
    if pattern is not None:
        yield from store.scan(pattern)
    elif globs:
        glob = globs[0] if len(globs) == 1 else b"*"
        for looked_at, keys in store.scan(glob):
            yield looked_at, [key for key in keys if policy.match(key) is not None]


def _fields(found: Finding) -> dict[str, Any]:
    entry = found.entry
    fields: dict[str, Any] = {
        "key": lines.spelt(entry.key),
        "rule": found.rule and found.rule.name,
        "type": entry.type,
        "size": entry.size,
        "ttl": None if entry.ttl is None else lines.seconds(entry.ttl),
    }
    told = {"kind": found.kind, "undecodable": found.fault}
    return fields | {name: text for name, text in told.items() if text}


def _row(found: Finding) -> str:
    entry = found.entry
    kind = found.kind or (_UNDECODABLE if entry.type == "string" else entry.type)
    rule = "-" if found.rule is None else printable(found.rule.name)
    row = f"{kind:<12} {entry.size:>9} {duration(entry.ttl):>10}  {rule:<16} {printable(entry.key)}"
    return row if not found.fault else click.style(f"{row}  ({printable(found.fault)})", fg="red")
