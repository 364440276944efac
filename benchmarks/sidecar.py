"""An alternative to the proxy: a small HTTP service that puts JSON into Flask's cache.

Served by uvicorn: `python -m benchmarks.sidecar PORT REDIS_PORT PREFIX`.
"""

import json
import sys

import uvicorn
from cachelib import RedisCache
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def application(cache: RedisCache) -> Starlette:
    """PUT /KEY stores its body. The cache blocks the loop, but a thread would cost more than this short time."""

    async def put(request: Request) -> Response:
        cache.set(request.path_params["key"], json.loads(await request.body()), 300)
        return Response(status_code=204)

    return Starlette(routes=[Route("/{key:path}", put, methods=["PUT"])])


if __name__ == "__main__":
    port, redis_port, prefix = sys.argv[1:]
    app = application(RedisCache("127.0.0.1", int(redis_port), key_prefix=prefix))
    uvicorn.run(app, port=int(port), log_level="error", access_log=False)
