"""Random pickles of objects: every instruction for them, every class with a meaning, and states of every shape."""

import random
from collections.abc import Callable
from typing import Final

from tests.codec.pickles import binary, call, cls, headers, long, text

CLASSES = [
    *(
        "shop.models.Product",
        "shop.models.find",
        "shop.Order.Line",
        "shop._make",
        "os.system",
        "a.rowproxy_reconstructor",
    ),
    *("builtins.ValueError", "builtins.object", "builtins.dict", "builtins.list", "builtins.NoneType", "builtins.str"),
    *("builtins.getattr", "collections.Counter", "collections.OrderedDict", "collections.defaultdict"),
    *("collections.deque", "copyreg._reconstructor", "datetime.datetime", "datetime.date", "datetime.timezone"),
    *("datetime.timedelta", "decimal.Decimal", "uuid.UUID", "markupsafe.Markup", "pytz._UTC", "pytz._p"),
    *("pytz.FixedOffset", "dateutil.tz.tz.tzutc", "dateutil.tz.tz.tzoffset", "dateutil.tz.tz.tzfile"),
    *("psycopg2.tz.FixedOffsetTimezone", "bson.tz_util.FixedOffset", "pendulum.tz.timezone.FixedTimezone"),
    *("zoneinfo.ZoneInfo", "app.UTC", "app.ModelState", "werkzeug.datastructures.Headers", "flask.wrappers.Response"),
    *("app.MyResponse", "werkzeug.exceptions.NotFound", "bson.objectid.ObjectId", "pathlib.PosixPath"),
    *(
        "arrow.arrow.Arrow",
        "sqlalchemy.orm.collections.InstrumentedList",
        "sqlalchemy.orm.collections.InstrumentedDict",
    ),
    *("django.db.models.base.model_unpickle", "exceptions.KeyError", "__builtin__.set", "copy_reg._reconstructor"),
]
PLAIN = [*CLASSES[:6], "app.UTC", "app.ModelState", "bson.objectid.ObjectId", *CLASSES[-8:-5]]
KEYS = [
    *("a", "b", "name", "_sa_instance_state", "__x", "_state", "_django_version", "__dict__", "__fields_set__"),
    *("py/x", "_keys", "_data", "_parent", "response", "headers", "_status_code", "_list", "_utcoffset", "dst_offset"),
    *("int", "is_safe", "_datetime", "_ObjectId__id", "é", "_"),
]
NAMES = [
    "UTC",
    "Etc/GMT+3",
    "Europe/Berlin",
    "nowhere",
    "/usr/share/zoneinfo/UTC",
    "zoneinfo/Etc/GMT-2",
    "a.b",
    "x",
    "",
]


