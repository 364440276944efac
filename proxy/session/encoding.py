"""Values on their way to Redis. The event loop encodes what is small, under the small limits of a rule; what exceeds
these, the converter does with the full ones, and says what is wrong with it if they are exceeded too.
"""

from collections.abc import Sequence
from typing import NamedTuple

from proxy.codec import CodecError
from proxy.policy import Rule
from proxy.session.effects import Conversion, Converted, Half
from proxy.session.entries import Entry


class Encoding(NamedTuple):
    """A request whose values are to be encoded."""

    args: list[bytes]
    places: Sequence[tuple[Rule, int]]
    """The index of each value, and whose it is."""
    entry: Entry
    """What the request will be owed."""

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return sum(len(self.args[place]) for _, place in self.places)

    def here(self) -> list[Converted] | None:
        """What becomes of each value; None: one exceeds the small limits."""
        results: list[Converted] = []
        for rule, place in self.places:
            try:
                results.append(rule.brief.encode(self.args[place]))
            except CodecError as error:
                if error.is_over_limit:
                    return None
                results.append(error)
        return results

    def elsewhere(self) -> Conversion:
        """The same, as the converter's work."""
        return Conversion(Half.REQUESTS, tuple((rule.transcoder, self.args[place]) for rule, place in self.places))

    def put(self, results: Sequence[Converted]) -> str | None:
        """Put the stored values in their places; why the request is refused instead, or None."""
        for number, ((_, place), result) in enumerate(zip(self.places, results, strict=True), 1):
            if isinstance(result, CodecError):
                which = f"value {number} of {len(self.places)}: " if len(self.places) > 1 else ""
                return f"{which}{result}; nothing was stored"
            self.args[place] = result
        return None
