"""Encodes payloads for Redis. The event loop encodes small values, a limited number of bytes each turn.

It uses the small limits of a rule. A value that exceeds them goes to the converter, which uses the full limits. If the
value exceeds these too, the converter makes the error.
"""

from collections.abc import Sequence
from typing import Final

from proxy.codec import CodecError
from proxy.policy import Rule
from proxy.session.effects import Conversion, Converted, Half
from proxy.session.turn_budget import TurnBudget

_OBJECT: Final = 64
"""Estimate of Python's overhead for an argument, in bytes."""


class Encoding:
    """A request whose values are encoded one after the other. An MSET may have half a million values."""

    __slots__ = ("_args", "_at", "_has_one_key", "_places", "_rules", "error", "refusal", "size")

    def __init__(
        self,
        args: list[bytes],
        places: Sequence[int],
        rules: Sequence[Rule | None],
        size: int | None = None,
        *,
        has_one_key: bool = False,
    ) -> None:
        """`places`: the index of each value in `args`; the stored value replaces it. `rules`: of each value's key.

        `size`: bytes of all arguments, about; None: they are counted. `has_one_key`: its only key is the first
        argument; otherwise each key stands before its value.
        """
        self._has_one_key = has_one_key
        self._args = args
        self._places = places
        self._rules = rules
        self._at = 0
        self.size = sum(map(len, args)) if size is None else size
        """Bytes of all arguments, about."""
        self.error: CodecError | None = None
        """The error of the current value, which cannot be encoded."""
        self.refusal: str | None = None
        """The reason if a value cannot be encoded, which refuses the request."""

    @property
    def memory(self) -> int:
        """Bytes that the request takes."""
        return self.size + _OBJECT * len(self._args)

    @property
    def is_over(self) -> bool:
        """All values are encoded, or one cannot be."""
        return self._at == len(self._places) or self.refusal is not None

    @property
    def payload(self) -> bytes:
        """The current value."""
        return self._args[self._places[self._at]]

    @property
    def rule(self) -> Rule | None:
        """The rule of the current value's key; None: the value stays unchanged."""
        return self._rules[self._at]

    def put(self, result: Converted) -> None:
        """Replace the current value with its stored value and go to the next. An error ends the encoding."""
        if not isinstance(result, CodecError):
            result = self._fault(result) or result
        if isinstance(result, CodecError):
            self.error = result
            self.refusal = f"{self._which()}{result}; nothing was stored"
        else:
            self.size += len(result) - len(self.payload)
            self._args[self._places[self._at]] = result
            self._at += 1

    def _fault(self, stored: bytes) -> CodecError | None:
        """The error for a stored value that must not be under its key; None: it may."""
        if self.rule is None:
            return None
        key_at = 1 if self._has_one_key else self._places[self._at] - 1
        return self.rule.view_fault(self._args[key_at], stored)

    def _which(self) -> str:
        """The number of the current value among the managed values, for an error; empty if there is only one."""
        behind = len(self._rules) - self._rules.count(None)
        return f"value {self._at + 1 - self._rules[: self._at].count(None)} of {behind}: " if behind > 1 else ""


class Encoder:
    """Encodes the values of one request after the other. While one request waits, `encode` must not be called."""

    __slots__ = ("_budget", "_waiting", "_waits_for_turn", "conversions")

    def __init__(self, budget: TurnBudget) -> None:
        """No request waits."""
        self._budget = budget
        self._waiting: Encoding | None = None
        self.conversions: list[Conversion] = []
        self._waits_for_turn = False  # True: for the next turn; False: for the converter

    @property
    def memory(self) -> int:
        """Bytes of the request that waits."""
        return 0 if self._waiting is None else self._waiting.memory

    def encode(self, encoding: Encoding) -> bool:
        """Encode within the budget of this turn. True: all is encoded. False: it waits until `go_on` returns it."""
        budget = self._budget
        while not encoding.is_over:
            rule, payload = encoding.rule, encoding.payload
            is_small = rule is None or len(payload) <= budget.limits.inline_encode_bytes
            if is_small and (budget.values <= 0 or budget.encode_bytes <= 0):
                self._waiting = encoding
                self._waits_for_turn = self._budget.wants_turn = True
                return False
            if rule is None:
                budget.values -= 1
                encoding.put(payload)
                continue
            result = self.encode_here(rule, payload) if is_small else None
            if result is None:
                self._waiting = encoding
                self.conversions.append(Conversion(Half.REQUESTS, rule.transcoder, payload))
                return False
            encoding.put(result)
        return True

    def encode_here(self, rule: Rule, payload: bytes) -> Converted | None:
        """Encode a value that fits the budget of this turn. None: the value exceeds the small limits."""
        self._budget.values -= 1
        self._budget.encode_bytes -= len(payload)
        try:
            return rule.inline.encode(payload)
        except CodecError as error:
            return error if error.limit is None else None

    def go_on(self, result: Converted | None = None) -> Encoding | None:
        """Continue with the converter's result, or (None) in a new turn. Returns the request when all is encoded."""
        encoding = self._waiting
        if encoding is None or self._waits_for_turn != (result is None):
            return None
        self._waiting, self._waits_for_turn = None, False
        if result is not None:
            encoding.put(result)
        return encoding if self.encode(encoding) else None
