"""The common behaviour of all commands that look into the cache."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.cli.conftest import Run
from tests.conftest import RedisServer

LOOKING = [
    ("get", "flask_cache_k"),
    ("set", "flask_cache_k", "1"),
    ("inspect", "flask_cache_k"),
    ("scan",),
    ("export",),
    ("load", "-"),
    ("key", "memoize", "a.f", "1"),
]
looking = pytest.mark.parametrize("words", LOOKING, ids=" ".join)
LINE = b'{"key": "flask_cache_k", "value": 1}\n'


@looking
def test_a_redis_that_is_not_there_is_3_in_one_line(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words, given=LINE, env={"FLASK_CACHE_PROXY_UPSTREAM_URL": "redis://127.0.0.1:1"})
    assert (done.status, done.out) == (3, b"")
    assert done.err.startswith("cannot reach Redis at 127.0.0.1:1: Connection refused.")
    assert done.err.count("\n") == 1


@looking
def test_a_wrong_configuration_is_2_and_every_error_of_it(run: Run, words: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[limits]\ndepth = 0\n[upstream]\nurl = 'x'\n")
    done = run(*words, "--config", str(file), env={"FLASK_CACHE_PROXY_UPSTREAM_URL": ""})
    assert (done.status, done.out) == (2, b"")
    assert "limits.depth" in done.err
    assert "upstream.url" in done.err


@looking
def test_a_configuration_that_cannot_be_read_is_2_in_one_line(run: Run, words: tuple[str, ...], tmp_path: Path) -> None:
    for file, reason in ((tmp_path / "absent", "No such file or directory"), (tmp_path, "Is a directory")):
        done = run(*words, "--config", str(file))
        assert (done.status, done.err) == (2, f"{file}: cannot be read: {reason}\n")


@looking
def test_help_names_the_exit_status(run: Run, words: tuple[str, ...]) -> None:
    command = words[: 2 if words[0] == "key" else 1]
    assert "Exit status: 0 success; 1 " in " ".join(run(*command, "--help").text.split())


@looking
def test_no_command_says_anything_with_a_traceback(
    redis_server: RedisServer, direct: redis.Redis, words: tuple[str, ...]
) -> None:
    """As a process of its own, with every warning an error."""
    command = [sys.executable, "-W", "error", "-m", "proxy", *words, "--upstream", f"unix://{redis_server.unix}"]
    done = subprocess.run(command, input=LINE, capture_output=True, check=False)
    assert done.returncode in (0, 1)
    assert b"Traceback" not in done.stderr
    assert done.stderr.count(b"\n") <= 1


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    run: Run, redis_server: RedisServer, direct: redis.Redis, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[upstream]\nurl = "redis://127.0.0.1:1"\n')
    direct.set("flask_cache_k", "1")
    assert run("get", "-c", str(file), "flask_cache_k").text == "1\n"
    done = run("get", "-u", f"unix://{redis_server.unix}?db=5", "flask_cache_k")
    assert (done.status, done.err) == (1, "flask_cache_k: not in Redis\n")
    done = run("get", "-c", str(file), "flask_cache_k", env={"FLASK_CACHE_PROXY_UPSTREAM_URL": ""})
    assert done.status == 3


def test_the_proxys_own_password_needs_no_listener_that_is_guarded(run: Run, redis_server: RedisServer) -> None:
    done = run("scan", env={"FLASK_CACHE_PROXY_UPSTREAM_PASSWORD": "nobody asks for it"})
    assert done.status == 3
    assert "refuses the login" in done.err


def test_a_reader_that_goes_away_is_no_error_of_ours(redis_server: RedisServer, direct: redis.Redis) -> None:
    direct.mset({f"flask_cache_{number}": "x" * 100 for number in range(3000)})
    command = f"{sys.executable} -m proxy export -u unix://{redis_server.unix} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith('{"key":"flask_cache_')
    assert done.stderr == ""


def test_what_redis_lacks_is_asked_for_in_whole_sentences(run: Run) -> None:
    done = run("load", "-", given=LINE, env={"FLASK_CACHE_PROXY_UPSTREAM_URL": "redis://127.0.0.1:1"})
    assert done.err.endswith("Is it running, and upstream.url right? Then continue with --from-line 1\n")


@pytest.mark.parametrize("words", [(), ("key",)], ids=["all", "key"])
def test_a_list_of_commands_cuts_no_line(run: Run, words: tuple[str, ...]) -> None:
    commands = run(*words, "--help").text.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert len(commands) > 4
    assert not [line for line in commands if line.endswith("...") or line.startswith("   ")]


def test_a_shell_is_told_what_there_is(redis_server: RedisServer) -> None:

    env = {
        **os.environ,
        "_FLASK_CACHE_PROXY_COMPLETE": "bash_complete",
        "COMP_WORDS": "flask-cache-proxy in",
        "COMP_CWORD": "1",
    }
    command = [str(Path(sys.executable).parent / "flask-cache-proxy")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "plain,inspect\n"
