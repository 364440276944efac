"""As driver.py, for caches that are no Flask cache but are pickles or JSON too. It runs inside their one environment.

neighbours_driver.py LIBRARY PLACE
"""

import importlib.util
import pathlib

_spec = importlib.util.spec_from_file_location("driver", pathlib.Path(__file__).with_name("driver.py"))
driver = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(driver)


DJANGO_REDIS = "django_redis.cache.RedisCache"


def of_django(backend, **options):
    """A cache of Django, by the backend's name; keys begin with `:1:`."""

    def library(socket):
        from django.conf import settings
        from django.core.cache import cache

        settings.configure(CACHES={"default": {"BACKEND": backend, "LOCATION": "unix://" + socket, **options}})
        return driver.Backend(cache)

    return library


def compressing(name):
    """django-redis with a compressor."""
    compressor = f"django_redis.compressors.{name}.{name.capitalize()}Compressor"
    return of_django(DJANGO_REDIS, OPTIONS={"COMPRESSOR": compressor})


class Sessions:
    """Flask-Session in an app: the value of a key is the session of a browser with that cookie."""

    def __init__(self, socket):
        import flask
        import flask_session

        self.app = flask.Flask("shop")
        self.app.config.update(SESSION_TYPE="redis", SESSION_REDIS=driver.client(socket))
        flask_session.Session(self.app)

    def call(self, name, sid, content=None):
        """`get`: what a view finds in the session. `set`: what a view leaves there."""
        import flask

        interface = self.app.session_interface
        with self.app.test_request_context("/", headers={"Cookie": "session=" + sid}):
            session = interface.open_session(self.app, flask.request)
            if name == "set":
                session.update(content)
                interface.save_session(self.app, session, self.app.response_class())
            return dict(session)


def flask_caching_json(socket):
    """Flask-Caching with its JSON serializer, in an app."""
    from cachelib.serializers import JSONSerializer
    from flask_caching import Cache

    return driver.App(
        Cache, CACHE_TYPE="RedisCache", CACHE_REDIS_URL="unix://" + socket, CACHE_SERIALIZER=JSONSerializer
    )


driver.LIBRARIES.update(
    django=of_django("django.core.cache.backends.redis.RedisCache"),
    django_redis=of_django(DJANGO_REDIS),
    django_redis_zlib=compressing("zlib"),
    django_redis_gzip=compressing("gzip"),
    django_redis_lzma=compressing("lzma"),
    flask_session=Sessions,
    flask_caching_json=flask_caching_json,
)

if __name__ == "__main__":
    driver.main()
