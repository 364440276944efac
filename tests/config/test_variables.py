"""Variables that begin like ours, but are none of ours."""

import pytest

from proxy.config import environment_twins, unknown_variables


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("UPSTREM_URL", "UPSTREAM_URL"),
        ("URL", "UPSTREAM_URL"),
        ("REDIS_URL", "UPSTREAM_URL"),
        ("LISTENERS", "LISTEN"),
        ("PREFIXES", "PREFIX"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("GUARD_ALLOW", "GUARD_SCRIPTS"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_nearest(name: str, nearest: str) -> None:
    (warning,) = unknown_variables({f"FLASK_CACHE_PROXY_{name}": "secret", "PATH": "/bin"})
    assert warning == (
        f"FLASK_CACHE_PROXY_{name} is set, but there is no such variable; did you mean FLASK_CACHE_PROXY_{nearest}?"
    )


def test_any_name_has_a_nearest_one_and_is_printable() -> None:
    (warning,) = unknown_variables({"FLASK_CACHE_PROXY_\x1b\n\udcff": "x"})
    assert warning.isprintable()
    assert "did you mean FLASK_CACHE_PROXY_" in warning


@pytest.mark.parametrize(
    "name",
    [
        *("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_JSON", "PORT", "PORT_6380_TCP", "PORT_6380_TCP_ADDR"),
        *("ADMIN_SERVICE_HOST", "ADMIN_SERVICE_PORT_HTTP", "ADMIN_PORT"),
        *("CONFIG", "ENGINE", "LISTEN", "LISTENER_PASSWORD", "LISTENER_PASSWORD_FILE", "PREFIX", "ADMIN_HOSTS"),
    ],
)
def test_variables_of_ours_and_of_orchestrators_are_known(name: str) -> None:
    assert unknown_variables({f"FLASK_CACHE_PROXY_{name}": "x"}) == []


def test_variables_of_settings_empty_ones_and_those_of_others_are_no_warning() -> None:
    assert unknown_variables(dict.fromkeys(environment_twins(), "x")) == []
    assert (
        unknown_variables({"FLASK_CACHE_PROXY_NOSUCH": "", "FLASK_CACHE": "x", "_FLASK_CACHE_PROXY_COMPLETE": "x"})
        == []
    )
