"""Values on their way to Redis. The event loop encodes what is small, little in one turn, and under the small limits of
a rule; what exceeds these, the converter does with the full ones, and says what is wrong with it if they are exceeded
too.
"""

from collections.abc import Sequence
from typing import Final

from proxy.codec import CodecError
from proxy.policy import Rule
from proxy.session.allowance import Allowance
from proxy.session.effects import Conversion, Converted, Half
from proxy.session.entries import Entry

_OBJECT: Final = 64
"""Bytes of Python's own for an argument, about."""


class Encoding:
    """A request whose values are being encoded, one after the other: an MSET may have half a million of them."""

    __slots__ = ("_done", "_places", "args", "entry", "refusal")

    def __init__(self, args: list[bytes], places: Sequence[tuple[Rule, int]], entry: Entry) -> None:
        """`places`: the index of each value in `args`, and whose it is. `entry`: what the request will be owed."""
        self.args = args
        self.entry = entry
        self._places = places
        self._done = 0
        self.refusal: str | None = None
        """Why a value cannot be encoded, and so the request is refused."""

    @property
    def is_over(self) -> bool:
        """All values are stored values, or one cannot be."""
        return self._done == len(self._places) or self.refusal is not None

    @property
    def payload(self) -> bytes:
        """The value at hand."""
        return self.args[self._places[self._done][1]]

    @property
    def rule(self) -> Rule:
        """Whose it is."""
        return self._places[self._done][0]

    def put(self, result: Converted) -> None:
        """Put what has become of it in its place, and go on to the next."""
        if isinstance(result, CodecError):
            which = f"value {self._done + 1} of {len(self._places)}: " if len(self._places) > 1 else ""
            self.refusal = f"{which}{result}; nothing was stored"
        else:
            self.args[self._places[self._done][1]] = result
            self._done += 1


class Encoder:
    """Encodes the values of one request after the other; while one waits, no other may come."""

    __slots__ = ("_allowance", "_waiting", "conversions", "wants_turn")

    def __init__(self, allowance: Allowance) -> None:
        """Nothing waits."""
        self._allowance = allowance
        self._waiting: Encoding | None = None
        self.conversions: list[Conversion] = []
        self.wants_turn = False
        """What waits, waits for the next turn of the event loop."""

    @property
    def memory(self) -> int:
        """Bytes of the request that waits."""
        return 0 if self._waiting is None else _OBJECT * len(self._waiting.args) + sum(map(len, self._waiting.args))

    def encode_one(self, rule: Rule, payload: bytes) -> Converted | None:
        """What becomes of a value that stands alone, as most do; None: it takes an `Encoding`."""
        allowance, size = self._allowance, len(payload)
        if size > allowance.encode_bytes or allowance.values <= 0:
            return None
        allowance.values -= 1
        allowance.encode_bytes -= size
        try:
            return rule.brief.encode(payload)
        except CodecError as error:
            return None if error.is_over_limit else error

    def encode_some(self, rule: Rule, payloads: list[bytes]) -> list[bytes]:
        """Of values that each stand alone, as many of the first as this turn bears and as need no further look."""
        allowance = self._allowance
        if allowance.values < len(payloads):
            return []
        values = rule.brief.encode_some(payloads, max(allowance.encode_bytes, 0))
        allowance.values -= len(values)
        allowance.encode_bytes -= sum(map(len, payloads[: len(values)]))
        return values

    def encode(self, encoding: Encoding) -> bool:
        """Encode what this turn still bears; True: the request is through. False: it waits, until `go_on` gives it."""
        allowance = self._allowance
        while not encoding.is_over:
            result = None
            size = len(encoding.payload)
            if size <= allowance.limits.inline_encode_bytes:
                if allowance.values <= 0 or allowance.encode_bytes <= 0:
                    self._waiting, self.wants_turn = encoding, True
                    return False
                allowance.values -= 1
                allowance.encode_bytes -= size
                result = _encoded_here(encoding)
            if result is None:
                self._waiting = encoding
                self.conversions.append(Conversion(Half.REQUESTS, encoding.rule.transcoder, encoding.payload))
                return False
            encoding.put(result)
        return True

    def go_on(self, result: Converted | None = None) -> Encoding | None:
        """With what the converter has made of the value at hand, or in a new turn. The request, once it is through."""
        encoding = self._waiting
        if encoding is None or self.wants_turn is not (result is None):
            return None
        self._waiting, self.wants_turn = None, False
        if result is not None:
            encoding.put(result)
        return encoding if self.encode(encoding) else None


def _encoded_here(encoding: Encoding) -> Converted | None:
    """What becomes of the value at hand; None: it exceeds the small limits."""
    try:
        return encoding.rule.brief.encode(encoding.payload)
    except CodecError as error:
        return None if error.is_over_limit else error
