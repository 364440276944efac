"""Hostile stored values: readers raise only UndecodableError, and instructions and memory stay within the budgets."""

import json
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.codec import CodecLimits, Options, Transcoder, UndecodableError
from proxy.engine import ENGINE, REFERENCE, Engine
from tests.codec.conftest import Cost
from tests.codec.pickles import (
    MEGABYTE,
    PART,
    SMALL,
    attempt,
    binary,
    call,
    cls,
    instruction,
    long,
    refused,
    response,
    text,
)
from tests.codec.samples import FORMATS, HOSTILE, Hostile, transcoder

LEGITIMATE = {"key_none", "key_float_nan", "float_text_nan"}
"""Labelled `reject`, but Python accepts None and NaN as keys, and protocol 0 writes NaN as `Fnan`."""

INERT = {"rce_getattr_chain", "rce_inst", "rce_obj", "rce_py2_alias", "rce_stack_global"}
"""Harmful calls. Readers see them as text, if the rule reads such classes."""

# -- samples -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", HOSTILE, ids=lambda each: each.name)
@pytest.mark.parametrize("payload", FORMATS)
def test_samples_made_by_hand(sample: Hostile, payload: str) -> None:
    read = attempt(sample.stored[1:], payload=payload)
    if sample.name in LEGITIMATE | INERT or sample.verdict == "ok":
        assert read
    elif sample.verdict == "reject":
        assert not read


@pytest.mark.parametrize("engine", [ENGINE, REFERENCE], ids=["native", "python"])
@pytest.mark.parametrize("name", sorted(INERT))
def test_a_rule_may_refuse_every_class_that_is_not_known(name: str, engine: Engine) -> None:
    (stored,) = [sample.stored for sample in HOSTILE if sample.name == name]
    assert json.loads(Transcoder(Options(), engine).decode(stored))
    for payload in FORMATS:
        with pytest.raises(UndecodableError, match=r"\$.* is .*, which read_classes does not cover"):
            Transcoder(Options(payload, read_classes=()), engine).decode(stored)


@pytest.mark.parametrize("sample", HOSTILE, ids=lambda each: each.name)
def test_samples_cost_little(sample: Hostile, cost: Callable[..., Cost]) -> None:
    cost(sample.stored[1:])


def test_nothing_a_pickle_names_is_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    command = f"touch {touched}"
    line = command.encode()
    for body, name, value in [
        (call("posix", "system", text(command)), "posix.system", command),
        (call("builtins", "eval", text("1")), "builtins.eval", "1"),
        (b"(S'" + line + b"'\nios\nsystem\n", "os.system", command),
        (b"(cos\nsystem\nS'" + line + b"'\no", "os.system", command),
        (call("nt", "system", text(command)) + b"}b", "nt.system", command),
        (call("builtins", "getattr", cls("os", "path"), text("join")) + b"N\x85R", "os.path.join", None),
    ]:
        shown = {"py/instance": {"class": name, "value": value}}
        assert json.loads(transcoder().decode(b"!\x80\x03" + body + b".")) == shown
        assert json.loads(transcoder(types="plain").decode(b"!\x80\x03" + body + b".")) == value
    assert json.loads(transcoder().decode(b"!cos\nsystem\n.")) == {"py/global": "os.system"}
    assert not touched.exists()


def test_errors_name_classes_without_what_could_hurt_a_terminal_or_a_log() -> None:
    refused(text("a\r\n\x1b[31m") + text("b") + b"\x93.", r"^a class with an invalid name: a\?\?\?\?31m\.b$")
    refused(text("a\r\n\x1b[31m") + text("é" * 500) + b"\x93.", "^a class with an invalid name")


@pytest.mark.parametrize("body", [b"", b".", b"\x80", b"\x80\x04", b"\x80\x06N.", b"\x80\xffN.", b"{}", b"!N."])
def test_what_is_no_pickle_is_refused(body: bytes) -> None:
    refused(body)


