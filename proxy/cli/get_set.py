"""`get` and `set`: read and write one value like a client of a JSON listener."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from proxy.cli.duration import DURATION
from proxy.cli.keys import version_of
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
    prefix_option,
    redis_of,
    settings_options,
)
from proxy.cli.output import read, write_line, write_payload
from proxy.codec import CodecError
from proxy.config.printable import printable
from proxy.inspection import ndjson
from proxy.inspection.entries import Entry, find, lossless
from proxy.policy import As

if TYPE_CHECKING:
    from proxy.inspection.store import Store  # imported where it is used: redis-py takes a third of the start time


@click.command(epilog=STATUS, short_help="Print a value.")
@settings_options
@prefix_option
@json_option
@click.argument("key", type=BYTES)
def get(config: Path | None, upstream: str | None, prefix: tuple[str, ...], as_json: bool, key: bytes) -> None:
    """Print the value of KEY as a client of the proxy reads it: JSON, or the body of a view.

    With --json, print the line that `export` would write: key, ttl and the value with its types.
    """
    settings = looking_with(config, upstream, prefix)
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
        write_line(ndjson.write(ndjson.Line(key, found.payload, entry.ttl)))
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
@prefix_option
@click.option(
    "--ttl",
    type=DURATION,
    metavar="DURATION",
    help="Time to live of the value: 5m, 1.5h, or seconds. 0: no expiry. The default is the rule's default_ttl.",
)
@click.option(
    "--memver-key",
    "memver_keys",
    type=BYTES,
    multiple=True,
    metavar="KEY",
    help="For a memoized result: the key that `key memver` prints. KEY must end in the version there. The version then "
    "lives at least as long as the value. For a method, give both keys, in their order.",
)
@click.argument("key", type=BYTES)
@click.argument("payload", type=BYTES, default=b"-")
def set_(
    config: Path | None,
    upstream: str | None,
    prefix: tuple[str, ...],
    ttl: float | None,
    memver_keys: tuple[bytes, ...],
    key: bytes,
    payload: bytes,
) -> None:
    """Store PAYLOAD under KEY as a client of the proxy would write it: JSON, or the body of a view.

    PAYLOAD is standard input if it is - or left out. It is stored whole, or not at all.

    The key of a memoized result ends in a version. The app finds the result only while that version lives.
    Flask-Caching from 2.5 on changes the version's TTL, to the timeout of the function, with each result that the app
    stores. Use --memver-key, and set the value again before that timeout is over.
    """
    from proxy.inspection.store import Write

    settings = looking_with(config, upstream, prefix)
    policy = json_policy(settings)
    rule = managed(policy, key)
    milliseconds = _milliseconds(rule.default_ttl if ttl is None else ttl)
    if rule.treats_as is As.READ_ONLY:
        fail(f"{printable(key)}: the rule {rule.name} is read-only", NO)
    if payload == b"-":
        payload = read(rule.limits.payload_bytes)
    try:
        stored = rule.transcoder.encode(payload)
        if (fault := rule.view_fault(key, stored)) is not None:
            raise fault
    except CodecError as error:
        fail(f"{printable(key)}: {error}. Nothing was stored", NO)
    with redis_of(settings) as store:
        store.keep(_versions(store, key, memver_keys), milliseconds)
        (refused,) = store.write([Write(key, stored, milliseconds)])
    if refused is not None:
        fail(f"{printable(key)}: {refused}. Nothing was stored", NO_REDIS)


_AGAIN: Final = "Nothing was stored. Compute the key again (flask-cache-proxy key memoize)"


def _versions(store: "Store", key: bytes, memver_keys: Sequence[bytes]) -> list[Entry]:
    """The entries of the versions at the end of a memoized result's key. Ends the command if `key` does not fit."""
    found = {entry.key: entry for entry in store.look(memver_keys)}
    for name in memver_keys:
        if name not in found:
            fail(f"{printable(name)}: not in Redis: the version has expired. {_AGAIN}", NO)
    entries = [found[name] for name in memver_keys]
    if not key.endswith("".join(map(version_of, entries)).encode()):
        order = " (or the keys are not in the order of `key memver`)" if len(memver_keys) > 1 else ""
        fail(f"{printable(key)}: the version at its end is not the app's current one{order}. {_AGAIN}", NO)
    return entries


def _milliseconds(ttl: float) -> int | None:
    """The time to live in milliseconds. None: no expiry."""
    try:
        return ndjson.milliseconds(ttl) if ttl else None
    except ndjson.LineError:
        fail(f"--ttl must be from 0.001 to {ndjson.MOST_TTL} seconds, or 0 for a value without expiry")
