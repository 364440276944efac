"""The composition root: makes policies, password gates and the upstream from the settings."""

from typing import Final, NamedTuple

from proxy.codec import CodecLimits, Options, Transcoder
from proxy.codec.envelope import STORAGES
from proxy.codec.glob import Matcher, compile_glob, is_prefix, literal_prefix
from proxy.config import ClusterTarget, SentinelTarget, Settings, TcpTarget, UnixTarget, passwords
from proxy.config import Rule as RuleSettings
from proxy.config import Upstream as UpstreamSettings
from proxy.engine import ENGINE
from proxy.net.tls import ClientTls
from proxy.observe.metered_transcoder import MeteredTranscoder
from proxy.observe.metrics import Metrics
from proxy.policy import As, Guard, OnUndecodable, Policy, Rule, SessionLimits
from proxy.policy.view_keys import keys_of_views
from proxy.resp import RequestLimits
from proxy.session import Gate
from proxy.upstream.cluster import Cluster
from proxy.upstream.dialer import Upstream
from proxy.upstream.login import Login
from proxy.upstream.sentinel import Master

_OF_FLASK: Final = frozenset({"flask", "json"})
"""The values of `stored` for caches of Flask-Caching, whose `@cache.cached` makes keys."""


class _Inline(NamedTuple):
    """The limits for conversions on the event loop, about 2 ms. Larger values go to the converter."""

    encode_bytes: int
    decode_bytes: int
    nodes: int
    """Nodes of one value. This and `decoded_bytes` bound the worst case to about 4 ms."""
    decoded_bytes: int


_INLINE: Final = (
    _Inline(encode_bytes=512 * 1024, decode_bytes=256 * 1024, nodes=10_000, decoded_bytes=512 * 1024)
    if ENGINE.is_native
    else _Inline(encode_bytes=64 * 1024, decode_bytes=16 * 1024, nodes=2000, decoded_bytes=128 * 1024)
)


def policies_for(settings: Settings, metrics: Metrics | None = None) -> list[Policy]:
    """The policy of each listener, in the order of the settings. Equal listeners share one."""
    made: dict[tuple[str, str | None], Policy] = {}
    for each in settings.listener:
        if (each.payload, each.types) not in made:
            made[each.payload, each.types] = policy_for(settings, each.payload, metrics, each.types)
    return [made[each.payload, each.types] for each in settings.listener]


def policy_for(settings: Settings, payload: str, metrics: Metrics | None = None, types: str | None = None) -> Policy:
    """The policy of the listeners with this payload format. `metrics` count its conversions.

    `types` of the listener overrides the rules' `types`. A plain listener only reads.
    """
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
        only_reads=types == "plain",
    )
    rules = tuple(_rule(rule, payload, limits.codec, metrics, types) for rule in settings.rule)
    return Policy(rules, guard, limits)


def gates_for(settings: Settings) -> list[Gate | None]:
    """The gate of each listener. None if it has no password and the proxy does not log in. Raises PasswordError."""
    gates: list[Gate | None] = []
    for listener in settings.listener:
        accepted = passwords.read_all(listener.password, listener.password_file)
        gates.append(Gate(accepted) if settings.upstream.logs_in or accepted is not None else None)
    return gates


def upstream_for(settings: Settings) -> Upstream:
    """The Redis of the settings. "embedded" must be replaced by a path before. Raises TlsError."""
    upstream = _way_to_redis(settings)
    if settings.upstream.shared:
        upstream.share(settings.upstream.shared, settings.limits.buffered_bytes)
    return upstream


def _way_to_redis(settings: Settings) -> Upstream:
    timeout = settings.limits.connect_timeout
    target = settings.upstream.target
    given = settings.upstream
    login = Login(given.username, given.password, given.password_file) if given.logs_in else None
    if isinstance(target, SentinelTarget):
        return Upstream(Master(target, timeout, _sentinel_login(given)), target.db, timeout, login=login)
    tls = None
    if isinstance(target, TcpTarget | ClusterTarget) and target.tls:
        tls = ClientTls(given.tls_ca, given.tls_cert, given.tls_key, given.tls_server_name)
    if isinstance(target, ClusterTarget):
        return Upstream(Cluster(target, given.translations, timeout), 0, timeout, tls, login)
    assert isinstance(target, TcpTarget | UnixTarget)  # noqa: S101 (`cli.serve` replaces "embedded" by a path)
    return Upstream(target.address, target.db, timeout, tls, login)


def _sentinel_login(given: UpstreamSettings) -> Login | None:
    login = Login(given.sentinel_username, given.sentinel_password, given.sentinel_password_file)
    return login if login.password is not None or login.password_file is not None else None


def _inline_limits(limits: CodecLimits) -> CodecLimits:
    """The limits of one value on the event loop. A larger value goes to the converter."""
    return limits._replace(
        nodes=min(limits.nodes, _INLINE.nodes), decoded_bytes=min(limits.decoded_bytes, _INLINE.decoded_bytes)
    )


def _rule(rule: RuleSettings, payload: str, limits: CodecLimits, metrics: Metrics | None, types: str | None) -> Rule:
    only_reads = types == "plain"
    limits = limits._replace(**rule.limits)
    options = Options(
        payload=payload,
        pickle_protocol=rule.pickle_protocol,
        accept_tags=rule.accept_tags,
        big_ints=rule.big_ints,
        types=types or rule.types,
        view=rule.content_type if rule.as_ == "view" else None,
        limits=limits,
        read_classes=rule.read_classes,
        stored=rule.stored,
        naive=rule.naive,
        limits_of_rule=tuple(rule.limits),
    )
    return Rule(
        name=rule.name,
        matches=compile_glob(rule.pattern),
        pattern=rule.pattern,
        prefix=literal_prefix(rule.pattern),
        is_prefix=is_prefix(rule.pattern),
        treats_as=As("value" if rule.as_ == "view" else rule.as_),
        transcoder=_transcoder(options, metrics, rule.name),
        inline=_transcoder(options._replace(limits=_inline_limits(limits)), metrics, rule.name),
        on_undecodable=_on_undecodable(rule, only_reads),
        default_ttl=rule.default_ttl,
        only_reads=only_reads,
        has_digits=STORAGES[rule.stored].has_digits,
        views=_views(rule),
    )


def _views(rule: RuleSettings) -> Matcher | None:
    """Matches the rule's keys that `@cache.cached` makes; None: the rule does not check them, or has none."""
    if not rule.check_views or rule.as_ != "value" or rule.stored not in _OF_FLASK:
        return None
    return keys_of_views(rule.pattern)


def _on_undecodable(rule: RuleSettings, only_reads: bool) -> OnUndecodable:
    """The rule's setting. A plain listener never sends raw bytes, because its clients parse each reply as JSON."""
    wanted = OnUndecodable(rule.on_undecodable)
    return OnUndecodable.ERROR if only_reads and wanted is OnUndecodable.RAW else wanted


def _transcoder(options: Options, metrics: Metrics | None, rule: str) -> Transcoder:
    return Transcoder(options) if metrics is None else MeteredTranscoder(options, metrics, rule)
