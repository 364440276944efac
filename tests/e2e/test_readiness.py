"""`/readyz` while Redis comes and goes; nothing else on the admin port depends on it."""

from pathlib import Path

import pytest

from tests.e2e.admin import ask, metric
from tests.e2e.conftest import PrivateRedis, StartProxy
from tests.e2e.proxy_process import wait_until


@pytest.mark.parametrize("workers", ["1", "2"])
def test_not_ready_without_redis(
    start_proxy: StartProxy, private_redis: PrivateRedis, tmp_path: Path, workers: str
) -> None:
    admin = str(tmp_path / "admin.sock")
    start_proxy(
        *("--upstream", f"unix://{private_redis.unix}"),
        env={"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{admin}", "FLASK_CACHE_PROXY_SERVER_WORKERS": workers},
    )

    def readiness() -> tuple[int, str]:
        return ask(admin, "GET /readyz")[::2]

    gone = "cannot reach Redis at unix:"
    assert readiness() == (503, f"{gone}{private_redis.unix}: No such file or directory\n")
    assert [ask(admin, f"GET {path}")[0] for path in ("/livez", "/startup")] == [200, 200]
    private_redis.start()
    wait_until(lambda: readiness() == (200, "ok\n"), "readiness, once there is a Redis")
    private_redis.kill()
    wait_until(lambda: readiness()[0] == 503, "no readiness, once there is none")
    assert readiness()[1].startswith(gone)
    assert ask(admin, "GET /livez")[0] == 200
    assert metric(admin, "upstream_connect_failures_total") == 0  # those are of clients
