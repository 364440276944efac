"""Runs inside the environment of a stack: does with the real library what an app does, and says what it saw.

One request per line on standard input, one answer per line on standard output, both JSON. It must run with every
library of stacks.toml, so it uses nothing of theirs that any of them lacks, and nothing of this project.

    driver.py LIBRARY PLACE [SHIM ...]

PLACE is a unix socket, for all but one library.
"""

import base64
import collections
import datetime
import decimal
import enum
import functools
import hashlib
import inspect
import json
import logging
import sys
import traceback
import types
import uuid

PREFIX = "flask_cache_"

RUNS = collections.Counter()
"""How often each view, fragment and memoized function has really run."""


class Colour(enum.Enum):
    """A class of the app's own."""

    RED = "red"


# -- values ------------------------------------------------------------------------------------------------


def evaluated(expression):
    """The value that a test means."""
    names = {
        "Colour": Colour,
        "Counter": collections.Counter,
        "Decimal": decimal.Decimal,
        "OrderedDict": collections.OrderedDict,
        "UUID": uuid.UUID,
        "date": datetime.date,
        "datetime": datetime.datetime,
        "defaultdict": collections.defaultdict,
        "deque": collections.deque,
        "inf": float("inf"),
        "nan": float("nan"),
        "packed": lambda *arguments, **keywords: (arguments, keywords),
        "time": datetime.time,
        "timedelta": datetime.timedelta,
        "timezone": datetime.timezone,
    }
    if "Markup" in expression:
        import markupsafe

        names["Markup"] = markupsafe.Markup
    return eval(expression, names)


def described(value):
    """A value as JSON: the exact type and content of it and of all its parts."""
    kind = type(value)
    name = kind.__module__ + "." + kind.__qualname__
    if kind is collections.defaultdict:
        name += f"({value.default_factory})"
    if isinstance(value, dict):
        return [name, [[described(key), described(item)] for key, item in value.items()]]
    if isinstance(value, (list, tuple)):
        return [name, [described(item) for item in value]]
    if isinstance(value, (set, frozenset)):
        return [name, sorted((described(item) for item in value), key=json.dumps)]
    if hasattr(value, "status_code"):
        return [name, seen(value)]
    return [name, repr(value)]


def seen(response):
    """The response as a browser would get it."""
    return {
        "status": response.status_code,
        "headers": [[key, text] for key, text in response.headers],
        "body": base64.b64encode(response.get_data()).decode(),
    }


# -- libraries ---------------------------------------------------------------------------------------------


def shim_getargspec():
    """Python 3.11 removed it; without it Flask-Cache quietly memoizes nothing."""
    inspect.getargspec = inspect.getfullargspec


def shim_flask_ext():
    """Flask 1.0 removed it; without it the template extension of Flask-Cache does not load."""
    import flask_cache

    sys.modules["flask.ext"] = types.ModuleType("flask.ext")
    sys.modules["flask.ext.cache"] = flask_cache


SHIMS = {"getargspec": shim_getargspec, "flask.ext": shim_flask_ext}


class Backend:
    """A cache without Flask."""

    def __init__(self, cache):
        self._cache = cache

    def call(self, name, *arguments):
        """One method of the cache's API, as an app would call it."""
        return getattr(self._cache, name)(*arguments)


def client(socket):
    """A client of Redis."""
    import redis

    return redis.Redis(unix_socket_path=socket)


def werkzeug(socket):
    """`werkzeug.contrib.cache`."""
    from werkzeug.contrib.cache import RedisCache

    return Backend(RedisCache(client(socket), key_prefix=PREFIX))


def cachelib(socket):
    """`cachelib`."""
    from cachelib.redis import RedisCache

    return Backend(RedisCache(client(socket), key_prefix=PREFIX))


def cachelib_valkey(socket):
    """`cachelib`, with Valkey's own client."""
    import valkey
    from cachelib.valkey import ValkeyCache

    return Backend(ValkeyCache(valkey.Valkey(unix_socket_path=socket), key_prefix=PREFIX))


def flask_cache(socket):
    """Flask-Cache, in an app."""
    from flask_cache import Cache

    return App(Cache, CACHE_TYPE="redis", CACHE_REDIS_URL="unix://" + socket)


def flask_caching(socket):
    """Flask-Caching, in an app."""
    from flask_caching import Cache

    return App(Cache, CACHE_TYPE="RedisCache", CACHE_REDIS_URL="unix://" + socket)


def flask_caching_sentinel(place):
    """Flask-Caching, in an app that asks a sentinel. `place`: its port, the master's name, the database."""
    from flask_caching import Cache

    port, name, db = place.split()
    return App(
        Cache,
        CACHE_TYPE="RedisSentinelCache",
        CACHE_REDIS_SENTINELS=[("127.0.0.1", int(port))],
        CACHE_REDIS_SENTINEL_MASTER=name,
        CACHE_REDIS_DB=int(db),
    )


