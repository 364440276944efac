"""Writes settings as TOML text, for people and for `load`."""

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from proxy.config.settings import Rule, Settings
from proxy.config.values import fields_of, scalar, toml_value

_READS_ALL = (
    "# Clients see the data of every class, and so the password hashes in ORM objects. To hide them, name the classes\n"
    "# that clients may see.\n"
)
_PRIVATE: Final = re.compile(r"username|password|secret|token|(?:^|_)key(?:_|$)")
"""Keys that are nobody's business on the admin port: users, secrets, and the paths of secrets.

It goes by the name. So a new key of this kind is private without any further step.
"""
_NO_KEY: Final = re.compile("(?!)")


def describe(settings: Settings) -> str:
    """The effective configuration as TOML, with secrets masked. Without secrets, it loads to equal settings."""
    return "\n".join(_tables(settings, _NO_KEY))


def describe_in_public(settings: Settings) -> str:
    """The same without users, secrets and paths of secrets. A comment tells which of these keys are set."""
    return "\n".join(_tables(settings, _PRIVATE))


def _tables(settings: Settings, private: re.Pattern[str]) -> Iterator[str]:
    for section in settings.__struct_fields__:
        content = getattr(settings, section)
        if isinstance(content, Struct):
            yield f"[{section}]\n{''.join(_lines(content, private))}"
        else:
            yield from (f"[[{section}]]\n{''.join(_lines(entry, private))}" for entry in content)


def _lines(struct: Struct, private: re.Pattern[str]) -> Iterator[str]:
    for field in fields_of(type(struct)):
        value = getattr(struct, field.name)
        means_nothing = value == {} or (
            field.name == "content_type" and isinstance(struct, Rule) and struct.as_ != "view"
        )
        if value is not None and private.search(field.name):
            yield f"# {field.encode_name} is set, and not shown here\n"
        elif value is not None and not means_nothing:
            yield f"{field.encode_name} = {toml_value(scalar(field.type).mask(value))}\n"
        if field.name == "read_classes" and isinstance(struct, Rule) and "*" in value and _names_classes(struct):
            yield _READS_ALL


def _names_classes(rule: Rule) -> bool:
    """True if the values under a rule may name classes, and clients read them through it."""
    return rule.stored != "json" and rule.as_ != "untouched"
