"""The libraries that made a value are not needed to read it."""

import subprocess
import sys

from tests.codec.samples import DATA

PROGRAM = f"""
import json, sys
import proxy.cli, proxy.server.server
from proxy.codec import Options, Transcoder
stored = json.load(open({str(DATA / "real_values.json")!r}))
for library, vectors in stored.items():
    if library.startswith(("numpy", "pandas")):
        for vector in vectors.values():
            if "plain" in vector:
                Transcoder(Options(types="plain")).decode(bytes.fromhex(vector["hex"]))
print(sorted(set(sys.modules) & {{"numpy", "pandas", "pyarrow"}}))
"""


def test_nothing_of_numpy_pandas_or_arrow_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
