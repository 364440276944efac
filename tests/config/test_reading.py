"""The keys of a listener and a rule that decide how values are stored and read."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config import ConfigError, Flags, Settings, describe, load

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a configuration file."""

    def written(text: str) -> Path:
        file = tmp_path / "config.toml"
        file.write_text(text)
        return file

    return written


def settings(file: Path) -> Settings:
    return load(file, {}, Flags())


def only_error(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(file)
    (error,) = caught.value.errors
    return error


def test_every_class_is_read_and_flasks_storage_is_usual() -> None:
    (rule,) = Settings().rule
    assert (rule.read_classes, rule.stored, rule.naive) == (("*",), "flask", "")
    assert Settings().listener[0].types is None


def test_views_are_checked_unless_the_rule_says_otherwise(write: Write) -> None:
    assert Settings().rule[0].check_views is True
    (rule,) = settings(write('[[rule]]\nkeys = "a"\ncheck_views = false\n')).rule
    assert rule.check_views is False
    for wrong in ("0", '"false"', "[]"):
        error = only_error(write(f'[[rule]]\nkeys = "a"\ncheck_views = {wrong}\n'))
        assert "rule[0].check_views: expected true or false, got " in error


@pytest.mark.parametrize("globs", [[], ["*"], ["shop.models.*", "decimal.Decimal", "a.[B-D]?"], ["x" * 512]])
def test_read_classes_are_globs(write: Write, globs: list[str]) -> None:
    (rule,) = settings(write(f'[[rule]]\nkeys = "a"\nread_classes = {globs}\n')).rule
    assert rule.read_classes == tuple(globs)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('read_classes = "*"', 'rule[0].read_classes: expected an array, got "*"'),
        ('read_classes = [""]', "rule[0].read_classes[0]: expected a glob on dotted names"),
        ('read_classes = ["a.*", "b\\n"]', "rule[0].read_classes[1]: expected a glob on dotted names"),
        (f'read_classes = ["{"x" * 513}"]', "rule[0].read_classes[0]: expected a glob on dotted names"),
        ("read_classes = [1]", "rule[0].read_classes[0]: expected a string, got 1"),
        ('stored = "msgpack"', 'rule[0].stored: expected one of "django", "flask", "json", "pickle", got "msgpack"'),
        (
            'stored = "Django"',
            'rule[0].stored: expected one of "django", "flask", "json", "pickle", got "Django"; did you mean "django"?',
        ),
        ('naive = "local"', 'rule[0].naive: expected one of "", "utc", got "local"'),
        ("naive = true", 'rule[0].naive: expected one of "", "utc", got true'),
        ('as = "view"\nstored = "django"', 'rule[0].stored: must be "flask" where as = "view", got "django"'),
        ('stored = "json"\nas = "view"', 'rule[0].stored: must be "flask" where as = "view", got "json"'),
    ],
)
def test_a_mistake_is_named(write: Write, line: str, reason: str) -> None:
    file = write(f'[[rule]]\nkeys = "a"\n{line}\n')
    assert only_error(file).startswith(f"{file}: {reason}")


@pytest.mark.parametrize(("tag", "near"), [("zone", "zoned"), ("py/date", "date"), ("instance", None), ("", None)])
def test_the_nearest_tag_is_named(write: Write, tag: str, near: str | None) -> None:
    error = only_error(write(f'[[rule]]\nkeys = "a"\naccept_tags = ["{tag}"]\n'))
    assert error.endswith(f'got "{tag}"; did you mean "{near}"?' if near else f'got "{tag}"')


@pytest.mark.parametrize("types", ['"natural"', '""', "1"])
def test_a_listener_is_plain_or_tagged(write: Write, types: str) -> None:
    file = write(f'[[listener]]\nbind = "127.0.0.1:1"\ntypes = {types}\n')
    assert only_error(file).startswith(f'{file}: listener[0].types: expected one of "plain", "tagged", got {types}')


def test_a_description_shows_how_values_are_read(write: Write) -> None:
    file = write(
        """
        [[listener]]
        bind = "127.0.0.1:1"
        [[listener]]
        bind = "127.0.0.1:2"
        types = "plain"
        [[rule]]
        keys = "a"
        stored = "json"
        naive = "utc"
        types = "plain"
        [[rule]]
        keys = "b"
        read_classes = ["shop.*"]
        """
    )
    text = describe(settings(file))
    content = tomllib.loads(text)
    assert [listener.get("types") for listener in content["listener"]] == [None, "plain"]
    told = [(rule["types"], rule["stored"], rule["naive"], rule["read_classes"]) for rule in content["rule"]]
    assert told == [("plain", "json", "utc", ["*"]), ("tagged", "flask", "", ["shop.*"])]
    assert settings(write(text)) == settings(file)


def test_a_description_says_what_the_default_shows(write: Write) -> None:
    remark = "# Clients see the data of every class"
    assert remark in describe(Settings())
    assert remark not in describe(settings(write('[[rule]]\nkeys = "a"\nread_classes = ["shop.*"]\n')))
    assert remark not in describe(settings(write('[[rule]]\nkeys = "a"\nstored = "json"\n')))
    assert remark not in describe(settings(write('[[rule]]\nkeys = "a"\nas = "untouched"\n')))
