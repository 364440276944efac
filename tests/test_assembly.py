"""Every setting that a policy has comes from the settings."""

import pickle

from proxy.assembly import policy_for
from proxy.config import Flags, Guard, Limits, Rule, Settings, load
from proxy.metrics import Metrics
from proxy.policy import As, OnUndecodable


def test_the_defaults_manage_flask_caching_keys() -> None:
    policy = policy_for(load(None, {}, Flags()), "json", Metrics("0"))
    rule = policy.match(b"flask_cache_view//")
    assert rule is not None
    assert rule.treats_as is As.VALUE
    assert policy.match(b"other") is None


def test_a_rule_says_how_its_values_are_converted() -> None:
    settings = Settings(
        rule=(
            Rule(
                keys="v:*",
                as_="view",
                content_type="text/plain",
                pickle_protocol=2,
                default_ttl=9,
                on_undecodable="nil",
            ),
            Rule(keys="p:*", as_="read-only", types="plain"),
            Rule(keys="t:*", accept_tags=(), big_ints="tagged"),
        )
    )
    policy = policy_for(settings, "json", Metrics("0"))
    view, plain, tagged = (policy.match(key) for key in (b"v:1", b"p:1", b"t:1"))
    assert view is not None
    assert plain is not None
    assert tagged is not None
    assert (view.default_ttl, view.on_undecodable) == (9, OnUndecodable.NIL)
    assert view.transcoder.encode(b"hi")[:3] == b"!\x80\x02"
    assert pickle.loads(view.transcoder.encode(b"hi")[1:]) == (b"hi", 200, {"Content-Type": "text/plain"})
    assert plain.treats_as is As.READ_ONLY
    assert plain.transcoder.decode(b"!" + pickle.dumps((1, 2))) == b"[1,2]"
    assert tagged.transcoder.decode(b"9007199254740993") == b'{"py/int":"9007199254740993"}'
    assert pickle.loads(tagged.transcoder.encode(b'{"py/set": [1]}')[1:]) == {"py/set": [1]}


def test_limits_and_guard_arrive() -> None:
    sha1 = "a" * 40
    settings = Settings(
        limits=Limits(
            depth=3,
            nodes=4,
            payload_bytes=5,
            decoded_bytes=6,
            request_bytes=7,
            arguments=8,
            pending_commands=9,
            first_command_bytes=10,
            buffered_bytes=11,
        ),
        guard=Guard(scripts="allow", allow_scripts=(sha1,), allow=("CONFIG|SET",)),
    )
    limits, guard = (
        policy_for(settings, "msgpack", Metrics("0")).limits,
        policy_for(settings, "msgpack", Metrics("0")).guard,
    )
    assert tuple(limits.codec) == (5, 6, 3, 4)
    assert tuple(limits.request) == (7, 8, 10)
    assert (limits.pending_commands, limits.buffered_bytes) == (9, 11)
    assert guard.allow_all_scripts
    assert guard.allowed_scripts == {sha1.encode()}
    assert guard.allowed_commands == {b"CONFIG|SET"}


def test_a_first_command_may_be_as_large_as_any_unless_it_is_said() -> None:
    assert policy_for(Settings(limits=Limits(request_bytes=7)), "json", Metrics("0")).limits.request.first_bytes == 7
