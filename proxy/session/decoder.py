"""Decodes stored values for the client. The event loop decodes small values, a limited number of bytes each turn.

It uses the small limits of a rule. A value that exceeds them goes to the converter, which uses the full limits. If the
value exceeds these too, the converter makes the error.
"""

from proxy.codec import CodecError, UndecodableError
from proxy.policy import OnUndecodable
from proxy.resp import encode
from proxy.session import error_texts
from proxy.session.counters import Tally
from proxy.session.effects import Conversion, Converted, Half
from proxy.session.expected_replies import Decode
from proxy.session.reporter import Reporter
from proxy.session.state import Conversation
from proxy.session.turn_budget import TurnBudget


class Decoder:
    """Decodes one value after the other. While one waits, `decode` must not be called."""

    __slots__ = ("_budget", "_conversation", "_reporter", "_waits_for_turn", "conversions", "waiting")

    def __init__(self, budget: TurnBudget, conversation: Conversation, tally: Tally) -> None:
        """No value waits."""
        self._budget = budget
        self._reporter = Reporter(conversation, tally)
        self._conversation = conversation
        self.waiting: tuple[Decode, bytes] | None = None
        """A value that waits for the converter or for the next turn."""
        self.conversions: list[Conversion] = []
        self._waits_for_turn = False  # True: for the next turn; False: for the converter

    @property
    def memory(self) -> int:
        """Bytes of the value that waits."""
        return 0 if self.waiting is None else len(self.waiting[1])

    def decode(self, entry: Decode, stored: bytes) -> bytes | None:
        """The reply with the payload of a stored value; None: the value waits.

        A small value may become a large payload, so the budget counts the bytes of both.
        """
        budget = self._budget
        budget.decode_bytes -= len(stored)
        if budget.decode_bytes >= 0:
            try:
                payload = entry.rule.inline.decode(stored)
            except CodecError as error:
                if error.limit is None:
                    return self.undecodable(entry, error, stored)
            else:
                budget.decode_bytes -= len(payload)
                return encode.bulk(entry.shown(payload))
        self.waiting = entry, stored
        if budget.decode_bytes < 0 and len(stored) <= budget.limits.inline_decode_bytes:
            self._waits_for_turn = self._budget.wants_turn = True
        else:
            self.conversions.append(Conversion(Half.REPLIES, entry.rule.transcoder, stored))
        return None

    def take_turn(self) -> bytes | None:
        """As `decode`, for the value that waits for this turn."""
        if self.waiting is None or not self._waits_for_turn:
            return None
        (entry, stored), self.waiting, self._waits_for_turn = self.waiting, None, False
        return self.decode(entry, stored)

    def finish(self, result: Converted) -> bytes | None:
        """The reply made of the converter's result for the waiting value."""
        if self.waiting is None:
            return None
        (entry, stored), self.waiting = self.waiting, None
        if isinstance(result, CodecError):
            return self.undecodable(entry, result, stored)
        return encode.bulk(entry.shown(result))

    def too_large(self, entry: Decode, size: int) -> bytes:
        """The reply in place of a value of `size` bytes that exceeds the limit for reading it at all."""
        most = entry.rule.limits.decoded_bytes
        error = UndecodableError(f"{size} bytes are over the limit of {most} ([limits] decoded_bytes)", "decoded_bytes")
        return self.undecodable(entry, error.named(entry.rule.limits_of_rule), b"")

    def undecodable(self, entry: Decode, error: CodecError, stored: bytes) -> bytes:
        """The reply for a value that cannot be decoded, as the rule's `on_undecodable` says."""
        self._reporter.not_decoded(error, entry.rule, entry.command)
        wanted = entry.rule.on_undecodable
        if wanted is OnUndecodable.RAW:
            return encode.bulk(stored)
        if wanted is OnUndecodable.NIL or entry.element:
            return entry.absent(self._conversation.protocol)
        return encode.error(error_texts.not_decodable(error, applied=entry.applied))