LIBRARIES = {
    "werkzeug": werkzeug,
    "cachelib": cachelib,
    "cachelib_valkey": cachelib_valkey,
    "flask_cache": flask_cache,
    "flask_caching": flask_caching,
    "flask_caching_sentinel": flask_caching_sentinel,
}


# -- a Flask app -------------------------------------------------------------------------------------------


def total(a, b=2):
    """The memoized function. It is at the top of the module, so that its qualified name is simple."""
    RUNS["total"] += 1
    return {"total": a + b}


FRESH = {
    "told": 'first, second="it\'s"',
    "defaulted": "name, number=0, deep=False, tags=(), more=[], note='', size=7, last=None",
    "keyed": "first, *, deep=False, near=1",
    "opened": "first, **more",
    "spread": "first, *more",
    "ignoring": "first, second=2, third=3",
    "hashed": "first",
    "empty": "first, real=0.0, raw=b'', table={}, amount=Decimal(), span=timedelta(), point=0j, members=frozenset()",
}
"""Functions that get memoized, by their parameters."""

Decimal, timedelta = decimal.Decimal, datetime.timedelta
for name, parameters in FRESH.items():
    exec(f"def {name}({parameters}):\n    RUNS['{name}'] += 1\n    return 'fresh'")


@functools.wraps(total)
def wrapped(*arguments, **keywords):
    """A function under another decorator."""
    RUNS["wrapped"] += 1
    return "fresh"


