"""The counts of `scan --prefixes`."""

import pickle

from proxy.assembly import policy_for
from proxy.config import Rule, Settings
from proxy.inspection.entries import Entry, find, lossless
from proxy.inspection.prefix_counts import MOST_ROWS, PrefixCounts, Row, proposed

POLICY = policy_for(Settings(rule=(Rule(keys="shop_*"), Rule(keys="session:*", stored="pickle"))), "json")
FLASK = b"!" + pickle.dumps("text")


def counted(*keys: tuple[bytes, bytes, str]) -> PrefixCounts:
    counts = PrefixCounts()
    for key, stored, kind in keys:
        entry = Entry(key, kind, len(stored), None, stored)
        counts.add(find(entry, POLICY, lossless(POLICY.limits.codec)))
    return counts


def test_keys_are_counted_by_prefix_and_rule() -> None:
    counts = counted(
        (b"shop_1", FLASK, "string"),
        (b"shop_2", b"12", "string"),
        (b"shop_3", b"!\x80\x04damaged", "string"),
        (b"shop_4", b"", "hash"),
        (b"blog_1", FLASK, "string"),
        (b"blog_2", b"!\x80\x04damaged", "string"),
        (b"blog_3", b"text", "string"),
        (b"blog_4", b"12", "string"),
        (b"blog_5", b"", "list"),
        (b"session:1", pickle.dumps({}), "string"),
        (b"\xff\xff\xff_1", FLASK, "string"),
    )
    assert counts.rows() == [
        Row("shop_", "shop_*", 4, 3, 2),
        Row("blog_", None, 5, 2, 1),
        Row("session:", "session:*", 1, 1, 0),
        Row(None, None, 1, 1, 0),
    ]
    assert proposed(counts.rows()) == ["blog_"]


def test_a_rule_that_leaves_keys_untouched_is_no_proposal() -> None:
    counts = PrefixCounts()
    counts.add(find(Entry(b"lock_1", "string", 9, None, FLASK), POLICY, lossless(POLICY.limits.codec)), "lock_*")
    assert counts.rows() == [Row("lock_", "lock_*", 1, 1, 0)]
    assert proposed(counts.rows()) == []


def test_a_cache_with_very_many_prefixes_has_few_rows() -> None:
    counts = counted(*((b"%06d:x" % number, FLASK, "string") for number in range(MOST_ROWS + 50)))
    rows = counts.rows()
    assert len(rows) == MOST_ROWS + 1
    assert rows[0] == Row(None, None, 50, 50, 0)
