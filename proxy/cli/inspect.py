"""`inspect`: shows all details of a value. It decodes the value and executes nothing."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from proxy.cli import frame_tables
from proxy.cli.frame_tables import Table
from proxy.cli.options import (
    BYTES,
    NO,
    STATUS,
    complain,
    json_option,
    json_policy,
    looking_with,
    prefix_option,
    redis_of,
    settings_options,
)
from proxy.cli.output import counted, duration, pretty, write_object
from proxy.config.printable import printable
from proxy.inspection import ndjson, provenance
from proxy.inspection.entries import Entry
from proxy.inspection.provenance import Origin
from proxy.policy import Rule

if TYPE_CHECKING:
    from proxy.inspection.closer_look import Look
    from proxy.inspection.storage_guess import Guess

_MOST_TEXT = 200
"""The number of first bytes to show of a value that no cache library has written."""
_WIDTH = 120
"""Columns of a line where no terminal says it."""
_NAME = 11
_INDENT = 4
_ALONE = b'"table 1"'
"""The rest of a value that is one frame."""


@click.command(epilog=STATUS, short_help="Show all details of some values.")
@settings_options
@prefix_option
@json_option
@click.argument("keys", type=BYTES, nargs=-1, required=True, metavar="KEY...")
def inspect(
    config: Path | None, upstream: str | None, prefix: tuple[str, ...], as_json: bool, keys: tuple[bytes, ...]
) -> None:
    """Show all details of each KEY: rule, type, TTL, size, the program that may have written it, and the value.

    Values are shown with all their types, even if the rule hides them from clients. Frames and series of pandas are
    shown as tables of their first and last rows. Of objects the raw parts are shown too: class, arguments, state and
    items. KEY may be any key, managed or not. Without a rule, and where the rule's
    `stored` does not fit, the bytes tell how the value is stored. Nothing in a value is ever executed.
    """
    from proxy.inspection.closer_look import closer_look  # here: pickletools takes time

    settings = looking_with(config, upstream, prefix)
    policy = json_policy(settings)
    is_fine = True
    with redis_of(settings) as store:
        for key in keys:
            entry = next(store.look([key]), None)
            if entry is None:
                complain(f"{printable(key)}: not in Redis")
                is_fine = False
                continue
            look = closer_look(entry, policy)
            is_fine &= not look.found.fault
            if as_json:
                write_object(_fields(look))
            else:
                click.echo(_text(look))
    if not is_fine:
        sys.exit(NO)


def _fields(look: "Look") -> dict[str, Any]:
    found, told = look.found, look.origin
    entry = found.entry
    fields: dict[str, Any] = {
        "key": ndjson.spelt(entry.key),
        "rule": found.rule and found.rule.name,
        "type": entry.type,
        "ttl": None if entry.ttl is None else ndjson.seconds(entry.ttl),
    }
    if told is not None:
        fields |= {"size": entry.size, "form": told.form, "protocol": told.protocol, "written_by": told.writers}
    optional = {
        "warning": told and told.warning,
        "looks_like": look.guess and look.guess.text,
        "undecodable": found.fault,
        "kind": look.kind,
        "value": look.payload and msgspec.Raw(look.payload),
        "raw": look.raw,
        "names": look.names,
    }
    return fields | {name: content for name, content in optional.items() if content}


def _text(look: "Look") -> str:
    found = look.found
    entry = found.entry
    rows = [("rule", _rule(found.rule)), ("type", printable(entry.type)), ("ttl", duration(entry.ttl))]
    if look.origin is not None:
        rows += _origin(entry, look.origin)
    if look.guess is not None:
        rows.append(("looks like", click.style(f"{look.guess.text}{_suggestion(look.guess)}", fg="yellow")))
    if found.fault:
        rows.append(("clients", click.style(f"get an error: {printable(found.fault)}", fg="red")))
    if look.payload is not None:
        rows += [("kind", str(look.kind)), *_value(look.payload)]
    if look.raw is not None:
        rows.append(("raw parts", _document(msgspec.json.encode(frame_tables.without_blocks(look.raw)))))
    if look.names:
        rows.append(("names", printable(", ".join(look.names))))
    heading = click.style(printable(entry.key), bold=True)
    return "\n".join(
        [heading, *(f"  {name}{text}" if text.startswith("\n") else f"  {name:<{_NAME}}{text}" for name, text in rows)]
    )


def _origin(entry: Entry, told: Origin) -> list[tuple[str, str]]:
    rows = [("size", counted(entry.size, "byte")), ("stored as", told.form)]
    rows += [("written by" if at == 0 else "or", who) for at, who in enumerate(told.writers)]
    if told.form == provenance.UNMARKED:
        rows.append(("as text", printable(entry.stored[:_MOST_TEXT])))
    if told.warning is not None:
        rows.append(("beware", click.style(told.warning, fg="yellow")))
    return rows


def _value(payload: bytes) -> list[tuple[str, str]]:
    """The value, with the tables of its frames."""
    rest, tables = frame_tables.extract(payload, shutil.get_terminal_size((_WIDTH, 0)).columns - _INDENT)
    rows = [(table.name, f"{table.title}\n{_indented(_lines_of(table))}") for table in tables]
    return rows if len(tables) == 1 and rest == _ALONE else [("value", _document(rest)), *rows]


def _lines_of(table: Table) -> str:
    """The lines with bold names."""
    names, *lines = table.lines
    return "\n".join([click.style(names, bold=True), *lines])


def _suggestion(guess: "Guess") -> str:
    """The setting that fits, if there is one."""
    settings = " or ".join(f'"{name}"' for name in guess.fits)
    return f" (stored = {settings})" if settings else ""


def _document(payload: bytes) -> str:
    value = pretty(payload)
    return value if "\n" not in value else f"\n{_indented(value)}"


def _rule(rule: Rule | None) -> str:
    return (
        "none: the proxy passes this key untouched (--prefix or [[rule]] keys would manage it)"
        if rule is None
        else printable(rule.name)
    )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))
