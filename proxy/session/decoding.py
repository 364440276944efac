"""Stored values on their way to the client. The event loop decodes what is small, little in one turn, and under the
small limits of a rule; what exceeds these, the converter does with the full ones, and says what is wrong with it if
they are exceeded too.
"""

from proxy.codec import CodecError, UndecodableError
from proxy.policy import OnUndecodable
from proxy.resp import writers
from proxy.session.allowance import Allowance
from proxy.session.conversation import Conversation
from proxy.session.effects import Conversion, Converted, Half
from proxy.session.entries import Decode


class Decoder:
    """Decodes one value after the other; while one waits, no other may come."""

    __slots__ = ("_allowance", "_conversation", "conversions", "waiting", "wants_turn")

    def __init__(self, allowance: Allowance, conversation: Conversation) -> None:
        """Nothing waits."""
        self._allowance = allowance
        self._conversation = conversation
        self.waiting: tuple[Decode, bytes] | None = None
        """A value that waits: for the converter, or for its turn."""
        self.conversions: list[Conversion] = []
        self.wants_turn = False
        """What waits, waits for the next turn of the event loop."""

    @property
    def memory(self) -> int:
        """Bytes of the value that waits."""
        return 0 if self.waiting is None else len(self.waiting[1])

    def decode(self, entry: Decode, stored: bytes) -> bytes | None:
        """The reply with a stored value's payload; None: it waits.

        A small value may become a large one, so both count.
        """
        allowance = self._allowance
        allowance.decode_bytes -= len(stored)
        if allowance.decode_bytes >= 0:
            try:
                payload = entry.rule.brief.decode(stored)
            except CodecError as error:
                if not error.is_over_limit:
                    return self.undecodable(entry, error, stored)
            else:
                allowance.decode_bytes -= len(payload)
                return writers.bulk(payload)
        self.waiting = entry, stored
        if allowance.decode_bytes < 0 and len(stored) <= allowance.limits.inline_decode_bytes:
            self.wants_turn = True
        else:
            self.conversions.append(Conversion(Half.REPLIES, entry.rule.transcoder, stored))
        return None

    def decode_run(self, entry: Decode, values: list[bytes], out: list[bytes]) -> int:
        """As `decode`, of many that are owed alike; the replies go to `out`. How many: fewer, if one waits."""
        allowance, done = self._allowance, 0
        while done < len(values):
            rest = values[done:]
            # A single one, as it is where nobody pipelines, is the faster without.
            payloads = [] if len(rest) == 1 else entry.rule.brief.decode_some(rest, max(allowance.decode_bytes, 0))
            if payloads:
                allowance.decode_bytes -= sum(map(len, payloads)) + sum(map(len, rest[: len(payloads)]))
                out.append(writers.bulks(payloads))
                done += len(payloads)
            elif (reply := self.decode(entry, rest[0])) is not None:
                out.append(reply)
                done += 1
            else:
                break
        return done

    def take_turn(self) -> bytes | None:
        """As `decode`, for what waits for this turn."""
        if self.waiting is None or not self.wants_turn:
            return None
        (entry, stored), self.waiting, self.wants_turn = self.waiting, None, False
        return self.decode(entry, stored)

    def finish(self, result: Converted) -> bytes | None:
        """The reply with what the converter has made of the value that waits."""
        if self.waiting is None:
            return None
        (entry, stored), self.waiting = self.waiting, None
        return self.undecodable(entry, result, stored) if isinstance(result, CodecError) else writers.bulk(result)

    def too_large(self, entry: Decode, size: int) -> bytes:
        """The reply in place of a value that may not even be held."""
        most = self._allowance.limits.codec.decoded_bytes
        error = UndecodableError(f"{size} bytes are over the limit of {most} ([limits] decoded_bytes)")
        return self.undecodable(entry, error, b"")

    def undecodable(self, entry: Decode, error: CodecError, stored: bytes) -> bytes:
        """What the rule wants a reader to get."""
        wanted = entry.rule.on_undecodable
        if wanted is OnUndecodable.RAW:
            return writers.bulk(stored)
        if wanted is OnUndecodable.NIL or entry.element:
            return writers.NULL_RESP3 if self._conversation.protocol == 3 else writers.NULL_RESP2
        applied = "; the command was applied" if entry.applied else ""
        return writers.error(f"ERR flask-cache-proxy: cannot decode the stored value: {error}{applied}")
