"""The admin port, as a scraper sees it."""

from tests.e2e.proxy_process import Address
from tests.e2e.wire import Wire


def ask(address: Address, request_line: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the answer to a request."""
    with Wire(address) as wire:
        wire.send(f"{request_line} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head, _, body = wire.until_closed().decode().partition("\r\n\r\n")
    lines = head.split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:]), body


def metric(address: Address, name: str) -> float:
    """The sum of a metric over its labels; 0 where it is not there. `name` is without the common prefix."""
    prefix = f"flask_cache_proxy_{name}"
    lines = ask(address, "GET /metrics")[2].splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{prefix} ", f"{prefix}{{")))
