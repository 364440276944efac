"""The converter process: bytes in, bytes out, and what happens when it dies."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from proxy.codec import CodecError, CodecLimits, Options, PayloadError, Transcoder, UndecodableError
from proxy.server import converter as child
from proxy.server.converter import Converter
from proxy.session import Conversion, Half

JSON = Transcoder(Options())


@pytest_asyncio.fixture
async def converter() -> AsyncIterator[Converter]:
    made = Converter()
    yield made
    await made.close()


def encoding(payload: bytes) -> Conversion:
    return Conversion(Half.REQUESTS, JSON, payload)


def decoding(stored: bytes) -> Conversion:
    return Conversion(Half.REPLIES, JSON, stored)


async def test_it_converts_as_the_transcoder_does(converter: Converter) -> None:
    payload = b'{"a": [1, 2.5, "x", {"py/tuple": [null]}]}'
    assert await converter.convert(encoding(payload)) == JSON.encode(payload)
    assert await converter.convert(decoding(JSON.encode(payload))) == JSON.decode(JSON.encode(payload))


async def test_what_cannot_be_converted_is_an_error_that_says_why(converter: Converter) -> None:
    bad = await converter.convert(encoding(b"{nope"))
    assert isinstance(bad, PayloadError)
    undecodable = await converter.convert(decoding(b"!garbage"))
    assert isinstance(undecodable, UndecodableError)
    with pytest.raises(UndecodableError) as direct:
        JSON.decode(b"!garbage")
    assert str(undecodable) == str(direct.value)


@pytest.mark.parametrize("of_rule", [(), ("nodes",)], ids=["of all", "of the rule"])
async def test_an_error_for_a_limit_crosses_with_its_name(converter: Converter, of_rule: tuple[str, ...]) -> None:
    codec = Transcoder(Options(limits=CodecLimits(nodes=2), limits_of_rule=of_rule))
    where = "[[rule]]" if of_rule else "[limits]"
    for half, value in ((Half.REQUESTS, b"[1,2]"), (Half.REPLIES, JSON.encode(b"[1,2]"))):
        failed = await converter.convert(Conversion(half, codec, value))
        assert isinstance(failed, CodecError)
        assert failed.limit == "nodes"
        assert f"({where} nodes)" in str(failed)


async def test_options_cross_to_the_process(converter: Converter) -> None:
    msgpack = Transcoder(Options(payload="msgpack", pickle_protocol=2))
    stored = await converter.convert(Conversion(Half.REQUESTS, msgpack, b"\x91\xa1a"))
    assert stored == msgpack.encode(b"\x91\xa1a")


@pytest.mark.parametrize("stored", ["pickle", "django", "json"])
async def test_how_values_are_stored_crosses_too(converter: Converter, stored: str) -> None:
    codec = Transcoder(Options(stored=stored, types="plain", naive="utc", read_classes=("shop.*",)))
    value = await converter.convert(Conversion(Half.REQUESTS, codec, b'{"a": 1}'))
    assert value == codec.encode(b'{"a": 1}')
    assert await converter.convert(Conversion(Half.REPLIES, codec, value)) == b'{"a":1}'


async def test_many_at_once_do_not_mix(converter: Converter) -> None:
    results = await asyncio.gather(*(converter.convert(encoding(b"[%d]" % number)) for number in range(200)))
    assert results == [JSON.encode(b"[%d]" % number) for number in range(200)]


async def test_one_that_hangs_is_killed_and_the_next_starts_anew(
    converter: Converter, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await converter.convert(encoding(b"1"))
    process = converter._process
    assert process is not None
    monkeypatch.setattr("proxy.server.converter._HANGS", 0.05)
    os.kill(process.pid, signal.SIGSTOP)
    with caplog.at_level(logging.ERROR):
        failed = await converter.convert(encoding(b"[1]"))
    assert isinstance(failed, PayloadError)
    monkeypatch.undo()
    assert await converter.convert(encoding(b"[1]")) == JSON.encode(b"[1]")


async def test_a_death_is_an_error_for_what_it_had_and_the_next_starts_anew(
    converter: Converter, caplog: pytest.LogCaptureFixture
) -> None:
    await converter.convert(encoding(b"1"))
    process = converter._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    waiting = asyncio.ensure_future(converter.convert(encoding(b"[1]")))
    await asyncio.sleep(0)
    os.kill(process.pid, signal.SIGKILL)
    with caplog.at_level(logging.ERROR):
        failed = await waiting
    assert isinstance(failed, PayloadError)
    assert "the converter process ended" in str(failed)
    assert await converter.convert(encoding(b"[1]")) == JSON.encode(b"[1]")


def test_the_rules_of_old_configurations_are_not_kept() -> None:
    for nodes in range(1, 2 * child._RULES):
        assert child._converted(True, Options(limits=CodecLimits(nodes=nodes)), b"1") == (b"1", None)
    assert child._transcoder.cache_info().currsize == child._RULES
