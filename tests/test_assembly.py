"""Every setting that a policy has comes from the settings."""

import pickle

import pytest

from proxy.assembly import policies_for, policy_for
from proxy.codec import CodecLimits, PayloadError, UndecodableError
from proxy.config import Flags, Guard, Limits, Listener, Rule, Settings, load
from proxy.observe.metrics import Metrics
from proxy.policy import As, OnUndecodable


def test_the_defaults_manage_flask_caching_keys() -> None:
    policy = policy_for(load(None, {}, Flags()), "json", Metrics())
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
    policy = policy_for(settings, "json", Metrics())
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


def test_a_rule_says_how_its_values_are_stored_and_which_classes_are_read() -> None:
    settings = Settings(
        rule=(
            Rule(keys="j:*", stored="json", read_classes=("shop.*",), naive="utc"),
            Rule(keys="p:*", stored="pickle"),
            Rule(keys="d:*", stored="django"),
        )
    )
    as_json, pickled, django = policy_for(settings, "json").rules
    for codec in (as_json.transcoder, as_json.inline):
        assert (codec.options.stored, codec.options.read_classes, codec.options.naive) == ("json", ("shop.*",), "utc")
    assert [rule.has_digits for rule in (as_json, pickled, django)] == [True, False, True]
    assert [rule.transcoder.encode(b"1") for rule in (as_json, django)] == [b"1", b"1"]
    assert pickle.loads(pickled.transcoder.encode(b"1")) == 1


def test_a_plain_listener_is_a_policy_of_its_own() -> None:
    settings = Settings(
        listener=(
            Listener(bind="127.0.0.1:1"),
            Listener(bind="127.0.0.1:2", types="plain"),
            Listener(bind="127.0.0.1:3", payload="msgpack", types="plain"),
            Listener(bind="127.0.0.1:4", types="tagged"),
            Listener(bind="127.0.0.1:5", types="plain"),
        ),
        rule=(
            Rule(keys="t:*", on_undecodable="raw"),
            Rule(keys="p:*", types="plain", on_undecodable="nil"),
            Rule(keys="u:*", as_="untouched"),
        ),
        guard=Guard(scripts="allow"),
    )
    usual, plain, packed, tagged, again = policies_for(settings)
    assert again is plain
    assert [
        [rule.transcoder.options.types for rule in policy.rules[:2]] for policy in (usual, plain, packed, tagged)
    ] == [
        ["tagged", "plain"],
        ["plain", "plain"],
        ["plain", "plain"],
        ["tagged", "tagged"],
    ]
    assert packed.rules[0].inline.options.payload == "msgpack"
    for policy, only_reads in ((usual, False), (plain, True), (packed, True), (tagged, False)):
        assert policy.guard.only_reads is only_reads
        assert {rule.only_reads for rule in policy.rules} == {only_reads}
        assert policy.match(b"u:1") is None
    assert [rule.on_undecodable for rule in usual.rules[:2]] == [OnUndecodable.RAW, OnUndecodable.NIL]
    assert [rule.on_undecodable for rule in plain.rules[:2]] == [OnUndecodable.ERROR, OnUndecodable.NIL]


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
        policy_for(settings, "msgpack", Metrics()).limits,
        policy_for(settings, "msgpack", Metrics()).guard,
    )
    assert tuple(limits.codec) == (5, 6, 3, 4)
    assert tuple(limits.request) == (7, 8, 10)
    assert (limits.pending_commands, limits.buffered_bytes) == (9, 11)
    assert guard.allow_all_scripts
    assert guard.allowed_scripts == {sha1.encode()}
    assert guard.allowed_commands == {b"CONFIG|SET"}


def test_a_first_command_may_be_as_large_as_any_unless_it_is_said() -> None:
    assert policy_for(Settings(limits=Limits(request_bytes=7)), "json", Metrics()).limits.request.first_bytes == 7


def test_a_rule_may_have_limits_of_its_own() -> None:
    settings = Settings(
        limits=Limits(nodes=1000, depth=7),
        rule=(Rule(keys="big:*", nodes=50_000, decoded_bytes=1 << 25, payload_bytes=9), Rule(keys="r:*", nodes=10)),
    )
    policy = policy_for(settings, "json")
    big, small = policy.rules
    assert big.limits == CodecLimits(payload_bytes=9, decoded_bytes=1 << 25, depth=7, nodes=50_000)
    assert small.limits == policy.limits.codec._replace(nodes=10)
    assert small.inline.options.limits.nodes == 10
    assert big.inline.options.limits.nodes < 50_000
    assert policy.widest == CodecLimits(payload_bytes=8 << 20, decoded_bytes=1 << 25, depth=7, nodes=50_000)
    assert len(big.transcoder.decode(b"!" + pickle.dumps([0] * 40_000))) == 80_001
    with pytest.raises(UndecodableError, match="more than 10 nodes"):
        small.transcoder.decode(b"!" + pickle.dumps([0] * 11))
    with pytest.raises(PayloadError, match="over the limit of 9"):
        big.transcoder.encode(b"1234567890")