# -- floods --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", pickletools.opcodes, ids=lambda each: each.name)
def test_a_flood_of_one_or_two_instructions_ends(first: pickletools.OpcodeInfo) -> None:
    limits = CodecLimits(decoded_bytes=2 * MEGABYTE, nodes=200)
    for unit in (instruction(first), *(instruction(first) + instruction(second) for second in pickletools.opcodes)):
        for prefix in (b"", b"N\x94"):
            attempt(prefix + unit * (MEGABYTE // len(unit)), limits)


FLOODS = {
    "lists": b"]",
    "dicts": b"}",
    "sets": b"\x8f",
    "marks": b"(",
    "memoized lists": b"]\x940",
    "memoized sets": b"\x8f\x940",
    "memoized dicts": b"}NNs\x940",
    "memoized dicts with text": b"}X\x01\0\0\0aNs\x940",
    "memoized lists of one": b"]Na\x940",
    "memos": b"\x94",
    "dicts of one": b"}NNs",
    "tuples": b"N\x85",
    "tuples of three": b"NNN\x87",
    "wide text": b"\x8c\x04\xf0\x9f\x98\x80",
    "memoized wide text": b"\x8c\x04\xf0\x9f\x98\x80\x940",
    "floats": b"G" + struct.pack(">d", 1.1),
    "ints": b"\x8a\x08" + b"\x11" * 8,
    "marks with ints": b"(N",
    "bytearrays": b"\x96" + b"\0" * 8,
    "memoized bytearrays": b"\x96" + b"\0" * 8 + b"\x940",
    "frozensets": b"(\x91",
    "appended frozensets": b"(N\x91",
    "python 2 text": b"U\x01\xff",
    "classes": b"h\0",
    "objects": b"h\0)\x81",
    "memoized objects": b"h\0)\x81\x940",
    "objects with state": b"h\0)\x81}NNsb",
}
PREFIXES = {"marks": b"N\x94", "memos": b"N"}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_costs_no_more_than_the_budgets(name: str, cost: Callable[..., Cost]) -> None:
    prefix = PREFIXES.get(name, b"cuuid\nUUID\n\x94")
    for start, end in ((b"", b"."), (b"(", b"t."), (b"}(", b"u."), (b"\x8f(", b"\x90.")):
        cost(prefix + start + FLOODS[name] * 6250 + end)


# -- laughs, cycles and depth --------------------------------------------------------------------------

SHARERS: dict[str, Callable[[bytes], bytes]] = {
    "lists": lambda inner: b"](" + inner + b"e",
    "tuples": lambda inner: b"(" + inner + b"t",
    "dicts": lambda inner: b"}(" + b"".join(text(str(at)) + b"h\0" for at in range(9)) + b"u",
    "frozensets": lambda inner: b"(" + inner + b"\x91",
}


@pytest.mark.parametrize("kind", SHARERS)
@pytest.mark.parametrize("levels", [10, 60])
def test_a_billion_laughs_is_refused(kind: str, levels: int, cost: Callable[..., Cost]) -> None:
    body = SHARERS[kind](b"NNNNNNNNNN") if kind != "dicts" else b"]"
    for _ in range(levels):
        body += b"q\0" + SHARERS[kind](b"h\0" * 10)
    refused(body + b".", "nodes|deep|bytes|unhashable", PART)
    cost(body + b".")


@pytest.mark.parametrize(
    "laugh", [text("a" * 60_000), binary(b"a" * 60_000), long(10**4000), b"T\x60\xea\0\0" + b"\xff" * 60_000]
)
@pytest.mark.parametrize("inside", [b"%s", b"]%sa", b"%s\x85", b"}N%ss"])
def test_the_same_content_many_times_counts_each_time(laugh: bytes, inside: bytes, cost: Callable[..., Cost]) -> None:
    body = inside.replace(b"%s", laugh) + b"q\0(" + b"h\0" * 10_000 + b"l."
    refused(body, limits=PART)
    cost(body)
    body = laugh + b"q\0(" + b"2" * 10_000 + b"l."
    refused(body, limits=PART)
    cost(body)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (cls("builtins", "bytearray"), binary(b"a" * MEGABYTE)),
        (cls("_codecs", "encode"), text("a" * MEGABYTE) + text("latin1")),
        (cls("decimal", "Decimal"), text("1" * 4400)),
        (cls("builtins", "set"), b"](" + b"N" * 10_000 + b"e"),
        (cls("builtins", "frozenset"), b"](" + b"N" * 10_000 + b"e"),
        (cls("collections", "OrderedDict"), b"](" + b"](NNe" * 5000 + b"e"),
    ],
)
def test_one_call_repeated_from_the_memo_costs_no_more(function: bytes, args: bytes, cost: Callable[..., Cost]) -> None:
    body = function + b"q\0(" + args + b"tq\x01"
    for each in (b"h\0h\x01R", b"h\0h\x01R\x940"):
        refused(body + b"(" + each * 10_000 + b"l.", limits=PART)
        cost(body + b"(" + each * 10_000 + b"l.")


