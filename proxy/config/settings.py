"""The settings: names, types, ranges and defaults, each stated once.

The loader, the environment variables, `describe` and the error texts derive from these structs. A range is a `Meta`. A
check that a type cannot express is a `parse` function: it returns the value to keep, or raises ValueError with the
reason.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct, field
from msgspec.structs import force_setattr

from proxy.config.address import (
    Address,
    ListenerAddress,
    Target,
    TcpAddress,
    parse_address,
    parse_listener,
    parse_node,
    parse_upstream,
)
from proxy.config.printable import printable

MIB = 1024 * 1024

Payload: TypeAlias = Literal["json", "msgpack"]
Types: TypeAlias = Literal["tagged", "plain"]
Tag: TypeAlias = Literal[
    "data", "bytes", "bytearray", "tuple", "set", "frozenset", "dict", "ordereddict", "counter", "defaultdict",
    "deque", "datetime", "date", "time", "timedelta", "decimal", "uuid", "complex", "float", "int", "markup",
    "response", "zoned",
]  # fmt: skip


def _parsed(parse: Callable[[Any], object], **extra: object) -> Meta:
    return Meta(extra={"parse": parse, **extra})


def _bind(text: str) -> str:
    parse_listener(text)
    return text


def _admin_bind(text: str) -> str:
    if text.startswith("fd:"):
        raise ValueError("fd: is for [[listener]]; probes and scrapers need an address that is written here")
    parse_address(text)
    return text


def _url(text: str) -> str:
    parse_upstream(text)
    return text


def _node(text: str) -> str:
    parse_node(text)
    return text


def mask_url(text: str) -> str:
    """The url without possible secrets: masks all text before an `@`, and each query value except that of `db`."""
    text = re.sub(r"^([A-Za-z+]*:/*)?.*@", r"\1********@", text, flags=re.DOTALL)
    return re.sub(r"([?&](?!db=)[^=&]*=)[^&]+", r"\1********", text)


def _name(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected a name without control characters")
    return text


def _content_type(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", text):
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


_LONGEST_CLASS = 512  # characters; classes with a longer name are never read


def _class_glob(text: str) -> str:
    if not (0 < len(text) <= _LONGEST_CLASS and text.isprintable()):
        raise ValueError(
            f'expected a glob on dotted names, of {_LONGEST_CLASS} printable characters at most, as in "shop.models.*"'
        )
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]*[A-Za-z0-9_-]\.?", text):
        raise ValueError('expected the name of a host, without a port, as in "proxy" or "proxy.example.org"')
    return text.lower().removesuffix(".")


def _masked(_secret: object) -> str:
    return "********"


def _mode(text: str) -> str:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError('expected a file mode in octal, as in "0660"')
    return text


Bind: TypeAlias = Annotated[str, _parsed(_bind)]
NonEmpty: TypeAlias = Annotated[str, Meta(min_length=1)]
Path: TypeAlias = NonEmpty | None
Place: TypeAlias = Annotated[str, _parsed(_node)]
"""Host and port, as others dial them."""
PayloadBytes: TypeAlias = Annotated[int, Meta(ge=1, le=512 * MIB)]
DecodedBytes: TypeAlias = Annotated[int, Meta(ge=1, le=512 * MIB)]
Nodes: TypeAlias = Annotated[int, Meta(ge=1, le=100_000_000)]
Secret: TypeAlias = Annotated[NonEmpty, _parsed(lambda text: text, mask=_masked, is_secret=True)] | None


class Listener(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    bind: Bind
    payload: Payload = "json"
    types: Types | None = None
    mode: Annotated[str, _parsed(_mode)] | None = None
    password: Secret = None
    password_file: Path = None
    tls_cert: Path = None
    tls_key: Path = None
    tls_client_ca: Path = None
    announce: Place | None = None

    @property
    def address(self) -> ListenerAddress:
        return parse_listener(self.bind)

    @property
    def form(self) -> str:
        """The form of this listener in `--listen`, without the `=`."""
        wanted = self.payload, "plain" if self.types == "plain" else None
        return next(form for form, made in _LISTEN_FORMS.items() if made == wanted)


class Upstream(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Annotated[str, _parsed(_url, mask=mask_url)] = "redis://127.0.0.1:6379/0"
    username: NonEmpty | None = None
    password: Secret = None
    password_file: Path = None
    tls_ca: Path = None
    tls_cert: Path = None
    tls_key: Path = None
    tls_server_name: NonEmpty | None = None
    sentinel_username: NonEmpty | None = None
    sentinel_password: Secret = None
    sentinel_password_file: Path = None
    addresses: dict[Place, Place] = field(default_factory=dict)
    connections: Literal["per-client"] | Annotated[int, Meta(ge=1, le=64)] = "per-client"

    @property
    def target(self) -> Target:
        return parse_upstream(self.url)

    @property
    def translations(self) -> dict[TcpAddress, TcpAddress]:
        """`addresses`, parsed: the address that a node announces, and the one to dial instead."""
        return {parse_node(announced): parse_node(dialled) for announced, dialled in self.addresses.items()}

    @property
    def shared(self) -> int:
        """The number of connections that clients share. 0: each client has its own."""
        return self.connections if isinstance(self.connections, int) else 0

    @property
    def logs_in(self) -> bool:
        """The proxy has its own credentials for Redis."""
        return self.password is not None or self.password_file is not None


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[NonEmpty, _parsed(_name)] = ""  # __post_init__ replaces an empty name
    keys: NonEmpty
    as_: Literal["value", "view", "untouched", "read-only"] = field(name="as", default="value")
    types: Types = "tagged"
    accept_tags: tuple[Tag, ...] = ("data",)
    big_ints: Literal["number", "tagged"] = "number"
    default_ttl: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    pickle_protocol: Annotated[int, Meta(ge=2, le=5)] = 4
    on_undecodable: Literal["error", "nil", "raw"] = "error"
    read_classes: tuple[Annotated[str, _parsed(_class_glob)], ...] = ("*",)
    stored: Literal["flask", "pickle", "django", "json"] = "flask"
    naive: Literal["", "utc"] = ""
    payload_bytes: PayloadBytes | None = None
    decoded_bytes: DecodedBytes | None = None
    nodes: Nodes | None = None
    content_type: Annotated[str, _parsed(_content_type)] = "application/json"
    check_views: bool = True

    def __post_init__(self) -> None:
        if not self.name:
            force_setattr(self, "name", printable(self.keys))

    @property
    def limits(self) -> dict[str, int]:
        """The limits of its own, by name."""
        given = {name: getattr(self, name) for name in ("payload_bytes", "decoded_bytes", "nodes")}
        return {name: limit for name, limit in given.items() if limit is not None}

    @property
    def pattern(self) -> bytes:
        """The glob as bytes, because it matches the bytes of a key."""
        return self.keys.encode()


class Guard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    scripts: Literal["refuse", "allow"] = "refuse"
    allow_scripts: tuple[Annotated[str, _parsed(_sha1)], ...] = ()
    allow: tuple[Annotated[str, _parsed(_command)], ...] = ()


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bytes, counts and seconds. The upper bounds prevent that a typing error disables a limit."""

    clients: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    request_bytes: Annotated[int, Meta(ge=1, le=512 * MIB)] = 64 * MIB
    first_command_bytes: Annotated[int, Meta(ge=0, le=512 * MIB)] = 0
    arguments: Annotated[int, Meta(ge=1, le=16 * MIB)] = 1024 * 1024
    payload_bytes: PayloadBytes = 8 * MIB
    depth: Annotated[int, Meta(ge=1, le=150)] = 100
    nodes: Nodes = 250_000
    decoded_bytes: DecodedBytes = 16 * MIB
    buffered_bytes: Annotated[int, Meta(ge=1, le=1024 * MIB)] = 16 * MIB
    total_buffered_bytes: Annotated[int, Meta(ge=1, le=1024 * 1024 * MIB)] = 1024 * MIB
    pending_commands: Annotated[int, Meta(ge=1, le=16 * MIB)] = 1024 * 1024
    connect_timeout: Annotated[float, Meta(ge=0.001, le=3600)] = 5.0
    reply_timeout: Annotated[float, Meta(ge=0, le=86400)] = 30.0
    first_command_timeout: Annotated[float, Meta(ge=0, le=86400)] = 0.0


