"""`key`: keys on the command line. (That they are the libraries' is proven by `tests/stacks`.)"""

import json
import pickle

import pytest
import redis

from tests.cli.conftest import Run

MEMVER = "flask_cache_myapp.add_memver"


def test_a_view(run: Run) -> None:
    done = run("key", "view", "/uni/h%C3%A9%20llo")
    assert (done.status, done.text) == (0, "flask_cache_view//uni/hé llo\n")
    assert run("key", "view", "--prefix", b"\xff", "/").out == b"\xffview//\n"
    assert json.loads(run("key", "view", "--json", "--prefix", b"\xff", "/").text) == {
        "key": {"py/bytes": "/3ZpZXcvLw=="}
    }
    done = run("key", "view", "/index?a=1")
    assert done.status == 2
    assert "key query" in done.err


def test_a_query(run: Run) -> None:
    done = run("key", "query", "--library", "flask-caching-2.4", "/qs", "b=2&a=1")
    assert done.text == "flask_cache_/qs615ba0df880c87e4f70d30a886b7dee6\n"
    done = run("key", "query", "--library", "flask-cache", "/qs", "b=2&a=1")
    assert (done.status, done.out) == (2, b"")


def test_a_fragment(run: Run) -> None:
    assert run("key", "fragment", "fr2", "v1", "é").text == "flask_cache__template_fragment_cache_fr2_v1_é\n"


def test_the_keys_of_a_version(run: Run) -> None:
    assert run("key", "memver", "myapp.add").text == f"{MEMVER}\n"
    done = run("key", "memver", "--library", "flask-caching-2.4", "--instance", "Adder(5)", "myapp.Adder.plus")
    assert done.text.splitlines() == [
        "flask_cache_myapp.Adder.plus_memver",
        "flask_cache_myapp.Adder.plus.Adder(5)_memver",
    ]


class TestMemoize:
    def test_the_version_is_read_from_redis(self, run: Run, direct: redis.Redis) -> None:
        direct.set(MEMVER, b"!" + pickle.dumps("VECNwO", 4))
        assert run("key", "memoize", "myapp.add", "1", "2").text == "flask_cache_o6MmjWMhqz8myVzDVECNwO\n"
        told = json.loads(run("key", "memoize", "--json", "--library", "flask-cache", "myapp.add", "1", "2").text)
        assert told == {"key": "flask_cache_O6BCdVQDQ058oRWYVECNwO", "memver": "VECNwO", "memver_keys": [MEMVER]}

    def test_or_it_is_given(self, run: Run) -> None:
        done = run("key", "memoize", "--memver", "VECNwO", "-u", "redis://127.0.0.1:1", "myapp.add", "1", "2")
        assert done.text == "flask_cache_o6MmjWMhqz8myVzDVECNwO\n"

    def test_without_one_it_says_what_to_do(self, run: Run, direct: redis.Redis) -> None:
        done = run("key", "memoize", "myapp.add", "1", "2")
        assert (done.status, done.out) == (1, b"")
        assert done.err.startswith(f"{MEMVER}: not in Redis")
        assert f"flask-cache-proxy set {MEMVER} '\"GOVER1\"'" in done.err
        for stored in (b"VECNwO", b"42", b"!garbage"):
            direct.set(MEMVER, stored)
            assert run("key", "memoize", "myapp.add", "1", "2").status == 1

    def test_text_without_its_quotes_is_told_how_they_get_through_a_shell(self, run: Run) -> None:
        done = run("key", "memoize", "--memver", "V", "f", "tea")
        assert (done.status, done.err.count("quotes")) == (2, 1)
        assert done.err.endswith("""Quote it for the shell, too: '"text"'\n""")

    def test_arguments_are_values_and_not_text(self, run: Run) -> None:
        def key_of(*arguments: str) -> str:
            done = run("key", "memoize", "--memver", "V", "f", *arguments)
            assert done.status == 0, done.err
            return done.text

        texts = ["1", '"1"', "1.0", "-1", "true", "null", '{"py/tuple":[1]}', "[1]", '{"py/bytes":"MQ=="}', "[]", "{}"]
        assert len({key_of(text) for text in texts}) == len(texts)
        assert key_of(' "1" ') == key_of('"\\u0031"')

    @pytest.mark.parametrize(
        "argument",
        [
            "bob",
            '{"py/set": [1, 2]}',
            '[{"py/frozenset": [1, 2]}]',
            '{"py/ordereddict": [["a", 1]]}',
            '{"py/markup": "x"}',
        ],
    )
    def test_what_has_no_repr_that_is_always_the_same_is_refused(self, run: Run, argument: str) -> None:
        done = run("key", "memoize", "--memver", "V", "f", "1", argument)
        assert (done.status, done.out) == (2, b"")
        assert done.err.startswith("argument 2: ")


@pytest.mark.parametrize(
    "words",
    [
        ("fragment", b"\xff"),
        ("fragment", "name", b"\xff"),
        ("memver", b"\xff.f"),
        ("memver", "--instance", b"\xff", "a.f"),
        ("memoize", "--memver", b"\xff", "a.f", "1"),
        ("memoize", "--memver", "x", "--instance", b"\xff", "a.f", "1"),
    ],
)
def test_a_name_that_is_not_text_is_said(run: Run, words: tuple[str | bytes, ...]) -> None:
    done = run("key", *words)
    assert (done.status, done.out) == (2, b"")
    assert "UTF-8" in done.err
