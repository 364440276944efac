"""The tags that writers may use, and the selection that a rule accepts."""

from collections.abc import Iterable
from typing import Any, Final

from proxy.codec.errors import PayloadError
from proxy.codec.pickler import container_tags, contents, read_only_tags, scalar_tags
from proxy.codec.pickler.pickler import Pickler, Plan, TagWriter
from proxy.codec.pickler.response_tag import RESPONSE, STORED_RESPONSE, is_header_value
from proxy.codec.pickler.zoned_tag import STORED_ZONED, ZONED

__all__ = ["BY_NAME", "NAMES", "accepted", "is_header_value", "stored_already", "top_level_int"]

_WRITERS: Final = {**scalar_tags.WRITERS, **container_tags.WRITERS, "response": RESPONSE, "zoned": ZONED}
_INT_TAG: Final = "py/int"

NAMES: Final = frozenset(_WRITERS)
"""Every tag that can be written, without its `py/`."""

BY_NAME: Final = frozenset({"markup", "response", "zoned"})
"""Tags that "data" does not include. Markup and responses are unescaped HTML and headers of responses, and some apps'
Python has no zoneinfo."""


def _refused(_pickler: Pickler, _content: Any, tag: str) -> Plan:
    raise PayloadError(
        f"the tag {tag} is not accepted by this rule (accept_tags); to write an object with that one key as it "
        f'is, escape it as {{"py/dict": [["{tag}", ...]]}}'
    )


def stored_already() -> dict[str, TagWriter]:
    """Every tag, for values that are only read."""
    writers = _WRITERS | {"response": STORED_RESPONSE, "zoned": STORED_ZONED}
    return {f"py/{name}": writer for name, writer in writers.items()} | read_only_tags.STAND_INS


def accepted(names: Iterable[str]) -> dict[str, TagWriter]:
    """The tags of a rule's `accept_tags`: names, and "data" for all tags except those of `BY_NAME`.

    Without any name, every object is plain data. Otherwise, a tag that is not accepted or is read-only is an error.
    """
    wanted = {each for name in names for each in (NAMES - BY_NAME if name == "data" else {name})}
    if not wanted:
        return {}
    writers = {f"py/{name}": writer if name in wanted else TagWriter(_refused) for name, writer in _WRITERS.items()}
    return writers | read_only_tags.REFUSED


def top_level_int(tree: Any, tags: dict[str, TagWriter]) -> int | None:
    """The int if the whole payload is an int, plain or with its tag; None: another value. Raises PayloadError."""
    if type(tree) is int:
        return tree
    if type(tree) is dict and tree.keys() == {_INT_TAG} and tags.get(_INT_TAG) is _WRITERS["int"]:
        return contents.integer(tree[_INT_TAG], _INT_TAG)
    return None