class Admin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    bind: Annotated[str, _parsed(_admin_bind)] | None = None
    hosts: tuple[Annotated[str, _parsed(_host)], ...] = ()

    @property
    def address(self) -> Address | None:
        return None if self.bind is None else parse_address(self.bind)


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    slow_seconds: Annotated[float, Meta(ge=0, le=86400)] = 0.0
    survey: bool = True


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


_LISTEN_FORMS: Final[dict[str, tuple[Payload, Types | None]]] = {
    "json": ("json", None),
    "msgpack": ("msgpack", None),
    "plain": ("json", "plain"),
    "plain-msgpack": ("msgpack", "plain"),
}
LISTEN: Final = f"[{'|'.join(f'{form}=' for form in _LISTEN_FORMS)}]ADDR"


def parse_listen(text: str) -> Listener:
    """The listener for an argument of `--listen`: an address, with an optional form such as `plain=` before it.

    Raises ValueError with the reason.
    """
    prefix = re.match(r"([\w-]+)=", text)
    if prefix is None:
        return Listener(bind=_bind(text))
    if prefix[1] not in _LISTEN_FORMS:
        raise ValueError(f"expected {LISTEN}; {prefix[1]!r} is not a payload format")
    payload, types = _LISTEN_FORMS[prefix[1]]
    return Listener(bind=_bind(text[prefix.end() :]), payload=payload, types=types)
