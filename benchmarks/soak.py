"""Does the proxy grow with its traffic? The same mixed work again and again, with its memory after each part.

Clients come and go, pipeline, hold transactions, are refused, get errors, and have large values converted.
"""

import json
from typing import Any, Final

from benchmarks.proxied import Client, Proxied
from proxy.resp.encode import command

_MIB: Final = 1024 * 1024
_LARGE: Final = json.dumps(["x" * 100] * 2000).encode()


def _batch(number: int) -> list[bytes]:
    """One client's work; keys and names differ from client to client."""
    key, other = b"flask_cache_%d" % (number % 5000), b"other_%d" % (number % 5000)
    value = json.dumps({"id": number, "rows": [[1, 2.5, "text"]] * (number % 7)}).encode()
    commands = [
        (b"SET", key, value),
        (b"GET", key),
        (b"MGET", key, b"flask_cache_none", other),
        (b"SET", key, b"{nonsense"),
        (b"APPEND", key, b"refused"),
        (b"SET", other, value, b"EX", b"100"),
        (b"GET", other),
        (b"INCR", b"counter"),
        (b"NOSUCH%d" % (number % 100), b"x"),
        (b"MULTI",),
        (b"SET", key, b"%d" % number),
        (b"INCR", key),
        (b"EXEC",),
        (b"DEL", key),
    ]
    return [command(*each) for each in commands] * 20


def run(proxy: Proxied, commands: int, parts: int) -> list[dict[str, Any]]:
    """So many commands in so many parts; the proxy's memory after each."""
    rows, done, number = [], 0, 0
    for part in range(1, parts + 1):
        while done < commands * part // parts:
            number += 1
            done += _visit(proxy, number)
        rows.append({"commands": done, "clients": number, "mib": round(proxy.resident_bytes() / _MIB, 2)})
    return rows


def _visit(proxy: Proxied, number: int) -> int:
    """One client comes, works and goes; how many commands it had."""
    batch = _batch(number)
    if number % 50 == 0:
        large = b"flask_cache_large"
        batch += [command(b"SET", large, _LARGE), command(b"GET", large)]
    with Client(proxy.ports["json"]) as client:
        client.reply_size(b"".join(batch))
    return len(batch)
