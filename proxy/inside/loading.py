"""A file of lines -> values to be stored, each line validated as a whole before anything of it goes."""

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from proxy.codec import Options, PayloadError, Transcoder
from proxy.inside import lines
from proxy.inside.finding import EVERY_TAG
from proxy.inside.lines import LineError
from proxy.policy import As, Policy, Rule

_PIECE: Final = 64 * 1024
BATCH_LINES: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024


class Ready(NamedTuple):
    """A line that may be stored."""

    number: int
    key: bytes
    stored: bytes
    ttl: int | None
    """Milliseconds; None: it stays until it is deleted."""


def numbered(file: BinaryIO, most: int) -> Iterator[tuple[int, bytes, int]]:
    """Each line that is not blank: its number, itself (or its first `most` + 1 bytes), and its whole length."""
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
    """Validates lines by the rules."""

    def __init__(self, policy: Policy, every_tag: bool) -> None:
        """`every_tag`: take markup and responses too where the rule of a key does not."""
        self._policy = policy
        self._every_tag = every_tag
        given = policy.limits.codec
        # Whatever can be read from one cache can be written to another.
        self._limits = given._replace(payload_bytes=max(given.payload_bytes, given.decoded_bytes))
        self.longest = self._limits.payload_bytes + lines.MOST_AROUND
        """Bytes that a line may have."""
        self._transcoders: dict[str, Transcoder] = {}

    def ready(self, number: int, raw: bytes) -> Ready:
        """The line, ready to be stored. Raises LineError."""
        if len(raw) > self.longest:
            raise LineError(f"it has more than {self.longest} bytes ([limits] decoded_bytes)")
        line = lines.read(raw)
        rule = self._policy.match(line.key)
        if rule is None:
            raise LineError("its key is not managed: no rule is for it")
        if rule.treats_as is As.READ_ONLY:
            raise LineError(f"the rule of its key, {rule.name}, is read-only")
        try:
            return Ready(number, line.key, self._transcoder(rule).encode(line.payload), line.ttl)
        except PayloadError as error:
            said = str(error)
            if "(accept_tags)" in said:  # a way to escape it follows there; in a file, it is meant as it stands
                said = f"{said.partition(';')[0]}; for a file that you trust, --all-tags takes every tag"
            raise LineError(f"its value cannot be stored: {said}") from None

    def _transcoder(self, rule: Rule) -> Transcoder:
        """A line means values, not what a rule makes of payloads: tags are types, and a view is what it returned."""
        if rule.name not in self._transcoders:
            given = rule.transcoder.options
            self._transcoders[rule.name] = Transcoder(
                Options(
                    pickle_protocol=given.pickle_protocol,
                    accept_tags=EVERY_TAG if self._every_tag else ("data", *given.accept_tags),
                    limits=self._limits,
                )
            )
        return self._transcoders[rule.name]
