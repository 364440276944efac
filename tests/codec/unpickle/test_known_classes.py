"""The known classes and calls: valid and invalid shapes, and their cost."""

import json
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from proxy import _native
from proxy.codec import CodecLimits, Options, Transcoder, UndecodableError
from proxy.engine import Engine
from tests.codec.conftest import Cost
from tests.codec.pickles import MEGABYTE, PART, attempt, binary, call, cls, headers, long, obj, refused, response, text
from tests.codec.samples import FORMATS, transcoder

# -- the shapes of classes and calls ---------------------------------------------------------------------

DATETIME = ("datetime", "datetime")
NOON = binary(b"\x07\xe8\x01\x02\x03\x04\x05\x00\x02\xa6")
HOUR = call("datetime", "timedelta", b"K\0", b"M\x10\x0e", b"K\0")


@pytest.mark.parametrize(
    "body",
    [
        call(*DATETIME),
        call(*DATETIME, NOON, b"N", b"N"),
        call(*DATETIME, binary(b"")),
        call(*DATETIME, binary(b"\xff" * 10)),
        call(*DATETIME, binary(b"\x07\xe8\x01\x02\xea\x04\x05\x00\x02\xa6")),
        call(*DATETIME, binary(b"\x07\xe8\x0d\x02\x03\x04\x05\x00\x02\xa6")),
        call(*DATETIME, binary(b"\x07\xe8\x02\x1e\x03\x04\x05\x00\x02\xa6")),
        call(*DATETIME, binary(b"\0\0\x01\x02\x03\x04\x05\x00\x02\xa6")),
        call(*DATETIME, binary(b"\x07\xe8\x01\x02\x03\x04\x05\xff\xff\xff")),
        call(*DATETIME, NOON, b"]"),
        call(*DATETIME, NOON, HOUR),
        call(*DATETIME, NOON, text("UTC")),
        call(*DATETIME, b"K\x01"),
        call(*DATETIME, b"M\xe8\x07", b"K\x01", b"K\x02"),
        call(*DATETIME, text("é" * 10)),
        call(*DATETIME, text("€" * 10)),
        call("datetime", "date", binary(b"\x07\xe8\x0d\x01")),
        call("datetime", "date", binary(b"\x07\xe8\x02\x1e")),
        call("datetime", "date", b"N"),
        call("datetime", "time", binary(b"\x18\0\0\0\0\0")),
        call("datetime", "time", binary(b"\x01\x3c\0\0\0\0")),
        call("datetime", "time", binary(b"\x01\0\0\x0f\x42\x40")),
        call("datetime", "time", binary(b"\0" * 5)),
        call("datetime", "timedelta", long(10**300), b"K\0", b"K\0"),
        call("datetime", "timedelta", b"J\xff\xff\xff\x7f", b"K\0", b"K\0"),
        call("datetime", "timedelta", b"K\0", long(10**4299), b"K\0"),
        call("datetime", "timedelta", b"K\0"),
        call("datetime", "timedelta", b"G" + struct.pack(">d", 1e308), b"K\0", b"K\0"),
        call("datetime", "timedelta", b"\x88", b"K\0", b"K\0"),
        call("datetime", "timezone"),
        call("datetime", "timezone", b"K\x01"),
        call("datetime", "timezone", call("datetime", "timedelta", b"K\x01", b"M\x10\x0e", b"K\0")),
        call("datetime", "timezone", call("datetime", "timedelta", b"K\x01", b"K\0", b"K\0")),
        call("datetime", "timezone", HOUR, b"K\x01"),
        call("decimal", "Decimal"),
        call("decimal", "Decimal", b"K\x01"),
        call("decimal", "Decimal", text("x")),
        call("decimal", "Decimal", text("1E+99999999999999999999")),
        call("decimal", "Decimal", text("1" * MEGABYTE)),
        call("decimal", "Decimal", b"(K\0(K\x01tK\0t"),
        obj("uuid", "UUID"),
        obj("uuid", "UUID", int=long(2**128)),
        obj("uuid", "UUID", int=long(-1)),
        obj("uuid", "UUID", int=text("1")),
        obj("uuid", "UUID", int=b"\x88"),
        obj("uuid", "UUID", hex=text("1" * 32)),
        obj("uuid", "UUID", int=b"K\x01", is_safe=b"K\x01"),
        obj("uuid", "UUID", int=b"K\x01", is_safe=text("x")),
        obj("uuid", "UUID", int=b"K\x01", more=b"N"),
        cls("uuid", "UUID") + b")\x81",
        cls("uuid", "UUID") + b")\x81Nb",
        cls("uuid", "UUID") + b")\x81]b",
        cls("uuid", "UUID") + b")\x81N}\x86b",
        cls("uuid", "UUID") + b")\x81}b}b",
        cls("uuid", "UUID") + b"K\x01\x85\x81",
        cls("uuid", "UUID") + b")R",
        cls("uuid", "UUID") + b")\x81}(" + b"".join(text(str(at)) + b"N" for at in range(100)) + b"ub",
        call("builtins", "complex", b"K\x01", b"K\x02"),
        call("builtins", "complex", text("1+2j")),
        call("builtins", "bytes", long(10**10)),
        call("builtins", "bytes", b"K\x05"),
        call("builtins", "bytearray", long(10**10)),
        call("builtins", "bytearray", text("a")),
        call("builtins", "bytearray", text("a"), text("utf-16")),
        call("builtins", "set", text("ab")),
        call("builtins", "set", b"K\x05"),
        call("builtins", "set", call("builtins", "range", long(10**10))),
        call("builtins", "frozenset"),
        call("builtins", "str", b"K\x01"),
        call("_codecs", "encode", text("a"), text("rot13")),
        call("_codecs", "encode", text("a"), text("idna")),
        call("_codecs", "encode", text("€"), text("latin1")),
        call("_codecs", "encode", binary(b"a"), text("latin1")),
        call("_codecs", "encode", text("a")),
        call("collections", "OrderedDict", b"]Na"),
        call("collections", "OrderedDict", b"](]e"),
        call("collections", "OrderedDict", b"}"),
        call("collections", "OrderedDict", b"(NNt\x85"),
        call("copyreg", "_reconstructor", cls("markupsafe", "Markup"), cls("builtins", "object"), b"N"),
        call("copyreg", "_reconstructor", cls("uuid", "UUID"), text("builtins") + text("object") + b"\x86", b"N"),
        call("copyreg", "_reconstructor", cls("uuid", "UUID"), cls("builtins", "object"), b"K\x01"),
        call("copyreg", "_reconstructor", b"N", b"N", b"N"),
        call("pytz", "FixedOffset", long(10**4000)),
        call("markupsafe", "Markup", text("a")),
        cls("markupsafe", "Markup") + b")\x81",
        cls("markupsafe", "Markup") + b"K\x01\x85\x81",
        cls("markupsafe", "Markup") + text("a") + text("b") + b"\x86\x81",
        response(headers=b""),
        response(headers=b"N"),
        response(headers=b"]"),
        response(headers=response()),
        response(headers=cls("werkzeug.datastructures", "Headers") + b")\x81"),
        response(headers=headers(b"K\x01")),
        response(headers=headers(text("a") + text("b") + text("c") + b"\x87")),
        response(headers=headers(text("a") + b"K\x01\x86")),
        response(headers=headers(binary(b"a") + text("b") + b"\x86")),
        response(headers=obj("werkzeug.datastructures", "Headers", _list=b")")),
        response(_status_code=b""),
        response(_status_code=text("200")),
        response(_status_code=b"\x88"),
        response(_status_code=long(10**4299)),
        response(_status_code=b"K\x01"),
        response(_status_code=b"J\xff\xff\xff\xff"),
        response(response=b""),
        response(response=b"N"),
        response(response=text("body")),
        response(response=b"]K\x01a"),
        response(response=b"]]a"),
    ],
)
def test_an_odd_shape_is_refused_by_name_only(body: bytes) -> None:
    for payload in FORMATS:
        with pytest.raises(UndecodableError) as caught:
            transcoder(payload).decode(b"!" + body + b".")
        assert len(str(caught.value)) < 250


