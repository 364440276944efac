"""A wrong prefix is told: at the start by the survey, and while clients read."""

import pickle
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests.e2e.admin import metric
from tests.e2e.conftest import PrivateRedis, RedisServer, StartProxy
from tests.e2e.proxy_process import Address
from tests.e2e.wire import Wire

Connect = Callable[[Address], Wire]
STORED = b"!" + pickle.dumps({"a": 1})
SURVEYS = {"FLASK_CACHE_PROXY_LOG_SURVEY": "true"}


def fill(direct: redis.Redis, prefix: str, count: int, stored: bytes = STORED) -> None:
    direct.mset({f"{prefix}{number}": stored for number in range(count)})


@pytest.mark.usefixtures("each_server")
def test_the_right_prefix_is_told_with_its_share(start_proxy: StartProxy, direct: redis.Redis) -> None:
    fill(direct, "shop_", 30)
    direct.hset("session:1", "a", "1")
    proxy = start_proxy("--prefix", "shop_", env=SURVEYS)
    host, port = proxy.json
    where = f"json on {host}:{port}"
    proxy.wait_for_line(rf"INFO    manages shop_\* \(tagged; {where}\)$")
    proxy.wait_for_line(rf"INFO    manages shop_\* \(tagged; {where}\): 30 of 31 sampled keys are Flask's$")


@pytest.mark.usefixtures("each_server")
def test_a_wrong_prefix_is_a_warning_and_its_flag_helps(
    start_proxy: StartProxy, direct: redis.Redis, connect: Connect
) -> None:
    fill(direct, "shop_", 600)
    proxy = start_proxy(env=SURVEYS)
    proxy.expect("WARNING no key matches")
    found = proxy.wait_for_line(
        r"WARNING no key matches flask_cache_\*, but shop_\* holds Flask values \(500 of 500 sampled\): serve (.*)$"
    )
    helped = start_proxy(*found[1].split(), env=SURVEYS)
    helped.wait_for_line(": 500 of 500 sampled keys are Flask's$")
    assert connect(helped.json)("GET", "shop_1") == b'$7\r\n{"a":1}\r\n'


def test_it_sends_redis_no_command_that_reads_a_value(start_proxy: StartProxy, direct: redis.Redis) -> None:
    fill(direct, "flask_cache_", 3)
    direct.config_resetstat()
    start_proxy(env=SURVEYS).wait_for_line("3 of 3 sampled keys")
    used = {name for name in direct.info("commandstats") if not name.endswith(("info", "config|resetstat"))}
    assert used == {f"cmdstat_{name}" for name in ("ping", "hello", "scan", "type", "getrange")}


def test_several_workers_survey_once(start_proxy: StartProxy, direct: redis.Redis) -> None:
    fill(direct, "flask_cache_", 3)
    proxy = start_proxy(env={**SURVEYS, "FLASK_CACHE_PROXY_SERVER_WORKERS": "2"})
    proxy.wait_for_line("3 of 3 sampled keys are Flask's")
    proxy.terminate()
    assert proxy.wait() == 0
    assert sum("sampled keys" in line for line in proxy.lines) == 1


def test_a_redis_that_comes_later_is_surveyed(start_proxy: StartProxy, private_redis: PrivateRedis) -> None:
    proxy = start_proxy("--upstream", f"unix://{private_redis.unix}", env=SURVEYS)
    private_redis.start()
    proxy.wait_for_line("manages .*: the database is empty")


def test_a_redis_that_wants_the_clients_password_is_not_surveyed(
    start_proxy: StartProxy, private_redis: PrivateRedis
) -> None:
    private_redis.start("--requirepass", "secret")
    proxy = start_proxy("--upstream", f"unix://{private_redis.unix}", env=SURVEYS)
    proxy.wait_for_line("INFO    no survey of the keys: Redis needs a password")


