"""The keys of a rule that `@cache.cached` makes."""

import pytest

from proxy.policy.view_keys import keys_of_views


@pytest.mark.parametrize(
    ("pattern", "key", "is_view"),
    [
        ("flask_cache_*", "flask_cache_view//index", True),
        ("flask_cache_*", "flask_cache_view/", True),
        ("flask_cache_*", "flask_cache_view", False),
        ("flask_cache_*", "flask_cache_preview//index", False),
        ("flask_cache_*", "flask_cache_total_memver", False),
        ("*", "view//index", True),
        ("*", "shop_view//index", False),
        ("shop?_*", "shop1_view//index", True),
        ("shop[12]_*", "shop2_view//index", True),
        (r"a\*b\[_*", "a*b[_view//index", True),
        ("flask_cache_view/*", "flask_cache_view//index", True),
        ("flask_cache_view//api/*", "flask_cache_view//api/stock", True),
        ("flask_cache_view//index", "flask_cache_view//index", True),
        ("view//*", "view//index", True),
        ("flask_cache_preview/*", "flask_cache_preview//index", False),
        ("flask_cache_preview/*", "flask_cache_preview/view//index", True),
    ],
)
def test_views_have_their_word_behind_the_prefix(pattern: str, key: str, is_view: bool) -> None:
    matches = keys_of_views(pattern.encode())
    assert matches is not None
    assert matches(key.encode()) is is_view


@pytest.mark.parametrize("pattern", ["flask_cache_total", "*_memver", r"flask\*", "", r"a\\\*"])
def test_a_pattern_that_does_not_end_in_a_star_tells_no_views(pattern: str) -> None:
    assert keys_of_views(pattern.encode()) is None


def test_a_backslash_may_stand_before_the_last_star() -> None:
    matches = keys_of_views(rb"a\\*")
    assert matches is not None
    assert matches(b"a\\view//index")
