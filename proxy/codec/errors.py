"""The only exceptions that leave the codec."""


class CodecError(Exception):
    """A value that we will not convert. `str()` says what and why, never any of the value's content."""

    @property
    def is_over_limit(self) -> bool:
        """Under larger limits it might pass: every error that a limit makes names its setting."""
        return "([limits] " in str(self)


class PayloadError(CodecError):
    """The writer's payload is not what it should be: nothing is stored."""


class UndecodableError(CodecError):
    """A stored value that no payload can stand for: damaged, hostile, over a limit, or of a foreign class."""
