"""The configuration from an operator's view: what loads, which source wins, and the error for each mistake."""

import re
import tomllib
import typing
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from proxy.config import (
    ClusterTarget,
    ConfigError,
    EmbeddedTarget,
    Flags,
    Limits,
    Listener,
    PassedAddress,
    Rule,
    SentinelTarget,
    Settings,
    Target,
    TcpAddress,
    TcpTarget,
    UnixAddress,
    UnixTarget,
    Upstream,
    describe,
    environment_twins,
    load,
    parse_address,
    parse_listen,
    parse_upstream,
)

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
ROWS = ("listener", "rule")  # the sections that are arrays of tables

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        file = tmp_path / "config.toml"
        file.write_bytes(text.encode())
        return file

    return write


def settings(
    file: Path | None = None, environ: Mapping[str, str] | None = None, flags: Flags | None = None
) -> Settings:
    return load(file, environ or {}, flags or Flags())


def errors(
    file: Path | None = None, environ: Mapping[str, str] | None = None, flags: Flags | None = None
) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        settings(file, environ, flags)
    return caught.value.errors


def only_error(file: Path) -> str:
    (error,) = errors(file)
    return error


def section_struct(section: str) -> type[msgspec.Struct]:
    kind = typing.get_type_hints(Settings)[section]
    struct: type[msgspec.Struct] = typing.get_args(kind)[0] if section in ROWS else kind
    return struct


def every_key() -> list[tuple[str, str]]:
    return [
        (section, field.encode_name)
        for section in Settings.__struct_fields__
        for field in msgspec.structs.fields(section_struct(section))
    ]


# Defaults and the example


def test_no_file_at_all_is_fine() -> None:
    got = settings()
    assert got == Settings()
    assert got.listener == (Listener(bind="127.0.0.1:6380", payload="json"),)
    assert got.listener[0].address == TcpAddress("127.0.0.1", 6380)
    assert got.upstream.target == TcpTarget("127.0.0.1", 6379, 0)
    assert got.rule == (Rule(keys="flask_cache_*"),)
    assert got.admin.address is None


def test_an_empty_file_is_the_defaults(write: Write) -> None:
    assert settings(write("")) == Settings()


def test_the_documented_limits_are_the_defaults() -> None:
    assert msgspec.to_builtins(Limits()) == {
        "clients": 10_000,
        "request_bytes": 67_108_864,
        "arguments": 1_048_576,
        "payload_bytes": 8_388_608,
        "depth": 100,
        "nodes": 250_000,
        "decoded_bytes": 16_777_216,
        "buffered_bytes": 16_777_216,
        "pending_commands": 1_048_576,
        "connect_timeout": 5.0,
        "first_command_bytes": 0,
        "total_buffered_bytes": 1_073_741_824,
        "reply_timeout": 30.0,
        "first_command_timeout": 0.0,
    }


def test_the_example_loads_to_the_defaults() -> None:
    assert settings(EXAMPLE) == settings()


@pytest.mark.parametrize(("section", "key"), every_key())
def test_the_example_mentions_every_key(section: str, key: str) -> None:
    heading = f"[[{section}]]" if section in ROWS else f"[{section}]"
    _, _, rest = EXAMPLE.read_text().partition(f"\n{heading}\n")
    body = re.split(r"^\[", rest, flags=re.MULTILINE)[0]
    assert re.search(rf"^(# )?{key} = ", body, re.MULTILINE)


def test_the_example_comments_out_only_keys_without_a_default_of_their_own() -> None:
    content = tomllib.loads(EXAMPLE.read_text())
    given = {(section, key) for section, keys in content.items() if section not in ROWS for key in keys}
    given |= {(section, key) for section in ROWS for key in content[section][0]}
    without = {
        "admin": ("bind",),
        "rule": ("name", "content_type", "payload_bytes", "decoded_bytes", "nodes"),
        "listener": ("types", "mode", "password", "password_file", "tls_cert", "tls_key", "tls_client_ca", "announce"),
        "upstream": (
            *("username", "password", "password_file", "tls_ca", "tls_cert", "tls_key", "tls_server_name"),
            *("sentinel_username", "sentinel_password", "sentinel_password_file"),
        ),
    }
    assert set(every_key()) - given == {(section, key) for section, keys in without.items() for key in keys}


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        settings().log.level = "debug"  # type: ignore[misc]


# A file


