"""`export` and `load`: write a cache as lines of NDJSON, and store such lines."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

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
    prefix_option,
    redis_of,
    settings_options,
)
from proxy.cli.output import Bar, counted, write_line, write_object
from proxy.cli.scan import nothing, steps
from proxy.config.printable import printable
from proxy.inspection import ndjson
from proxy.inspection.entries import find, lossless
from proxy.inspection.loader import BATCH_BYTES, BATCH_LINES, Reader, Ready, numbered
from proxy.inspection.ndjson import LineError

if TYPE_CHECKING:
    from proxy.inspection.store import Store

_LARGE_FILE = 1024 * 1024
"""The file size from which on a bar is shown, in bytes."""

_OBJECTS: Final = "; --objects writes objects too, for people and programs that only look"


@click.command(epilog=STATUS, short_help="Write the cache as lines of JSON.")
@settings_options
@prefix_option
@click.option("--objects", is_flag=True, help="Write objects of the app's classes too, although `load` refuses them.")
@click.argument("pattern", type=BYTES, required=False)
def export(
    config: Path | None, upstream: str | None, prefix: tuple[str, ...], objects: bool, pattern: bytes | None
) -> None:
    """Write every managed value whose key matches PATTERN, for `load` to read. Without PATTERN, write all.

    Each value is a line: {"key": ..., "ttl": seconds, "value": ...}. Values keep all their types, as tags. A value
    without expiry has no ttl. A key that is not UTF-8 is {"py/bytes": "<base64>"}. Values that cannot be decoded or
    written back are left out: an object of a class of the app, for example. Then the keys and the reasons are printed
    on stderr, and the exit status is 1. With --objects, such objects are written as {"py/instance": ...}, for people
    and programs that only look.
    """
    settings = looking_with(config, upstream, prefix)
    policy = json_policy(settings)
    reader = lossless(policy.limits.codec, read_classes=("*",) if objects else ())
    written = left_out = 0
    hint = ""
    with redis_of(settings) as store, Bar(there := store.count(), "exporting") as bar:
        for keys in bar.track(steps(store, settings, policy, pattern)):
            for entry in store.look([key for key in keys if policy.match(key) is not None]):
                found = find(entry, policy, reader)
                if found.payload is None:
                    bar.clear()
                    complain(f"{printable(entry.key)}: left out: {found.fault}")
                    left_out += 1
                    hint = _OBJECTS if found.is_unwritable else hint
                else:
                    write_line(ndjson.write(ndjson.Line(entry.key, found.payload, entry.ttl)))
                    written += 1
    if left_out:
        fail(f"{counted(written, 'line')} written, {counted(left_out, 'key')} left out{hint}", NO)
    if not written:
        complain(nothing("managed key", store, there, policy, pattern))


@click.command(epilog=STATUS, short_help="Store the lines that export has written.")
@settings_options
@prefix_option
@json_option
@click.option("--from-line", type=click.IntRange(1), default=1, metavar="N", help="Begin with this line.")
@click.option("--keep-going", is_flag=True, help="Report invalid lines and continue, instead of stopping at the first.")
@click.option("--dry-run", is_flag=True, help="Validate every line and store nothing. Redis is not needed.")
@click.option(
    "--all-tags",
    is_flag=True,
    help="Accept every tag, markup and responses too, even if no rule does. Only for files you trust.",
)
@click.argument("file", type=click.File("rb"))
def load(
    config: Path | None,
    upstream: str | None,
    prefix: tuple[str, ...],
    as_json: bool,
    from_line: int,
    keep_going: bool,
    dry_run: bool,
    all_tags: bool,
    file: BinaryIO,
) -> None:
    """Store the values in FILE (- is standard input): lines that `export` wrote, or lines of your own.

    Every line is validated by the rules first. A line with {"py/instance": ...} is invalid, because a writer who could
    choose the class could run code in the app. Then one SET stores it whole, or not at all, in place of any old value.
    The first invalid line stops the load. The error names the line to continue from, once it is corrected. It does no
    harm to load a line again.

    With --json, each invalid line is reported as {"line": N, "error": "..."}. The last object has the progress:
    {"stored": 2, "bad": 1, "next": 4}. A dry run has "valid" instead of "stored". If a signal other than Ctrl-C's
    ends the command, the last object is missing. Without --json, the number of stored lines is printed on stderr.
    """
    settings = looking_with(config, upstream, prefix)
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
            fail(f"interrupted: continue with --from-line {loading.next}", NO)
        finally:
            loading.conclude()
    loading.end()


def _size(file: BinaryIO) -> int:
    """The number of bytes that are left to read. 0 if it is unknown."""
    if not file.seekable():
        return 0
    here = file.tell()
    size = file.seek(0, 2) - here
    file.seek(here)
    return size


def _write(store: "Store", batch: list[Ready]) -> list[str | None]:
    """Store a batch. Raises StoreError with the line to continue from."""
    from proxy.inspection.store import StoreError, Write

    try:
        return store.write([Write(ready.key, ready.stored, ready.ttl) for ready in batch])
    except StoreError as error:
        said = str(error)
        end = "" if said.endswith("?") else "."
        raise StoreError(f"{said}{end} Then continue with --from-line {batch[0].number}") from None


class _Loading:
    """The state of a load."""

    def __init__(self, reader: Reader, bar: Bar, keep_going: bool, as_json: bool, done: str) -> None:
        """`done`: "stored" or "valid", the word for a good line."""
        self.next = 1
        """The first line that may not be done yet."""
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
        """Store the lines from `start` on. `put` stores a batch and returns an error or None for each line."""
        self._write = put
        self.next = self._start = start
        for number, raw, length in numbered(file, self._reader.longest):
            self._last = number
            if number >= start:
                self._take(number, raw)
            self._bar.update(length)
        self._flush()

    def conclude(self) -> None:
        """With --json, print the object with the progress."""
        if self._as_json:
            write_object({self._done: self._good, "bad": self._bad, "next": self.next})

    def end(self) -> None:
        """Print the result for people. If there were bad lines, end the command with 1."""
        if self._bad:
            fail(f"{counted(self._good, 'line')} {self._done}, {self._bad} bad", NO)
        if self._start > self._last + 1:
            fail(f"--from-line {self._start}: the file ends with line {self._last}")
        if not self._as_json:
            complain(f"{counted(self._good, 'line')} {self._done}")

    def _take(self, number: int, raw: bytes) -> None:
        try:
            ready = self._reader.ready(number, raw)
        except LineError as error:
            if not self._keep_going:
                self._flush()  # store the lines above it first
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
            fail(f"{said}. {so_far}; continue with --from-line {number}", status)
        if not self._as_json:
            complain(said)
