"""`get` and `set`: one value, as a client of a JSON listener would read and write it."""

from pathlib import Path

import click

from proxy.cli.options import (
    BYTES,
    NO,
    NO_REDIS,
    STATUS,
    fail,
    json_option,
    json_policy,
    looking_with,
    managed,
    redis_of,
    settings_options,
)
from proxy.cli.output import printable, read, write, write_payload
from proxy.codec import CodecError
from proxy.inside import lines
from proxy.inside.finding import find, lossless
from proxy.policy import As


@click.command(epilog=STATUS, short_help="Print a value.")
@settings_options
@json_option
@click.argument("key", type=BYTES)
def get(config: Path | None, upstream: str | None, as_json: bool, key: bytes) -> None:
    """Print the value of KEY as a client of the proxy reads it: JSON, or the body of a view.

    With --json, print the line that `export` would write: key, ttl and the value with its types.
    """
    settings = looking_with(config, upstream)
    policy = json_policy(settings)
    rule = managed(policy, key)
    with redis_of(settings) as store:
        entry = next(store.look([key]), None)
    if entry is None:
        fail(f"{printable(key)}: not in Redis", NO)
    found = find(entry, policy, lossless(policy.limits.codec))
    if found.payload is None:
        fail(f"{printable(key)}: {_unread(found.fault)}", NO)
    if as_json:
        write(lines.write(lines.Line(key, found.payload, entry.ttl)) + b"\n")
        return
    try:
        payload = rule.transcoder.decode(entry.stored)
    except CodecError as error:
        fail(f"{printable(key)}: {_unread(str(error))}", NO)
    write_payload(payload, is_json=rule.transcoder.options.view is None)


def _unread(reason: str) -> str:
    return f"cannot be decoded: {reason}"


@click.command("set", epilog=STATUS, short_help="Store a value.", context_settings={"ignore_unknown_options": True})
@settings_options
@click.option(
    "--ttl",
    type=float,
    metavar="SECONDS",
    help="How long it lives. 0: until it is deleted, whatever the default_ttl of the rule.",
)
@click.argument("key", type=BYTES)
@click.argument("payload", type=BYTES, default=b"-")
def set_(config: Path | None, upstream: str | None, ttl: float | None, key: bytes, payload: bytes) -> None:
    """Store PAYLOAD under KEY as a client of the proxy would write it: JSON, or the body of a view.

    PAYLOAD is standard input if it is - or left out. It is stored wholly, or not at all.
    """
    from proxy.inside.store import Write

    settings = looking_with(config, upstream)
    policy = json_policy(settings)
    rule = managed(policy, key)
    milliseconds = _milliseconds(rule.default_ttl if ttl is None else ttl)
    if rule.treats_as is As.READ_ONLY:
        fail(f"{printable(key)}: the rule {rule.name} is read-only", NO)
    if payload == b"-":
        payload = read(policy.limits.codec.payload_bytes)
    try:
        stored = rule.transcoder.encode(payload)
    except CodecError as error:
        fail(f"{printable(key)}: {error}. Nothing was stored", NO)
    with redis_of(settings) as store:
        (refused,) = store.write([Write(key, stored, milliseconds)])
    if refused is not None:
        fail(f"{printable(key)}: {refused}. Nothing was stored", NO_REDIS)


def _milliseconds(ttl: float) -> int | None:
    """None: it stays."""
    try:
        return lines.milliseconds(ttl) if ttl else None
    except lines.LineError:
        fail(f"--ttl: from 0.001 to {lines.MOST_TTL} seconds, or 0 for a value that stays")
