"""Settings -> policy and upstream: where what an operator wrote becomes what a session does, and on whom."""

from typing import Final, NamedTuple

from proxy import engine, passwords
from proxy.codec import CodecLimits, Options, Transcoder
from proxy.config import Rule as RuleSettings
from proxy.config import SentinelTarget, Settings, TcpTarget, UnixTarget
from proxy.glob import compile_glob, literal_prefix
from proxy.metered import MeteredTranscoder
from proxy.metrics import Metrics
from proxy.policy import As, Guard, OnUndecodable, Policy, Rule, SessionLimits
from proxy.resp import RequestLimits
from proxy.sentinel import Master
from proxy.session import Gate
from proxy.tls import ClientTls
from proxy.upstream import Login, Upstream


class _Inline(NamedTuple):
    """What one turn of the event loop may convert by itself, some 2 ms of it."""

    encode_bytes: int
    decode_bytes: int
    nodes: int
    """Of one value, as the bytes that it may become: some 4 ms at the worst."""
    decoded_bytes: int


_INLINE: Final = (
    _Inline(encode_bytes=64 * 1024, decode_bytes=16 * 1024, nodes=2000, decoded_bytes=128 * 1024)
    if engine.NATIVE is None
    else _Inline(encode_bytes=512 * 1024, decode_bytes=256 * 1024, nodes=10_000, decoded_bytes=512 * 1024)
)


def policy_for(settings: Settings, payload: str, metrics: Metrics | None = None) -> Policy:
    """The policy of the listeners whose clients speak `payload`. `metrics` count what it transcodes."""
    limits = SessionLimits(
        request=RequestLimits(
            settings.limits.request_bytes,
            settings.limits.arguments,
            settings.limits.first_command_bytes or settings.limits.request_bytes,
        ),
        codec=CodecLimits(
            payload_bytes=settings.limits.payload_bytes,
            decoded_bytes=settings.limits.decoded_bytes,
            depth=settings.limits.depth,
            nodes=settings.limits.nodes,
        ),
        pending_commands=settings.limits.pending_commands,
        buffered_bytes=settings.limits.buffered_bytes,
        inline_encode_bytes=_INLINE.encode_bytes,
        inline_decode_bytes=_INLINE.decode_bytes,
    )
    guard = Guard(
        allow_all_scripts=settings.guard.scripts == "allow",
        allowed_scripts=frozenset(sha1.encode() for sha1 in settings.guard.allow_scripts),
        allowed_commands=frozenset(name.encode() for name in settings.guard.allow),
        keeps_secrets=settings.upstream.logs_in,
    )
    rules = tuple(_rule(rule, payload, limits.codec, metrics) for rule in settings.rule)
    return Policy(rules, guard, limits)


def gates_for(settings: Settings) -> list[Gate | None]:
    """The gate of each listener: where the proxy logs in to Redis, or a password is set. Raises PasswordError."""
    gates: list[Gate | None] = []
    for listener in settings.listener:
        password = passwords.read(listener.password, listener.password_file)
        gates.append(Gate(password) if settings.upstream.logs_in or password is not None else None)
    return gates


def upstream_for(settings: Settings) -> Upstream:
    """The Redis of the settings, which is no embedded one (any more). Raises TlsError."""
    timeout = settings.limits.connect_timeout
    target = settings.upstream.target
    given = settings.upstream
    login = Login(given.username, given.password, given.password_file) if given.logs_in else None
    if isinstance(target, SentinelTarget):
        return Upstream(Master(target, timeout), target.db, timeout, login=login)
    assert isinstance(target, TcpTarget | UnixTarget)  # noqa: S101 (who starts an embedded Redis puts its path here)
    tls = None
    if isinstance(target, TcpTarget) and target.tls:
        tls = ClientTls(given.tls_ca, given.tls_cert, given.tls_key, given.tls_server_name)
    return Upstream(target.address, target.db, timeout, tls, login)


def _brief(limits: CodecLimits) -> CodecLimits:
    """What one value may cost the event loop; whatever exceeds it goes to the converter."""
    return limits._replace(
        nodes=min(limits.nodes, _INLINE.nodes), decoded_bytes=min(limits.decoded_bytes, _INLINE.decoded_bytes)
    )


def _rule(rule: RuleSettings, payload: str, limits: CodecLimits, metrics: Metrics | None) -> Rule:
    options = Options(
        payload=payload,
        pickle_protocol=rule.pickle_protocol,
        accept_tags=rule.accept_tags,
        big_ints=rule.big_ints,
        types=rule.types,
        view=rule.content_type if rule.as_ == "view" else None,
        limits=limits,
    )
    return Rule(
        name=rule.name,
        matches=compile_glob(rule.pattern),
        prefix=literal_prefix(rule.pattern),
        treats_as=As("value" if rule.as_ == "view" else rule.as_),
        transcoder=_transcoder(options, metrics, rule.name),
        brief=_transcoder(options._replace(limits=_brief(limits)), metrics, rule.name, is_brief=True),
        on_undecodable=OnUndecodable(rule.on_undecodable),
        default_ttl=rule.default_ttl,
    )


def _transcoder(options: Options, metrics: Metrics | None, rule: str, *, is_brief: bool = False) -> Transcoder:
    return Transcoder(options) if metrics is None else MeteredTranscoder(options, metrics, rule, is_brief=is_brief)