def test_a_file_sets_every_section(write: Write) -> None:
    got = settings(
        write(
            """
            [[listener]]
            bind = "unix:/run/cache.sock"
            [[listener]]
            bind = "[::1]:6381"
            payload = "msgpack"
            types = "plain"
            [upstream]
            url = "unix:///run/redis.sock?db=3"
            [[rule]]
            name = "pages"
            keys = "view/*"
            as = "view"
            content_type = "text/html; charset=utf-8"
            [[rule]]
            keys = "cach\u00e9:*"
            types = "plain"
            accept_tags = ["decimal", "markup"]
            big_ints = "tagged"
            default_ttl = 300
            pickle_protocol = 2
            on_undecodable = "nil"
            read_classes = ["shop.*", "decimal.Decimal"]
            stored = "django"
            naive = "utc"
            [guard]
            scripts = "allow"
            allow_scripts = ["ABCDEF0123456789abcdef0123456789abcdef01"]
            allow = ["debug", "config|set"]
            [limits]
            connect_timeout = 2
            [admin]
            bind = "0.0.0.0:9380"
            [log]
            level = "debug"
            format = "json"
            [server]
            workers = 1
            drain_timeout = 0.5
            """
        )
    )
    assert [listener.address for listener in got.listener] == [
        UnixAddress("/run/cache.sock"),
        TcpAddress("::1", 6381),
    ]
    assert [listener.payload for listener in got.listener] == ["json", "msgpack"]
    assert [listener.types for listener in got.listener] == [None, "plain"]
    assert got.upstream.target == UnixTarget("/run/redis.sock", 3)
    pages, cache = got.rule
    assert (pages.name, pages.as_, pages.content_type) == ("pages", "view", "text/html; charset=utf-8")
    assert (cache.name, cache.pattern) == ("cach\u00e9:*", b"cach\xc3\xa9:*")
    assert (cache.types, cache.accept_tags, cache.big_ints) == ("plain", ("decimal", "markup"), "tagged")
    assert (cache.default_ttl, cache.pickle_protocol, cache.on_undecodable) == (300, 2, "nil")
    assert got.guard.allow_scripts == ("abcdef0123456789abcdef0123456789abcdef01",)
    assert got.guard.allow == ("DEBUG", "CONFIG|SET")
    assert got.limits.connect_timeout == 2.0
    assert isinstance(got.limits.connect_timeout, float)
    assert got.admin.address == TcpAddress("0.0.0.0", 9380)
    assert (got.log.level, got.log.format, got.server.drain_timeout) == ("debug", "json", 0.5)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert only_error(tmp_path / "none.toml") == f"{tmp_path}/none.toml: cannot be read: No such file or directory"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert only_error(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"


def test_invalid_toml_is_located(write: Write) -> None:
    file = write("[limits]\ndepth 5\n")
    assert only_error(file).startswith(f"{file}: is not valid TOML: ")
    assert "line 2, column 7" in only_error(file)


def test_nesting_without_end_is_an_error_not_a_crash(write: Write) -> None:
    assert "is not valid TOML" in only_error(write("x = " + "[" * 100_000))


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"# \xff")
    assert only_error(file) == f"{file}: is not UTF-8 text (at byte 2)"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("limit = 5", "limit: unknown key; did you mean limits?"),
        (
            "zzz = 5",
            "zzz: unknown key; known here: listener, upstream, rule, guard, limits, admin, log, server",
        ),
        ("[limits]\ndept = 5", "limits.dept: unknown key; did you mean depth?"),
        ("[log]\nzzz = 5", "log.zzz: unknown key; known here: level, format"),
        ('[[rule]]\nkeys = "*"\nas_ = "view"', "rule[0].as_: unknown key; did you mean as?"),
        ("limits = 5", "limits: expected a table, [limits], got 5"),
        ("[[limits]]", "limits: expected a table, [limits], got an array"),
        ('[listener]\nbind = "h:1"', "listener: expected one or more tables, [[listener]], got a table"),
        ("listener = []", "listener: expected one or more tables, [[listener]], got an empty array"),
        ("rule = [5]", "rule[0]: expected a table, [rule], got 5"),
        ('[[listener]]\npayload = "json"', "listener[0].bind: is required"),
        ("[[rule]]", "rule[0].keys: is required"),
        ('[[rule]]\nkeys = ""', 'rule[0].keys: expected a string that is not empty, got ""'),
        ('[[rule]]\nkeys = "*"\nname = "a\\nb"', "rule[0].name: expected a name without control characters"),
        ('[limits]\ndepth = "5"', 'limits.depth: expected an integer from 1 to 150, got "5"'),
        ("[limits]\ndepth = true", "limits.depth: expected an integer from 1 to 150, got true"),
        ("[limits]\ndepth = 5.0", "limits.depth: expected an integer from 1 to 150, got 5.0"),
        ("[limits]\ndepth = 0", "limits.depth: expected an integer from 1 to 150, got 0"),
        ("[limits]\ndepth = 151", "limits.depth: expected an integer from 1 to 150, got 151"),
        (
            "[limits]\nnodes = 0x" + "f" * 5000,
            "limits.nodes: expected an integer from 1 to 100000000, got an int",
        ),
        (
            "[limits]\nrequest_bytes = 536870913",
            "limits.request_bytes: expected an integer from 1 to 536870912",
        ),
        ("[limits]\nclients = -1", "limits.clients: expected an integer from 1 to 1000000, got -1"),
        (
            "[limits]\nconnect_timeout = 0",
            "limits.connect_timeout: expected a number from 0.001 to 3600, got 0",
        ),
        ("[limits]\nconnect_timeout = nan", "limits.connect_timeout: expected a number from 0.001 to 3600"),
        ("[server]\ndrain_timeout = inf", "server.drain_timeout: expected a number from 0 to 3600, got inf"),
        (
            "[server]\ndrain_timeout = true",
            "server.drain_timeout: expected a number from 0 to 3600, got true",
        ),
        ("[server]\nworkers = 0", "server.workers: expected an integer from 1 to 1024, got 0"),
        (
            '[log]\nlevel = "INFO"',
            'log.level: expected one of "debug", "error", "info", "warning", got "INFO"',
        ),
        ("[admin]\nbind = 1979-05-27", "admin.bind: expected a string, got a date"),
        ("[admin]\nbind = 9380", "admin.bind: expected a string, got 9380"),
        ('[guard]\nallow = "DEBUG"', 'guard.allow: expected an array, got "DEBUG"'),
        ('[guard]\nallow = ["DEBUG", 5]', "guard.allow[1]: expected a string, got 5"),
        ('[guard]\nallow = ["GET key"]', "guard.allow[0]: expected the name of a command"),
        (
            '[guard]\nallow_scripts = ["abc"]',
            "guard.allow_scripts[0]: expected a SHA1 of 40 hexadecimal digits",
        ),
    ],
)
def test_a_mistake_is_named_by_file_key_and_reason(write: Write, text: str, reason: str) -> None:
    file = write(text)
    assert only_error(file).startswith(f"{file}: {reason}")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("as = 5", 'as: expected one of "read-only", "untouched", "value", "view", got 5'),
        ('types = "tag"', 'types: expected one of "plain", "tagged", got "tag"'),
        ('accept_tags = ["data", "pickle"]', 'accept_tags[1]: expected one of "bytearray", "bytes",'),
        ('big_ints = "string"', 'big_ints: expected one of "number", "tagged", got "string"'),
        ("default_ttl = -1", "default_ttl: expected an integer from 0 to 2147483647, got -1"),
        ("pickle_protocol = 1", "pickle_protocol: expected an integer from 2 to 5, got 1"),
        ("pickle_protocol = 6", "pickle_protocol: expected an integer from 2 to 5, got 6"),
        (
            'accept_tags = ["data", "zoned"]\npickle_protocol = 2',
            'accept_tags: cannot have "zoned" where pickle_protocol = 2: Python 2 has no zoneinfo',
        ),
        ('accept_tags = ["instance"]', 'accept_tags[0]: expected one of "bytearray", "bytes",'),
        ('on_undecodable = ""', 'on_undecodable: expected one of "error", "nil", "raw", got ""'),
        ('content_type = "text/html"', 'content_type: may be set only where as = "view"'),
        (
            'as = "view"\ncontent_type = "a\\r\\nb: c"',
            "content_type: expected a media type in printable ASCII",
        ),
        ('as = "view"\ncontent_type = ""', "content_type: expected a media type in printable ASCII"),
        ('as = "view"\ncontent_type = " "', "content_type: expected a media type in printable ASCII"),
    ],
)
def test_a_mistake_in_a_rule_is_named_by_its_number(write: Write, line: str, reason: str) -> None:
    file = write(f'[[rule]]\nkeys = "first"\n[[rule]]\nkeys = "second"\n{line}\n')
    assert only_error(file).startswith(f"{file}: rule[1].{reason}")


