"""The page: what it shows, and that no text in it becomes markup."""

from html.parser import HTMLParser
from typing import Any

import pytest

from proxy.config import Admin, Listener, Rule, Server, Settings
from proxy.config.settings import Upstream
from proxy.observe.metrics import Series, Snapshot
from proxy.observe.overview import Facts, overview
from proxy.observe.page import policy, render
from proxy.observe.rates import Window
from proxy.observe.refusals import Refused
from proxy.session.refusals import Reason

SETTINGS = Settings(
    listener=(
        Listener(bind="127.0.0.1:6380"),
        Listener(bind="unix:/run/p.sock", payload="msgpack"),
        Listener(bind="0.0.0.0:6382", types="plain", tls_cert="cert", tls_key="key"),
    ),
    rule=(
        Rule(keys="flask_cache_view/*", as_="view", name="views"),
        Rule(keys="lock:*", as_="untouched"),
        Rule(keys="flask_cache_*"),
    ),
)
NUMBERS = {
    ("clients", ("1",)): 3,
    ("clients", ("3",)): 1200,
    ("accepted_clients", ()): 5000,
    ("commands", ("GET",)): 1_234_567,
    ("refused_commands", ("HSET", "guard")): 2,
    ("received_bytes", ("client",)): 10,
    ("received_bytes", ("upstream",)): 99,
    ("hits", ("views",)): 75,
    ("misses", ("views",)): 25,
    ("transcoded_values", ("encode", "json", "views")): 5,
    ("transcoded_values", ("decode", "json", "views")): 75,
    ("transcoding_failures", ("encode", "json", "views", "invalid")): 1,
    ("transcoding_failures", ("decode", "msgpack", "views", "limit")): 2,
}
MINUTE = Window(60.0, {("commands", ("GET",)): 1200, ("hits", ("views",)): 9, ("misses", ("views",)): 1})
REFUSED = Refused(1_700_000_000.0, "10.0.0.1:4242", "worker", "HSET", "views", Reason.STORED_BYTES.value)

HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</td></tr></table><h1>owned</h1>",
    "</style><style>*{display:none}</style>",
    "<!-- ",
    "--><b>",
    "]]>",
    "&lt;b&gt;&amp;",
    "{{7*7}}${7*7}",
    "\x1b[31mred\x07",
    "\u202egnp.exe",
    "a\nb\r\nc",
    "\ud800",
    "\x00",
    "z\u0300" * 40,
    "x" * 5000,
)


def facts(
    settings: Settings = SETTINGS, *, fault: str = "", server: str = "redis 7.0.15", refusals: tuple[Refused, ...] = ()
) -> Facts:
    return Facts(settings, fault, server, NUMBERS, MINUTE, Window(90061.0, NUMBERS), refusals)


def shown(given: Facts) -> str:
    return render(overview(given), "NONCE", refreshes=False).decode()


