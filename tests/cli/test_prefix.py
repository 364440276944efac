"""`--prefix` for every tool that has rules, `scan --prefixes`, and the warnings of `check`."""

import json
import pickle
from pathlib import Path

import pytest
import redis

from tests.cli.conftest import Run

FLASK = b"!" + pickle.dumps({"a": 1}, 4)


def test_tools_manage_the_prefix_of_the_flag(run: Run, direct: redis.Redis, config: Path) -> None:
    direct.set("new[1]_a", FLASK)
    flag = ("--prefix", "new[1]_")
    assert run("get", *flag, "new[1]_a").out == b'{"a":1}\n'
    assert run("get", *flag, "-c", str(config), "new[1]_a").status == 0
    assert run("set", *flag, "new[1]_b", "[1]").status == 0
    assert direct.get("new[1]_b") == b"!" + pickle.dumps([1], 4)
    assert b"new[1]" in run("inspect", *flag, "--json", "new[1]_a").out
    assert {json.loads(line)["key"] for line in run("scan", *flag, "--json").text.splitlines()} == {
        "new[1]_a",
        "new[1]_b",
    }
    exported = run("export", *flag).out
    assert exported.count(b"\n") == 2
    direct.flushall()
    assert run("load", *flag, "-", given=exported).status == 0
    assert direct.get("new[1]_a") == FLASK
    assert run("decode", *flag, given=FLASK).out == b'{"a":1}\n'
    assert run("encode", *flag, given=b'{"a":1}').out == FLASK


def test_tools_take_the_variable_and_without_it_the_keys_are_not_managed(run: Run, direct: redis.Redis) -> None:
    direct.set("shop_a", FLASK)
    assert run("get", "shop_a").status == 1
    assert run("get", "shop_a", env={"FLASK_CACHE_PROXY_PREFIX": "blog_, shop_"}).status == 0
    assert run("get", "--prefix", "", "shop_a").status == 0


def test_the_prefixes_are_listed_with_what_manages_them(run: Run, direct: redis.Redis) -> None:
    direct.mset({"shop_1": FLASK, "shop_2": FLASK, "shop_3": b"!\x80\x04damaged", "it's a_1": FLASK})
    direct.mset({"flask_cache_1": FLASK, "session:1": "x", "nothing": "y"})
    direct.rpush("queue:1", "x")
    done = run("scan", "--prefixes")
    assert done.status == 0
    table, _, rest = done.text.partition("\n\n")
    heading, *rows = [line.split() for line in table.splitlines()]
    assert heading == ["PREFIX", "KEYS", "FLASK", "UNREADABLE", "RULE"]
    assert rows[0] == ["shop_", "3", "3", "1", "-"]
    assert ["flask_", "1", "1", "0", "flask_cache_*"] in rows
    assert ["session:", "1", "0", "0", "-"] in rows
    assert ["-", "1", "0", "0", "-"] in rows
    flag, _, toml = rest.partition("\n\n")
    assert flag == """flask-cache-proxy serve --prefix flask_cache_ --prefix 'it'"'"'s a_' --prefix shop_"""
    assert toml.endswith('[[rule]]\nkeys = "it\'s a_*"\n\n[[rule]]\nkeys = "shop_*"\n')


def test_the_flag_and_the_toml_work(run: Run, direct: redis.Redis, tmp_path: Path) -> None:
    direct.mset({"sh?p_1": FLASK, "blog:1": FLASK})
    *_, last = map(json.loads, run("scan", "--prefixes", "--json").text.splitlines())
    assert last["flag"] == "--prefix blog: --prefix 'sh?p_'"
    file = tmp_path / "config.toml"
    file.write_text(last["toml"])
    for arguments in (["--prefix", "blog:", "--prefix", "sh?p_"], ["-c", str(file)]):
        *rows, last = map(json.loads, run("scan", "--prefixes", "--json", *arguments).text.splitlines())
        assert {(row["prefix"], row["flask"], row["rule"]) for row in rows} == {
            ("sh?p_", 1, "sh\\?p_*"),
            ("blog:", 1, "blog:*"),
        }
        assert last["toml"] == ""