class Writer:
    """Writes one random pickle."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._remembered = 0

    def pickle(self) -> bytes:
        """With the mark of Flask."""
        protocol = self._rng.choice((b"", b"", b"\x80\x02", b"\x80\x04"))
        return b"!" + protocol + self._value(0) + b"."

    def _value(self, depth: int) -> bytes:
        rng = self._rng
        is_leaf = depth > 3 or rng.random() < 0.3
        written = self._leaf() if is_leaf else rng.choice(_CONTAINERS)(self, depth + 1)
        if rng.random() < 0.3 and self._remembered < 250:
            self._remembered += 1
            written += b"q" + bytes([self._remembered - 1])
        return written

    def _values(self, depth: int, most: int = 3) -> bytes:
        return b"".join(self._value(depth) for _ in range(self._rng.randint(0, most)))

    def _leaf(self) -> bytes:
        rng = self._rng
        if self._remembered and rng.random() < 0.35:
            return b"h" + bytes([rng.randrange(self._remembered)])
        return rng.choice(
            (
                lambda: b"N",
                lambda: b"\x88",
                lambda: b"K" + rng.randbytes(1),
                lambda: long(rng.choice((-1, 1)) * rng.getrandbits(rng.choice((8, 40, 70, 130)))),
                lambda: b"G?\xf8" + bytes(6),
                lambda: text(rng.choice((*NAMES, *KEYS))),
                lambda: text(rng.choice(KEYS)),
                lambda: binary(rng.choice((b"", b"ab", b"\xff", bytes(12), b"\x07\xe8\x02\x1d"))),
                lambda: binary(b"\x07\xe8\x02\x1d\x0d\x05\x09\x00\x00\x07"),
                lambda: b"U\x02\xff\xfe" if rng.random() < 0.1 else b"U\x02ab",
                lambda: call(
                    "datetime", "timedelta", b"K\0", b"J" + rng.randrange(90000).to_bytes(4, "little"), b"K\0"
                ),
                lambda: call("decimal", "Decimal", text("sNaN" if rng.random() < 0.1 else "1.5")),
                lambda: cls(*rng.choice(CLASSES).rsplit(".", 1)),
            )
        )()

    # -- containers ------------------------------------------------------------------------------------

    def _list(self, depth: int) -> bytes:
        return b"](" + self._values(depth) + b"e"

    def _tuple(self, depth: int) -> bytes:
        return b"(" + self._values(depth) + b"t"

    def _set(self, depth: int) -> bytes:
        return b"\x8f(" + self._values(depth) + b"\x90"

    def _dict(self, depth: int) -> bytes:
        return b"}(" + self._items(depth) + b"u"

    def _items(self, depth: int, most: int = 4) -> bytes:
        rng = self._rng
        keys = (
            text(rng.choice(KEYS)) if rng.random() < 0.8 else self._value(depth) for _ in range(rng.randint(0, most))
        )
        return b"".join(key + self._value(depth) for key in keys)

    def _in_itself(self, depth: int) -> bytes:
        if self._remembered > 250:
            return b"]"
        self._remembered += 1
        at = bytes([self._remembered - 1])
        return b"]q" + at + b"(" + self._values(depth) + b"h" + at + b"e"

    # -- collections and dates -------------------------------------------------------------------------

    def _collection(self, depth: int) -> bytes:
        rng = self._rng
        name = rng.choice(("Counter", "OrderedDict", "defaultdict", "deque"))
        arguments = {
            "Counter": lambda: self._dict(depth),
            "OrderedDict": lambda: rng.choice((b"", b"](](K\1K\2ee")),
            "defaultdict": lambda: rng.choice((b"", b"N", cls("builtins", "list"), cls("shop", "new"))),
            "deque": lambda: self._list(depth) + rng.choice((b"", b"N", b"K\1", b"K\3", b"\x8a\x09" + b"\1" * 9)),
        }[name]()
        return cls("collections", name) + b"(" + arguments + b"tR" + self._filled(depth)

    def _datetime(self, depth: int) -> bytes:
        rng = self._rng
        kind, size = rng.choice((("datetime", 10), ("time", 6), ("Moment", 10)))
        packed = binary((b"\x07\xe8\x02\x1d" if size == 10 else b"") + b"\x0d\x05\x09\x00\x00\x07")
        module = "app" if kind == "Moment" else "datetime"
        return call(module, kind, packed, self._zone() if rng.random() < 0.9 else self._value(depth))

    def _zone(self) -> bytes:
        rng = self._rng
        name = text(rng.choice(NAMES))
        number = rng.choice((b"K\x3c", b"J\x90\x5f\1\0", b"J\xff\xff\xff\xff", b"N"))
        span = call("datetime", "timedelta", b"K\0", b"M\x10\x0e", b"K\0")
        offset = rng.choice((number, span))
        state = b"}" + text(rng.choice(KEYS)) + offset + b"s"
        zone = rng.choice(
            (
                lambda: call("datetime", "timezone", span, *rng.choice(((), (name,)))),
                lambda: call("pytz", "_p", name, *rng.choice(((), (number, b"K\0", name)))),
                lambda: call("pytz", rng.choice(("_UTC", "FixedOffset")), *rng.choice(((), (number,)))),
                lambda: call(
                    "dateutil.tz.tz", rng.choice(("tzutc", "tzoffset", "tzfile")), *rng.choice(((), (name, offset)))
                ),
                lambda: call("psycopg2.tz", "FixedOffsetTimezone", *rng.choice(((), (offset, name)))) + state + b"b",
                lambda: cls("dateutil.tz.tz", "tzoffset") + b")\x81" + state + b"b",
                lambda: cls("app", rng.choice(("UTC", "Zone"))) + b")\x81" + rng.choice((b"", b"}b", state + b"b")),
                lambda: (
                    call("builtins", "getattr", cls("zoneinfo", "ZoneInfo"), text("_unpickle")) + b"(" + name + b"K\1tR"
                ),
            )
        )()
        if self._remembered < 250 and rng.random() < 0.5:
            self._remembered += 1
            zone += b"q" + bytes([self._remembered - 1])
        return zone

    def _response(self, depth: int) -> bytes:
        rng = self._rng
        name = rng.choice(("flask.wrappers.Response", "app.MyResponse", "app.Headers"))
        pairs = headers(text("Content-Type") + text(rng.choice(("application/json", "text/x"))) + b"\x86")
        body = rng.choice((b"]" + binary(b'{"a": 1}') + b"a", b"(" + text("x") + b"t", b"]" + binary(b"\xff") + b"a"))
        state = b"}(" + text("headers") + (pairs if rng.random() < 0.9 else self._value(depth)) + text("_status_code")
        state += rng.choice((b"K\xc8", b"K\xc8", b"M\x94\1", b"K\1")) + text("response")
        state += (body if rng.random() < 0.9 else self._value(depth)) + self._items(depth, 1) + b"u"
        held = cls(*name.rsplit(".", 1)) + b")\x81" + state + b"b"
        if rng.random() < 0.6:
            return held
        return cls("werkzeug.exceptions", "NotFound") + b")R}" + text("response") + held + b"sb"

    def _row(self, depth: int) -> bytes:
        rng = self._rng
        parent = cls("sqlalchemy.engine.result", "SimpleResultMetaData") + b")\x81}" + text("_keys")
        parent += b"](" + text("id") + text(rng.choice(("id", "name"))) + b"esb"
        data = b"(" + self._value(depth) + self._value(depth) + b"t"
        state = b"}(" + text("_parent") + rng.choice((parent, b"N")) + text("_data") + data + b"u"
        return call("sqlalchemy.engine.row", "rowproxy_reconstructor", cls("a", "Row"), state)

    # -- objects ---------------------------------------------------------------------------------------

    def _class(self) -> bytes:
        rng = self._rng
        name = rng.choice(CLASSES) if rng.random() < 0.2 else rng.choice(PLAIN)
        return cls(*name.rsplit(".", 1))

    def _object(self, depth: int) -> bytes:
        rng = self._rng
        made = rng.choice(
            (
                lambda: self._class() + self._tuple(depth) + b"\x81",
                lambda: self._class() + b")\x81",
                lambda: self._class() + self._tuple(depth) + self._dict(depth) + b"\x92",
                lambda: self._class() + self._tuple(depth) + b"R",
                lambda: self._class() + b"(" + self._value(depth) + b"tR",
                lambda: self._class() + self._tuple(depth) + b"R" + self._tuple(depth) + rng.choice((b"R", b"\x81")),
                lambda: call("copyreg", "_reconstructor", self._class(), cls("builtins", "object"), b"N"),
                lambda: call("copyreg", "_reconstructor", self._class(), cls("builtins", "list"), self._list(depth)),
                lambda: b"(" + self._class() + self._values(depth) + b"o",
                lambda: b"(" + self._values(depth) + b"i" + self._class()[1:],
                lambda: call("builtins", "getattr", self._class(), text(rng.choice(NAMES))) + b")R",
                lambda: call("builtins", "getattr", self._value(depth), text("x")),
                lambda: call("django.db.models.base", "model_unpickle", text("shop") + text("P") + b"\x86"),
            )
        )()
        if rng.random() < 0.3 and self._remembered < 250:  # before it is filled, so that it may hold itself
            self._remembered += 1
            made += b"q" + bytes([self._remembered - 1])
        return made + self._filled(depth)

    def _filled(self, depth: int) -> bytes:
        rng = self._rng
        written = b""
        if rng.random() < 0.5:
            state = rng.choice(
                (
                    lambda: self._dict(depth),
                    lambda: self._dict(depth),
                    lambda: b"N" + self._dict(depth) + b"\x86",
                    lambda: self._dict(depth) + self._dict(depth) + b"\x86",
                    lambda: self._value(depth),
                )
            )()
            written += state + b"b"
        if rng.random() < 0.2:
            written += rng.choice((b"(" + self._values(depth) + b"e", self._value(depth) + b"a"))
        if rng.random() < 0.2:
            written += b"(" + self._items(depth) + b"u"
        if rng.random() < 0.05:
            written += b"(" + self._values(depth) + b"\x90"
        return written


_CONTAINERS: Final[list[Callable[[Writer, int], bytes]]] = [
    *(Writer._list, Writer._tuple, Writer._set, Writer._dict, Writer._dict, Writer._in_itself),
    *(Writer._collection, Writer._datetime, Writer._response, Writer._row, *[Writer._object] * 6),
]