MOMENT = binary(b"\x07\xe8\x07\x02\x03\x04\x05\x00\x00\x06")
GETATTR = call("builtins", "getattr", cls("zoneinfo", "ZoneInfo"), text("_unpickle"))


def of_pytz(name: str) -> bytes:
    return call(*DATETIME, MOMENT, call("pytz", "_p", text(name)))


def of_zoneinfo(name: str) -> bytes:
    return call(*DATETIME, MOMENT, GETATTR + text(name) + b"K\x01\x86R")


UTC_NAMES = ["UTC", "UCT", "Universal", "Zulu", "GMT", "GMT0", "GMT+0", "GMT-0", "Greenwich"]
OFFSETS = {
    **{place + name: "+00:00" for name in UTC_NAMES for place in ("", "Etc/")},
    "Etc/GMT+1": "-01:00",
    "Etc/GMT+12": "-12:00",
    "Etc/GMT-1": "+01:00",
    "Etc/GMT-14": "+14:00",
}


@pytest.mark.parametrize("native", [None, _native])
class TestZonesOfOneOffset:
    @pytest.mark.parametrize(
        ("stored", "offset"),
        [
            # pytz 2018.9 and 2026.1 on Python 3.11
            (
                "80049546000000000000008c086461746574696d65948c086461746574696d65949394430a07e80702030405000006948c047079747a"
                "948c025f709493948c074574632f5554439485945294869452942e",
                "+00:00",
            ),
            (
                "80059542000000000000008c086461746574696d65948c086461746574696d65949394430a07e80702030405000006948c047079747a"
                "948c025f709493948c03474d549485945294869452942e",
                "+00:00",
            ),
            (
                "80049548000000000000008c086461746574696d65948c086461746574696d65949394430a07e80702030405000006948c047079747a"
                "948c025f709493948c094574632f474d542d359485945294869452942e",
                "+05:00",
            ),
            (
                "8004954a000000000000008c086461746574696d65948c086461746574696d65949394430a07e80702030405000006948c047079747a"
                "948c0b46697865644f66667365749493944a2effffff85945294869452942e",
                "-03:30",
            ),
            # pytz 2015.7 on Python 2.7
            (
                "636461746574696d650a6461746574696d650a70300a2853275c7830375c7865385c7830375c7830325c7830335c7830345c7830355c"
                "7830305c7830305c783036270a70310a637079747a0a5f700a70320a2853274574632f555443270a70330a7470340a5270350a747036"
                "0a5270370a2e",
                "+00:00",
            ),
            (
                "8002636461746574696d650a6461746574696d650a7100550a07e807020304050000067101637079747a0a5f700a71025503474d5471"
                "038571045271058671065271072e",
                "+00:00",
            ),
            # zoneinfo
            (
                "80049575000000000000008c086461746574696d65948c086461746574696d65949394430a07e80702030405000006948c086275696c"
                "74696e73948c07676574617474729493948c087a6f6e65696e666f948c085a6f6e65496e666f9493948c095f756e7069636b6c659486"
                "9452948c03474d54944b0186945294869452942e",
                "+00:00",
            ),
        ],
    )
    def test_as_they_were_stored(self, native: Any, stored: str, offset: str) -> None:
        assert at(native, b"!" + bytes.fromhex(stored)) == offset

    @pytest.mark.parametrize("pickled", [of_pytz, of_zoneinfo])
    def test_by_name(self, native: Any, pickled: Callable[[str], bytes]) -> None:
        for name, offset in OFFSETS.items():
            assert at(native, b"!" + pickled(name) + b".") == offset, name
        codec = Transcoder(Options(), engine=Engine(native))
        for name in [
            "Etc/GMT+13",
            "Etc/GMT-15",
            "Etc/GMT-05",
            "GMT+5",
            "Etc/Etc/UTC",
            "",
            "é",
            "../UTC",
            "/etc/localtime",
        ]:
            read = json.loads(codec.decode(b"!" + pickled(name) + b"."))
            assert read["py/instance"]["class"] == "datetime.datetime", name
        for name, offset in {"Europe/London": "+01:00", "America/New_York": "-04:00"}.items():
            moment = {"at": "2024-07-02T03:04:05.000006" + offset, "zone": name}
            assert json.loads(codec.decode(b"!" + pickled(name) + b".")) == {"py/zoned": moment}

    def test_with_the_offset_that_they_had(self, native: Any) -> None:
        zone = call("pytz", "_p", text("Etc/UTC"), b"K\0", b"K\0", text("UTC"))
        assert at(native, b"!" + call(*DATETIME, MOMENT, zone) + b".") == "+00:00"
        for more in ([b"M\x10\x0e", b"K\0", text("UTC")], [long(10**30), b"K\0", text("UTC")], [b"K\0"], [b"N"]):
            zone = call("pytz", "_p", text("Etc/UTC"), *more)
            with pytest.raises(UndecodableError, match=r"pytz\._p of unknown shape"):
                at(native, b"!" + call(*DATETIME, MOMENT, zone) + b".")