class Adder:
    """An object with a memoized method, of a class with another."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return "Adder(" + self.name + ")"

    def plus(self, number, more=None):
        """Memoized for each object."""
        RUNS["plus"] += 1
        return "fresh"

    def less(self, number):
        """Memoized for all objects as one, where the library can do that."""
        RUNS["less"] += 1
        return "fresh"

    def made(cls, number, more=0):  # noqa: N805 - a class method once it is memoized
        """Memoized for each class."""
        RUNS["made"] += 1
        return "fresh"


class Known:
    """A class whose objects say by what they are known."""

    def __caching_id__(self):
        return "known"

    def made(cls, number):  # noqa: N805 - a class method once it is memoized
        """Memoized for the class."""
        RUNS["made"] += 1
        return "fresh"


def nested():
    """A function whose qualified name is not plain."""

    def inner(*arguments):
        RUNS["inner"] += 1
        return "fresh"

    return inner


def returned(name):
    """The result of a view, by name."""
    import flask
    import markupsafe

    if name == "made":
        response = flask.make_response("made \u2603", 201)
        response.headers["X-Made"] = "yes"
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response
    if name == "image":
        return flask.Response(b"\x89PNG\r\n\x00\xff", mimetype="image/png")
    if name == "json":
        return flask.jsonify({"price": 1.5, "name": "\u2603"})
    if name == "redirect":
        return flask.redirect("/elsewhere?x=1&y=2")
    if name == "kept":
        from flask_caching import CachedResponse

        return CachedResponse(flask.make_response("kept", 202), 60)
    if name == "absent":
        flask.abort(404)
    return {
        "text": "caf\xe9 <b>\u2603</b>",
        "bytes": b"bytes",
        "markup": markupsafe.Markup("<b>x</b>"),
        "tuple": ("body", 201, {"X-A": "b", "Content-Type": "text/plain"}),
        "pair": ("body", 418),
        "pairs": ("body", 200, [("X-A", "1"), ("X-A", "2")]),
        "dict": {"price": 1.5, "tags": ["a", "b"]},
        "list": [1, "a", None],
    }[name]


QUERIED = [("all_items", hashlib.md5), ("page_%s", hashlib.sha1), ("%s", hashlib.sha256), ("100%", hashlib.sha512)]
"""key_prefix and hash_method of views with a query."""

OPTIONS = {"ignoring": {"args_to_ignore": ["second"]}, "hashed": {"hash_method": hashlib.sha1}}
"""With what else functions are memoized, where the library can do that."""


class App(Backend):
    """A real app, with the views, fragments and memoized functions that the tests look at."""

    def __init__(self, cache_class, **where):
        import flask

        self.flask = flask
        self.app = flask.Flask("shop")
        self.app.config.update(CACHE_KEY_PREFIX=PREFIX, CACHE_DEFAULT_TIMEOUT=300, **where)
        self.cache = cache_class(self.app)
        self.app.app_context().push()
        self.inner = self.cache.memoize(60)(nested())
        Adder.plus = self.cache.memoize(60)(Adder.plus)
        Adder.made = classmethod(self.cache.memoize(60)(Adder.made))
        Known.made = classmethod(self.cache.memoize(60)(Known.made))
        self.known = Known.made
        self.wrapped = self.cache.memoize(60)(wrapped)
        can = inspect.signature(self.cache.memoize).parameters
        if "args_to_ignore" in can:
            Adder.less = self.cache.memoize(60, args_to_ignore=["self"])(Adder.less)
        for name in ("total", *FRESH):
            options = OPTIONS.get(name, {})
            if set(options) <= set(can):
                setattr(self, name, self.cache.memoize(60, **options)(globals()[name]))
        hashing = cache_class(self.app, with_jinja2_ext=False, config={"CACHE_HASH_METHOD": hashlib.sha1})
        self.configured = hashing.memoize(60)(globals()["told"])
        self.log = Log()
        for logger in (logging.getLogger(), self.app.logger):
            logger.addHandler(self.log)
        self.add_views()

    def add_views(self):
        flask, app, cache = self.flask, self.app, self.cache

        @app.route("/page/<path:name>")
        @cache.cached(60)
        def page(name):
            RUNS["view"] += 1
            return "fresh"

        @app.route("/returns/<path:name>")
        @cache.cached(60)
        def returns(name):
            RUNS["view"] += 1
            return returned(name.rpartition("/")[2])

        @app.route("/named")
        @cache.cached(60, key_prefix="all_items")
        def named():
            RUNS["view"] += 1
            return "fresh"

        @app.route("/placed/<name>")
        @cache.cached(60, key_prefix="100%%_%s_page")
        def placed(name):
            RUNS["view"] += 1
            return "fresh"

        if "query_string" in inspect.signature(cache.cached).parameters:

            @app.route("/query")
            @cache.cached(60, query_string=True)
            def query():
                RUNS["view"] += 1
                return "fresh"

            @app.route("/query/<path:name>")
            @cache.cached(60, query_string=True)
            def query_of(name):
                RUNS["view"] += 1
                return "fresh"

            for number, (key_prefix, hash_method) in enumerate(QUERIED):

                @app.route(f"/queried/{number}", endpoint=f"queried-{number}")
                @cache.cached(60, query_string=True, key_prefix=key_prefix, hash_method=hash_method)
                def queried():
                    RUNS["view"] += 1
                    return "fresh"

        @app.route("/plain-fragment/<name>")
        def plain_fragment(name):
            text = "{% cache 60, name %}{{ 7 * 6 }}{% endcache %}"
            return flask.render_template_string(text, name=name)

        @app.route("/fragment/<name>")
        def fragment(name):
            def live():
                RUNS["fragment"] += 1
                return "<i>fresh</i>"

            text = "({% cache 60, name, 'v1', 'v2' %}{{ live()|safe }}{% endcache %})"
            return flask.render_template_string(text, name=name, live=live)

        @app.after_request
        def after(response):
            response.headers["X-After"] = "every request"
            return response

    def call(self, name, *arguments):
        """Of the extension, or of the backend in it where the extension has no such method."""
        method = getattr(self.cache, name, None) or getattr(self.cache.cache, name)
        return method(*arguments)

    def view(self, path, method="GET"):
        """A request from a browser without cookies."""
        runs = RUNS.copy()
        browser = self.app.test_client(use_cookies=False)
        answer = seen(browser.open(path, method=method))
        answer["runs"] = sum((RUNS - runs).values())
        answer["log"] = self.log.taken()
        return answer

    def memoized(self, *arguments):
        """A call of the memoized function."""
        runs = RUNS.copy()
        result = described(self.total(*arguments))
        return {"result": result, "runs": sum((RUNS - runs).values()), "log": self.log.taken()}

    def called(self, name, *expressions):
        """A call of a memoized function, or of the method of an object, with arguments as Python writes them."""
        runs = RUNS.copy()
        owner, _, method = name.rpartition(".")
        function = getattr(Adder(owner), method) if owner else getattr(self, name)
        arguments, keywords = evaluated("packed(" + ", ".join(expressions) + ")")
        result = function(*arguments, **keywords)
        return {"result": result, "runs": sum((RUNS - runs).values()), "log": self.log.taken()}

    def forget(self):
        """All that was memoized."""
        self.cache.delete_memoized(self.total)


class Log(logging.Handler):
    """The warnings and errors of the app and its libraries."""

    def __init__(self):
        logging.Handler.__init__(self, logging.WARNING)
        self.lines = []

    def emit(self, record):
        line = self.format(record)
        if line not in self.lines:
            self.lines.append(line)

    def taken(self):
        lines, self.lines = self.lines, []
        return lines


# -- requests ----------------------------------------------------------------------------------------------


def answer(library, do, arguments):
    """The answer to one request."""
    if do == "describe":
        return described(evaluated(*arguments))
    if do in ("view", "memoized", "called", "forget"):
        return getattr(library, do)(*arguments)
    if do in ("set", "add"):
        key, expression = arguments
        return described(library.call(do, key, evaluated(expression)))
    if do == "set_many":
        return described(library.call(do, {key: evaluated(text) for key, text in arguments[0].items()}))
    return described(library.call(do, *arguments))


def main():
    """Serve until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr
    name, place, *shims = sys.argv[1:]
    for shim in shims:
        SHIMS[shim]()
    library = LIBRARIES[name](place)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            result = {"answer": answer(library, request["do"], request["with"])}
        except Exception as error:
            result = {"raised": type(error).__name__, "text": str(error), "traceback": traceback.format_exc()}
        answers.write(json.dumps(result) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