def test_all_errors_come_at_once(write: Write) -> None:
    file = write(
        """
        typo = 1
        [[listener]]
        bind = "0.0.0.0:6380"
        [[listener]]
        bind = "127.0.0.1:6380"
        payload = "yaml"
        [[rule]]
        keys = "a"
        as = "bogus"
        content_type = "x/y"
        [[rule]]
        keys = "a"
        [limits]
        depth = 0
        nodes = "many"
        """
    )
    got = errors(file, {"FLASK_CACHE_PROXY_LIMITS_CLIENTS": "lots"}, Flags(log_level="loud", upstream="http://x"))
    found = [":".join(error.split(":")[:2]) for error in got]
    assert found == [
        f"{file}: typo",
        f"{file}: listener[1].payload",
        f"{file}: rule[0].as",
        f"{file}: limits.depth",
        f"{file}: limits.nodes",
        "FLASK_CACHE_PROXY_LIMITS_CLIENTS: limits.clients",
        "--upstream: upstream.url",
        "--log-level: log.level",
        f"{file}: listener[1].bind",
        f"{file}: rule[1].name",
    ]
    assert str(ConfigError(got)) == "\n".join(got)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("127.0.0.1:6390", "127.0.0.1:6390"),
        ("LOCALHOST:6390", "localhost:6390"),
        ("localhost:6390", "127.0.0.1:6390"),
        ("localhost:6390", "[::1]:6390"),
        ("0.0.0.0:6390", "127.0.0.1:6390"),
        ("127.0.0.1:6390", "[::]:6390"),
        ("[0:0:0:0:0:0:0:1]:6390", "[::1]:6390"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("unix:/run/x.sock", "unix:/run/./x.sock"),
    ],
)
def test_overlapping_listeners_are_refused_by_both_names(write: Write, first: str, second: str) -> None:
    file = write(f'[[listener]]\nbind = "{first}"\n[[listener]]\nbind = "{second}"')
    assert only_error(file) == f'{file}: listener[1].bind: "{second}" overlaps listener[0].bind, "{first}"'


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("127.0.0.1:6390", "127.0.0.1:6391"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:6390", "[::1]:6390"),
        ("unix:/run/x.sock", "unix:/run/y.sock"),
        ("unix:/run/x.sock", "127.0.0.1:6390"),
    ],
)
def test_listeners_that_do_not_overlap_are_fine(write: Write, first: str, second: str) -> None:
    file = write(f'[[listener]]\nbind = "{first}"\n[[listener]]\nbind = "{second}"')
    assert [listener.bind for listener in settings(file).listener] == [first, second]


def test_the_admin_port_must_not_overlap_a_listener() -> None:
    (error,) = errors(environ={"FLASK_CACHE_PROXY_ADMIN_BIND": "0.0.0.0:6380"})
    assert error == (
        'FLASK_CACHE_PROXY_ADMIN_BIND: admin.bind: "0.0.0.0:6380" overlaps listener[0].bind, "127.0.0.1:6380"'
    )


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("127.0.0.1:6379", "redis://127.0.0.1"),
        ("0.0.0.0:6379", "redis://localhost"),
        ("unix:/run/x.sock", "unix:///run/x.sock"),
    ],
)
def test_the_proxy_must_not_be_its_own_upstream(bind: str, url: str) -> None:
    (error,) = errors(flags=Flags(listen=(bind,), upstream=url))
    assert error == f'--listen: listener[0].bind: "{bind}" is upstream.url too: the proxy would connect to itself'


def test_a_wildcard_listener_may_share_its_port_with_redis_elsewhere() -> None:
    got = settings(flags=Flags(listen=("0.0.0.0:6379",), upstream="redis://redis"))
    assert got.upstream.target == TcpTarget("redis", 6379, 0)