def at(native: Any, stored: bytes) -> str:
    """The offset of a datetime."""
    decoded = json.loads(Transcoder(Options(), engine=Engine(native)).decode(stored))["py/datetime"]
    assert decoded.startswith("2024-07-02T03:04:05.000006")
    return str(decoded[26:])


ODD = [
    b"N",
    b"K\x01",
    text("a"),
    binary(b"a"),
    b"]",
    b"}",
    b")",
    b"\x8f",
    b"]\x85",
    cls("datetime", "date"),
    b"U\x01\xff",
    NOON,
]
KNOWN = [
    ("_codecs", "encode"),
    *(("builtins", name) for name in ("bytes", "bytearray", "complex", "set", "frozenset", "getattr", "object", "str")),
    ("collections", "OrderedDict"),
    ("copyreg", "_reconstructor"),
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    ("decimal", "Decimal"),
    ("pytz", "_UTC"),
    ("pytz", "_p"),
    ("pytz", "FixedOffset"),
    ("uuid", "UUID"),
    ("zoneinfo", "ZoneInfo"),
    ("markupsafe", "Markup"),
    ("flask.wrappers", "Response"),
    ("flask_caching", "CachedResponse"),
    ("werkzeug.datastructures", "Headers"),
]


@pytest.mark.parametrize(("module", "name"), KNOWN)
def test_known_names_take_any_arguments_without_harm(module: str, name: str) -> None:
    for first in ODD:
        one = cls(module, name) + b"(" + first + b"t"
        for end in (b"R.", b"\x81.", b"\x81}b.", b"R}b.", b"\x81R."):
            attempt(one + end)
        attempt(cls(module, name) + b")\x81" + first + b"b.")
        attempt(cls(module, name) + first + b"R.")
        attempt(cls(module, name) + first + b"\x81.")
        for second in ODD:
            two = cls(module, name) + b"(" + first + second
            for end in (b"tR.", b"t\x81.", b"NtR.", *(third + b"tR." for third in ODD)):
                attempt(two + end)


