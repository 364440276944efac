"""The codec raises only these exceptions."""

from collections.abc import Collection
from typing import Any, Final, Self

_VOWELS: Final = frozenset("aeiouAEIOU")


class CodecError(Exception):
    """A value cannot be converted. `str()` gives the place and the reason, and never content of the value."""

    def __init__(self, text: str, limit: str | None = None, reason: str = "invalid") -> None:
        """`limit`: the setting that the value exceeds, of `[limits]` or the rule; None: it fails under any limits.

        `reason`: the label in the metrics, if there is no limit: `invalid`, `read_classes` (no rule shows the object),
        `unservable` (under the key of a view), or `failed` (the proxy's fault, not the value's).
        """
        super().__init__(text)
        self.limit = limit
        self.reason = limit or reason

    def named(self, of_rule: Collection[str]) -> Self:
        """The same error, with the name that the exceeded limit has in the configuration.

        `of_rule`: the limits that the rule itself sets. For the others, `[limits]` in the text is right.
        """
        if self.limit not in of_rule:
            return self
        return type(self)(str(self).replace(f"[limits] {self.limit}", f"[[rule]] {self.limit}"), self.limit)


class PayloadError(CodecError):
    """A payload cannot be encoded, so no value is stored."""

    part: Any = None
    """The part of the payload that is wrong, before its place is known; None: the error is not about one part."""

    def at(self, place: str) -> "PayloadError":
        """The same error with the place of `part`."""
        return PayloadError(str(self) if place == "$" else f"{place}: {self}", self.limit, self.reason)


class ReadOnlyError(PayloadError):
    """A payload has a value that clients may read and never write."""

    def __init__(self, what: str, advice: str) -> None:
        """`what`: the value with its article. `advice`: what the writer can do."""
        super().__init__(f"{what} can be read but not written; {advice}")
        self._said = f"is {what}, which can be read but not written; {advice}"

    def at(self, place: str) -> PayloadError:
        """The same error with the place of `part`."""
        return PayloadError(f"{place} {self._said}")


class UndecodableError(CodecError):
    """A stored value cannot be decoded: it is damaged, hostile, over a limit, or of a class that must not be read."""


class UncoveredError(UndecodableError):
    """A stored value holds an object of a class that `read_classes` does not cover."""

    def __init__(self, place: object, what: str) -> None:
        """`place`: of the object. `what`: its class with an article."""
        self.what = f"{place} is {what}"
        super().__init__(f"{self.what}, which read_classes does not cover", reason="read_classes")


def with_article(name: str) -> str:
    """The name of a class after its article."""
    return f"{'an' if name[:1] in _VOWELS else 'a'} {name}"
