"""`key`: keys on the command line. (That they are the libraries' is proven by `tests/stacks`.)"""

import base64
import hashlib
import json
import pickle

import pytest
import redis

from proxy.config.prefixes import VARIABLE
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


def test_a_view_with_a_key_prefix(run: Run) -> None:
    assert run("key", "view", "--key-prefix", "all_items").text == "flask_cache_all_items\n"
    assert run("key", "view", "--key-prefix", "100%", "/index").text == "flask_cache_100%\n"
    assert run("key", "view", "--key-prefix", "100%%_%s", "--hash", "sha1", "/a%20b").text == "flask_cache_100%_/a b\n"
    for words, said in [
        ((), "PATH is missing"),
        (("--key-prefix", "page_%s"), "PATH is missing"),
        (("--key-prefix", "100%_%s", "/index"), "write any other % as %%"),
        (("--key-prefix", "%s%s", "/index"), "write any other % as %%"),
        (("--key-prefix", "<function prefix at 0x7f3a52c1d0>", "/index"), "only the app knows"),
        (("--key-prefix", b"\xff"), "UTF-8"),
    ]:
        done = run("key", "view", *words)
        assert (done.status, done.out) == (2, b"")
        assert said in done.err


def test_a_query(run: Run) -> None:
    done = run("key", "query", "--library", "flask-caching-2.4", "/qs", "b=2&a=1")
    assert done.text == "flask_cache_/qs615ba0df880c87e4f70d30a886b7dee6\n"
    done = run("key", "query", "--library", "flask-cache", "/qs", "b=2&a=1")
    assert (done.status, done.out) == (2, b"")


def test_a_query_with_a_key_prefix_and_a_hash(run: Run) -> None:
    def key_of(library: str, *words: str) -> str:
        return run("key", "query", "--library", library, *words, "/qs", "?b=2&a=1").text

    text = b"(('a', '1'), ('b', '2'))"
    sha1, md5 = hashlib.sha1(text).hexdigest(), hashlib.md5(text).hexdigest()
    placed = ("--hash", "sha1", "--key-prefix", "page_%s")
    assert key_of("flask-caching-2.5", *placed) == f"flask_cache_page_/qs{sha1}\n"
    assert key_of("flask-caching-2.4", *placed) == f"flask_cache_/qs{sha1}\n"
    assert key_of("flask-caching-2.4") == f"flask_cache_/qs{md5}\n"
    assert key_of("flask-caching-2.5", "--hash", "md5", "--key-prefix", "all") == f"flask_cache_all{md5}\n"
    done = run("key", "memver", "--library", "flask-cache", "--hash", "sha256", "a.f")
    assert (done.status, done.err) == (2, "Flask-Cache has no hash_method: it hashes with MD5\n")


def test_a_url_has_no_control_characters(run: Run) -> None:
    for words, said in (
        (("view", "/a\tb"), "%09"),
        (("query", "/a\n", "b=1"), "%0A"),
        (("query", "/a", "b=1\x7f"), "%7F"),
    ):
        done = run("key", *words)
        assert (done.status, done.out) == (2, b"")
        assert said in done.err


def test_what_only_the_app_knows_is_refused(run: Run) -> None:
    callable_ = "<function prefix at 0x7f3a52c1d0>"
    for words, said in (
        (("view", "--prefix", callable_, "/"), "callable CACHE_KEY_PREFIX"),
        (("memver", "--prefix", callable_, "a.f"), "callable CACHE_KEY_PREFIX"),
        (("fragment", "side", callable_), "its address"),
    ):
        done = run("key", *words)
        assert (done.status, done.out) == (2, b"")
        assert said in done.err


@pytest.mark.parametrize("command", [("memver",), ("memoize", "--memver", "V")])
@pytest.mark.parametrize(
    "name", ["total", "", "shop.", ".total", "shop.total()", "shop:total", "shop/total.py", "a b.f"]
)
def test_a_function_is_named_with_its_module(run: Run, command: tuple[str, ...], name: str) -> None:
    done = run("key", *command, name)
    assert (done.status, done.out) == (2, b"")
    assert "shop.total, shop.Cart.total" in done.err


@pytest.mark.parametrize("name", ["my-app.total", "shop.make.<locals>.<lambda>", "__main__.caf\xe9"])
def test_names_of_functions(run: Run, name: str) -> None:
    assert run("key", "memver", "--library", "flask-caching-2.4", name).text == f"flask_cache_{name}_memver\n"


def test_a_fragment(run: Run) -> None:
    assert run("key", "fragment", "fr2", "v1", "é").text == "flask_cache__template_fragment_cache_fr2_v1_é\n"


