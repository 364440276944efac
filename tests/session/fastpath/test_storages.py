"""The fast path stores and reads values as the rule says, many at once or one at a time."""

import pytest

from proxy.codec import Options, PayloadError, Transcoder
from proxy.codec.envelope import STORAGES
from proxy.resp.encode import bulk, command
from tests.session.playbook import POISON, Playbook, policy, rule

PAYLOADS = (b"5", b'"tea"', b'{"price": 2.5, "tags": ["a", null]}', b'{"py/tuple": [1]}', b"[1, 2]", b"{nope", b"7")


@pytest.mark.parametrize("stored", STORAGES)
def test_a_run_of_writes_is_stored_as_each_of_them_is(stored: str) -> None:
    codec = Transcoder(Options(stored=stored))
    under = policy(rule(transcoder=codec, inline=codec))
    expected, good = [], 0
    for number, payload in enumerate(PAYLOADS):
        try:
            expected.append(command(b"SET", b"m:%d" % number, codec.encode(payload)))
            good += 1
        except PayloadError:
            expected.append(POISON)
    assert good == len(PAYLOADS) - (2 if stored == "json" else 1)
    requests = [command(b"SET", b"m:%d" % number, payload) for number, payload in enumerate(PAYLOADS)]
    for sent in ([b"".join(requests)], requests):
        played = Playbook(under)
        for data in sent:
            played.sends(data).takes_turns()
        assert played.upstream.replace(POISON, b"") == b"".join(expected).replace(POISON, b"")


@pytest.mark.parametrize("stored", STORAGES)
def test_a_run_of_reads_is_decoded_as_each_of_them_is(stored: str) -> None:
    codec = Transcoder(Options(stored=stored, types="plain"))
    under = policy(rule(transcoder=codec, inline=codec, only_reads=True))
    values = [codec.encode(payload) for payload in (b"5", b'"tea"', b"[1,2]", b'{"a":null}')]
    played = Playbook(under).sends(command(b"GET", b"m:a") * len(values))
    played.replies(b"".join(map(bulk, values))).to_client(b"".join(map(bulk, map(codec.decode, values))))