@pytest.mark.parametrize(
    "body",
    [
        b"}q\0h\0K\x01s.",
        b"\x8fq\0(h\0\x90.",
        b"\x8fq\0(h\0\x85\x90.",
        b"](]q\0}q\x01h\0K\x01h\x01sae.h\x01a",
        b"cuuid\nUUID\n)\x81q\0}X\x03\0\0\0inth\0sb.",
        response(response=b"]q\0h\0a") + b".",
        b"cflask.wrappers\nResponse\n)\x81q\0}X\x07\0\0\0headersh\0sb.",
    ],
)
def test_a_cycle_that_python_cannot_make_is_refused(body: bytes) -> None:
    for payload in FORMATS:
        if b".h" not in body:
            refused(body)
        attempt(body, payload=payload)


def towers() -> dict[str, Callable[[int], bytes]]:
    return {
        "lists": lambda depth: b"]" * depth + b"N" + b"a" * depth,
        "tuples": lambda depth: b"N" + b"\x85" * depth,
        "dicts": lambda depth: b"}X\x01\0\0\0a" * depth + b"N" + b"s" * depth,
        "int keys": lambda depth: b"}K\x01" * depth + b"N" + b"s" * depth,
        "tuple keys": lambda depth: b"}N" + b"\x85" * (depth - 1) + b"Ns",
        "frozensets": lambda depth: b"(" * depth + b"N" + b"\x91" * depth,
        "sets of tuples": lambda depth: b"\x8f(N" + b"\x85" * (depth - 1) + b"\x90",
        "sets by call": lambda depth: cls("builtins", "set") + b"](N" + b"\x85" * (depth - 1) + b"e\x85R",
        "ordered dicts": lambda depth: (cls("collections", "OrderedDict") + b")RK\x01") * depth + b"N" + b"s" * depth,
    }


@pytest.mark.parametrize("kind", towers())
def test_depth_is_limited_whatever_nests(kind: str) -> None:
    tower = towers()[kind]
    for payload in FORMATS:
        assert attempt(tower(100) + b".", payload=payload)
    refused(tower(101) + b".", "nested more than 100 deep" if "key" not in kind else ".")
    refused(tower(20_000) + b".")


# -- keys ----------------------------------------------------------------------------------------------


def test_keys_that_collide_cost_nothing_here(cost: Callable[..., Cost]) -> None:
    modulus = 2**61 - 1
    keys = b"".join(b"\x8a\x0b" + (modulus * at).to_bytes(11, "little") + b"N" for at in range(1, 50_000))
    assert attempt(b"}(" + keys + b"u.")
    cost(b"}(" + keys + b"u.")
    cost(b"\x8f(" + keys + b"\x90.")
    tuples = b"".join(long(modulus * at) + b"\x85N" for at in range(1, 20_000))
    cost(b"}(" + tuples + b"u.")


@pytest.mark.parametrize(
    "key",
    [
        b"]",
        b"}",
        b"\x8f",
        b"]\x85",
        b"N}\x86\x85",
        b"\x96" + b"\0" * 8,
        b"\x8f\x85",
        cls("collections", "OrderedDict") + b")R",
        response(),
    ],
)
def test_a_key_or_member_that_python_cannot_hash_is_refused(key: bytes) -> None:
    with pytest.raises(UndecodableError, match="unhashable"):
        transcoder().decode(b"!}" + key + b"Ns.")
    with pytest.raises(UndecodableError, match="unhashable"):
        transcoder().decode(b"!\x8f(" + key + b"\x90.")
    with pytest.raises(UndecodableError, match="unhashable"):
        transcoder().decode(b"!(" + key + b"\x91.")


# -- limits --------------------------------------------------------------------------------------------


def test_nodes_of_a_stored_value_are_counted_to_the_last_one() -> None:
    for nodes, read in ((1000, True), (1001, False)):
        rest = nodes - 1
        for body in (
            b"(" + b"N" * rest + b"l.",
            b"(" + b"N" * (rest - 1) + b"t.",
            b"](" + b"N" * rest + b"e.",
            b"]" + b"Na" * rest + b".",
            b"}(" + b"".join(text(str(at)) + b"N" for at in range(rest)) + b"u.",
            b"}" + b"".join(text(str(at)) + b"Ns" for at in range(rest)) + b".",
            b"(" + b"".join(b"(K%c\x91" % (at % 256) for at in range(rest // 3)) + b"N" * (rest % 3) + b"l.",
            b"N\x940(" + b"h\0" * rest + b"l.",
        ):
            assert attempt(body, SMALL) is read


def test_lines_of_protocol_0_count_as_they_are_read() -> None:
    items = [b"S'k%d'\np%d\nS'v%d'\np%d\ns" % (at, 2 * at + 2, at, 2 * at + 3) for at in range(999)]
    assert attempt(b"(dp1\n" + b"".join(items[:333]) + b".", SMALL) is True
    assert attempt(b"(dp1\n" + b"".join(items) + b".", SMALL) is False