def test_the_keys_of_a_version(run: Run) -> None:
    assert run("key", "memver", "myapp.add").text == f"{MEMVER}\n"
    done = run("key", "memver", "--library", "flask-caching-2.4", "--instance", "Adder(5)", "myapp.Adder.plus")
    assert done.text.splitlines() == [
        "flask_cache_myapp.Adder.plus_memver",
        "flask_cache_myapp.Adder.plus.Adder(5)_memver",
    ]


class TestOwners:
    def test_a_class_has_no_version_of_its_own(self, run: Run) -> None:
        assert (
            run("key", "memver", "--class", "shop.Cart", "shop.Cart.most").text == "flask_cache_shop.Cart.most_memver\n"
        )

    def test_a_class_is_the_first_argument(self, run: Run) -> None:
        def key_of(*words: str) -> str:
            return run("key", "memoize", "--memver", "V", *words).text

        by_hand = key_of("shop.Cart.most", "\"<class 'shop.Cart'>\"", "1")
        assert key_of("--class", "shop.Cart", "shop.Cart.most", "1") == by_hand
        assert key_of("--class", "<class 'shop.Cart'>", "shop.Cart.most", "1") == by_hand
        digest = hashlib.sha256(b"shop.Cart.most(\"<class 'shop.Cart'>\", 1)OrderedDict()").digest()
        assert by_hand == f"flask_cache_{base64.b64encode(digest).decode()[:16]}V\n"

    @pytest.mark.parametrize("command", [("memver",), ("memoize", "--memver", "V")])
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--instance", "<class 'shop.Cart'>"), "--class instead of --instance"),
            (("--instance", "<shop.Cart object at 0x7f3a52c1d0>"), "only the app can compute the key"),
            (("--instance", "Line(<shop.Cart object at 0x000001F3A52C1D0>)"), "only the app can compute the key"),
            (("--class", "Cart"), "shop.Cart"),
            (("--class", b"shop.\xff"), "UTF-8"),
            (("--class", "shop.Cart", "--instance", "Cart(5)"), "not both"),
        ],
    )
    def test_what_no_library_would_look_under_is_refused(
        self, run: Run, command: tuple[str, ...], words: tuple[str | bytes, ...], said: str
    ) -> None:
        done = run("key", *command, *words, "shop.Cart.total")
        assert (done.status, done.out) == (2, b"")
        assert said in done.err.replace("such as ", "")


