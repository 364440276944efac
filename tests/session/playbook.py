"""Scripts of a conversation: the bytes that each side sends, and the expected output, byte for byte. No sockets."""

from collections.abc import Callable
from dataclasses import replace

from proxy.codec import CodecError, Options, PayloadError, Transcoder, UndecodableError
from proxy.codec.glob import compile_glob, is_prefix, literal_prefix
from proxy.policy import As, Guard, OnUndecodable, Policy, Rule, SessionLimits
from proxy.resp.encode import command
from proxy.session import CommandInfo, Conversion, Effects, Gate, Half, Opening, Session, Shared, SlotMap, Tally
from proxy.session.refusals import Report

POISON = command(b"GET")


class StubCodec(Transcoder):
    """Encodes `x` as `!x` and back. `bad` cannot be encoded, and `!bad` cannot be decoded."""

    codec = None
    """The engines' fast paths leave its values to the session."""

    def encode(self, payload: bytes) -> bytes:
        if payload == b"bad":
            raise PayloadError("a bad payload")
        return b"!" + payload

    def decode(self, value: bytes) -> bytes:
        if value == b"!bad":
            raise UndecodableError("a bad value")
        return value.removeprefix(b"!")


def rule(pattern: bytes = b"m:*", **changes: object) -> Rule:
    made = Rule(
        name=pattern.decode(),
        matches=compile_glob(pattern),
        pattern=pattern,
        prefix=literal_prefix(pattern),
        is_prefix=is_prefix(pattern),
        treats_as=As.VALUE,
        transcoder=StubCodec(Options()),
        inline=StubCodec(Options()),
        on_undecodable=OnUndecodable.ERROR,
        default_ttl=0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def policy(*rules: Rule, guard: Guard = Guard(), limits: SessionLimits = SessionLimits()) -> Policy:  # noqa: B008
    return Policy(rules or (rule(),), guard, limits)


class Playbook:
    """Drives a session. `chunk` cuts the input of both sides into pieces. The output must not depend on it."""

    def __init__(
        self,
        with_policy: Policy | None = None,
        *,
        setup: tuple[bytes, ...] = (),
        gate: Gate | None = None,
        wants_password: bool = False,
        cut: Callable[[bytes], list[bytes]] = lambda data: [data],
        slots: SlotMap | None = None,
        shared: Shared | None = None,
    ) -> None:
        """`slots`: on a cluster, of which only lane 0 is looked at. `shared`: on a shared link."""
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
        self.reports: list[Report] = []
        openings = tuple(Opening(raw, "Redis refused the database of upstream.url") for raw in setup)
        home = slots.nodes[0] if slots is not None else ""
        started = self.session.start(openings, wants_password=wants_password, slots=slots, home=home, shared=shared)
        self._take(started)

    def _take(self, effects: Effects) -> None:
        self.upstream += effects.upstream
        self.client += effects.client
        self.conversions += effects.conversions
        self.lookups += effects.lookups
        self.wants_turn = effects.wants_turn
        self.reports += effects.reports
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
        """The converter answers the outstanding conversions."""
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
        """The event loop runs turns until the session needs no more."""
        while self.wants_turn:
            self._take(self.session.take_turn())
        return self

    def reloads(self, with_policy: Policy) -> "Playbook":
        """A reload brings a new policy. The gate goes."""
        effects = self.session.set_policy(with_policy, None)
        if effects is not None:
            self._take(effects)
        return self

    def fails(self, text: str) -> "Playbook":
        """An outside reason ends the conversation."""
        self._take(self.session.fail(text))
        return self

    def finds(
        self,
        *flags: str,
        first_key: int = 1,
        categories: tuple[str, ...] = ("@read",),
        arity: int = -1,
        unknown_because: str = "",
    ) -> "Playbook":
        """The server answers the lookup with these flags, or without information."""
        info = CommandInfo(frozenset(flags), unknown_because, first_key, frozenset(categories), arity)
        self._take(self.session.looked_up(info))
        return self

    def finds_nothing(self) -> "Playbook":
        self._take(self.session.looked_up(None))
        return self

    def to_upstream(self, expected: bytes) -> "Playbook":
        """Exactly these bytes went upstream since the last check."""
        assert self.upstream == expected
        self.upstream = b""
        return self

    def to_client(self, expected: bytes) -> "Playbook":
        """Exactly these bytes went to the client since the last check."""
        assert self.client == expected
        self.client = b""
        return self
