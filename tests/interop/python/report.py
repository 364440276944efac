"""The common parts of the programs: the address in their arguments, and their JSON output at the end."""

import json
import logging
import sys

logging.getLogger("push_response").disabled = True  # where redis-py 5 writes every message to stderr

ADDRESS, PORT = sys.argv[1].rsplit(":", 1)
PROTOCOL = int(sys.argv[2])
PREFIX = f"flask_cache_{sys.argv[3]}-{PROTOCOL}:"

WROTE: dict[str, str] = {}
"""Managed keys, and the payloads that they must stand for in the end."""

CONNECTION = {"host": ADDRESS, "port": int(PORT), "protocol": PROTOCOL, "decode_responses": True}


def show(from_flask: list[str], view: str) -> None:
    """Print what was written, and what was read of Flask's."""
    print(json.dumps({"wrote": WROTE, "seen": {"from_flask": from_flask, "view": view}}))