UNIX = '[[listener]]\nbind = "unix:/run/x.sock"\n'
FD = '[[listener]]\nbind = "fd:json"\n'
TCP = '[[listener]]\nbind = "127.0.0.1:1"\n'
SENTINEL = '[upstream]\nurl = "redis+sentinel://host/cache"\n'
TLS = 'tls_cert = "a"\ntls_key = "b"\n'


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        (TCP + 'tls_cert = "a"\n', "listener[0].tls_cert", "needs tls_key as well"),
        (TCP + 'tls_key = "a"\n', "listener[0].tls_key", "needs tls_cert as well"),
        (TCP + 'tls_client_ca = "a"\n', "listener[0].tls_client_ca", "has no effect without tls_cert and tls_key"),
        (UNIX + TLS, "listener[0].tls_cert", "is for TCP; this listener is a unix socket"),
        (TCP + 'mode = "0660"\n', "listener[0].mode", "is for unix sockets; this listener is TCP"),
        (
            FD + 'mode = "0660"\n',
            "listener[0].mode",
            "is for sockets that the proxy opens; systemd's SocketMode= decides",
        ),
        (FD + FD, "listener[1].bind", '"fd:json" overlaps listener[0].bind, "fd:json"'),
        ('[[listener]]\nbind = "fd:"\n', "listener[0].bind", "fd: needs the FileDescriptorName of a systemd socket"),
        ('[[listener]]\nbind = "fd:a:b"\n', "listener[0].bind", "fd: needs the FileDescriptorName of a systemd socket"),
        ('[admin]\nbind = "fd:admin"\n', "admin.bind", "fd: is for [[listener]]; probes and scrapers need an address"),
        (UNIX + 'mode = "rw"\n', "listener[0].mode", 'expected a file mode in octal, as in "0660", got "rw"'),
        (
            TCP + 'password = "a"\npassword_file = "b"\n',
            "listener[0].password_file",
            "is set together with password; set only one of them",
        ),
        (
            '[upstream]\ntls_ca = "a"\n',
            "upstream.tls_ca",
            "is for rediss:// and rediss-cluster://; upstream.url is of another kind",
        ),
        (
            '[upstream]\nurl = "redis-cluster://a"\ntls_ca = "a"\n',
            "upstream.tls_ca",
            "is for rediss:// and rediss-cluster://; upstream.url is of another kind",
        ),
        (
            '[upstream]\naddresses = { "a:1" = "b:2" }\n',
            "upstream.addresses",
            "is for redis-cluster://; upstream.url is of another kind",
        ),
        (
            TCP + 'announce = "a:1"\n',
            "listener[0].announce",
            "is for redis-cluster://; upstream.url is of another kind",
        ),
        (
            UNIX + '[upstream]\nusername = "a"\n',
            "upstream.username",
            "has no effect without password or password_file",
        ),
        (
            '[upstream]\nsentinel_password = "a"\n',
            "upstream.sentinel_password",
            "is for redis+sentinel://; upstream.url is of another kind",
        ),
        (
            SENTINEL + 'sentinel_username = "a"\n',
            "upstream.sentinel_username",
            "has no effect without sentinel_password or sentinel_password_file",
        ),
        (
            SENTINEL + 'sentinel_password = "a"\nsentinel_password_file = "b"\n',
            "upstream.sentinel_password_file",
            "is set together with sentinel_password; set only one of them",
        ),
    ],
)
def test_keys_that_need_each_other_are_named(write: Write, text: str, key: str, reason: str) -> None:
    assert any(f"{key}: {reason}" in error for error in errors(write(text)))


@pytest.mark.parametrize("secret", ["password", "password_file"])
def test_a_proxy_that_logs_in_by_itself_lets_in_only_who_may(write: Write, secret: str) -> None:
    login = f'[upstream]\n{secret} = "secret"\n'
    (error,) = errors(write(UNIX + TCP + login))
    assert error.endswith(
        "listener[1].bind: needs a password or password_file, or must be a unix socket: the proxy logs in to Redis "
        "itself (upstream.password), so everyone who reaches this port would have access"
    )
    assert len(settings(write(UNIX + TCP + 'password = "other"\n' + login)).listener) == 2
    (error,) = errors(write(login))
    assert "listener[0].bind" in error


def test_the_sentinels_password_lets_nobody_into_redis(write: Write) -> None:
    got = settings(write(SENTINEL + 'sentinel_password = "hunter2"\n'))
    assert not got.upstream.logs_in
    assert "hunter2" not in describe(got)


def test_whether_a_socket_of_systemd_needs_a_password_is_seen_when_it_is_there(write: Write) -> None:
    (listener,) = settings(write(FD + '[upstream]\npassword = "secret"\n')).listener
    assert listener.address == PassedAddress("json")
    assert parse_listen("msgpack=fd:a.socket").address == PassedAddress("a.socket")


def test_a_password_of_the_wrong_type_is_not_shown_either(write: Write) -> None:
    (error,) = errors(write(UNIX + "[upstream]\npassword = 12345\n"))
    assert "12345" not in error
    assert "********" in error


def test_passwords_are_never_shown(write: Write) -> None:
    text = TCP + 'password = "hunter2"\n[upstream]\npassword = "hunter2"\n'
    described = describe(settings(write(text)))
    assert "hunter2" not in described
    assert described.count("********") == 2


# The environment and flags


NEEDS = {
    **{key: {"URL": "rediss://redis"} for key in ("tls_ca", "tls_server_name")},
    "tls_cert": {"URL": "rediss://redis", "TLS_KEY": "key"},
    "tls_key": {"URL": "rediss://redis", "TLS_CERT": "cert"},
    "username": {"PASSWORD": "secret"},
    "sentinel_username": {"URL": "redis+sentinel://h/m", "SENTINEL_PASSWORD": "secret"},
    "addresses": {"URL": "redis-cluster://h"},
    **{key: {"URL": "redis+sentinel://h/m"} for key in ("sentinel_password", "sentinel_password_file")},
}
"""Other keys that [upstream] must have, so that a key has an effect."""