class Elements(HTMLParser):
    """The elements with their attributes, and the cells' texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.rows: list[list[str]] = []
        self._is_cell = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self._is_cell = tag in ("td", "th")

    def handle_endtag(self, tag: str) -> None:
        self._is_cell = False

    def handle_data(self, data: str) -> None:
        if self._is_cell:
            self.rows[-1][-1] += data


def rows(given: Facts) -> list[list[str]]:
    return Elements(shown(given)).rows


class TestContent:
    def test_clients_by_listener(self) -> None:
        assert rows(facts())[1:4] == [
            ["1", "127.0.0.1:6380", "json", "no", "3"],
            ["2", "unix:/run/p.sock", "msgpack", "no", "0"],
            ["3", "0.0.0.0:6382", "plain", "yes", "1,200"],
        ]

    def test_rates_and_sums(self) -> None:
        found = rows(facts())
        assert ["commands", "20", "1,234,567"] in found
        assert ["clients accepted", "0", "5,000"] in found
        assert ["refused commands", "0", "2"] in found
        assert ["values encoded", "0", "5"] in found
        assert ["bytes from clients", "0", "10"] in found
        assert "of the last 60 seconds. In all: since the start." in shown(facts())

    def test_hit_rate_by_rule(self) -> None:
        found = rows(facts())
        assert ["views", "flask_cache_view/*", "view", "0.17", "90.0%", "100", "75.0%", "5", "3"] in found
        assert ["flask_cache_*", "flask_cache_*", "value", "0", "", "0", "", "0", "0"] in found
        assert not any("lock:*" in row for row in found)

    def test_many_rules_are_read_in_one_pass(self) -> None:
        """A page must not stop the clients of a proxy with thousands of rules."""
        looked_at = 0

        class Counted(dict[Series, int | float]):
            def items(self) -> Any:
                nonlocal looked_at
                for item in super().items():
                    looked_at += 1
                    yield item

        names = [f"r{number}" for number in range(2000)]
        counts = Counted({("transcoded_values", ("encode", "json", name)): 3 for name in names})
        counts |= {("hits", (name,)): 1 for name in names}
        settings = Settings(rule=tuple(Rule(keys=name) for name in names))
        window = Window(60.0, counts)
        found = overview(Facts(settings, "", "", counts, window, window, ()))
        assert {(row.reads, row.hit_rate, row.writes) for row in found.rules} == {(1, 1.0, 3)}
        assert looked_at < 20 * 2 * len(names)

    def test_refusals_in_words(self) -> None:
        found = rows(facts(refusals=(REFUSED,)))
        when = "2023-11-14 22:13:20Z"
        assert found[-1] == [when, "10.0.0.1:4242", "worker", "HSET", "views", REFUSED.explanation]
        assert "nothing since the start" in shown(facts())

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0.9, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3725, "1 h 2 min"),
            (90061, "1 d 1 h"),
            (8640000, "100 d 0 h"),
        ],
    )
    def test_time_since_the_start(self, seconds: float, text: str) -> None:
        given = facts()._replace(start=Window(seconds, NUMBERS))
        assert f"<p>up for {text}, 1 worker</p>" in shown(given)

    def test_a_reload_that_was_refused(self) -> None:
        for successful, text in (
            (1, "2 workers</p>"),
            (0, "2 workers; the last reload was refused, and the log says why</p>"),
        ):
            numbers: Snapshot = {("config_last_reload_successful", ()): successful}
            given = facts(Settings(server=Server(workers=2)))._replace(numbers=numbers)
            assert text in shown(given)

    def test_ready_or_why_not(self) -> None:
        assert "<title>ready - " in shown(facts())
        page = shown(facts(fault="cannot reach Redis"))
        assert "<title>not ready - " in page
        assert "not ready</span> cannot reach Redis" in page

    def test_redis_and_its_version(self) -> None:
        assert "<p>Redis: redis 7.0.15, at redis://127.0.0.1:6379/0</p>" in shown(facts())
        assert "<p>Redis: version not known, at redis://" in shown(facts(server=""))

    def test_no_password_of_a_url(self) -> None:
        """The configuration refuses one. The page does not rely on it."""
        page = shown(facts(Settings(upstream=Upstream(url="redis://canary-user:canary@redis:6379/0"))))
        assert "canary" not in page
        assert "redis:6379/0" in page


class TestHostileText:
    """It is shown, and is nothing but text."""

    @pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
    def test_adds_no_element_and_no_attribute(self, text: str) -> None:
        def everywhere(text: str) -> str:
            refusals = (Refused(1e9, text, text, text, text, Reason.GUARD.value),)
            settings = Settings(listener=(Listener(bind=text),), rule=(Rule(keys=text, name=text),), admin=Admin())
            return shown(facts(settings, fault=text, server=text, refusals=refusals))

        harmless, hostile = Elements(everywhere("harmless")), Elements(everywhere(text))
        assert hostile.elements == harmless.elements
        assert len(hostile.rows) == len(harmless.rows)
        assert all(each.isprintable() or each in "\n" for each in everywhere(text))

    def test_is_shown_as_it_is(self) -> None:
        refusals = (Refused(1e9, "unix", "<b>&amp;\"'", "GET", "", Reason.GUARD.value),)
        assert rows(facts(refusals=refusals))[-1][2] == "<b>&amp;\"'"


def test_nothing_is_loaded_and_nothing_runs() -> None:
    page = Elements(shown(facts(refusals=(REFUSED,))))
    assert {tag for tag, _ in page.elements} == {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "span", "table", "tr", "th", "td", "a")
    }
    attributes = {(tag, name) for tag, given in page.elements for name, _ in given}
    assert attributes == {
        *(("html", "lang"), ("meta", "charset"), ("meta", "name"), ("meta", "content"), ("style", "nonce")),
        *(("span", "class"), ("p", "class"), ("th", "class"), ("td", "class"), ("a", "href")),
    }
    assert policy("x") == (
        "default-src 'none'; style-src 'nonce-x'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
