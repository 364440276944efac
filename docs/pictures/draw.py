"""Draws the pictures of the documents as SVG, with the standard library alone: `python docs/pictures/draw.py`."""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).parent

_STYLE = """
text { fill: #1f2328; font: 14px system-ui, -apple-system, "Segoe UI", Helvetica, sans-serif }
.code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 13px }
.strong { font-weight: 600 } .quiet { fill: #59636e } .paper { fill: #ffffff }
.box { fill: #f6f8fa; stroke: #6e7781 } .ours { fill: #ddf4ff; stroke: #0969da }
.gone { fill: #ffebe9; stroke: #cf222e }
.line { stroke: #6e7781; stroke-width: 1.5; fill: none } .tip { fill: #6e7781 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .quiet { fill: #9ea7b3 } .paper { fill: #0d1117 }
  .box { fill: #161b22; stroke: #8b949e } .ours { fill: #0c2d6b; stroke: #58a6ff }
  .gone { fill: #490202; stroke: #f85149 } .line { stroke: #8b949e } .tip { fill: #8b949e }
}
"""


class Picture:
    """One SVG of this size in pixels. `title` is for readers who cannot see it."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width = width
        self.height = height
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img"><title>{escape(title)}</title><style>{_STYLE}</style>',
            f'<rect class="paper" width="{width}" height="{height}" rx="6"/>',
        ]

    def text(self, x: int, y: int, text: str, kind: str = "", anchor: str = "start") -> None:
        """One line of text. `kind`: its classes."""
        self._parts.append(f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>')

    def box(self, x: int, y: int, width: int, height: int, lines: Sequence[str], kind: str = "box") -> None:
        """A box with lines in its middle. The first is bold, and the others are quiet."""
        self._parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>')
        top = y + height // 2 - 9 * len(lines) + 14
        for at, line in enumerate(lines):
            self.text(x + width // 2, top + 18 * at, line, "quiet" if at else "strong", "middle")

    def arrow(self, *points: tuple[int, int]) -> None:
        """A line through these points, with a tip at its last end."""
        path = " L".join(f"{x} {y}" for x, y in points)
        (fx, fy), (x, y) = points[-2:]
        along = (1 if x > fx else -1, 0) if fy == y else (0, 1 if y > fy else -1)
        back = (x - 9 * along[0], y - 9 * along[1])
        wing = (5 * along[1], 5 * along[0])
        tip = f"{x},{y} {back[0] + wing[0]},{back[1] + wing[1]} {back[0] - wing[0]},{back[1] - wing[1]}"
        self._parts.append(f'<path class="line" d="M{path}"/><polygon class="tip" points="{tip}"/>')

    def svg(self) -> str:
        """The file."""
        return "\n".join([*self._parts, "</svg>", ""])


def bytes_on_each_side() -> Picture:
    """The same entry as the producer, Redis and Flask have it."""
    picture = Picture(880, 236, "The producer writes JSON, the proxy stores a pickle in Redis, and Flask reads it")
    for x, lines, kind in (
        (20, ("your service", "Go, Node, ..."), "box"),
        (260, ("flask-cache-proxy", "JSON <-> pickle"), "ours"),
        (520, ("Redis", "the app's own"), "box"),
        (740, ("Flask", "unchanged"), "box"),
    ):
        picture.box(x, 20, 180 if x == 260 else 120, 60, lines, kind)
    for start, end in ((140, 260), (440, 520), (740, 640)):
        picture.arrow((start, 50), (end, 50))
    picture.text(200, 42, "SET, GET", "quiet", "middle")
    picture.text(480, 42, "SET", "quiet", "middle")
    picture.text(690, 42, "GET", "quiet", "middle")
    for y, who, what in (
        (116, "your service sends", "SET flask_cache_view//index '\"Hello\"' EX 60"),
        (146, "Redis stores", r'"!\x80\x04\x95\t\x00\x00\x00\x00\x00\x00\x00\x8c\x05Hello\x94."'),
        (176, "Flask serves", "Hello"),
        (206, "your service reads", 'GET flask_cache_view//index   ->   "Hello"'),
    ):
        picture.text(200, y, who, "strong", "end")
        picture.text(220, y, what, "code")
    return picture


def life_of_a_version() -> Picture:
    """A memoized function's version, the results under it, and what ends them."""
    picture = Picture(880, 326, "The life of the version of a memoized function on a time line")
    events = (
        (220, "the app runs", "total(1)"),
        (390, "a producer sets", "total(2)"),
        (570, "the app calls", "delete_memoized"),
        (720, "the app runs", "total(1) again"),
    )
    for x, first, second in events:
        picture.text(x, 28, first, "quiet", "middle")
        picture.text(x, 46, second, "code", "middle")
        picture.arrow((x, 56), (x, 76))
    for y, label in ((100, "the version"), (150, "result of total(1)"), (200, "result of total(2)")):
        picture.text(150, y + 5, label, "strong", "end")
    picture.text(150, 122, "shop.total_memver", "code quiet", "end")
    for x, y, width, lines, kind in (
        (220, 84, 350, ("GOVER1",), "ours"),
        (720, 84, 140, ("NEWVER",), "ours"),
        (220, 134, 350, ("..h1GOVER1",), "box"),
        (570, 134, 100, ("not found",), "gone"),
        (720, 134, 140, ("..h1NEWVER",), "box"),
        (390, 184, 180, ("..h2GOVER1",), "box"),
        (570, 184, 190, ("not found",), "gone"),
    ):
        picture.box(x, y, width, 32, lines, kind)
    picture.arrow((160, 240), (860, 240))
    picture.text(160, 262, "time", "quiet")
    picture.text(20, 288, "Up to Flask-Caching 2.4, the version lives for the function's timeout after it is made.")
    picture.text(
        20, 310, "From 2.5 on, each result that the app stores sets that timeout again. So the version may end sooner."
    )
    return picture


def which_listener() -> Picture:
    """The listener and the rule for each reader."""
    rows = (
        ("a service with our Go or Node client", "json or msgpack", "the default rule"),
        ("a service with its own JSON code", "json", "the default rule: tags keep the types"),
        ("JavaScript that calls JSON.parse", "json", 'big_ints = "tagged"'),
        ("a writer of JSON pages", "json", 'as = "view": the payload is the body'),
        ("a dashboard, a report, a Redis GUI", "plain", "the default rule: it only reads"),
        ("a reader that wants no tags", "json", 'types = "plain"'),
        ("locks under the app's prefix", "any", 'as = "untouched"'),
        ("an app with another serializer", "any", 'stored = "json", "pickle", "django"'),
    )
    picture = Picture(880, 62 + 44 * len(rows), "The listener and the rule for each reader and writer")
    for x, heading in ((20, "who reads or writes"), (360, "the listener"), (540, "the rule")):
        picture.text(x, 30, heading, "strong")
    for at, (who, listener, rule) in enumerate(rows):
        y = 46 + 44 * at
        picture.box(20, y, 310, 32, (who,))
        picture.arrow((330, y + 16), (360, y + 16))
        picture.box(360, y, 150, 32, (listener,), "ours")
        picture.arrow((510, y + 16), (540, y + 16))
        picture.box(540, y, 320, 32, (rule,))
    return picture


PICTURES = {
    "bytes.svg": bytes_on_each_side,
    "version.svg": life_of_a_version,
    "listeners.svg": which_listener,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (HERE / name).write_text(draw().svg())