def test_a_set_is_what_its_list_was_when_it_was_made() -> None:
    body = b"cbuiltins\nset\n]q\0\x85Rh\0K\x01a0."
    assert transcoder().decode(b"!" + body) == b'{"py/set":[]}'


def test_an_object_is_what_its_state_was_when_it_was_built() -> None:
    body = b"cuuid\nUUID\n)\x81}q\0X\x03\0\0\0intK\x01sbh\0X\x03\0\0\0intK\x02s0."
    assert transcoder().decode(b"!" + body) == b'{"py/uuid":"00000000-0000-0000-0000-000000000001"}'


def test_one_response_many_times_costs_what_it_is_made_of(cost: Callable[..., Cost]) -> None:
    many = response(response=b"](" + b"C\0" * 10_000 + b"e")
    refused(many + b"q\0(" + b"h\0" * 5000 + b"l.", "nodes", PART)
    cost(many + b"q\0(" + b"h\0" * 5000 + b"l.")
    pairs = headers(*[text("") + text("") + b"\x86"] * 5000)
    refused(response(headers=pairs) + b"q\0(" + b"h\0" * 5000 + b"l.", "nodes", PART)
    old = b"T" + struct.pack("<i", MEGABYTE) + b"\xff" * MEGABYTE + b"q\0"
    cost(old + response(response=b"](" + b"h\0" * 10_000 + b"e") + b".")
    refused(old + response(response=b"](" + b"h\0" * 10_000 + b"e") + b".", "bytes", PART)