def test_rules_of_a_file_with_settings_have_no_flag(run: Run, direct: redis.Redis, config: Path) -> None:
    direct.mset({"shop_view_1": FLASK, "shop_lock_1": FLASK, "blog_1": FLASK})
    *rows, last = map(json.loads, run("scan", "--prefixes", "--json", "-c", str(config)).text.splitlines())
    assert last == {"flag": None, "toml": '[[rule]]\nkeys = "blog_*"'}
    assert {row["rule"] for row in rows} == {"shop_view*", "shop_lock*", None}


def test_values_without_a_prefix_have_their_advice(run: Run, direct: redis.Redis) -> None:
    direct.set("x", FLASK)
    assert run("scan", "--prefixes").text.endswith('To manage every key: serve --prefix ""\n')
    direct.set("x", "text")
    assert run("scan", "--prefixes").text.endswith("No key has a value of Flask.\n")


def test_hostile_keys_are_printed_as_escapes(run: Run, direct: redis.Redis) -> None:
    direct.set(b"\x1b[31m_\n_1", FLASK)
    direct.set(b"ab\x9bc:1", FLASK)
    assert all(line.isprintable() for line in run("scan", "--prefixes").text.split("\n"))


@pytest.mark.parametrize("other", ["--audit", "--classes", "--undecodable", "--json-ready"])
def test_it_is_a_report_of_its_own(run: Run, other: str) -> None:
    assert run("scan", "--prefixes", other).status == 2


def test_check_warns_and_prints_the_rules_of_prefixes(run: Run, tmp_path: Path) -> None:
    done = run("check", "--prefix", "shop_", "--prefix", "shop_view_")
    assert done.text.index('keys = "shop_view_*"') < done.text.index('keys = "shop_*"')
    assert done.err == ""
    file = tmp_path / "config.toml"
    file.write_text('[[rule]]\nkeys = "shop_"\n[[rule]]\nkeys = "*"\n[[rule]]\nkeys = "a*"\n')
    done = run("check", "-c", str(file), env={"FLASK_CACHE_PROXY_PRFIX": "x"})
    assert done.status == 0
    assert [line.partition(" ")[2] for line in done.err.splitlines()] == [
        "FLASK_CACHE_PROXY_PRFIX is set, but there is no such variable; did you mean FLASK_CACHE_PROXY_PREFIX?",
        'rule[0].keys: "shop_" has no star, so it matches this one key; did you mean "shop_*"?',
        'rule[2].keys: "a*" has no effect, because rule[1] ("*") matches all of its keys first; '
        "put the narrower rule first",
    ]


def test_check_warns_of_a_prefix_with_the_star_of_a_rule(run: Run) -> None:
    done = run("check", "--prefix", "shop_*")
    assert done.err.startswith("warning: rule[0].keys: ")
    assert done.err.endswith("so did you mean --prefix shop_?\n")
    assert run("check", "--prefix", "shop*_").err == ""


def test_a_tool_tells_how_to_manage_a_key(run: Run, direct: redis.Redis) -> None:
    direct.set("shop_a", FLASK)
    done = run("get", "shop_a")
    assert done.status == 1
    assert "Managed keys: flask_cache_*. To manage others: --prefix" in done.err


def test_a_misspelt_variable_is_told_by_tools_too(run: Run, direct: redis.Redis) -> None:
    direct.set("flask_cache_a", FLASK)
    done = run("get", "flask_cache_a", env={"FLASK_CACHE_PROXY_UPSTREAM": "secret"})
    assert done.out == b'{"a":1}\n'
    assert done.err.startswith("warning: FLASK_CACHE_PROXY_UPSTREAM is set, but ")
    assert "secret" not in done.err
