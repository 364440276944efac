"""docs/comparison.md: what it says about another serializer and about og-rek, tried."""

import pickle
import sys
from collections import OrderedDict
from datetime import date
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import flask
import redis
from markupsafe import Markup

from tests.e2e.conftest import RedisServer
from tests.interop.documents import Document, go_module, promises
from tests.interop.programs import HERE, run

DOCUMENT = Document("comparison.md")
NAMES = {
    "OrderedDict": OrderedDict, "date": date, "Decimal": Decimal, "UUID": UUID, "Markup": Markup,
    "Response": flask.Response,
}  # fmt: skip


def test_another_serializer(redis_server: RedisServer, direct: redis.Redis) -> None:
    program = DOCUMENT.code("python")
    printed = run(sys.executable, "-c", program, REDIS=f"unix://{redis_server.unix}")
    assert printed.splitlines() == list(promises(program, "#"))
    assert direct.get("flask_cache_tags") == b'["a", "b"]'


def test_og_rek(tmp_path: Path) -> None:
    rows = DOCUMENT.rows("Python", "og-rek")
    assert len(rows) > 10
    go = go_module(tmp_path, {"main.go": DOCUMENT.code("go")}, like=HERE.parent.parent / "benchmarks" / "go")
    stored = [(b"!" + pickle.dumps(eval(expression, dict(NAMES)), 5)).hex() for expression, _ in rows]
    printed = run(go, "run", ".", at=tmp_path, given="\n".join(stored))
    assert printed.splitlines() == [row[1] for row in rows]