@pytest.mark.parametrize("raw", [b"\0", b'"', b"\xc3\xa9"], ids=["control", "quote", "accent"])
def test_text_as_large_as_a_value_may_be_costs_no_more(raw: bytes, cost: Callable[..., Cost]) -> None:
    size = PART.decoded_bytes - 100
    cost(text(raw * (size // len(raw))) + b".")
    short = text(raw * (1000 // len(raw)))
    cost(b"(" + short * (size // len(short)) + b"l.")
    cost(b"(" + short + b"q\0" + b"h\0" * (size // 1000) + b"l.")
    cost(b"(" + short + b"q\0" + b"h\0" * (size // 1000) + b"t.")


def test_bytes_as_large_as_a_value_may_be_cost_no_more(cost: Callable[..., Cost]) -> None:
    size = CodecLimits().decoded_bytes - 100
    cost(binary(b"a" * size) + b".", CodecLimits())
    cost(binary(b"a" * (size * 3 // 4 - 100)) + b".", CodecLimits())
    cost(b"\x96" + struct.pack("<Q", size) + b"a" * size + b".", CodecLimits())


# -- found by attacks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", FORMATS)
@pytest.mark.parametrize("types", ["tagged", "plain"])
@pytest.mark.parametrize(
    "made",
    [
        b"cmarkupsafe\nMarkup\nX" + struct.pack("<I", 2_500_000) + b"a" * 2_500_000 + b"\x85\x81",
        b"cdecimal\nDecimal\nX" + struct.pack("<I", 4_000) + b"9" * 4_000 + b"\x85R",
    ],
    ids=["Markup", "Decimal"],
)
def test_a_scalar_taken_from_the_memo_over_and_over_does_not_balloon(made: bytes, types: str, payload: str) -> None:
    stored = b"!\x80\x04" + made + b"\x940(" + b"h\0" * 40_000 + b"t."
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableError, match="decoded_bytes"):
            transcoder(payload, types=types).decode(stored)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_state_that_is_built_in_over_and_over_is_counted_each_time() -> None:
    state = b"}\x94(" + b"".join(b"\x8c\x02%02dN" % number for number in range(64)) + b"u0"
    cls = b"\x8c\x0eflask.wrappers\x94\x8c\x08Response\x94\x93\x94"
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableError, match="nodes"):
            transcoder().decode(b"!\x80\x04" + cls + state + b"h\x02)\x81h\x03b" * 99_000 + b".")
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_names_of_attributes_are_counted() -> None:
    owner = cls("shop", "C" * 500) + b"q\0" + cls("builtins", "getattr") + b"q\1(h\0" + text("x") + b"tq\2"
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableError, match="decoded_bytes"):
            transcoder().decode(b"!(" + owner + b"h\1h\2R" * 60_000 + b"t.")
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", [b"sNaN", b"-sNaN1"])
def test_a_signaling_nan_is_no_member(content: bytes) -> None:
    member = b"cdecimal\nDecimal\n\x8c" + bytes([len(content)]) + content + b"\x85R"
    transcoder().decode(b"!\x80\x04" + member + b".")
    with pytest.raises(UndecodableError, match="unhashable"):
        transcoder().decode(b"!\x80\x04(" + member + b"\x91.")


@pytest.mark.parametrize(
    ("payload", "read"), [("json", b"[18446744073709551616]"), ("msgpack", b"\x91\xb418446744073709551616")]
)
def test_an_int_of_a_json_body_that_the_format_has_not_reads_as_text(payload: str, read: bytes) -> None:
    json_type = headers(text("Content-Type") + text("application/json") + b"\x86")
    body = b"]" + binary(b"[18446744073709551616]") + b"a"
    stored = b"!" + response(headers=json_type, response=body) + b"."
    assert transcoder(payload, types="plain").decode(stored) == read