def another_value(section: str, field: str) -> tuple[str, object]:
    """A valid text other than the default, and its expected value."""
    special: dict[tuple[str, str], tuple[str, object]] = {
        ("upstream", "url"): ("redis://redis:6399/5", "redis://redis:6399/5"),
        ("admin", "bind"): ("127.0.0.1:9380", "127.0.0.1:9380"),
        ("server", "workers"): ("4", 4),
        ("limits", "first_command_bytes"): ("9", 9),
        ("log", "survey"): ("false", False),
        ("upstream", "connections"): ("4", 4),
        ("upstream", "addresses"): ("a:1=b:2, [::1]:3=c:4", {"a:1": "b:2", "[::1]:3": "c:4"}),
    }
    if (section, field) in special:
        return special[section, field]
    default = getattr(getattr(Settings(), section), field)
    if default is None:
        return "some text", "some text"
    if isinstance(default, str):
        kind = typing.get_type_hints(section_struct(section))[field]
        other = next(value for value in typing.get_args(kind) if value != default)
        return other, other
    return (str(default + 0.5), default + 0.5) if isinstance(default, float) else (str(default - 1), default - 1)


def scalars_outside_the_lists() -> list[tuple[str, str]]:
    return [
        (section, field)
        for section in Settings.__struct_fields__
        if section not in ROWS
        for field in section_struct(section).__struct_fields__
        if not isinstance(getattr(getattr(Settings(), section), field), tuple)
    ]


@pytest.mark.parametrize(("section", "field"), scalars_outside_the_lists())
def test_every_scalar_key_has_an_environment_twin(section: str, field: str) -> None:
    text, value = another_value(section, field)
    environ = {field.upper(): text, **NEEDS.get(field, {})}
    got = settings(
        environ={f"FLASK_CACHE_PROXY_{section}_{name}".upper(): value for name, value in environ.items()},
        flags=Flags(listen=("unix:/run/proxy.sock",)),
    )
    assert getattr(getattr(got, section), field) == value
    others = {name for name in Settings.__struct_fields__ if name not in (section, "listener")}
    assert all(getattr(got, name) == getattr(Settings(), name) for name in others)


def test_the_twins_are_listed_for_the_command_line() -> None:
    assert set(environment_twins()) == {
        "FLASK_CACHE_PROXY_ADMIN_HOSTS",
        *(f"FLASK_CACHE_PROXY_{section}_{field}".upper() for section, field in scalars_outside_the_lists()),
    }


@pytest.mark.parametrize("text", ["abc", "5.0", " 5", "1_000", "0x10", "\u0665", "true", "151", "9" * 5000])
def test_a_variable_that_is_no_such_number_is_named(text: str) -> None:
    (error,) = errors(environ={"FLASK_CACHE_PROXY_LIMITS_DEPTH": text})
    assert error.startswith("FLASK_CACHE_PROXY_LIMITS_DEPTH: limits.depth: expected an integer from 1 to 150, got ")
    assert len(error) < 200


@pytest.mark.parametrize("text", ["abc", "nan", "inf", "-1", "1e3"])
def test_a_variable_that_is_no_such_fraction_is_named(text: str) -> None:
    (error,) = errors(environ={"FLASK_CACHE_PROXY_SERVER_DRAIN_TIMEOUT": text})
    assert error.startswith("FLASK_CACHE_PROXY_SERVER_DRAIN_TIMEOUT: server.drain_timeout: expected a number from 0")


@pytest.mark.parametrize(("text", "expected"), [("false", False), ("FALSE", False), ("true", True), ("True", True)])
def test_a_variable_may_be_true_or_false(text: str, expected: bool) -> None:
    assert settings(environ={"FLASK_CACHE_PROXY_LOG_SURVEY": text}).log.survey is expected


@pytest.mark.parametrize("text", ["no", "0", "1", "off", " true"])
def test_a_variable_that_is_neither_is_named(text: str) -> None:
    (error,) = errors(environ={"FLASK_CACHE_PROXY_LOG_SURVEY": text})
    assert error.startswith("FLASK_CACHE_PROXY_LOG_SURVEY: log.survey: expected true or false, got ")


def test_only_true_and_false_are_such_in_a_file(write: Write) -> None:
    assert not settings(write("[log]\nsurvey = false")).log.survey
    (error,) = errors(write('[log]\nsurvey = "false"'))
    assert "log.survey: expected true or false" in error
    (error,) = errors(write("[log]\nsurvey = 0"))
    assert "log.survey: expected true or false" in error


def test_an_empty_variable_counts_as_unset(write: Write) -> None:
    file = write("[limits]\ndepth = 7")
    assert settings(file, {"FLASK_CACHE_PROXY_LIMITS_DEPTH": ""}).limits.depth == 7


def test_foreign_variables_are_ignored() -> None:
    foreign = {
        "FLASK_CACHE_PROXY_SERVICE_HOST": "10.0.0.1",
        "FLASK_CACHE_PROXY_PORT": "tcp://10.0.0.1:6380",
        "FLASK_CACHE_PROXY_GUARD_ALLOW": "DEBUG",
        "FLASK_CACHE_PROXY_LISTENER": "0.0.0.0:1",
        "LIMITS_DEPTH": "7",
    }
    assert settings(environ=foreign) == Settings()


