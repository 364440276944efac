"""The selection of redis-py's own tests. Each of its files is in one list: run, or omitted with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

VERSION = "8.1.0"


@dataclass(frozen=True)
class Part:
    """Some files of the suite, in one protocol."""

    name: str
    protocol: int
    files: Sequence[str]
    """Without their `test_`."""
    passing: int
    """Tests of them that pass on Redis 7.0, at least; others are for later releases, and are skipped."""
    at: str = "tests"

    def selection(self, tests: Sequence[str]) -> list[str]:
        """Arguments of pytest that select its tests, or only some of them."""
        return [f"--protocol={self.protocol}", *(tests or [f"{self.at}/test_{file}.py" for file in self.files])]


PUBSUB = ["keyspace_notifications", "monitor", "pubsub"]
REST = [
    "client", "command_parser", "command_policies", "connection", "connection_pool", "encoding", "hash", "lock",
    "pipeline", "retry", "scripting",
]  # fmt: skip
PARTS = [
    Part("commands", 3, ["commands", "function"], 400),
    Part("pubsub", 3, PUBSUB, 200),
    Part("rest", 3, [*REST, "cache", "multiprocessing"], 300),
    Part("asyncio-commands", 2, ["commands"], 500, at="tests/test_asyncio"),
    Part("asyncio-pubsub", 2, PUBSUB, 200, at="tests/test_asyncio"),
    Part("asyncio-rest", 2, [*REST, "usage_counter"], 300, at="tests/test_asyncio"),
]

FILES_LEFT_OUT = {
    "they run within the client, or against mocks": [
        "background", "backoff", "crc", "data_structure", "defaults", "driver_info", "event", "exceptions", "helpers",
        "legacy_responses_arg", "max_connections_error", "utils", "auth", "http", "observability", "parsers",
    ],
    "they need a cloud provider's identity libraries": ["credentials"],
    "they need modules, or types of Redis 8": [
        "bloom", "himport", "himport_integration", "json", "search", "search_aggregation", "search_querystring",
        "search_result", "timeseries", "vsets",
    ],
    "they need several servers": [
        "cluster", "cluster_transaction", "maint_notifications", "multidb", "scenario", "sentinel",
        "sentinel_managed_connection",
    ],
    "they are their own server, or need certificates": ["connect", "ssl"],
    "it times a proxy of its own": ["cwe_404"],
}  # fmt: skip

MARKS_LEFT_OUT = "not onlycluster and not redismod and not ssl and not cp_integration and not replica"

TESTS_LEFT_OUT = {
    "there is no server in it, only the waiting for one": [
        "tests/test_connection.py::test_network_connection_failure",
        "tests/test_connection.py::test_unix_socket_connection_failure",
        "tests/test_connection_pool.py::TestConnection::test_on_connect_error",
        "tests/test_pubsub.py::TestPubSubRedisDown",
        "tests/test_asyncio/test_connection.py::test_network_connection_failure",
        "tests/test_asyncio/test_connection.py::test_unix_socket_connection_failure",
        "tests/test_asyncio/test_connection_pool.py::TestConnection::test_on_connect_error",
        "tests/test_asyncio/test_pubsub.py::TestPubSubRedisDown",
    ],
}


def files_of(tests: Path) -> set[str]:
    """The test files, and directories of such, of a source."""
    at = (tests, tests / "test_asyncio")
    found = {path.stem.removeprefix("test_") for each in at for path in each.glob("test_*")}
    return (found | {"maint_notifications"}) - {"asyncio"}
