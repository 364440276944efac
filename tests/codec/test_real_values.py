"""Values that real libraries stored read in a useful form: each value tagged and plain, with both engines.

`tests/data/real_values.json`: library and version, then name and protocol, then the stored bytes as hex, the value's
repr, and the JSON that a reader must get.
"""

import json
import re
from typing import Any

import msgpack
import pytest

from proxy.codec import Options, Transcoder, UndecodableError, dumps, loads
from proxy.codec.errors import PayloadError
from proxy.codec.nodes import READ_ONLY_TAGS
from proxy.engine import ENGINE, REFERENCE, Engine
from tests.codec.samples import REAL_ARRAYS, REAL_VALUES, UNDECODABLE

ALL_VALUES = REAL_VALUES | REAL_ARRAYS
READ_ONLY = re.compile("|".join(f'{{"{tag}":' for tag in READ_ONLY_TAGS).encode())
FORMS = ("tagged", "plain")
ENGINES = pytest.mark.parametrize("engine", [ENGINE, REFERENCE], ids=["native", "python"])


def same(one: Any, other: Any) -> bool:
    """Equal, including number types: 1, 1.0 and true differ. Order matters only in arrays."""
    if type(one) is not type(other):
        return False
    if type(one) is dict:
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if type(one) is list:
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other) if type(one) is float else bool(one == other)


def strict(payload: bytes) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(name)

    return json.loads(payload.decode(), parse_constant=refuse)


@ENGINES
@pytest.mark.parametrize("library", ALL_VALUES)
def test_what_a_library_stored_reads_as_it_should(library: str, engine: Engine) -> None:
    for form in FORMS:
        transcoder = Transcoder(Options(types=form), engine)
        for name, vector in ALL_VALUES[library].items():
            read = strict(transcoder.decode(bytes.fromhex(vector["hex"])))
            assert same(read, vector[form]), (name, form, read)


@ENGINES
@pytest.mark.parametrize("name", UNDECODABLE)
def test_what_cannot_be_read_is_an_error_that_names_it(name: str, engine: Engine) -> None:
    for form in FORMS:
        reason = UNDECODABLE[name][f"{form}_undecodable"].removesuffix("[pyarrow]").partition("(")[0].split()[-1]
        with pytest.raises(UndecodableError, match=reason):
            Transcoder(Options(types=form), engine).decode(bytes.fromhex(UNDECODABLE[name]["hex"]))


@pytest.mark.parametrize("library", ALL_VALUES)
def test_msgpack_has_the_same(library: str) -> None:
    transcoder = Transcoder(Options("msgpack", types="plain"), REFERENCE)
    for vector in ALL_VALUES[library].values():
        if '"nan"' not in json.dumps(vector["tagged"]):  # which msgpack has
            assert same(msgpack.unpackb(transcoder.decode(bytes.fromhex(vector["hex"]))), vector["plain"])


@pytest.mark.parametrize("library", ALL_VALUES)
def test_what_is_read_is_equal_when_it_is_written_back_or_says_that_it_cannot_be(library: str) -> None:
    reader = Transcoder(Options())
    writer = Transcoder(Options(accept_tags=("data", "response", "markup", "zoned")))
    for name, vector in ALL_VALUES[library].items():
        payload = reader.decode(bytes.fromhex(vector["hex"]))
        if READ_ONLY.search(payload):
            with pytest.raises(PayloadError, match="can be read but not written"):
                writer.encode(payload)
        elif name.partition(".")[0] not in ("pytz_lmt",):  # an offset that the zone does not have then
            assert reader.decode(writer.encode(payload)) == payload, name


@pytest.mark.parametrize("library", ALL_VALUES)
def test_a_python_program_reads_them_too(library: str) -> None:
    for name, vector in ALL_VALUES[library].items():
        value = loads(bytes.fromhex(vector["hex"]))
        if READ_ONLY.search(json.dumps(vector["tagged"]).encode()) and "lookalike" not in name:
            with pytest.raises(PayloadError):
                dumps(value)


@ENGINES
@pytest.mark.parametrize("library", ALL_VALUES)
def test_a_rule_without_classes_reads_what_has_a_tag_only(library: str, engine: Engine) -> None:
    for form in FORMS:
        transcoder = Transcoder(Options(types=form, read_classes=()), engine)
        for name, vector in ALL_VALUES[library].items():
            stored = bytes.fromhex(vector["hex"])
            tagged = json.dumps(vector["tagged"])
            if not READ_ONLY.search(tagged.encode()) and "subclass" not in name:
                if not name.startswith("httpexception"):
                    assert same(strict(transcoder.decode(stored)), vector[form]), name
            elif not name.startswith("tag_lookalike"):
                with pytest.raises(UndecodableError, match=r"\$.* is .*, which read_classes does not cover"):
                    transcoder.decode(stored)
