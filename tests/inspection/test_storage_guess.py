"""How a value seems to be stored."""

import bz2
import gzip
import json
import lzma
import pickle
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.codec import CodecLimits, Options, Transcoder, UndecodableError
from proxy.codec.envelope import STORAGES
from proxy.inspection.storage_guess import guess
from tests import effort

LIMITS = CodecLimits()


@pytest.mark.parametrize(
    ("stored", "text", "fits"),
    [
        (b"!" + pickle.dumps([1]), "a pickle with the mark of Flask's caches", ("flask",)),
        (b"!broken", "a pickle with the mark of Flask's caches", ("flask",)),
        (b"42", "digits", ("flask", "django", "json")),
        (pickle.dumps([1], 5), "a pickle without a mark", ("pickle", "django")),
        (pickle.dumps([1], 2), "a pickle without a mark", ("pickle", "django")),
        (pickle.dumps({"a": 1}, 1), "a pickle without a mark", ("pickle", "django")),
        (pickle.dumps({"a": 1}, 0), "a pickle without a mark", ("pickle", "django")),
        (b"\x80\x04 damaged", "a pickle without a mark", ("pickle", "django")),
        (json.dumps({"a": [1]}).encode(), "JSON", ("json",)),
        (b'"text"', "JSON", ("json",)),
        (b"null", "JSON", ("json",)),
        (b"1.5", "JSON", ("json",)),
        (zlib.compress(b"x"), "compressed (zlib)", ()),
        (gzip.compress(b"x", mtime=0), "compressed (gzip)", ()),
        (bz2.compress(b"x"), "compressed (bzip2)", ()),
        (lzma.compress(b"x"), "compressed (lzma)", ()),
        (b"<b>tea</b>", "other bytes", ("flask",)),
        (b"The end.", "other bytes", ("flask",)),
        (b"{broken", "other bytes", ("flask",)),
        (b"", "other bytes", ("flask",)),
    ],
)
def test_the_bytes_tell(stored: bytes, text: str, fits: tuple[str, ...]) -> None:
    guessed = guess(stored, LIMITS)
    assert (guessed.text, guessed.fits) == (text, fits)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=effort.cases(100), deadline=None)
@given(VALUES, st.sampled_from(sorted(STORAGES)), st.integers(2, 5))
def test_what_a_storage_writes_it_reads(value: object, storage: str, protocol: int) -> None:
    """Not always by the same name: pickles without a mark are Django's too, and a number is the same everywhere."""
    transcoder = Transcoder(Options(stored=storage, pickle_protocol=protocol, accept_tags=()))
    payload = json.dumps(value).encode()
    stored = transcoder.encode(payload)
    guessed = guess(stored, LIMITS)
    assert storage in guessed.fits
    assert Transcoder(Options(stored=guessed.storage)).decode(stored) == transcoder.decode(stored)


@settings(max_examples=effort.cases(200), deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_have_a_guess_and_what_fits_is_a_setting(stored: bytes) -> None:
    guessed = guess(stored, LIMITS)
    assert {guessed.storage, *guessed.fits} <= STORAGES.keys()
    if guessed.text == "JSON":
        Transcoder(Options(stored="json")).decode(stored)
    if guessed.text == "other bytes":
        try:
            read = Transcoder(Options()).decode(stored)
        except UndecodableError:
            pytest.fail("Flask reads all bytes without a mark")
        assert b"py/bytes" in read
