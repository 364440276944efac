"""Rarer arrays and frames that real libraries stored: orders of axes, units, periods, intervals, sparse columns ...

`tests/data/frames.json`: the libraries, then name and protocol, then the stored bytes as hex and the JSON that a reader
must get, which was made from the objects themselves by their own libraries.
"""

import json
from typing import Any

import pytest

from proxy.codec import Options, Transcoder, loads
from tests.codec.samples import DATA
from tests.codec.test_real_values import ENGINES, Engine, same, strict

STORED: dict[str, dict[str, dict[str, Any]]] = json.loads((DATA / "frames.json").read_text())
NAMES = sorted({name for vectors in STORED.values() for name in vectors})


@ENGINES
@pytest.mark.parametrize("name", NAMES)
def test_it_reads_as_its_libraries_have_it(name: str, engine: Engine) -> None:
    for libraries, vectors in STORED.items():
        if name in vectors:
            for form in ("tagged", "plain"):
                read = Transcoder(Options(types=form), engine).decode(bytes.fromhex(vectors[name]["hex"]))
                assert same(strict(read), vectors[name][form]), (libraries, form, read)


@pytest.mark.parametrize("libraries", STORED)
def test_a_python_program_reads_it_too(libraries: str) -> None:
    for vector in STORED[libraries].values():
        assert loads(bytes.fromhex(vector["hex"])) is not None