def test_an_embedded_redis_is_surveyed(start_proxy: StartProxy) -> None:
    start_proxy("--upstream", "embedded", env=SURVEYS).wait_for_line("the database is empty")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_lists_and_surveys_changed_rules_again(
    start_proxy: StartProxy, redis_server: RedisServer, direct: redis.Redis, tmp_path: Path, workers: int
) -> None:
    fill(direct, "shop_", 5)
    file = tmp_path / "config.toml"
    file.write_text('[[rule]]\nkeys = "flask_cache_*"\n')
    env = {**SURVEYS, "FLASK_CACHE_PROXY_SERVER_WORKERS": str(workers)}
    proxy = start_proxy("--config", str(file), "--upstream", f"unix://{redis_server.unix}", env=env)
    proxy.expect("no key matches flask_cache_")
    proxy.wait_for_line("no key matches flask_cache_")
    for rules, answer in (("shop_", "has no star"), ("shop_*", "5 of 5 sampled keys are Flask's")):
        proxy.expect("has no star|no key matches shop_,")
        file.write_text(f'[[rule]]\nkeys = "{rules}"\n')
        seen = len(proxy.lines)
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for_line(answer, seen)
    seen = len(proxy.lines)
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_for_line("reloaded", seen)
    proxy.terminate()
    proxy.wait()
    assert not any("manages" in line for line in proxy.lines[seen:])


def test_rules_that_cannot_be_meant_are_warnings(start_proxy: StartProxy, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[[rule]]\nkeys = "shop:"\n[[rule]]\nkeys = "a*"\n[[rule]]\nkeys = "ab*"\n')
    proxy = start_proxy("--config", str(file))
    proxy.expect(r"WARNING rule\[[02]\].keys: ")
    proxy.wait_for_line(r'WARNING rule\[0\].keys: "shop:" has no star.* did you mean "shop:\*"\?')
    proxy.wait_for_line(r"WARNING rule\[2\].keys: .* has no effect, because rule\[1\] ")


def test_a_misspelt_variable_is_a_warning(start_proxy: StartProxy) -> None:
    proxy = start_proxy(env={"FLASK_CACHE_PROXY_PREFFIX": "secret_", "FLASK_CACHE_PROXY_SERVICE_HOST": "10.0.0.1"})
    proxy.expect("WARNING FLASK_CACHE_PROXY_PREFFIX is set")
    proxy.wait_for_line("did you mean FLASK_CACHE_PROXY_PREFIX?")
    assert not any("secret_" in line or "SERVICE_HOST" in line for line in proxy.lines)


class TestReads:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        made = tmp_path / "config.toml"
        made.write_text('[[rule]]\nkeys = "lock_*"\nas = "untouched"\n[[rule]]\nkeys = "flask_cache_*"\n')
        return made

    def test_each_prefix_is_warned_of_once_and_every_read_is_counted(
        self, start_proxy: StartProxy, direct: redis.Redis, connect: Connect, file: Path, tmp_path: Path
    ) -> None:
        fill(direct, "flask_cache_", 1)
        admin = str(tmp_path / "admin.sock")
        env = {**SURVEYS, "FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{admin}"}
        proxy = start_proxy("--config", str(file), env=env)
        proxy.wait_for_line("1 of 1 sampled")
        client = connect(proxy.json)
        for prefix in ("lock_", "shop_", "blog:", "x"):
            fill(direct, prefix, 3)
            for number in range(3):
                assert client("GET", f"{prefix}{number}") == b"$%d\r\n%b\r\n" % (len(STORED), STORED)
        proxy.expect("WARNING a client has read a value of Flask")
        for told in (r"under shop_\*", r"under blog:\*", "whose key no rule matches"):
            proxy.wait_for_line(f"WARNING a client has read a value of Flask {told}")
        assert metric(admin, "unmanaged_flask_values_total") == 9
        assert sum("has read a value" in line for line in proxy.lines) == 3
        assert not any("lock_" in line and "WARNING" in line for line in proxy.lines)

    def test_without_the_survey_reads_are_only_counted(
        self, start_proxy: StartProxy, direct: redis.Redis, connect: Connect, tmp_path: Path
    ) -> None:
        admin = str(tmp_path / "admin.sock")
        proxy = start_proxy(env={"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{admin}"})
        fill(direct, "shop_", 1)
        connect(proxy.json)("GET", "shop_0")
        assert metric(admin, "unmanaged_flask_values_total") == 1
