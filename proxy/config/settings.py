"""What can be set: names, types, ranges and defaults, each stated once.

The loader, the environment twins, `describe` and the error texts are all derived from these structs. A range
is a `Meta`; what a type alone cannot say is a `parse` function, which returns the value to keep or raises
ValueError with the reason.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias, get_args

from msgspec import Meta, Struct, field
from msgspec.structs import force_setattr

from proxy.config.address import Address, Target, parse_address, parse_upstream

MIB = 1024 * 1024

Payload: TypeAlias = Literal["json", "msgpack"]
Tag: TypeAlias = Literal[
    "data", "bytes", "bytearray", "tuple", "set", "frozenset", "dict", "ordereddict", "datetime", "date",
    "time", "timedelta", "decimal", "uuid", "complex", "float", "int", "markup", "response",
]  # fmt: skip


def _parsed(parse: Callable[[Any], object], **extra: object) -> Meta:
    return Meta(extra={"parse": parse, **extra})


def _bind(text: str) -> str:
    parse_address(text)
    return text


def _url(text: str) -> str:
    parse_upstream(text)
    return text


def mask_url(text: str) -> str:
    """The url without what may be secret: all before an `@`, and the value of every query key but `db`."""
    text = re.sub(r"^([A-Za-z+]*:/*)?.*@", r"\1********@", text, flags=re.DOTALL)
    return re.sub(r"([?&](?!db=)[^=&]*=)[^&]+", r"\1********", text)


def _name(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected a name without control characters")
    return text


def _content_type(text: str) -> str:
    if not re.fullmatch(r"[\x20-\x7e]+", text):
        raise ValueError("expected a media type in printable ASCII, as in application/json")
    return text


def _sha1(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{40}", text):
        raise ValueError("expected a SHA1 of 40 hexadecimal digits, as SCRIPT LOAD answers it")
    return text.lower()


def _command(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+(\|[A-Za-z0-9._-]+)?", text):
        raise ValueError('expected the name of a command, as in "DEBUG" or "CONFIG|SET"')
    return text.upper()


def _masked(_secret: object) -> str:
    return "********"


def _mode(text: str) -> str:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError('expected a file mode in octal, as in "0660"')
    return text


Bind: TypeAlias = Annotated[str, _parsed(_bind)]
NonEmpty: TypeAlias = Annotated[str, Meta(min_length=1)]
Path: TypeAlias = NonEmpty | None
Secret: TypeAlias = Annotated[NonEmpty, _parsed(lambda text: text, mask=_masked, is_secret=True)] | None


class Listener(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    bind: Bind
    payload: Payload = "json"
    mode: Annotated[str, _parsed(_mode)] | None = None
    password: Secret = None
    password_file: Path = None
    tls_cert: Path = None
    tls_key: Path = None
    tls_client_ca: Path = None

    @property
    def address(self) -> Address:
        return parse_address(self.bind)


class Upstream(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Annotated[str, _parsed(_url, mask=mask_url)] = "redis://127.0.0.1:6379/0"
    username: NonEmpty | None = None
    password: Secret = None
    password_file: Path = None
    tls_ca: Path = None
    tls_cert: Path = None
    tls_key: Path = None
    tls_server_name: NonEmpty | None = None

    @property
    def target(self) -> Target:
        return parse_upstream(self.url)

    @property
    def logs_in(self) -> bool:
        """The proxy has credentials of its own."""
        return self.password is not None or self.password_file is not None


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[NonEmpty, _parsed(_name)] = ""  # stays empty for no longer than __post_init__
    keys: NonEmpty
    as_: Literal["value", "view", "untouched", "read-only"] = field(name="as", default="value")
    types: Literal["tagged", "plain"] = "tagged"
    accept_tags: tuple[Tag, ...] = ("data",)
    big_ints: Literal["number", "tagged"] = "number"
    default_ttl: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    pickle_protocol: Annotated[int, Meta(ge=2, le=5)] = 4
    on_undecodable: Literal["error", "nil", "raw"] = "error"
    content_type: Annotated[str, _parsed(_content_type)] = "application/json"

    def __post_init__(self) -> None:
        if not self.name:
            force_setattr(self, "name", self.keys)

    @property
    def pattern(self) -> bytes:
        """The glob as it is matched, on the bytes of a key."""
        return self.keys.encode()


class Guard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    scripts: Literal["refuse", "allow"] = "refuse"
    allow_scripts: tuple[Annotated[str, _parsed(_sha1)], ...] = ()
    allow: tuple[Annotated[str, _parsed(_command)], ...] = ()


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bytes, counts and seconds. The upper bounds keep a typing error from switching a limit off."""

    clients: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    request_bytes: Annotated[int, Meta(ge=1, le=512 * MIB)] = 64 * MIB
    first_command_bytes: Annotated[int, Meta(ge=0, le=512 * MIB)] = 0
    arguments: Annotated[int, Meta(ge=1, le=16 * MIB)] = 1024 * 1024
    payload_bytes: Annotated[int, Meta(ge=1, le=512 * MIB)] = 8 * MIB
    depth: Annotated[int, Meta(ge=1, le=150)] = 100
    nodes: Annotated[int, Meta(ge=1, le=100_000_000)] = 250_000
    decoded_bytes: Annotated[int, Meta(ge=1, le=512 * MIB)] = 16 * MIB
    buffered_bytes: Annotated[int, Meta(ge=1, le=1024 * MIB)] = 16 * MIB
    total_buffered_bytes: Annotated[int, Meta(ge=1, le=1024 * 1024 * MIB)] = 1024 * MIB
    pending_commands: Annotated[int, Meta(ge=1, le=16 * MIB)] = 1024 * 1024
    connect_timeout: Annotated[float, Meta(ge=0.001, le=3600)] = 5.0
    reply_timeout: Annotated[float, Meta(ge=0, le=86400)] = 30.0
    first_command_timeout: Annotated[float, Meta(ge=0, le=86400)] = 0.0


class Admin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    bind: Bind | None = None

    @property
    def address(self) -> Address | None:
        return None if self.bind is None else parse_address(self.bind)


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    slow_seconds: Annotated[float, Meta(ge=0, le=86400)] = 0.0


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    workers: Annotated[int, Meta(ge=1, le=1024)] = 1
    worker_timeout: Annotated[float, Meta(ge=0, le=3600)] = 30.0
    drain_timeout: Annotated[float, Meta(ge=0, le=3600)] = 10.0


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    listener: tuple[Listener, ...] = (Listener(bind="127.0.0.1:6380"),)
    upstream: Upstream = Upstream()
    rule: tuple[Rule, ...] = (Rule(keys="flask_cache_*"),)
    guard: Guard = Guard()
    limits: Limits = Limits()
    admin: Admin = Admin()
    log: Log = Log()
    server: Server = Server()


def parse_listen(text: str) -> Listener:
    """The argument of `--listen`, `[json=|msgpack=]ADDR`. Raises ValueError with the reason."""
    prefix = re.match(r"(\w+)=", text)
    if prefix is None:
        return Listener(bind=_bind(text))
    for payload in get_args(Payload):
        if payload == prefix[1]:
            return Listener(bind=_bind(text[prefix.end() :]), payload=payload)
    raise ValueError(f"expected [json=|msgpack=]ADDR; {prefix[1]!r} is no payload")