def test_flags_win_over_the_environment_and_that_over_the_file(write: Write) -> None:
    file = write('[log]\nlevel = "error"\nformat = "json"\n[upstream]\nurl = "redis://file"\n[limits]\ndepth = 9')
    environ = {
        "FLASK_CACHE_PROXY_LOG_LEVEL": "warning",
        "FLASK_CACHE_PROXY_UPSTREAM_URL": "redis://environment",
    }
    assert settings(file).log.level == "error"
    assert settings(file, environ).log.level == "warning"
    got = settings(file, environ, Flags(log_level="debug", log_format="text", upstream="redis://flag"))
    assert (got.log.level, got.log.format, got.limits.depth) == ("debug", "text", 9)
    assert settings(file, environ).upstream.target == TcpTarget("environment", 6379, 0)
    assert got.upstream.target == TcpTarget("flag", 6379, 0)


@pytest.mark.parametrize("level", ["INFO", "Debug", "wARNING"])
def test_words_of_the_environment_and_of_flags_may_have_any_case(write: Write, level: str) -> None:
    environ = {"FLASK_CACHE_PROXY_LOG_LEVEL": level, "FLASK_CACHE_PROXY_LOG_FORMAT": "JSON"}
    got = settings(environ=environ)
    assert (got.log.level, got.log.format) == (level.lower(), "json")
    assert settings(flags=Flags(log_level=level)).log.level == level.lower()
    with pytest.raises(ConfigError, match=f'log.level: expected one of .*, got "{level}"; did you mean'):
        settings(write(f'[log]\nlevel = "{level}"'))


def test_listen_replaces_the_listeners_of_the_file(write: Write) -> None:
    file = write('[[listener]]\nbind = "127.0.0.1:1"\n[[listener]]\nbind = "127.0.0.1:2"\npayload = "msgpack"')
    got = settings(file, flags=Flags(listen=("127.0.0.1:0", "msgpack=unix:/run/m.sock")))
    assert got.listener == (
        Listener(bind="127.0.0.1:0", payload="json"),
        Listener(bind="unix:/run/m.sock", payload="msgpack"),
    )


def test_a_bad_listen_flag_is_named() -> None:
    (error,) = errors(flags=Flags(listen=("127.0.0.1:0", "yaml=127.0.0.1:1")))
    assert error == (
        "--listen: listener[1].bind: expected [json=|msgpack=|plain=|plain-msgpack=]ADDR; 'yaml' is not a payload "
        'format, got "yaml=127.0.0.1:1"'
    )


def test_a_variable_sets_the_listeners(write: Write) -> None:
    file = write('[[listener]]\nbind = "127.0.0.1:1"\n')
    variable = {"FLASK_CACHE_PROXY_LISTEN": "127.0.0.1:2, plain=[::1]:3,plain-msgpack=unix:/run/x.sock"}
    got = settings(file, variable).listener
    assert [(each.bind, each.payload, each.types) for each in got] == [
        ("127.0.0.1:2", "json", None),
        ("[::1]:3", "json", "plain"),
        ("unix:/run/x.sock", "msgpack", "plain"),
    ]
    assert settings(file, variable, Flags(listen=("127.0.0.1:4",))).listener[0].bind == "127.0.0.1:4"
    (error,) = errors(environ={"FLASK_CACHE_PROXY_LISTEN": "127.0.0.1:2,plain=h"})
    assert error.startswith("FLASK_CACHE_PROXY_LISTEN: listener[1].bind: expected host:port")


# Addresses and URLs


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:6380", TcpAddress("127.0.0.1", 6380)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("my_host.internal:65535", TcpAddress("my_host.internal", 65535)),
        ("[::]:6380", TcpAddress("::", 6380)),
        ("unix:/run/a=b.sock", UnixAddress("/run/a=b.sock")),
        ("unix:///run/a b.sock", UnixAddress("/run/a b.sock")),
    ],
)
def test_addresses_are_parsed(text: str, address: TcpAddress | UnixAddress) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "host is missing"),
        (":6380", "host is missing"),
        ("localhost", "port is missing"),
        ("6380", "host is missing, as in 127.0.0.1:6380"),
        ("localhost:", "port must be"),
        ("localhost:65536", "port must be"),
        ("localhost:-1", "port must be"),
        ("localhost:+1", "port must be"),
        ("localhost:\u0661", "port must be"),
        ("::1:6380", "IPv6 address in brackets"),
        ("[::1:6380", "IPv6 address in brackets"),
        ("[::1]6380", "IPv6 address in brackets"),
        ("[::g]:6380", "not an IPv6 address"),
        ("[]:6380", "not an IPv6 address"),
        ("*:6380", "host name may hold"),
        (" localhost:6380", "host name may hold"),
        ("localhost\n:6380", "host name may hold"),
        ("127.1:6380", "neither a name nor an IPv4 address"),
        ("300.0.0.1:6380", "neither a name nor an IPv4 address"),
        ("tcp://localhost:6380", "IPv6 address in brackets"),
        ("unix:", "path of a file"),
        ("unix:/run/", "path of a file"),
        ("unix:/run/\0x", "path of a file"),
        ("unix:run/x.sock", "absolute path"),
        ("unix:/" + "x" * 107, "at most 107 bytes"),
        ("unix:/" + "\u00e9" * 60, "at most 107 bytes"),
    ],
)
def test_odd_addresses_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "payload", "types", "bind"),
    [
        ("127.0.0.1:6380", "json", None, "127.0.0.1:6380"),
        ("json=[::1]:6380", "json", None, "[::1]:6380"),
        ("msgpack=unix:/run/x=y.sock", "msgpack", None, "unix:/run/x=y.sock"),
        ("plain=127.0.0.1:6380", "json", "plain", "127.0.0.1:6380"),
        ("plain-msgpack=unix:/run/x=y.sock", "msgpack", "plain", "unix:/run/x=y.sock"),
    ],
)
def test_listen_takes_a_form_before_the_address(text: str, payload: str, types: str | None, bind: str) -> None:
    listener = parse_listen(text)
    assert (listener.payload, listener.types, listener.bind) == (payload, types, bind)


