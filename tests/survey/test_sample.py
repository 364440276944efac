"""The counts of a sample, and the lines of the log that they make."""

import pickle

import pytest

from proxy.config import Rule
from proxy.server.rules_told import surveyed
from proxy.survey import starts
from proxy.survey.prefixes import MOST_NAMED, Names
from proxy.survey.sample import Sample
from proxy.survey.wording import read_line, rule_lines, sample_lines

WHERE = "json on 127.0.0.1:6380"
FLASK = b"!\x80"


def sample(*rules: Rule, **keys: tuple[int, bytes | None]) -> Sample:
    """A sample with so many keys of each prefix, all with this beginning of a value."""
    made = Sample(surveyed(rules or (Rule(keys="flask_cache_*"),)))
    made.is_whole = True
    for prefix, (count, start) in keys.items():
        for number in range(count):
            made.add(f"{prefix}{number}".encode(), start)
    return made


def lines(taken: Sample, names: Names | None = None) -> list[str]:
    """As in a log: a warning begins with "WARNING"."""
    return [f"{'WARNING ' * line.is_warning}{line.text}" for line in sample_lines(taken, WHERE, names or Names())]


def test_a_rule_that_fits_says_how_many_keys_it_has() -> None:
    taken = sample(Rule(keys="shop_*"), shop_=(412, FLASK), session_=(88, None))
    assert lines(taken) == ["manages shop_* (tagged; json on 127.0.0.1:6380): 412 of 500 sampled keys are Flask's"]


def test_a_wrong_prefix_is_a_warning_with_the_right_one() -> None:
    taken = sample(shop_=(212, FLASK), session_=(288, None))
    assert lines(taken)[1:] == [
        "WARNING no key matches flask_cache_*, but shop_* holds Flask values (212 of 500 sampled): serve --prefix shop_"
    ]


def test_a_rule_with_keys_of_other_programs_is_a_warning_too() -> None:
    assert lines(sample(Rule(keys="session_*"), shop_=(2, FLASK), session_=(3, None))) == [
        "manages session_* (tagged; json on 127.0.0.1:6380): 0 of 5 sampled keys are Flask's, and 3 more match",
        "WARNING no value under session_* is Flask's, but shop_* holds Flask values (2 of 5 sampled): "
        "serve --prefix shop_",
    ]


def test_further_values_of_flask_are_no_warning() -> None:
    assert lines(sample(Rule(keys="shop_*"), shop_=(2, FLASK), blog_=(3, FLASK)))[1:] == [
        "blog_* holds Flask values without a rule (3 of 5 sampled): add --prefix blog_ to the prefixes of serve"
    ]


def test_rules_of_a_file_are_kept() -> None:
    (warning,) = lines(sample(Rule(keys="old_*", as_="view"), shop_=(2, FLASK)))[1:]
    assert warning.endswith("(2 of 2 sampled): add a [[rule]] for shop_*")


def test_several_prefixes_are_named_with_the_most_frequent_first() -> None:
    taken = sample(blog_=(1, FLASK), shop_=(2, FLASK), **{"it's a_": (1, FLASK)})
    assert lines(taken)[-1] == (
        "WARNING no key matches flask_cache_*, but shop_* and blog_* and it's a_* hold Flask values (4 of 4 sampled): "
        "serve --prefix shop_ --prefix blog_ --prefix 'it'\"'\"'s a_'"
    )


def test_a_prefix_that_cannot_be_told_is_only_counted() -> None:
    taken = sample()
    for key in (b"a\n\x1b[2J_1", b"\xff\xff\xff_1", b"x" * 40 + b"_1"):
        taken.add(key, FLASK)
    assert lines(taken)[1:] == [
        "WARNING no key matches flask_cache_*, but other keys hold Flask values (3 of 3 sampled): "
        "flask-cache-proxy scan --prefixes"
    ]
    taken.add(b"shop_1", FLASK)
    assert "shop_* holds Flask values (1 of 4 sampled; 3 more have other prefixes" in lines(taken)[1]


def test_a_line_has_few_prefixes_and_a_process_too() -> None:
    names = Names()
    many = sample(**{f"app{number:02}_": (1, FLASK) for number in range(40)})
    told = {word for _ in range(5) for word in lines(many, names)[1].split() if word.endswith("_*")}
    assert len(told) == 8 <= MOST_NAMED
    assert "32 more have other prefixes" in lines(many, names)[1]
    others = [lines(sample(**{f"b{number}c_": (1, FLASK)}), names)[1] for number in range(40)]
    assert sum("_* holds" in line for line in others) == MOST_NAMED - 8


