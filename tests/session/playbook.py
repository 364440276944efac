"""Scripts of a conversation: what each side sends, and what must come out, byte for byte. No sockets."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from proxy.codec import CodecError, Options, PayloadError, Transcoder, UndecodableError
from proxy.glob import compile_glob, literal_prefix
from proxy.policy import As, Guard, OnUndecodable, Policy, Rule, SessionLimits
from proxy.resp.writers import command
from proxy.session import CommandInfo, Conversion, Effects, Gate, Half, Opening, Session, Tally

POISON = command(b"GET")


class StubCodec(Transcoder):
    """Encodes `x` as `!x` and back, many at once too; `bad` cannot be encoded, `!bad` cannot be decoded."""

    takes_many = True

    def encode_some(self, payloads: list[bytes], limit: int) -> list[bytes]:
        return list(_as_far_as_usual(self.encode, payloads, limit, grows=False))

    def decode_some(self, values: list[bytes], limit: int) -> list[bytes]:
        return list(_as_far_as_usual(self.decode, values, limit, grows=True))

    def encode(self, payload: bytes) -> bytes:
        if payload == b"bad":
            raise PayloadError("a bad payload")
        return b"!" + payload

    def decode(self, value: bytes) -> bytes:
        if value == b"!bad":
            raise UndecodableError("a bad value")
        return value.removeprefix(b"!")


def _as_far_as_usual(
    convert: Callable[[bytes], bytes], values: list[bytes], limit: int, *, grows: bool
) -> Iterator[bytes]:
    for value in values:
        limit -= len(value)
        if limit < 0:
            return
        try:
            result = convert(value)
        except CodecError:
            return
        limit -= len(result) if grows else 0
        yield result


def rule(pattern: bytes = b"m:*", **changes: object) -> Rule:
    made = Rule(
        name=pattern.decode(),
        matches=compile_glob(pattern),
        prefix=literal_prefix(pattern),
        treats_as=As.VALUE,
        transcoder=StubCodec(Options()),
        brief=StubCodec(Options()),
        on_undecodable=OnUndecodable.ERROR,
        default_ttl=0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def policy(*rules: Rule, guard: Guard = Guard(), limits: SessionLimits = SessionLimits()) -> Policy:  # noqa: B008
    return Policy(rules or (rule(),), guard, limits)


class Playbook:
    """Drives a session. `chunk` cuts what both sides send into pieces; what comes out must not depend on it."""

    def __init__(
        self,
        with_policy: Policy | None = None,
        *,
        setup: tuple[bytes, ...] = (),
        gate: Gate | None = None,
        cut: Callable[[bytes], list[bytes]] = lambda data: [data],
    ) -> None:
        self.tally = Tally()
        self.session = Session(with_policy or policy(), gate, self.tally)
        self._cut = cut
        self.upstream = b""
        self.client = b""
        self.conversions: list[Conversion] = []
        self.lookups: list[bytes] = []
        self.closed: str | None = None
        self.redis_fails = False
        self.wants_turn = False
        self._take(
            self.session.start(tuple(Opening(raw, "Redis refused the database of upstream.url") for raw in setup))
        )

    def _take(self, effects: Effects) -> None:
        self.upstream += effects.upstream
        self.client += effects.client
        self.conversions += effects.conversions
        self.lookups += effects.lookups
        self.wants_turn = effects.wants_turn
        if effects.close:
            self.closed = effects.close.reason
            self.redis_fails = effects.close.redis_fails

    def sends(self, data: bytes) -> "Playbook":
        """The client sends."""
        for piece in self._cut(data):
            self._take(self.session.from_client(piece))
        return self

    def command(self, *args: bytes) -> "Playbook":
        return self.sends(command(*args))

    def replies(self, data: bytes) -> "Playbook":
        """Redis replies."""
        for piece in self._cut(data):
            self._take(self.session.from_upstream(piece))
        return self

    def converts(self) -> "Playbook":
        """The converter answers what is outstanding."""
        waiting, self.conversions = self.conversions, []
        for conversion in waiting:
            result: bytes | CodecError
            transcoder = conversion.transcoder
            try:
                result = (transcoder.encode if conversion.half is Half.REQUESTS else transcoder.decode)(
                    conversion.value
                )
            except CodecError as error:
                result = error
            self._take(self.session.converted(conversion.half, result))
        return self

    def takes_turns(self) -> "Playbook":
        """The event loop turns until the session wants no more of it."""
        while self.wants_turn:
            self._take(self.session.take_turn())
        return self

    def fails(self, text: str) -> "Playbook":
        """Something outside the conversation ends it."""
        self._take(self.session.fail(text))
        return self

    def finds(self, *flags: str, unknown_because: str = "") -> "Playbook":
        """The server knows the command asked for, with these flags, or does not say."""
        self._take(self.session.looked_up(CommandInfo(frozenset(flags), unknown_because)))
        return self

    def finds_nothing(self) -> "Playbook":
        self._take(self.session.looked_up(None))
        return self

    def to_upstream(self, expected: bytes) -> "Playbook":
        """Since last asked, exactly this went upstream."""
        assert self.upstream == expected
        self.upstream = b""
        return self

    def to_client(self, expected: bytes) -> "Playbook":
        """Since last asked, exactly this went to the client."""
        assert self.client == expected
        self.client = b""
        return self
