"""Stored values load equal in the Pythons that apps run: those of 2.7 and 3.7 to 3.14 that are installed."""

import json
import os
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.codec.samples import transcoder

VERSIONS = ("2.7", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")

VALUES: list[tuple[Any, str]] = [
    # the payload, and the value as every Python spells it
    ({"py/counter": {"a": 3, "": -1}}, "Counter({u'a': 3, u'': -1})"),
    ({"py/counter": {"py/dict": [[1, 2.5], [{"py/tuple": [None]}, "x"]]}}, "Counter({1: 2.5, (None,): u'x'})"),
    ({"py/counter": {}}, "Counter()"),
    *(
        ({"py/defaultdict": {"factory": name, "dict": {"a": [1]}}}, f"defaultdict({spelled}, {{u'a': [1]}})")
        for name, spelled in (
            *((name, name) for name in ("list", "dict", "set", "float", "bool", "tuple", "frozenset")),
            ("int", "type(2**70)"),
            ("str", "type(u'')"),
            (None, "None"),
        )
    ),
    ({"py/defaultdict": {"factory": "set", "dict": {"py/dict": []}}}, "defaultdict(set)"),
    ({"py/deque": {"items": [1, {"py/set": ["x"]}], "maxlen": 5}}, "deque([1, {u'x'}], 5)"),
    ({"py/deque": {"items": [], "maxlen": 0}}, "deque([], 0)"),
    ({"py/deque": {"items": ["a", None], "maxlen": None}}, "deque([u'a', None])"),
    (
        [{"py/deque": {"items": [{"py/counter": {"a": 1}}], "maxlen": 2**40}}] * 2,
        "[deque([Counter({u'a': 1})], 2**40), deque([Counter({u'a': 1})], 2**40)]",
    ),
]
ZONED: list[tuple[Any, str]] = [
    (
        [{"py/zoned": {"at": f"{at}{offset}", "zone": zone}} for offset in offsets],
        f"[datetime({args}, fold=fold, tzinfo=ZoneInfo({zone!r})) for fold in {(0, 1)[: len(offsets)]}]",
    )
    for at, args, zone, offsets in (
        ("2024-07-02T03:04:05.000006", "2024, 7, 2, 3, 4, 5, 6", "Asia/Kolkata", ["+05:30"]),
        ("2024-10-27T02:30:00", "2024, 10, 27, 2, 30", "Europe/Berlin", ["+02:00", "+01:00"]),
        ("1883-11-18T12:01:00", "1883, 11, 18, 12, 1", "America/New_York", ["-04:56:02", "-05:00"]),
    )
]
"""For a Python with zoneinfo."""

LOADER = """
import json, pickle, sys
from binascii import unhexlify
from collections import Counter, defaultdict, deque
from datetime import datetime
try:
    from zoneinfo import ZoneInfo
except ImportError:
    ZoneInfo = None

def facts(value):
    more = [getattr(value, name, None) for name in ("maxlen", "default_factory", "fold", "tzinfo")]
    parts = list(value) if isinstance(value, (list, deque)) else []
    return [type(value), value, more, [facts(part) for part in parts]]

wrong = []
for stored, expression in json.load(sys.stdin):
    pickled = unhexlify(stored)[1:]
    if ord(pickled[1:2]) <= pickle.HIGHEST_PROTOCOL and not (ZoneInfo is None and "ZoneInfo" in expression):
        loaded = pickle.loads(pickled)
        if facts(loaded) != facts(eval(expression)):
            wrong.append([expression, repr(loaded)])
print(json.dumps(wrong))
"""


def python_of(version: str) -> str | None:
    """The interpreter of a version, on the path or of pyenv."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
    for python in filter(None, found):
        if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    return None


@pytest.mark.parametrize("version", VERSIONS)
def test_containers_and_zoned_datetimes_load_equal(version: str) -> None:
    python = python_of(version)
    if python is None:
        pytest.skip(f"no Python {version}")
    cases = [
        (transcoder(protocol=protocol).encode(json.dumps(tree).encode()).hex(), expression)
        for protocol in (2, 3, 4, 5)
        for tree, expression in VALUES + (ZONED if protocol > 2 else [])
    ]
    told = subprocess.run(
        [python, "-c", LOADER],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env={"PYTHONTZPATH": str(resources.files("tzdata") / "zoneinfo")},  # of tzdata, as when it was written
    )
    assert json.loads(told.stdout) == []
