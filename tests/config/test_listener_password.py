"""A variable gives a password to the listeners that a flag or a variable names. They have no table of their own."""

from pathlib import Path

import pytest

from proxy.config import ConfigError, Flags, Settings, describe, load

PASSWORD = "FLASK_CACHE_PROXY_LISTENER_PASSWORD"
FILE = "FLASK_CACHE_PROXY_LISTENER_PASSWORD_FILE"
LISTEN = "FLASK_CACHE_PROXY_LISTEN"
LOGS_IN = {"FLASK_CACHE_PROXY_UPSTREAM_PASSWORD": "redis'"}


def errors(environ: dict[str, str], file: Path | None = None, flags: Flags | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(file, environ, flags or Flags())
    return caught.value.errors


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """It has a listener."""
    file = tmp_path / "config.toml"
    file.write_text('[[listener]]\nbind = "127.0.0.1:1"\npassword_file = "/its/own"\n')
    return file


@pytest.mark.parametrize(("variable", "key"), [(PASSWORD, "password"), (FILE, "password_file")])
@pytest.mark.parametrize("by", ["variable", "flag", "default"])
def test_every_listener_of_the_flag_or_the_variable_has_it(variable: str, key: str, by: str) -> None:
    binds = {"variable": ["0.0.0.0:1", "unix:/run/x"], "flag": ["[::]:3", "plain=[::]:4"], "default": [""]}[by]
    environ = {variable: "s3cret", **({LISTEN: ",".join(binds)} if by == "variable" else {})}
    got = load(None, environ, Flags(listen=tuple(binds) if by == "flag" else ())).listener
    assert [getattr(each, key) for each in got] == ["s3cret"] * len(binds)
    if by == "default":
        assert got[0].bind == Settings().listener[0].bind


def test_the_proxy_may_log_in_itself_without_a_file() -> None:
    environ = {LISTEN: "0.0.0.0:6380", **LOGS_IN}
    (error,) = errors(environ)
    assert PASSWORD in error
    settings = load(None, {**environ, PASSWORD: "clients'"}, Flags())
    assert (settings.upstream.password, settings.listener[0].password) == ("redis'", "clients'")


def test_listeners_of_a_file_have_their_own(file: Path) -> None:
    (error,) = errors({PASSWORD: "s3cret"}, file)
    assert error == (
        f"{PASSWORD}: is for the listeners of --listen and {LISTEN}; set password in each [[listener]] of the file"
    )
    assert load(file, {PASSWORD: "s3cret"}, Flags(), serves=False).listener[0].password is None
    assert load(file, {PASSWORD: "s3cret"}, Flags(listen=("127.0.0.1:2",))).listener[0].password == "s3cret"
    assert load(file, {PASSWORD: ""}, Flags()).listener[0].password_file == "/its/own"


def test_only_one_of_the_two_is_set() -> None:
    (error,) = errors({PASSWORD: "s3cret", FILE: "/run/secret", LISTEN: "127.0.0.1:2,127.0.0.1:3"})
    assert error == f"{PASSWORD} and {FILE}: are set together; set only one of them"


def test_it_is_never_shown() -> None:
    environ = {PASSWORD: "s3cret", LISTEN: "127.0.0.1:2,[::1:6380"}
    assert "s3cret" not in "".join(errors(environ))
    assert "s3cret" not in describe(load(None, {PASSWORD: "s3cret"}, Flags()))
