"""The settings of the admin port: its host names, and what `/config` shows of all the settings."""

import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from proxy.config import ConfigError, Flags, Listener, Rule, Settings, Upstream, describe_in_public, load

TWIN = "FLASK_CACHE_PROXY_ADMIN_HOSTS"
CANARY = "canary-4711"


def loaded(file: Path | None = None, hosts: str = "") -> Settings:
    return load(file, {TWIN: hosts} if hosts else {}, Flags())


def written(home: Path, text: str) -> Path:
    file = home / "config.toml"
    file.write_text(text)
    return file


class TestHosts:
    def test_there_are_none_by_default(self) -> None:
        assert loaded().admin.hosts == ()

    def test_a_file_lists_them(self, tmp_path: Path) -> None:
        file = written(tmp_path, '[admin]\nhosts = ["proxy", "Proxy.Example.org.", "a_b-c"]\n')
        assert loaded(file).admin.hosts == ("proxy", "proxy.example.org", "a_b-c")

    @pytest.mark.parametrize(
        ("text", "hosts"),
        [("proxy", ("proxy",)), (" a , B.c. ", ("a", "b.c")), ("10.0.0.1,x", ("10.0.0.1", "x"))],
    )
    def test_the_variable_lists_them_with_commas(self, text: str, hosts: tuple[str, ...]) -> None:
        assert loaded(hosts=text).admin.hosts == hosts

    def test_the_variable_replaces_those_of_the_file(self, tmp_path: Path) -> None:
        assert loaded(written(tmp_path, '[admin]\nhosts = ["a"]\n'), "b").admin.hosts == ("b",)

    def test_an_empty_variable_is_not_set(self, tmp_path: Path) -> None:
        assert load(written(tmp_path, '[admin]\nhosts = ["a"]\n'), {TWIN: ""}, Flags()).admin.hosts == ("a",)

    @pytest.mark.parametrize(
        "host",
        [
            "",
            ".",
            "..",
            "a..",
            "proxy:9380",
            "http://proxy",
            "*",
            "*.example",
            "[::1]",
            "::1",
            "a b",
            "a/b",
            "\u00e9",
            "a\n",
        ],
    )
    def test_what_is_no_host_name_is_named(self, tmp_path: Path, host: str) -> None:
        file = written(tmp_path, f"[admin]\nhosts = [{host!r}]\n".replace("'", '"'))
        with pytest.raises(ConfigError) as caught:
            loaded(file)
        (error,) = caught.value.errors
        assert error.startswith(f"{file}: admin.hosts[0]: expected the name of a host, without a port, as in ")

    def test_the_variable_is_named_too(self) -> None:
        with pytest.raises(ConfigError) as caught:
            loaded(hosts="a,b:1,")
        assert [error.partition(": expected")[0] for error in caught.value.errors] == [
            f"{TWIN}: admin.hosts[1]",
            f"{TWIN}: admin.hosts[2]",
        ]


SHOWN = {
    *("listener.bind", "listener.tls_cert", "listener.tls_client_ca", "listener.mode", "listener.announce"),
    *("upstream.url", "upstream.tls_ca", "upstream.tls_cert", "upstream.tls_server_name", "upstream.addresses"),
    *("rule.name", "rule.keys", "rule.content_type", "rule.read_classes"),
    *("guard.allow", "guard.allow_scripts", "admin.bind", "admin.hosts"),
}
"""The keys with free text that `/config` shows."""


def free_texts() -> Iterator[tuple[str, str]]:
    """The keys whose value may be any text: section and key."""
    for section, kind in typing.get_type_hints(Settings).items():
        struct = typing.get_args(kind)[0] if typing.get_args(kind) else kind
        for key, hint in typing.get_type_hints(struct).items():
            if str in (hint, *typing.get_args(hint)):
                yield section, key


FREE_TEXTS = sorted(free_texts())


def with_text(section: str, key: str, text: str) -> Settings:
    """Settings with this text for a key. Nothing checks it, so a new key needs no valid text here."""
    table: msgspec.Struct = {
        "listener": Listener(bind="127.0.0.1:1"),
        "rule": Rule(keys="*", as_="view"),
    }.get(section) or getattr(Settings(), section)
    is_array = isinstance(getattr(table, key), tuple)
    changed = msgspec.structs.replace(table, **{key: (text,) if is_array else text})
    in_place: typing.Any = (changed,) if section in ("listener", "rule") else changed
    return msgspec.structs.replace(Settings(), **{section: in_place})


class TestPublicDescription:
    def test_users_and_secrets_are_free_texts_here(self) -> None:
        hidden = {f"{section}.{key}" for section, key in FREE_TEXTS} - SHOWN
        assert hidden >= {
            *("listener.password", "listener.password_file", "listener.tls_key"),
            *("upstream.username", "upstream.password", "upstream.password_file", "upstream.tls_key"),
        }

    @pytest.mark.parametrize(("section", "key"), FREE_TEXTS)
    def test_only_keys_that_are_no_secrets_are_shown(self, section: str, key: str) -> None:
        """A new key belongs into `SHOWN`, or is hidden."""
        text = describe_in_public(with_text(section, key, CANARY))
        assert (CANARY in text) == (f"{section}.{key}" in SHOWN)
        if CANARY not in text:
            assert f"# {key} is set, and not shown here\n" in text

    @pytest.mark.parametrize(
        "url",
        [
            f"redis://{CANARY}@redis/0",
            f"redis://user-{CANARY}:{CANARY}@redis:6379/0",
            f"rediss://:{CANARY}@[::1]:6379",
            f"redis+sentinel://{CANARY}:x@one:1,{CANARY}@two:2/mymaster",
            f"redis://redis/0?password={CANARY}&db=1",
            f"unix:///run/redis.sock?db=0&token={CANARY}",
        ],
    )
    def test_no_url_shows_a_user_or_a_password(self, url: str) -> None:
        """The configuration refuses such a URL. `/config` does not rely on it."""
        assert CANARY not in describe_in_public(Settings(upstream=Upstream(url=url)))

    def test_all_the_rest_is_told_and_loads_again(self, tmp_path: Path) -> None:
        text = f"""
            [[listener]]
            bind = "unix:/run/a.sock"
            password = "{CANARY}"
            [[listener]]
            bind = "127.0.0.1:7000"
            payload = "msgpack"
            password_file = "/secrets/{CANARY}"
            tls_cert = "/tls.crt"
            tls_key = "/secrets/{CANARY}.key"
            [upstream]
            url = "rediss://redis:6380/3"
            username = "{CANARY}"
            password = "{CANARY}"
            [[rule]]
            keys = "shop_*"
            [admin]
            hosts = ["proxy"]
            [limits]
            depth = 7
            """
        told = describe_in_public(loaded(written(tmp_path, text)))
        assert CANARY not in told
        content = tomllib.loads(told)
        assert content["listener"] == [
            {"bind": "unix:/run/a.sock", "payload": "json"},
            {"bind": "127.0.0.1:7000", "payload": "msgpack", "tls_cert": "/tls.crt"},
        ]
        assert content["upstream"] == {"url": "rediss://redis:6380/3", "connections": "per-client"}
        assert content["admin"] == {"hosts": ["proxy"]}
        assert content["limits"]["depth"] == 7
        assert content["rule"][0]["keys"] == "shop_*"