@pytest.mark.parametrize(
    "text",
    [
        *("json=", "yaml=127.0.0.1:1", "=127.0.0.1:1", "json=json=127.0.0.1:1", "JSON=h:1"),
        *("tagged=h:1", "plain-json=h:1", "plain_msgpack=h:1"),
    ],
)
def test_an_odd_listen_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"ADDR|host"):
        parse_listen(text)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("redis://redis", TcpTarget("redis", 6379, 0)),
        ("redis://redis/", TcpTarget("redis", 6379, 0)),
        ("REDIS://Redis:6380/15", TcpTarget("redis", 6380, 15)),
        ("redis://[::1]:6380/2147483647", TcpTarget("::1", 6380, 2147483647)),
        ("redis://[::1]", TcpTarget("::1", 6379, 0)),
        ("unix:///run/redis.sock", UnixTarget("/run/redis.sock", 0)),
        ("unix:///run/redis.sock?db=2", UnixTarget("/run/redis.sock", 2)),
        ("unix:///run/%40redis%20.sock", UnixTarget("/run/@redis .sock", 0)),
        ("unix://redis.sock", UnixTarget("redis.sock", 0)),
        ("rediss://redis/2", TcpTarget("redis", 6379, 2, tls=True)),
        ("redis+sentinel://a/main", SentinelTarget((TcpAddress("a", 26379),), "main", 0)),
        (
            "redis+sentinel://A,[::1]:5000,10.0.0.1/my-master.1/3",
            SentinelTarget(
                (TcpAddress("a", 26379), TcpAddress("::1", 5000), TcpAddress("10.0.0.1", 26379)), "my-master.1", 3
            ),
        ),
        ("redis-cluster://a", ClusterTarget((TcpAddress("a", 6379),))),
        (
            "rediss-cluster://A,[::1]:5000,10.0.0.1:1",
            ClusterTarget((TcpAddress("a", 6379), TcpAddress("::1", 5000), TcpAddress("10.0.0.1", 1)), tls=True),
        ),
        ("embedded", EmbeddedTarget()),
    ],
)
def test_upstream_urls_are_parsed(url: str, target: Target) -> None:
    assert parse_upstream(url) == target
    assert settings(environ={"FLASK_CACHE_PROXY_UPSTREAM_URL": url}).upstream.target == target


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis+sentinel://a,b", "the name of the master is missing"),
        ("redis+sentinel://a,b/", "the name of the master is missing"),
        ("redis+sentinel://a,,b/main", "host is missing"),
        ("redis+sentinel://a:0/main", "port must be"),
        ("redis+sentinel://a/main/x", "database must be"),
        ("redis+sentinel://a/main?x=1", "takes no query"),
        ("redis-cluster://", "host is missing"),
        ("redis-cluster://a,", "host is missing"),
        ("redis-cluster://a:0", "port must be"),
        ("redis-cluster://a:1/0", "a cluster has no databases"),
        ("redis-cluster://a:1/", "a cluster has no databases"),
        ("rediss-cluster://a?db=1", "a cluster has no databases"),
        ("redis-cluster://user:pw@a", "let clients send AUTH"),
        ("redis://:pw@redis", "let clients send AUTH"),
        ("redis://user:p/w@redis", "let clients send AUTH"),
        ("unix://user:pw@/run/x.sock", "let clients send AUTH"),
        ("http://redis", "expected redis://"),
        ("redis", "expected redis://"),
        ("redis:redis", "expected redis://"),
        ("", "expected redis://"),
        ("Embedded", "expected redis://"),
        ("redis://", "host is missing"),
        ("redis:///0", "host is missing"),
        ("redis://redis:/0", "port must be"),
        ("redis://redis:0", "port must be"),
        ("redis://redis:65536", "port must be"),
        ("redis://redis:abc", "port must be"),
        ("redis://redis/-1", "database must be"),
        ("redis://redis/2147483648", "database must be"),
        ("redis://redis/0/1", "database must be"),
        ("redis://redis/0#x", "fragment"),
        ("redis://redis?db=1", "takes no query"),
        ("redis://redis\n", "host name may hold"),
        ("unix://", "path of a file"),
        ("unix:///run/x.sock?", "only query key is db"),
        ("unix:///run/x.sock?timeout=1", "only query key is db"),
        ("unix:///run/x.sock?db=1&db=2", "database must be"),
        ("unix:///run/x%00.sock", "path of a file"),
        ("unix:///run/%ff.sock", "can't decode"),
    ],
)
def test_odd_upstream_urls_are_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_upstream(url)
    (error,) = errors(flags=Flags(upstream=url))
    assert error.startswith("--upstream: upstream.url: ")


NODES = '[upstream]\nurl = "redis-cluster://a"\naddresses = '


def test_addresses_of_nodes_have_others_to_dial(write: Write) -> None:
    got = settings(write(NODES + '{ "10.0.0.5:6379" = "localhost:7001", "[::1]:1" = "b:2" }\n'))
    assert got.upstream.translations == {
        TcpAddress("10.0.0.5", 6379): TcpAddress("localhost", 7001),
        TcpAddress("::1", 1): TcpAddress("b", 2),
    }
    assert settings(write(describe(got))) == got


@pytest.mark.parametrize(
    ("table", "key", "reason"),
    [
        ('{ "a" = "b:1" }', 'upstream.addresses."a"', "the port is missing"),
        ('{ "a:1" = "b" }', 'upstream.addresses."a:1"', "the port is missing"),
        ('{ "a:1" = "b:0" }', 'upstream.addresses."a:1"', "the port must be from 1 to 65535"),
        ('{ "a:1" = 5 }', 'upstream.addresses."a:1"', "expected a string, got 5"),
        ('"a:1=b:2"', "upstream.addresses", "expected a table of strings"),
    ],
)
def test_an_odd_table_of_addresses_is_named(write: Write, table: str, key: str, reason: str) -> None:
    error = only_error(write(NODES + table + "\n"))
    assert f"{key}: " in error
    assert reason in error


