"""`decode` and `encode`: convert one value, without Redis."""

import base64
import re
from pathlib import Path
from typing import Final

import click

from proxy.assembly import policy_for
from proxy.cli.options import BYTES, NO, STATUS, complain, config_option, fail, one_of, prefix_option, settings_of
from proxy.cli.output import read, write_payload
from proxy.codec import CodecError, Options, Transcoder, UndecodableError
from proxy.codec.envelope import STORAGES
from proxy.config import Flags
from proxy.config.printable import printable
from proxy.policy import As

_NOTHING: Final = (b"", b"\n")
"""Empty input. It is also a valid value: an empty string without a mark."""

_SPACE: Final = re.compile(rb"\s+")
_SPELLINGS: Final = {"hex": "hexadecimal: two digits for each byte", "base64": "base64"}
_MOST_SPELT: Final = 4
"""Characters for a byte: two digits, and white space around them."""

_rule_option = click.option("--rule", metavar="NAME", help="The rule to use. The default is the first one.")
_payload_option = click.option(
    "--payload",
    type=click.Choice(["json", "msgpack"]),
    default="json",
    show_default=True,
    help="The format of the payload.",
)


@click.command(epilog=STATUS, short_help="Stored bytes -> payload.")
@config_option
@prefix_option
@_rule_option
@_payload_option
@click.option("--hex", is_flag=True, help="The value is hexadecimal.")
@click.option("--base64", is_flag=True, help="The value is base64.")
@click.option("--types", type=click.Choice(["tagged", "plain"]), help="Instead of the rule's types.")
@click.option(
    "--stored",
    type=click.Choice(list(STORAGES)),
    help="How the value is stored, instead of the rule's stored. The payload is then the whole value, even of a view.",
)
@click.argument("value", type=BYTES, default=b"-")
def decode(
    config: Path | None,
    prefix: tuple[str, ...],
    rule: str | None,
    payload: str,
    types: str | None,
    stored: str | None,
    value: bytes,
    **spellings: bool,
) -> None:
    """Turn a stored value into its payload, by a rule. A line feed after the value is ignored.

    VALUE is standard input if it is - or left out. For example: redis-cli GET key | flask-cache-proxy decode

    Redis GUIs can call this command to show a value: flask-cache-proxy decode --types plain --hex VALUE
    """
    spelling = one_of(**spellings)
    transcoder = _reading(_transcoder(config, prefix, rule, payload), types, stored)
    most = transcoder.options.limits.decoded_bytes
    given = value if value != b"-" else read(_MOST_SPELT * most if spelling else most)
    raw = _unspelt(given, spelling, transcoder.options)
    if raw in _NOTHING:
        complain("the value was empty. redis-cli also prints nothing for a missing key")
    try:
        decoded = transcoder.decode(raw)
    except CodecError as error:
        fail(f"cannot be decoded: {error}", NO)
    write_payload(decoded, is_json=transcoder.options.view is None and payload == "json")


def _unspelt(given: bytes, spelling: str | None, options: Options) -> bytes:
    """The bytes that a text stands for. White space does not matter. Ends the command if it is invalid or too long."""
    if spelling is None:
        return given
    most = options.limits.decoded_bytes
    if len(given) > _MOST_SPELT * most:
        over = UndecodableError(f"a text for more than {most} bytes ([limits] decoded_bytes)", "decoded_bytes")
        fail(f"cannot be decoded: {over.named(options.limits_of_rule)}", NO)
    text = _SPACE.sub(b"", given)
    try:
        return base64.b16decode(text, casefold=True) if spelling == "hex" else base64.b64decode(text, validate=True)
    except ValueError:
        fail(f"cannot be decoded: the value is not {_SPELLINGS[spelling]}", NO)


def _reading(transcoder: Transcoder, types: str | None, stored: str | None) -> Transcoder:
    """A rule's transcoder with other types or another storage."""
    options = transcoder.options
    if types is not None:
        options = options._replace(types=types)
    if stored is not None:
        options = options._replace(stored=stored, view=None)
    return transcoder if options is transcoder.options else Transcoder(options)


@click.command(epilog=STATUS, short_help="Payload on standard input -> stored bytes.")
@config_option
@prefix_option
@_rule_option
@_payload_option
def encode(config: Path | None, prefix: tuple[str, ...], rule: str | None, payload: str) -> None:
    """Turn a payload into its stored value, by a rule.

    For example: flask-cache-proxy encode <value.json | redis-cli -x SET key
    """
    transcoder = _transcoder(config, prefix, rule, payload)
    try:
        stored = transcoder.encode(read(transcoder.options.limits.payload_bytes))
    except CodecError as error:
        fail(f"cannot be encoded: {error}", NO)
    write_payload(stored, is_json=False)


def _transcoder(config: Path | None, prefix: tuple[str, ...], name: str | None, payload: str) -> Transcoder:
    policy = policy_for(settings_of(config, Flags(prefix=prefix), serves=False), payload)
    rules = {rule.name: rule for rule in policy.rules if rule.treats_as is not As.UNTOUCHED}
    if name is None and rules:
        return next(iter(rules.values())).transcoder
    if name not in rules:
        known = ", ".join(map(printable, rules)) or "none"
        fail(f"--rule {printable(name or '')}: there is no such rule; known: {known}")
    return rules[name].transcoder
