"""Turns the lines of a file into values to store. Each line is validated completely before it is stored."""

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from proxy.codec import CodecLimits, Options, PayloadError, Transcoder
from proxy.inspection import ndjson
from proxy.inspection.entries import EVERY_TAG, oversize
from proxy.inspection.ndjson import LineError
from proxy.policy import OVERSIZE, As, Policy, Rule

_PIECE: Final = 64 * 1024
BATCH_LINES: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024


class Ready(NamedTuple):
    """A validated line."""

    number: int
    key: bytes
    stored: bytes
    ttl: int | None
    """Time to live in milliseconds. None: no expiry."""


def numbered(file: BinaryIO, most: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield (number, line, length) for each line that is not blank. Of a longer line, only `most` + 1 bytes."""
    number = 0
    while line := file.readline(most + 1):
        number += 1
        length = len(line)
        if length > most:
            piece = line
            while piece and not piece.endswith(b"\n"):
                piece = file.readline(_PIECE)
                length += len(piece)
        if not line.isspace():
            yield number, line, length


class Reader:
    """Validates lines by the rules of a policy."""

    def __init__(self, policy: Policy, every_tag: bool) -> None:
        """`every_tag`: accept markup, responses and zoned datetimes, even if the rule of the key does not."""
        self._policy = policy
        self._every_tag = every_tag
        self.longest = _as_exported(policy.widest).payload_bytes + ndjson.MOST_AROUND
        """The limit for the length of a line, in bytes."""
        self._transcoders: dict[str, Transcoder] = {}

    def ready(self, number: int, raw: bytes) -> Ready:
        """Validate a line. Raises LineError."""
        if len(raw) > self.longest:
            raise LineError(f"it has more than {self.longest} bytes ([limits] decoded_bytes)")
        line = ndjson.read(raw)
        rule = self._policy.match(line.key)
        if rule is None:
            raise LineError("its key is not managed: no rule is for it")
        if rule is OVERSIZE:
            raise LineError(oversize(line.key))
        if rule.treats_as is As.READ_ONLY:
            raise LineError(f"the rule of its key, {rule.name}, is read-only")
        try:
            stored = self._transcoder(rule).encode(line.payload)
            if (fault := rule.view_fault(line.key, stored)) is not None:
                raise fault
            return Ready(number, line.key, stored, line.ttl)
        except PayloadError as error:
            said, _, _ = str(error).partition("; to write")  # the codec's hint to escape a tag, which a file means
            if said.endswith("(accept_tags)"):
                said += "; for a file that you trust, --all-tags takes every tag"
            raise LineError(f"its value cannot be stored: {said}") from None

    def _transcoder(self, rule: Rule) -> Transcoder:
        """The transcoder for lines: like the rule's one, but tags are types, and a view is its tagged value."""
        if rule.name not in self._transcoders:
            given = rule.transcoder.options
            self._transcoders[rule.name] = Transcoder(
                Options(
                    pickle_protocol=given.pickle_protocol,
                    accept_tags=EVERY_TAG if self._every_tag else ("data", *given.accept_tags),
                    limits=_as_exported(given.limits),
                    limits_of_rule=given.limits_of_rule,
                    stored=given.stored,
                )
            )
        return self._transcoders[rule.name]


def _as_exported(limits: CodecLimits) -> CodecLimits:
    """The same, so that every value that `export` can read is accepted."""
    return limits._replace(payload_bytes=max(limits.payload_bytes, limits.decoded_bytes))