def test_a_listener_may_announce_another_address(write: Write) -> None:
    got = settings(write('[[listener]]\nbind = "unix:/a"\nannounce = "p:1"\n[upstream]\nurl = "redis-cluster://a"\n'))
    assert got.listener[0].announce == "p:1"


@pytest.mark.parametrize("url", ["redis-cluster://elsewhere,localhost:6380", "redis-cluster://127.0.0.1:6380"])
def test_a_seed_of_a_cluster_is_not_a_listener(url: str) -> None:
    (error,) = errors(flags=Flags(upstream=url))
    assert error.startswith('default: listener[0].bind: "127.0.0.1:6380" is upstream.url too')


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:hunter2@redis",
        "redis://hunter2@redis",
        "redis://user:x/hunter2@redis",
        "redis://user:x@hunter2@redis",
        "redis:/user:hunter2@redis",
        "user:hunter2@redis",
        "rediss://user:hunter2@redis",
        "redis://redis/0?password=hunter2",
        "unix://user:hunter2@/run/x.sock",
        "redis://user:\nhunter2@redis",
    ],
)
def test_no_error_and_no_description_repeats_a_password(url: str) -> None:
    assert "hunter2" not in errors(flags=Flags(upstream=url))[0]
    described = describe(Settings(upstream=Upstream(url=url)))
    assert "hunter2" not in described
    assert "********" in described
    assert "********" in tomllib.loads(described)["upstream"]["url"]


# Describing


def test_a_description_of_the_defaults_loads_to_the_defaults(write: Write) -> None:
    assert settings(write(describe(Settings()))) == Settings()


def test_a_description_loads_to_equal_settings(write: Write) -> None:
    names = write(
        r"""
        [[listener]]
        bind = "unix:/run/a \"b\" \\ c.sock"
        [[listener]]
        bind = "127.0.0.1:0"
        payload = "msgpack"
        [upstream]
        url = "unix:///run/redis.sock?db=3"
        [[rule]]
        name = "pages"
        keys = "a\u0000\u007f\u20ac\U0001f600\n\\*"
        as = "view"
        content_type = "text/plain; charset=\"utf-8\""
        accept_tags = []
        [[rule]]
        keys = "*"
        as = "read-only"
        [guard]
        allow = ["DEBUG", "config|set"]
        [limits]
        connect_timeout = 0.001
        [admin]
        bind = "[::1]:9380"
        hosts = ["Proxy.Example.", "a_b"]
        """
    )
    first = settings(names)
    assert settings(write(describe(first))) == first


def test_a_description_shows_what_is_in_force() -> None:
    got = settings(environ={"FLASK_CACHE_PROXY_LIMITS_DEPTH": "7"}, flags=Flags(upstream="embedded"))
    content = tomllib.loads(describe(got))
    assert content["limits"]["depth"] == 7
    assert content["upstream"] == {"url": "embedded", "connections": "per-client"}
    assert content["rule"][0]["name"] == "flask_cache_*"


@pytest.mark.parametrize(("text", "shared"), [('"per-client"', 0), ("1", 1), ("64", 64)])
def test_clients_share_so_many_connections(write: Write, text: str, shared: int) -> None:
    got = settings(write(f"[upstream]\nconnections = {text}\n"))
    assert got.upstream.shared == shared
    assert settings(write(describe(got))) == got


@pytest.mark.parametrize(("text", "shared"), [("per-client", 0), ("Per-Client", 0), ("8", 8)])
def test_the_environment_says_how_many_connections_clients_share(text: str, shared: int) -> None:
    assert settings(environ={"FLASK_CACHE_PROXY_UPSTREAM_CONNECTIONS": text}).upstream.shared == shared


@pytest.mark.parametrize("text", ["0", "65", "-1", "true", "1.0", '"1"', '"per-clients"', '""', "[1]", "{}"])
def test_odd_numbers_of_connections_are_refused(write: Write, text: str) -> None:
    error = only_error(write(f"[upstream]\nconnections = {text}\n"))
    assert 'upstream.connections: expected "per-client" or an integer from 1 to 64, got ' in error


def test_a_misspelt_word_for_connections_gets_a_hint(write: Write) -> None:
    assert only_error(write('[upstream]\nconnections = "per_client"\n')).endswith('; did you mean "per-client"?')


def test_the_default_of_connections_may_be_another() -> None:
    flags = Flags(defaults=("upstream.connections=3",))
    assert settings(flags=flags).upstream.shared == 3


def test_who_serves_nobody_need_not_guard_a_listener(write: Write) -> None:
    file = write('[upstream]\npassword = "secret"\n')
    assert "listener[0].bind" in only_error(file)
    assert load(file, {}, Flags(), serves=False).upstream.password == "secret"
    file = write('[upstream]\nusername = "looker"\n[[rule]]\nkeys = "a"\n[[rule]]\nkeys = "a"\n')
    with pytest.raises(ConfigError) as refused:
        load(file, {}, Flags(), serves=False)
    assert [text.split(": ")[1] for text in refused.value.errors] == ["rule[1].name", "upstream.username"]


def test_a_rule_without_a_name_is_named_by_what_can_be_shown(write: Write) -> None:
    found = settings(write('[[rule]]\nkeys = "a\\u001f\u009b\u202eé*"\n'))
    assert found.rule[0].name == r"a\x1f\x9b\u202eé*"
    assert found.rule[0].pattern == "a\x1f\x9b\u202eé*".encode()
    assert settings(write(describe(found))) == found
