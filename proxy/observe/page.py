"""The page of the admin port: one HTML document without scripts, images or other files.

Every text that is not ours goes through `_text`: names of rules and clients, addresses, reasons, Redis' words.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from proxy.config.printable import printable
from proxy.observe.overview import ListenerRow, Overview, RefusalRow, RuleRow, TrafficRow

REFRESH: Final = "refresh"
"""The query that makes the page load itself again and again."""
_SECONDS: Final = 10
"""Between two loads."""
_STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 68rem; margin: 0 auto; padding: 1rem 1.5rem 3rem; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p { margin: .3rem 0; }
.state { display: inline-block; padding: 0 .6rem; border-radius: 1rem; color: #fff; background: #186a32; }
.state.no { background: #a3221b; }
.note { opacity: .75; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #8886;
  min-width: 5rem; overflow-wrap: anywhere; unicode-bidi: isolate; }
th { font-weight: 600; vertical-align: bottom; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.short, .number { min-width: 0; white-space: nowrap; }
"""
_NUMBERS: Final = re.compile(r"clients$|second|hit rate|in all")
"""The headings of columns that hold numbers."""
_SHORT: Final = frozenset({"listener", "speaks", "TLS", "as", "when", "client"})
"""The headings of columns whose texts are short, and stay on one line."""


def policy(nonce: str) -> str:
    """The Content-Security-Policy of the page. `nonce`: that of the one style."""
    return f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def render(view: Overview, nonce: str, *, refreshes: bool) -> bytes:
    """The page. `refreshes`: it loads itself again every ten seconds, which needs no script."""
    refresh = f'<meta http-equiv="refresh" content="{_SECONDS}">\n' if refreshes else ""
    title = "ready" if not view.fault else "not ready"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh}<title>{title} - flask-cache-proxy</title>
<style nonce="{nonce}">{_STYLE}</style>
</head>
<body>
{"".join(_parts(view, refreshes))}</body>
</html>
""".encode()


def _parts(view: Overview, refreshes: bool) -> Iterable[str]:
    yield _heading(view)
    yield _section("Clients by listener", _listeners(view.listeners))
    periods = f"Rates and hit rates: of the last {view.minute:.0f} seconds. In all: since the start."
    yield _section("Traffic", f'<p class="note">{periods}</p>\n{_traffic(view.traffic)}')
    yield _section("Rules", _rules(view.rules))
    yield _section("Refused last, or not readable", _refusals(view.refusals))
    way = '<a href="/">stop loading</a>' if refreshes else f'<a href="/?{REFRESH}">load every {_SECONDS} seconds</a>'
    yield f'<p class="note"><a href="/config">configuration</a> · <a href="/metrics">metrics</a> · {way}</p>\n'


def _heading(view: Overview) -> str:
    state = (
        f'<span class="state no">not ready</span> {_text(view.fault)}'
        if view.fault
        else ('<span class="state">ready</span>')
    )
    lines = "".join(f"<p>{_text(line)}</p>\n" for line in (view.redis, view.versions, view.process))
    return f"<h1>flask-cache-proxy</h1>\n<p>{state}</p>\n{lines}"


def _section(title: str, content: str) -> str:
    return f"<h2>{_text(title)}</h2>\n{content}"


def _listeners(rows: Sequence[ListenerRow]) -> str:
    return _table(
        ("listener", "address", "speaks", "TLS", "clients"),
        ((row.number, row.address, row.form, "yes" if row.has_tls else "no", f"{row.clients:,}") for row in rows),
    )


def _traffic(rows: Sequence[TrafficRow]) -> str:
    return _table(
        ("", "a second", "in all"),
        ((row.name, _amount(row.rate), f"{row.total:,.0f}") for row in rows),
    )


def _rules(rows: Sequence[RuleRow]) -> str:
    return _table(
        (
            *("rule", "keys", "as", "reads a second", "hit rate"),
            *("reads in all", "hit rate in all", "writes in all", "failed in all"),
        ),
        (
            (
                *(row.name, row.keys, row.treats_as, _amount(row.reads_a_second), _share(row.hit_rate_now)),
                *(f"{row.reads:,.0f}", _share(row.hit_rate), f"{row.writes:,.0f}", f"{row.failures:,.0f}"),
            )
            for row in rows
        ),
    )


def _refusals(rows: Sequence[RefusalRow]) -> str:
    if not rows:
        return '<p class="note">nothing since the start</p>\n'
    return _table(
        ("when", "client", "its name", "command", "rule", "why"),
        ((row.when, row.client, row.name, row.command, row.rule, row.reason) for row in rows),
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table. The heading of a column decides how its cells are aligned and broken."""
    kinds = [_kind(head) for head in heads]
    head = "".join(f"<th{kind}>{_text(text)}</th>" for kind, text in zip(kinds, heads, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{_text(cell)}</td>' for kind, cell in zip(kinds, row, strict=True))}</tr>\n"
        for row in rows
    )
    return f"<table>\n<tr>{head}</tr>\n{body}</table>\n"


def _kind(head: str) -> str:
    """The attribute of a column's cells."""
    if _NUMBERS.search(head):
        return ' class="number"'
    return ' class="short"' if head in _SHORT else ""


def _text(value: object) -> str:
    return escape(printable(str(value)))


def _amount(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 or not rate else f"{rate:.2g}"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
