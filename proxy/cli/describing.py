"""`inspect`: all that can be told of a value, decoded and never executed."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from proxy.cli.options import (
    BYTES,
    NO,
    STATUS,
    complain,
    json_option,
    json_policy,
    looking_with,
    redis_of,
    settings_options,
)
from proxy.cli.output import counted, duration, pretty, printable, write_object
from proxy.inside import lines, origin
from proxy.inside.finding import Finding, find, lossless
from proxy.inside.origin import Origin
from proxy.policy import Rule

_MOST_TEXT = 200
"""Bytes of a value that is none of a cache's, to recognise it by."""


@click.command(epilog=STATUS, short_help="Tell all about some values.")
@settings_options
@json_option
@click.argument("keys", type=BYTES, nargs=-1, required=True, metavar="KEY...")
def inspect(config: Path | None, upstream: str | None, as_json: bool, keys: tuple[bytes, ...]) -> None:
    """Tell all about the value of each KEY: its rule, type, TTL, size, who may have written it, and itself.

    Values are shown with all their types, whatever the rule tells clients, and keys may be anybody's. Nothing of a
    value is ever executed.
    """
    settings = looking_with(config, upstream)
    policy = json_policy(settings)
    reader = lossless(policy.limits.codec)
    is_fine = True
    with redis_of(settings) as store:
        for key in keys:
            entry = next(store.look([key]), None)
            if entry is None:
                complain(f"{printable(key)}: not in Redis")
                is_fine = False
                continue
            found = find(entry, policy, reader)
            is_fine &= not found.fault
            told = origin.of(entry.stored, found.kind, found.is_foreign) if entry.type == "string" else None
            if as_json:
                write_object(_fields(found, told))
            else:
                click.echo(_text(found, told))
    if not is_fine:
        sys.exit(NO)


def _fields(found: Finding, told: Origin | None) -> dict[str, Any]:
    entry = found.entry
    fields: dict[str, Any] = {
        "key": lines.spelt(entry.key),
        "rule": found.rule and found.rule.name,
        "type": entry.type,
        "ttl": None if entry.ttl is None else lines.seconds(entry.ttl),
    }
    if told is not None:
        fields |= {"size": entry.size, "form": told.form, "protocol": told.protocol, "written_by": told.writers}
        if told.warning is not None:
            fields["warning"] = told.warning
    if found.fault:
        fields["undecodable"] = found.fault
    if found.payload is not None:
        fields |= {"kind": found.kind, "value": msgspec.Raw(found.payload)}
    return fields


def _text(found: Finding, told: Origin | None) -> str:
    entry = found.entry
    rows = [("rule", _rule(found.rule)), ("type", entry.type), ("ttl", duration(entry.ttl))]
    if told is not None:
        rows += [("size", counted(entry.size, "byte")), ("stored as", told.form)]
        rows += [("written by" if at == 0 else "or", who) for at, who in enumerate(told.writers)]
        if told.form == origin.UNMARKED:
            rows.append(("as text", printable(entry.stored[:_MOST_TEXT])))
        if told.warning is not None:
            rows.append(("beware", click.style(told.warning, fg="yellow")))
    if found.fault:
        rows.append(("clients", click.style(f"get an error: {printable(found.fault)}", fg="red")))
    if found.payload is not None:
        value = pretty(found.payload)
        rows += [("kind", str(found.kind)), ("value", value if "\n" not in value else f"\n{_indented(value)}")]
    heading = click.style(printable(entry.key), bold=True)
    return "\n".join(
        [heading, *(f"  {name}{text}" if text.startswith("\n") else f"  {name:<11}{text}" for name, text in rows)]
    )


def _rule(rule: Rule | None) -> str:
    return "none: the proxy passes this key untouched" if rule is None else printable(rule.name)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))