class TestMemoize:
    def test_the_version_is_read_from_redis(self, run: Run, direct: redis.Redis) -> None:
        direct.set(MEMVER, b"!" + pickle.dumps("VECNwO", 4))
        assert run("key", "memoize", "myapp.add", "1", "2").text == "flask_cache_o6MmjWMhqz8myVzDVECNwO\n"
        told = json.loads(run("key", "memoize", "--json", "--library", "flask-cache", "myapp.add", "1", "2").text)
        assert told == {
            "key": "flask_cache_O6BCdVQDQ058oRWYVECNwO",
            "memver": "VECNwO",
            "memver_keys": [MEMVER],
            "memver_ttl": None,
        }

    def test_how_long_it_lives_is_said(self, run: Run, direct: redis.Redis) -> None:
        names = run("key", "memver", "--instance", "Adder(5)", "myapp.Adder.plus").text.split()
        for name, ttl in zip(names, (5_000_000, 3_000_000), strict=True):
            direct.set(name, b"!" + pickle.dumps("VECNwO", 4), px=ttl)
        told = json.loads(run("key", "memoize", "--json", "--instance", "Adder(5)", "myapp.Adder.plus", "1").text)
        assert 0 < told["memver_ttl"] <= 3000

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
        done = run("key", "memoize", "--memver", "V", "a.f", "tea")
        assert (done.status, done.err.count("quotes")) == (2, 1)
        assert done.err.endswith("""text is '"text"' in a shell\n""")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--memver", "", "a.f"), "--memver is empty"),
            (("--memver", "V", "--instnace", "Cart(5)", "a.f"), "no such option: --instnace"),
            (("--memver", "V", "a.f", "--instnace", "5"), "no such option: --instnace"),
            (("--memver", "V", "a.f", "b=5"), "--keyword b=5"),
            (("--memver", "V", "a.f", "True"), "true, false and null"),
            (("--memver", "V", "a.f", "--keyword", "b=5", "--keyword", "b=6", "--python", "3.12"), "given twice"),
        ],
    )
    def test_a_mistake_is_told_with_its_remedy(self, run: Run, words: tuple[str, ...], said: str) -> None:
        done = run("key", "memoize", *words)
        assert (done.status, done.out) == (2, b"")
        assert said in done.err

    def test_arguments_are_values_and_not_text(self, run: Run) -> None:
        def key_of(*arguments: str) -> str:
            done = run("key", "memoize", "--memver", "V", "a.f", *arguments)
            assert done.status == 0, done.err
            return done.text

        texts = ["1", '"1"', "1.0", "-1", "true", "null", '{"py/tuple":[1]}', "[1]", '{"py/bytes":"MQ=="}', "[]", "{}"]
        assert len({key_of(text) for text in texts}) == len(texts)
        assert key_of(' "1" ') == key_of('"\\u0031"')

    def test_a_default_that_is_false_is_none_up_to_2_4(self, run: Run) -> None:
        def key_of(library: str, *arguments: str) -> str:
            done = run("key", "memoize", "--memver", "V", "--library", library, "a.f", '"a"', *arguments)
            assert done.status == 0, done.err
            return done.text

        for false in ("0", "0.0", '""', "false", "[]", "{}", '{"py/tuple":[]}', '{"py/decimal":"0"}', "null"):
            assert key_of("flask-caching-2.4", f"default={false}") == key_of("flask-caching-2.4", "null")
            for library in ("flask-cache", "flask-caching-2.5"):
                assert key_of(library, f"default={false}") == key_of(library, false)
        for library in ("flask-cache", "flask-caching-2.4", "flask-caching-2.5"):
            assert key_of(library, "default=7") == key_of(library, "7")
            assert key_of(library, "0") != key_of(library, "null")

    def test_keywords(self, run: Run) -> None:
        def key_of(*words: str) -> str:
            done = run("key", "memoize", "--memver", "V", *words, "a.f", "1")
            assert done.status == 0, done.err
            return done.text

        def hashed(text: bytes) -> str:
            return f"flask_cache_{base64.b64encode(hashlib.sha256(text).digest()).decode()[:16]}V\n"

        passed = ("--keyword", "near=2", "--keyword", 'deep="é=1"')
        old = "a.f(1,)OrderedDict([('deep', 'é=1'), ('near', 2)])"
        assert key_of("--python", "3.11", *passed) == hashed(old.encode())
        assert key_of("--python", "3.12", *passed) == hashed("a.f(1,)OrderedDict({'deep': 'é=1', 'near': 2})".encode())

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--keyword", "deep=true"), "--python 3.11"),
            (("--keyword", "deep", "--python", "3.12"), "--keyword deep=true"),
            (("--keyword", "=1", "--python", "3.12"), "--keyword deep=true"),
            (("--keyword", "deep=tea", "--python", "3.12"), "--keyword deep: "),
            (("--keyword", "deep=default=1", "--python", "3.12"), "--keyword deep: "),
            (("--keyword", b"\xff=1", "--python", "3.12"), "UTF-8"),
            (("--keyword", "deep=1", "--library", "flask-cache"), "leave them out"),
        ],
    )
    def test_keywords_that_no_key_can_be_computed_of(self, run: Run, words: tuple[str | bytes, ...], said: str) -> None:
        done = run("key", "memoize", "--memver", "V", *words, "a.f", "1")
        assert (done.status, done.out) == (2, b"")
        assert said in done.err

    @pytest.mark.parametrize(
        "argument",
        [
            "default=tea",
            "default=default=0",
            "default=",
            'default={"py/set": [1, 2]}',
            "bob",
            '{"py/set": [1, 2]}',
            '[{"py/frozenset": [1, 2]}]',
            '{"py/ordereddict": [["a", 1]]}',
            '{"py/markup": "x"}',
        ],
    )
    def test_what_has_no_repr_that_is_always_the_same_is_refused(self, run: Run, argument: str) -> None:
        done = run("key", "memoize", "--memver", "V", "a.f", "1", argument)
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


def test_the_prefix_of_the_environment_counts(run: Run) -> None:
    assert run("key", "view", "/a", env={VARIABLE: "shop_"}).out == b"shop_view//a\n"
    assert run("key", "view", "/a", "--prefix", "b_", env={VARIABLE: "shop_"}).out == b"b_view//a\n"
    assert run("key", "view", "/a", env={VARIABLE: ""}).out == b"flask_cache_view//a\n"


def test_one_of_several_prefixes_of_the_environment_must_be_chosen(run: Run) -> None:
    several = {VARIABLE: "shop_,blog_"}
    done = run("key", "view", "/a", env=several)
    assert done.status == 2
    assert f"{VARIABLE} has several; choose one by the flag" in done.err
    assert run("key", "view", "/a", "--prefix", "a,b", env=several).out == b"a,bview//a\n"
