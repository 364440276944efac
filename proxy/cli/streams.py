"""`decode` and `encode`: bytes on standard input, without any Redis."""

from pathlib import Path
from typing import Final

import click

from proxy.assembly import policy_for
from proxy.cli.options import NO, STATUS, complain, config_option, fail, settings_of
from proxy.cli.output import printable, read, write_payload
from proxy.codec import CodecError, Transcoder
from proxy.config import Flags
from proxy.policy import As

_NOTHING: Final = (b"", b"\n")
"""A value, too: that of an empty string without a mark."""

_rule_option = click.option("--rule", metavar="NAME", help="The rule to go by; the default is the first one.")
_payload_option = click.option("--payload", type=click.Choice(["json", "msgpack"]), default="json", show_default=True)


@click.command(epilog=STATUS, short_help="Stored bytes on standard input -> payload.")
@config_option
@_rule_option
@_payload_option
def decode(config: Path | None, rule: str | None, payload: str) -> None:
    """Turn a stored value into its payload, as a rule wants it: redis-cli GET key | flask-cache-proxy decode.

    A line feed behind the value, which redis-cli prints, does no harm.
    """
    transcoder = _transcoder(config, rule, payload)
    stored = read(transcoder.options.limits.decoded_bytes)
    if stored in _NOTHING:
        complain("standard input was empty, which is also what redis-cli prints for a key that is not there")
    try:
        decoded = transcoder.decode(stored)
    except CodecError as error:
        fail(f"cannot be decoded: {error}", NO)
    write_payload(decoded, is_json=transcoder.options.view is None and payload == "json")


@click.command(epilog=STATUS, short_help="Payload on standard input -> stored bytes.")
@config_option
@_rule_option
@_payload_option
def encode(config: Path | None, rule: str | None, payload: str) -> None:
    """Turn a payload into what Flask would have stored: flask-cache-proxy encode <value.json | redis-cli -x SET key."""
    transcoder = _transcoder(config, rule, payload)
    try:
        stored = transcoder.encode(read(transcoder.options.limits.payload_bytes))
    except CodecError as error:
        fail(f"cannot be encoded: {error}", NO)
    write_payload(stored, is_json=False)


def _transcoder(config: Path | None, name: str | None, payload: str) -> Transcoder:
    policy = policy_for(settings_of(config, Flags(), serves=False), payload)
    rules = {rule.name: rule for rule in policy.rules if rule.treats_as is not As.UNTOUCHED}
    if name is None and rules:
        return next(iter(rules.values())).transcoder
    if name not in rules:
        known = ", ".join(map(printable, rules)) or "none"
        fail(f"--rule {printable(name or '')}: there is no such rule; known: {known}")
    return rules[name].transcoder
