"""docs/python.md: its snippets are programs, and print what their comments say."""

import re
from typing import Any

import pytest

from tests.interop.documents import DOCS

SNIPPETS = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(), re.DOTALL)


class Cache:
    """Redis, as far as the snippets go: what Flask stored, and what they store."""

    def __init__(self) -> None:
        self.stored = {"flask_cache_view//index": b"!\x80\x04\x95\x07\0\0\0\0\0\0\0\x8c\x03foo\x94."}

    def get(self, key: str) -> bytes:
        return self.stored[key]

    def set(self, key: str, value: bytes, ex: int) -> None:
        assert ex > 0
        self.stored[key] = value


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_a_snippet_prints_what_it_says(
    snippet: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = Cache()
    monkeypatch.setattr("redis.Redis", lambda: cache)
    scope: dict[str, Any] = {}
    exec(snippet, scope)
    promised = re.findall(r"^print\(.*\)  # (.*)$", snippet, re.MULTILINE)
    printed = capsys.readouterr().out.splitlines()
    assert len(promised) == len(printed) > 0
    for promise, line in zip(promised, printed, strict=True):
        value, _, _remark = promise.partition(", ")
        assert re.fullmatch(re.escape(value).replace(r"\.\.\.", ".*"), line), line
    if "cache" in scope:
        assert scope["codec"].loads(cache.get("flask_cache_view//index")) == "bar"
