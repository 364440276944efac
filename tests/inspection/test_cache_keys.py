"""Keys as measured on the real libraries (the live proof is in `tests/stacks`)."""

import pytest

from proxy.inspection import cache_keys
from proxy.inspection.cache_keys import LIBRARIES, PREFIX, RecipeError

OLD, TO_24, FROM_25 = LIBRARIES.values()


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/", "flask_cache_view//"),
        ("/index", "flask_cache_view//index"),
        ("/user/bob/", "flask_cache_view//user/bob/"),
        ("/uni/h%C3%A9%20llo", "flask_cache_view//uni/hé llo"),
        ("/uni/hé llo", "flask_cache_view//uni/hé llo"),
        ("/what%3F", "flask_cache_view//what?"),
        ("/100%", "flask_cache_view//100%"),
        ("/bad%FF", "flask_cache_view//bad\ufffd"),
    ],
)
def test_a_view(path: str, key: str) -> None:
    assert cache_keys.view(PREFIX, path) == key.encode()


@pytest.mark.parametrize("path", ["index", "", "/index?x=1", "/index#top", "http://host/index"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(RecipeError):
        cache_keys.view(PREFIX, path)


def test_a_query() -> None:
    for given in ("b=2&a=1", "a=1&b=2", "?a=1&b=2", "a=1&&b=2"):
        assert cache_keys.query(TO_24, PREFIX, "/qs", given) == b"flask_cache_/qs615ba0df880c87e4f70d30a886b7dee6"
        assert cache_keys.query(FROM_25, PREFIX, "/qs", given) == (
            b"flask_cache_view//qs640adf8deb08fffa83a5f3c6f566950fd7ba81491db12f5ab4269f059df4055a"
        )


def test_a_query_that_no_key_can_be_computed_of() -> None:
    with pytest.raises(RecipeError, match="no query_string=True"):
        cache_keys.query(OLD, PREFIX, "/qs", "a=1")
    with pytest.raises(RecipeError, match="not UTF-8"):
        cache_keys.query(FROM_25, PREFIX, "/qs", "a=%FF")


def test_versions() -> None:
    for library in LIBRARIES.values():
        assert cache_keys.versions(library, PREFIX, "myapp.add") == (b"flask_cache_myapp.add_memver",)
    method = "myapp.Adder.plus"
    assert cache_keys.versions(TO_24, PREFIX, method, "Adder(5)") == (
        b"flask_cache_myapp.Adder.plus_memver",
        b"flask_cache_myapp.Adder.plus.Adder(5)_memver",
    )
    assert cache_keys.versions(FROM_25, PREFIX, method, "Adder(5) é☃")[1] == (
        "flask_cache_myapp.Adder.plus.Adder5☃_memver".encode()
    )


def test_a_result() -> None:
    for library, key in ((OLD, "O6BCdVQDQ058oRWY"), (TO_24, "amsoN4a4H3F/dtQg"), (FROM_25, "o6MmjWMhqz8myVzD")):
        assert cache_keys.result(library, PREFIX, "myapp.add", (1, 2), "VECNwO") == f"flask_cache_{key}VECNwO".encode()


def test_a_fragment() -> None:
    assert cache_keys.fragment(PREFIX, "fr") == b"flask_cache__template_fragment_cache_fr"
    assert cache_keys.fragment(b"x_", "fr2", ("v1", "v2")) == b"x__template_fragment_cache_fr2_v1_v2"


def test_a_query_has_no_fragment() -> None:
    library = cache_keys.LIBRARIES[cache_keys.LATEST]
    with pytest.raises(cache_keys.RecipeError, match="%23"):
        cache_keys.query(library, b"p_", "/qs", "a=1#f")
    assert cache_keys.query(library, b"p_", "/qs", "a=1%23f").startswith(b"p_view//qs")
