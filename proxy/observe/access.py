"""Access to the admin port: not for web pages, and only by a host name that is ours.

The admin port has no password. A web page in a browser on the same network could reach it in two ways. It can send
requests, which browsers mark (Origin, Sec-Fetch-Site). Or its own host name can be pointed at the proxy's address (DNS
rebinding). Then the browser takes the proxy for a part of the page, but still names the page's host.
"""

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from proxy.observe.http_exchange import Answer, Request

_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]*)\]|([A-Za-z0-9._-]*))(?::[0-9]{0,5})?")
_LOCAL: Final = "localhost"
_READS: Final = ("GET", "HEAD")
_FROM_PAGE: Final = Answer(
    403, b"the admin port refuses requests from web pages (they have Origin, or a Sec-Fetch-Site other than none)\n"
)
_OTHER_HOST: Final = Answer(
    403,
    b"the admin port answers to IP addresses, localhost and the names in admin.hosts (FLASK_CACHE_PROXY_ADMIN_HOSTS): "
    b"add the host name of this request there\n",
)


def page_fault(request: Request) -> Answer | None:
    """The refusal of a request that a web page has made. None for all others.

    A page of the proxy itself may read (a link, a refresh), and so may a click on a link anywhere: a page cannot see
    what a click shows. Only a person or a program may change anything.
    """
    sites = request.values(b"sec-fetch-site")
    is_read = request.method in _READS
    is_click = request.values(b"sec-fetch-mode") == [b"navigate"] and request.values(b"sec-fetch-dest") == [b"document"]
    own = (b"none", b"same-origin") if is_read else (b"none",)
    is_from_page = any(site not in own for site in sites) and not (is_read and is_click)
    return _FROM_PAGE if is_from_page or request.values(b"origin") else None


def host_fault(request: Request, names: Collection[str]) -> Answer | None:
    """The refusal of a request that names another host, or no host. `names`: lower case, without a final dot.

    If a request names two hosts (a complete URL, and the field Host), both must be ours.
    """
    is_ours = bool(request.authorities) and all(is_our_host(each, names) for each in request.authorities)
    return None if is_ours else _OTHER_HOST


def is_our_host(authority: str, names: Collection[str]) -> bool:
    """True for an IP address, localhost or one of `names`, each with any port or without one."""
    found = _HOST.fullmatch(authority)
    if found is None:
        return False
    try:
        if found[1] is not None:
            ipaddress.IPv6Address(found[1])
            return True
        name = found[2].lower().removesuffix(".")
        return name == _LOCAL or name in names or bool(ipaddress.IPv4Address(name))
    except ValueError:
        return False