def test_untouched_rules_are_not_warned_of() -> None:
    rules = Rule(keys="lock_*", as_="untouched"), Rule(keys="shop_*")
    assert lines(sample(*rules, lock_=(2, FLASK), shop_=(1, b"12"))) == [
        "leaves lock_* untouched: 2 of 3 sampled keys",
        "manages shop_* (tagged; json on 127.0.0.1:6380): 1 of 3 sampled keys are Flask's",
    ]


def test_keys_that_redis_hides_are_counted() -> None:
    taken = sample(flask_cache_=(1, FLASK))
    taken.add(b"session:1", None, is_refused=True)
    assert lines(taken)[1].startswith("1 of 2 sampled keys are hidden from the survey")


def test_an_empty_database_is_said() -> None:
    assert lines(sample()) == [
        "manages flask_cache_* (tagged; json on 127.0.0.1:6380): the database is empty (if the app has cached before, "
        "upstream.url names another one)"
    ]
    sparse = sample()
    sparse.is_whole = False
    assert lines(sparse)[0].endswith(": no key was found in the part of the database that was looked at")


def test_the_list_of_rules_says_what_each_does() -> None:
    rules = (
        Rule(keys="v_*", as_="view", types="plain"),
        Rule(keys="r_*", as_="read-only", stored="django"),
        Rule(keys="u_*", as_="untouched"),
        Rule(keys="*"),
    )
    assert [line.text for line in rule_lines(surveyed(rules), WHERE)] == [
        "manages v_* (view, plain; json on 127.0.0.1:6380)",
        "reads r_* (tagged, stored as django; json on 127.0.0.1:6380)",
        "leaves u_* untouched",
        "manages * (tagged; json on 127.0.0.1:6380)",
        "manages every key, so commands that store other types or raw bytes are refused: those for lists, hashes, "
        "sets, sorted sets and streams, and such as APPEND, SETRANGE and RESTORE",
    ]


def test_a_long_list_of_rules_is_cut() -> None:
    listed = list(rule_lines(surveyed([Rule(keys=f"a{number}_*") for number in range(60)]), WHERE))
    assert len(listed) == 51
    assert listed[-1].text.startswith("10 further rules")


def test_rules_that_manage_nothing_are_a_warning() -> None:
    (_, line) = rule_lines(surveyed([Rule(keys="u_*", as_="untouched")]), WHERE)
    assert line.is_warning


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", [None, True, 1.5, "text", b"bytes", [1], {"a": 1}, (1,), (), {1, 2}], ids=repr)
def test_every_pickle_is_recognised_by_two_bytes(value: object, protocol: int) -> None:
    stored = b"!" + pickle.dumps(value, protocol)
    assert starts.is_flask(stored[:2])
    assert starts.FITS["pickle"](stored[1:3])


@pytest.mark.parametrize("start", [b"", b"!", b"! ", b"!a", b"12", b"x!", b"\x80\x04", b"{}"], ids=repr)
def test_other_beginnings_are_not_flask(start: bytes) -> None:
    assert not starts.is_flask(start)


@pytest.mark.parametrize(
    ("stored", "start", "expected"),
    [
        ("flask", b"12", True),
        ("flask", b"-1", True),
        ("flask", b"-", False),
        ("flask", b"{}", False),
        ("flask", b"", False),
        ("django", b"12", True),
        ("django", b"\x80\x05", True),
        ("django", b"!\x80", False),
        ("pickle", b"12", False),
        ("pickle", b"", False),
        ("json", b"{}", True),
        ("json", b'"', True),
        ("json", b"", False),
        ("json", b"!\x80", False),
    ],
)
def test_a_value_fits_the_storage_of_its_rule(stored: str, start: bytes, expected: bool) -> None:
    assert starts.FITS[stored](start) is expected


def test_a_read_without_a_rule_names_the_prefix_and_the_way_out() -> None:
    rules = surveyed([Rule(keys="flask_cache_*")])
    assert read_line("shop_", rules) == (
        "a client has read a value of Flask under shop_*, which no rule matches: it got a pickle; "
        "add --prefix shop_ to the prefixes of serve"
    )
    assert read_line("shop_", surveyed([Rule(keys="a_*", default_ttl=1)])).endswith("add a [[rule]] for shop_*")
    assert "scan --prefixes" in read_line(None, rules)
