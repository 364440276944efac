"""`--default`: an image changes a default, and every other source still wins."""

from pathlib import Path

import pytest

from proxy.config import ConfigError, Flags, Settings, load

IMAGE = Flags(defaults=("admin.bind=127.0.0.1:9380", "limits.depth=9"))


def test_it_takes_the_place_of_the_default() -> None:
    settings = load(None, {}, IMAGE)
    assert (settings.admin.bind, settings.limits.depth) == ("127.0.0.1:9380", 9)
    assert settings.limits.nodes == Settings().limits.nodes


def test_the_file_the_environment_and_flags_win(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[admin]\nbind = "0.0.0.0:1"\n[limits]\nnodes = 5\n')
    settings = load(file, {}, IMAGE)
    assert (settings.admin.bind, settings.limits.depth, settings.limits.nodes) == ("0.0.0.0:1", 9, 5)
    assert load(file, {"FLASK_CACHE_PROXY_ADMIN_BIND": "[::]:2"}, IMAGE).admin.bind == "[::]:2"
    level = Flags(defaults=("log.level=debug",), log_level="error")
    assert load(None, {}, level).log.level == "error"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("admin.bnd=x", '--default: "admin.bnd": unknown key; did you mean admin.bind?'),
        ("listener.bind=127.0.0.1:1", '--default: "listener.bind": unknown key; '),
        ("admin.bind", '--default: "admin.bind": expected KEY=VALUE'),
        ("admin.bind=", '--default: "admin.bind": expected KEY=VALUE'),
        ("limits.depth=deep", '--default: limits.depth: expected an integer from 1 to 150, got "deep"'),
        ("admin.bind=127.0.0.1:6380", '--default: admin.bind: "127.0.0.1:6380" overlaps listener[0].bind'),
    ],
)
def test_a_mistake_is_named(text: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {}, Flags(defaults=(text,)))
    (said,) = caught.value.errors
    assert said.startswith(error)
