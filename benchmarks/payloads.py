"""The values that are sent: rows as caches hold them, of a given size."""

import json
from typing import Any, Final

import msgpack

SIZES: Final = {"125 B": 125, "1 KB": 1000, "10 KB": 10_000, "100 KB": 100_000, "1 MB": 1_000_000}


def row(number: int) -> dict[str, Any]:
    """A row of some 125 bytes of JSON."""
    return {
        "id": 10_000 + number,
        "name": f"Product {number:05}",
        "price": 9.75 + number,
        "tags": ["new", "sale"],
        "stock": number % 7,
        "active": True,
        "note": None,
        "category": "toys",
    }


def value(size: int) -> Any:
    """A row, or a list of rows, whose JSON takes about `size` bytes."""
    each = [row(number) for number in range(max(1, size // len(compact(row(0)))))]
    return each[0] if len(each) == 1 else each


def compact(data: Any) -> bytes:
    """JSON as most writers make it."""
    return json.dumps(data, separators=(",", ":")).encode()


def payload(size: int, form: str) -> bytes:
    """A value of about `size` bytes of JSON, as JSON or msgpack."""
    if form == "json":
        return compact(value(size))
    packed: bytes = msgpack.packb(value(size))
    return packed
