"""`export` and `load`: a cache as lines of NDJSON, and back."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from proxy.cli.options import (
    BYTES,
    NO,
    NO_REDIS,
    STATUS,
    complain,
    fail,
    json_option,
    json_policy,
    looking_with,
    redis_of,
    settings_options,
)
from proxy.cli.output import Bar, counted, printable, write, write_object
from proxy.cli.scanning import nothing, steps
from proxy.inside import lines
from proxy.inside.finding import find, lossless
from proxy.inside.lines import LineError
from proxy.inside.loading import BATCH_BYTES, BATCH_LINES, Reader, Ready, numbered

if TYPE_CHECKING:
    from proxy.inside.store import Store

_LARGE_FILE = 1024 * 1024
"""Bytes from which on a bar is worth its place."""


@click.command(epilog=STATUS, short_help="Write the cache as lines of JSON.")
@settings_options
@click.argument("pattern", type=BYTES, required=False)
def export(config: Path | None, upstream: str | None, pattern: bytes | None) -> None:
    """Write every managed value whose key matches PATTERN (without one, all of them), for `load` to read.

    A line each: {"key": ..., "ttl": seconds, "value": ...}. Values keep all their types, as tags; a ttl is left out
    where there is none; a key that is not UTF-8 is {"py/bytes": "<base64>"}. What cannot be decoded is named on stderr
    and left out.
    """
    settings = looking_with(config, upstream)
    policy = json_policy(settings)
    reader = lossless(policy.limits.codec)
    written = left_out = 0
    with redis_of(settings) as store, Bar(there := store.count(), "exporting") as bar:
        for keys in bar.track(steps(store, settings, policy, pattern)):
            for entry in store.look([key for key in keys if policy.match(key) is not None]):
                found = find(entry, policy, reader)
                if found.payload is None:
                    bar.clear()
                    complain(f"{printable(entry.key)}: left out: {found.fault}")
                    left_out += 1
                else:
                    write(lines.write(lines.Line(entry.key, found.payload, entry.ttl)) + b"\n")
                    written += 1
    if left_out:
        fail(f"{counted(written, 'line')} written, {counted(left_out, 'key')} left out", NO)
    if not written:
        complain(nothing("managed key", store, there, policy, pattern))


@click.command(epilog=STATUS, short_help="Store what export has written.")
@settings_options
@json_option
@click.option(
    "--from-line", type=click.IntRange(1), default=1, metavar="N", help="Go on here: leave out what is above."
)
@click.option("--keep-going", is_flag=True, help="Name bad lines and go on, instead of stopping at the first.")
@click.option("--dry-run", is_flag=True, help="Validate every line, and write nothing. Redis is not needed.")
@click.option("--all-tags", is_flag=True, help="Take markup and responses where no rule does: for files you trust.")
@click.argument("file", type=click.File("rb"))
def load(
    config: Path | None,
    upstream: str | None,
    as_json: bool,
    from_line: int,
    keep_going: bool,
    dry_run: bool,
    all_tags: bool,
    file: BinaryIO,
) -> None:
    """Store the values in FILE (- is standard input): lines as `export` writes them, or your own to fill a cache.

    Every line is validated by the rules before anything of it goes, and then stored by one SET: wholly, or not at all,
    in place of what is there. The first bad line stops the load and is named with the line to go on from, once it is
    mended. To load a line again does no harm.

    With --json, each bad line is {"line": N, "error": "..."}, and the last object says how far it has come, unless a
    signal other than that of Ctrl-C ends it: {"stored": 2, "bad": 1, "next": 4} ("valid" for a dry run).
    """
    settings = looking_with(config, upstream)
    reader = Reader(json_policy(settings), all_tags)
    with Bar(_size(file), "loading", _LARGE_FILE) as bar:
        loading = _Loading(reader, bar, keep_going, as_json, "valid" if dry_run else "stored")
        try:
            if dry_run:
                loading.run(file, from_line, lambda batch: [None] * len(batch))
            else:
                with redis_of(settings) as store:
                    loading.run(file, from_line, lambda batch: _write(store, batch))
        except KeyboardInterrupt:
            fail(f"interrupted: go on with --from-line {loading.next}", NO)
        finally:
            loading.conclude()
    loading.end()


def _size(file: BinaryIO) -> int:
    """Bytes that are still to be read; 0: that is not known."""
    if not file.seekable():
        return 0
    here = file.tell()
    size = file.seek(0, 2) - here
    file.seek(here)
    return size


def _write(store: "Store", batch: list[Ready]) -> list[str | None]:
    """Raises StoreError with the line to go on from."""
    from proxy.inside.store import StoreError, Write

    try:
        return store.write([Write(ready.key, ready.stored, ready.ttl) for ready in batch])
    except StoreError as error:
        said = str(error)
        end = "" if said.endswith("?") else "."
        raise StoreError(f"{said}{end} Then go on with --from-line {batch[0].number}") from None


class _Loading:
    """How far a load has come."""

    def __init__(self, reader: Reader, bar: Bar, keep_going: bool, as_json: bool, done: str) -> None:
        """`done`: what good lines are in the end."""
        self.next = 1
        """The first line that is not known to be done."""
        self._done = done
        self._reader = reader
        self._bar = bar
        self._keep_going = keep_going
        self._as_json = as_json
        self._batch: list[Ready] = []
        self._batch_bytes = 0
        self._good = self._bad = self._start = self._last = 0
        self._write: Callable[[list[Ready]], list[str | None]]

    def run(self, file: BinaryIO, start: int, put: Callable[[list[Ready]], list[str | None]]) -> None:
        """Store the lines from `start` on. `put`: stores a batch; for each line what was said against it, or None."""
        self._write = put
        self.next = self._start = start
        for number, raw, length in numbered(file, self._reader.longest):
            self._last = number
            if number >= start:
                self._take(number, raw)
            self._bar.update(length)
        self._flush()

    def conclude(self) -> None:
        """Tell machines how far it has come."""
        if self._as_json:
            write_object({self._done: self._good, "bad": self._bad, "next": self.next})

    def end(self) -> None:
        """Tell people how it went; with bad lines, end the command."""
        if self._bad:
            fail(f"{counted(self._good, 'line')} {self._done}, {self._bad} bad", NO)
        if self._start > self._last + 1:
            fail(f"--from-line {self._start}: the file ends with line {self._last}")
        if sys.stderr.isatty():
            complain(f"{counted(self._good, 'line')} {self._done}")

    def _take(self, number: int, raw: bytes) -> None:
        try:
            ready = self._reader.ready(number, raw)
        except LineError as error:
            if not self._keep_going:
                self._flush()  # what stands above it
            self._refused(number, str(error), NO)
            return
        self._batch.append(ready)
        self._batch_bytes += len(ready.stored)
        if len(self._batch) >= BATCH_LINES or self._batch_bytes >= BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if not batch:
            return
        self.next = batch[0].number
        for ready, refusal in zip(batch, self._write(batch), strict=True):
            if refusal is None:
                self._good += 1
            else:
                self._refused(ready.number, refusal, NO_REDIS)
        self.next = batch[-1].number + 1

    def _refused(self, number: int, reason: str, status: int) -> None:
        said = printable(f"line {number}: {reason}")
        self._bar.clear()
        self._bad += 1
        if self._as_json:
            write_object({"line": number, "error": reason})
        if not self._keep_going:
            self.next = number
            so_far = f"{self._done.capitalize()} so far: {counted(self._good, 'line')}"
            fail(f"{said}. {so_far}; go on with --from-line {number}", status)
        if not self._as_json:
            complain(said)
