"""Conversions on the event loop: under the small limits of a rule. What exceeds these, the converter does with the full
ones, and says what is wrong with it if they are exceeded too.
"""

from collections.abc import Iterable

from proxy.codec import CodecError
from proxy.policy import Rule
from proxy.session.effects import Converted


def encoded(values: Iterable[tuple[Rule, bytes]]) -> list[Converted] | None:
    """What becomes of each payload; None: one exceeds the small limits."""
    results: list[Converted] = []
    for rule, payload in values:
        try:
            results.append(rule.brief.encode(payload))
        except CodecError as error:
            if error.is_over_limit:
                return None
            results.append(error)
    return results


def decoded(rule: Rule, stored: bytes) -> Converted | None:
    """What becomes of a stored value; None: it exceeds the small limits."""
    try:
        return rule.brief.decode(stored)
    except CodecError as error:
        return None if error.is_over_limit else error
