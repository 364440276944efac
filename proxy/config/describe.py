"""Settings back to TOML text, for people to read and for `load` to read again."""

from collections.abc import Iterator

from msgspec import Struct

from proxy.config.settings import Rule, Settings
from proxy.config.values import fields_of, scalar, toml_value


def describe(settings: Settings) -> str:
    """The effective configuration as TOML. Secrets are masked; without any, it loads to equal settings."""
    return "\n".join(_tables(settings))


def _tables(settings: Settings) -> Iterator[str]:
    for section in settings.__struct_fields__:
        content = getattr(settings, section)
        if isinstance(content, Struct):
            yield f"[{section}]\n{''.join(_lines(content))}"
        else:
            yield from (f"[[{section}]]\n{''.join(_lines(entry))}" for entry in content)


def _lines(struct: Struct) -> Iterator[str]:
    for field in fields_of(type(struct)):
        value = getattr(struct, field.name)
        means_nothing = field.name == "content_type" and isinstance(struct, Rule) and struct.as_ != "view"
        if value is not None and not means_nothing:
            yield f"{field.encode_name} = {toml_value(scalar(field.type).mask(value))}\n"
