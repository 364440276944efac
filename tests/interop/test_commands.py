"""docs/commands.md: its conversation on a real Redis, with the rules of the document."""

from pathlib import Path

import redis

from tests.e2e.conftest import RedisServer, StartProxy, client_of, start_proxy
from tests.interop.documents import Document, answer, holds

__all__ = ["start_proxy"]

DOCUMENT = Document("commands.md")


def test_the_conversation(
    direct: redis.Redis, redis_server: RedisServer, start_proxy: StartProxy, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    shown = DOCUMENT.code("toml").replace("redis://127.0.0.1:6379/0", f"unix://{redis_server.unix}")
    config.write_text(shown.replace("127.0.0.1:6380", "127.0.0.1:0"))
    conversation = DOCUMENT.conversations()
    assert len(conversation) == 8
    with client_of(start_proxy("--config", str(config)).json) as client:
        for said in conversation:
            assert holds(said, answered := answer(client, said.command)), (said, answered)
    assert direct.get("flask_cache_visits") == b"42"
