"""The origin of stored values is right for every value that a real library or this proxy wrote."""

import pickle

import pytest

from proxy.codec import Options, PayloadError, Transcoder, UndecodableError
from proxy.inspection import provenance
from proxy.inspection.entries import kind_of
from tests.codec.samples import VECTORS, Vector, transcoder

OURS = "this proxy"


def told(stored: bytes) -> provenance.Origin:
    try:
        kind = kind_of(transcoder().decode(stored))
    except UndecodableError:
        return provenance.of(stored, None, foreign=True)
    return provenance.of(stored, kind)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("payload", [b'"foo"', b'{"py/tuple": [1, "a"]}', b"[]", b"null", b"1.5", b'{"py/uuid": "?"}'])
def test_the_proxy_is_never_left_out_of_what_it_wrote(protocol: int, payload: bytes) -> None:
    try:
        stored = transcoder(protocol=protocol).encode(payload)
    except PayloadError:
        return
    assert any(who.startswith(OURS) for who in told(stored).writers)
    assert told(stored).protocol == protocol


SAID_OF: dict[str, str] = {
    "cl_0.1.1": "cachelib before 0.5",
    "cl_0.6.0": "cachelib from 0.5",
    "cl_0.9.0": "cachelib from 0.5",
    "cl_0.10.2": "cachelib from 0.5",
    "cl_0.17.0": "cachelib from 0.5",
    "fcg_1101": "Flask-Caching before 2.0",
    "fcg_1110": "Flask-Caching before 2.0",
    "fcg_210": "Flask-Caching from 2.0",
    "fcg_231": "Flask-Caching from 2.0",
    "fcg_251": "Flask-Caching from 2.0",
    "flask_cache__fcache_f012": "Flask-Cache, ",
    "flask_cache__fcache_redis3": "Flask-Cache, ",
    "py27_flask_cache": "on Python 2",
    "py37_flask_cache": "Python 3.7 or older",
    "werkzeug_0.16.1_redis2": "werkzeug.contrib.cache",
}
"""The writers found for pickles that this library really wrote."""

PICKLE_INTS = {"cl_0.6.0", "cl_0.9.0", "cl_0.10.2", "fcg_210"}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector.stack}-{vector.name}")
def test_a_library_is_never_left_out_of_what_it_wrote(vector: Vector) -> None:
    writers = told(vector.stored).writers
    pickles_ints = "cachelib 0.2 to 0.15.3"
    if vector.kind in ("int", "long") and not vector.stored.startswith(b"!"):
        assert writers[0].startswith(f"any cache library but {pickles_ints}")
        assert vector.stack not in PICKLE_INTS
    elif vector.kind == "int":
        assert writers[0].startswith(pickles_ints)
        assert vector.stack in PICKLE_INTS
    else:
        assert any(SAID_OF[vector.stack] in who for who in writers), writers


def test_what_python_cannot_have_written() -> None:
    unframed = transcoder().encode(b'{"py/tuple": [1, "aaaa"]}')
    assert not any("Flask" in who for who in told(unframed).writers)
    for value in ("x" * 70_000, b"x" * 70_000, None, [], "x" * 60_000):
        assert any("Flask-Caching" in who for who in told(b"!" + pickle.dumps(value, 4)).writers)


@pytest.mark.parametrize(
    ("stored", "form"),
    [
        (b"42", "digits"),
        (b" -4_2\n", "digits"),
        (b"!N.", "pickle protocol 0 or 1"),
        (b"!", "pickle protocol 0 or 1"),
        (b"!\x80", "pickle protocol 0 or 1"),
        (b"!\x80\x02N.", "pickle protocol 2"),
        (b"!\x80\xffN.", "pickle protocol 255"),
        (b"", provenance.UNMARKED),
        (b"\x80\x04N.", provenance.UNMARKED),
    ],
)
def test_forms(stored: bytes, form: str) -> None:
    assert told(stored).form == form


@pytest.mark.parametrize("storage", ["pickle", "django", "json"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("payload", [b'"foo"', b"[1,2]", b"null", b"42"])
def test_the_proxy_is_never_left_out_of_what_it_wrote_in_any_storage(
    storage: str, protocol: int, payload: bytes
) -> None:
    stored = Transcoder(Options(stored=storage, pickle_protocol=protocol)).encode(payload)
    told_ = provenance.of(stored, kind_of(payload), storage=storage)
    assert any(who.startswith(OURS) for who in told_.writers)
    assert not any(who.startswith(OURS) for who in provenance.of(stored, foreign=True, storage=storage).writers)
    is_pickle = storage != "json" and not (storage == "django" and payload == b"42")
    assert told_.protocol == (protocol if is_pickle else None)
    assert told_.warning is None


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
@pytest.mark.parametrize("value", [[1], "x" * 70_000, None, {"a": 1}])
def test_nor_is_django(protocol: int, value: object) -> None:
    for storage in ("django", "pickle"):
        assert any("Django" in who for who in provenance.of(pickle.dumps(value, protocol), storage=storage).writers)


def test_warnings() -> None:
    assert "INCR and DECR fail" in (provenance.of(pickle.dumps(42, 5), "int", storage="django").warning or "")
    assert "INCR and DECR fail" in (told(b"!\x80\x05K*.").warning or "")
    assert "text/html" in (told(b'{"a":1}').warning or "")
    assert told(b"42").warning is None
