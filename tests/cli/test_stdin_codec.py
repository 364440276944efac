"""`decode` and `encode`: bytes in, bytes out."""

import base64
import pickle
from pathlib import Path

import msgpack
import pytest

from tests.cli.conftest import Run


def test_what_is_encoded_is_what_flask_would_store_and_decodes_again(run: Run) -> None:
    encoded = run("encode", given=b'{"py/tuple": [1, "a"]}\n')
    assert (encoded.status, pickle.loads(encoded.out[1:])) == (0, (1, "a"))
    assert run("decode", given=encoded.out).text == '{"py/tuple":[1,"a"]}\n'


def test_the_line_feed_of_redis_cli_does_no_harm(run: Run) -> None:
    assert run("decode", given=b"!" + pickle.dumps("foo", 2) + b"\n").text == '"foo"\n'
    assert run("decode", given=b"42\n").text == "42\n"


@pytest.mark.parametrize("given", [b"", b"\n"])
def test_what_may_be_a_miss_is_told(run: Run, given: bytes) -> None:
    done = run("decode", given=given)
    assert (done.status, done.err.count("a missing key")) == (0, 1)
    assert done.text.startswith('{"py/bytes":')


def test_msgpack_is_a_payload_too(run: Run) -> None:
    encoded = run("encode", "--payload", "msgpack", given=msgpack.packb({"a": b"x"}))
    assert pickle.loads(encoded.out[1:]) == {"a": b"x"}
    assert run("decode", "--payload", "msgpack", given=encoded.out).out == msgpack.packb({"a": b"x"})


def test_a_rule_may_be_named(run: Run, config: Path) -> None:
    encoded = run("encode", "-c", str(config), "--rule", "shop_page*", given=b"<b>")
    assert pickle.loads(encoded.out[1:]) == (b"<b>", 200, {"Content-Type": "text/html"})
    assert run("decode", "-c", str(config), "--rule", "shop_page*", given=encoded.out).out == b"<b>"
    done = run("decode", "-c", str(config), "--rule", "shop_lock*")
    assert done.status == 2
    assert "there is no such rule; known: shop_view*, " in done.err


@pytest.mark.parametrize(
    ("command", "given", "reason"),
    [
        ("encode", b"foo", "a string needs its quotes"),
        ("encode", b"", "cannot be encoded"),
        ("decode", b"!\x80\x04\x8c\x02os\x8c\x06system\x93Q.", "no cache library writes"),
        ("decode", b"!", "truncated pickle"),
    ],
)
def test_what_cannot_be_is_1_and_nothing_on_stdout(run: Run, command: str, given: bytes, reason: str) -> None:
    done = run(command, given=given)
    assert (done.status, done.out) == (1, b"")
    assert reason in done.err


def test_a_value_has_one_spelling(run: Run) -> None:
    done = run("decode", "--hex", "--base64", "00")
    assert (done.status, done.err) == (2, "--hex and --base64: give one of them, not several\n")


def test_no_more_is_read_than_the_limits_allow(run: Run) -> None:
    env = {"FLASK_CACHE_PROXY_LIMITS_DECODED_BYTES": "1000", "FLASK_CACHE_PROXY_LIMITS_PAYLOAD_BYTES": "1000"}
    assert "a payload of 1001 bytes" in run("encode", given=b"1" * 5000, env=env).err
    assert "a stored value of 1001 bytes" in run("decode", given=b"1" * 5000, env=env).err


VALUE = b"!" + pickle.dumps((1, "tea"), 4)


@pytest.mark.parametrize(
    ("option", "spelt"),
    [
        ("--hex", VALUE.hex()),
        ("--hex", VALUE.hex(" ").upper()),
        ("--base64", base64.b64encode(VALUE).decode()),
        ("--base64", base64.encodebytes(VALUE).decode()),
    ],
)
def test_a_gui_gives_the_value_as_text(run: Run, option: str, spelt: str) -> None:
    for done in (run("decode", option, spelt), run("decode", option, given=spelt.encode() + b"\n")):
        assert (done.status, done.text) == (0, '{"py/tuple":[1,"tea"]}\n')
    assert run("decode", "--types", "plain", option, spelt).text == '[1,"tea"]\n'


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--hex", "21 8"), "the value is not hexadecimal: two digits for each byte"),
        (("--hex", "xyzw"), "the value is not hexadecimal"),
        (("--base64", "IQ="), "the value is not base64"),
        (("--base64", "I*=="), "the value is not base64"),
    ],
)
def test_an_invalid_spelling_is_an_error(run: Run, arguments: tuple[str, ...], reason: str) -> None:
    done = run("decode", *arguments)
    assert (done.status, done.out) == (1, b"")
    assert reason in done.err


def test_the_storage_may_be_named(run: Run, config: Path) -> None:
    assert run("decode", "--stored", "django", given=pickle.dumps({"a": 1})).text == '{"a":1}\n'
    assert run("decode", "--stored", "json", '{"a": 1}').text == '{"a":1}\n'
    # It says how a value is stored, so the value is no view any more.
    done = run("decode", "-c", str(config), "--rule", "shop_page*", "--stored", "pickle", given=pickle.dumps([1]))
    assert done.text == "[1]\n"
    assert run("decode", "--stored", "pickle", given=VALUE).status == 1


def test_no_more_text_is_read_than_the_limits_allow(run: Run) -> None:
    env = {"FLASK_CACHE_PROXY_LIMITS_DECODED_BYTES": "1000"}
    assert "over the limit of 1000" in run("decode", "--hex", given=b"31" * 1001, env=env).err
    assert run("decode", "--hex", given=b"31" * 1000, env=env).status == 0
    done = run("decode", "--hex", given=b"3" * 10**6, env=env)
    assert (done.status, "a text for more than 1000 bytes" in done.err) == (1, True)
