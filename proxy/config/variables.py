"""Finds variables of the environment that begin like ours and have no meaning. Most of them are misspelt."""

import difflib
import re
from collections.abc import Mapping
from typing import Final

from proxy.config.load import ENVIRONMENT_PREFIX, environment_twins
from proxy.config.printable import printable

_OTHERS: Final = frozenset(
    {
        "FLASK_CACHE_PROXY_ADMIN_HOSTS",
        "FLASK_CACHE_PROXY_CONFIG",
        "FLASK_CACHE_PROXY_ENGINE",
        "FLASK_CACHE_PROXY_LISTEN",
        "FLASK_CACHE_PROXY_LISTENER_PASSWORD",
        "FLASK_CACHE_PROXY_LISTENER_PASSWORD_FILE",
        "FLASK_CACHE_PROXY_PREFIX",
    }
)
"""Variables that stand for no single key of the file."""
_INJECTED: Final = re.compile(r".*(_SERVICE_HOST|_SERVICE_PORT.*|_PORT|_PORT_.*)", re.DOTALL)
"""Kubernetes sets them for a Service with the name flask-cache-proxy, and so do Docker's links."""


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A warning for each variable that begins like ours and has no meaning. It has the nearest name, and no value."""
    known = {*environment_twins(), *_OTHERS}
    return [
        f"{printable(name)} is set, but there is no such variable; did you mean {_nearest(name, known)}?"
        for name, value in environ.items()
        if value and name.startswith(ENVIRONMENT_PREFIX) and name not in known and not _INJECTED.fullmatch(name)
    ]


def _nearest(name: str, known: set[str]) -> str:
    """The known variable that is most like `name`. The prefix does not count, because all have it."""
    ends = sorted(each.removeprefix(ENVIRONMENT_PREFIX) for each in known)
    return ENVIRONMENT_PREFIX + difflib.get_close_matches(name.removeprefix(ENVIRONMENT_PREFIX), ends, 1, 0.0)[0]
