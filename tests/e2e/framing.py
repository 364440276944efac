"""Requests that Redis and a laxer or a stricter reader take apart differently. All try to plant under one key."""

from dataclasses import dataclass

from tests.e2e.attempts import EVIL, PREFIX
from tests.e2e.wire import request

SMUGGLED = PREFIX + b"smuggled"
PLANT = request("SET", SMUGGLED, EVIL)
PING = request("PING")
INLINE = b'SET %b "%b"\r\n' % (SMUGGLED, EVIL.replace(b"\n", b"\\n"))


@dataclass(frozen=True)
class Smuggling:
    """Bytes, and whether a server itself plants for them."""

    data: bytes
    plants: bool = True
    only_redis: bool = False
    """Valkey does not: it looks at what ends a line and a bulk."""


SMUGGLING = {
    "a bulk without its CRLF": Smuggling(b"*2\r\n$4\r\nPING\r\n$1\r\nxXX" + PLANT, only_redis=True),
    "a bulk with LF CR": Smuggling(b"*2\r\n$4\r\nPING\r\n$1\r\nx\n\r" + PLANT, only_redis=True),
    "a command name without its CRLF": Smuggling(b"*1\r\n$4\r\nPING**" + PLANT, only_redis=True),
    "a bulk that is longer than it says": Smuggling(b"*2\r\n$4\r\nPING\r\n$3\r\nhello\r\n" + PLANT, only_redis=True),
    "a CR without its LF in a count": Smuggling(b"*1\rX$4\r\nPING\r\n" + PLANT, only_redis=True),
    "a CR without its LF in a length": Smuggling(b"*1\r\n$4\rXPING\r\n" + PLANT, only_redis=True),
    "two CRs in a count": Smuggling(b"*1\r\r$4\r\nPING\r\n" + PLANT, only_redis=True),
    "a negative count": Smuggling(b"*-1\r\n" + PLANT),
    "a count below all": Smuggling(b"*-9223372036854775808\r\n" + PLANT),
    "a count of none": Smuggling(b"*0\r\n*0\r\n" + PLANT),
    "empty lines": Smuggling(b"\r\n\n\r\n" + PLANT),
    "behind a command": Smuggling(PING + PLANT),
    "an inline command": Smuggling(INLINE),
    "an inline command with a bare LF": Smuggling(INLINE.replace(b"\r", b"")),
    "an inline command behind a command": Smuggling(request("ECHO", "x") + INLINE),
    "an inline command behind what begins a conversation": Smuggling(PING + INLINE),
    "an inline command behind an empty line": Smuggling(b"\r\n" + INLINE),
    "an inline command, then another": Smuggling(b"PING\r\n" + INLINE + b"PING\r\n"),
    "a command behind an inline one": Smuggling(b"PING\r\n" + PLANT),
    "a command behind a value that looks like one": Smuggling(request("ECHO", PLANT) + PLANT),
    "a value that looks like a command": Smuggling(request("ECHO", PLANT), plants=False),
    "a value that looks like the end of one": Smuggling(request("ECHO", b"\r\n" + PLANT), plants=False),
    "a count with a plus sign": Smuggling(PLANT.replace(b"*3", b"*+3"), plants=False),
    "a count with a leading zero": Smuggling(PLANT.replace(b"*3", b"*03"), plants=False),
    "a count with a space": Smuggling(PLANT.replace(b"*3", b"* 3"), plants=False),
    "a length with a plus sign": Smuggling(PLANT.replace(b"$3", b"$+3"), plants=False),
    "a length with a leading zero": Smuggling(PLANT.replace(b"$3", b"$03"), plants=False),
    "a length with a minus sign": Smuggling(PLANT.replace(b"$3", b"$-3"), plants=False),
    "a length of minus zero": Smuggling(b"*2\r\n$4\r\nPING\r\n$-0\r\n\r\n" + PLANT, plants=False),
    "a null argument": Smuggling(b"*2\r\n$4\r\nPING\r\n$-1\r\n" + PLANT, plants=False),
    "LF only": Smuggling(PLANT.replace(b"\r\n", b"\n"), plants=False),
    "CR only": Smuggling(PLANT.replace(b"\r\n", b"\r"), plants=False),
    "a count of 2^31": Smuggling(b"*2147483648\r\n" + PLANT, plants=False),
    "a count of 2^64 + 1": Smuggling(b"*18446744073709551617\r\n$4\r\nPING\r\n" + PLANT, plants=False),
    "a length of 2^32 + 4": Smuggling(b"*1\r\n$4294967300\r\nPING\r\n" + PLANT, plants=False),
    "an overlong count": Smuggling(b"*" + b"1" * 70_000 + b"\r\n" + PLANT, plants=False),
    "an overlong length": Smuggling(b"*1\r\n$" + b"0" * 70_000 + b"4\r\nPING\r\n" + PLANT, plants=False),
    "an overlong inline command": Smuggling(b"PING " + b"x" * 70_000 + b"\r\n" + PLANT, plants=False),
    "an argument that is no bulk": Smuggling(b"*2\r\n$4\r\nPING\r\n:1\r\n" + PLANT, plants=False),
    "a status as an argument": Smuggling(b"*3\r\n+SET\r\n+%b\r\n+!x\r\n" % SMUGGLED, plants=False),
    "an array in an array": Smuggling(b"*1\r\n" + PLANT, plants=False),
    "a map": Smuggling(b"%1\r\n" + PLANT[4:], plants=False),
    "an inline command with a NUL": Smuggling(b"PING\x00\r\n" + INLINE, plants=False),
    "a command cut off": Smuggling(PLANT[:-1], plants=False),
    "HTTP": Smuggling(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + PLANT, plants=False),
}
