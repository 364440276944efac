"""The content of Redis, read directly and not through the proxy."""

from typing import NamedTuple

import redis

_ALL_KEYS = """
local found = {}
for db = 0, 15 do
    redis.call('SELECT', db)
    for _, key in ipairs(redis.call('KEYS', '*')) do
        local kind = redis.call('TYPE', key).ok
        table.insert(found, {db, key, kind, kind == 'string' and redis.call('GET', key) or ''})
    end
end
return found
"""


class Found(NamedTuple):
    """One key of one database; `value` only if it holds a string."""

    db: int
    key: bytes
    kind: bytes
    value: bytes


def everything(server: redis.Redis) -> list[Found]:
    """Every key of every database."""
    return [Found(*row) for row in server.eval(_ALL_KEYS, 0)]
