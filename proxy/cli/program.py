"""The group of all commands. A failure of stdin, stdout or stderr ends in one line of text, not in a traceback."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from proxy.cli.options import NO, fail
from proxy.config.printable import printable

_STREAMS: Final = (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))


class Program(click.Group):
    """A click group for streams that may be closed, full, or unable to encode all characters."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """See click. A failed write, as on a full disk, exits with 1. Click handles a closed pipe."""
        _prepare()
        try:
            try:
                return super().main(*args, **kwargs)
            finally:
                sys.stdout.flush()  # here, so that the error below is reported
        except OSError as error:
            _give_up_stdout()
            if error.errno == errno.EPIPE:
                sys.exit(NO)
            fail(f"cannot read or write: {error.strerror or error}", NO)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """See click."""
        with _printable_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """See click."""
        with _printable_errors():
            return super().invoke(ctx)


@contextmanager
def _printable_errors() -> Iterator[None]:
    """Escape control characters in usage errors: they quote arguments, which `xargs` may have taken from Redis."""
    try:
        yield
    except click.ClickException as error:
        said = "\n".join(map(printable, error.message.split("\n")))
        error.message = said  # type: ignore[misc] # the annotation is Final, the attribute is not
        raise


def _prepare() -> None:
    """Replace streams that the shell closed (`>&-`) by /dev/null. Escape characters that stdout cannot encode."""
    for name, flag in _STREAMS:
        if getattr(sys, name) is None:
            file = os.fdopen(os.open(os.devnull, flag), "r" if flag == os.O_RDONLY else "w")
            setattr(sys, name, file)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _give_up_stdout() -> None:
    """Redirect stdout to /dev/null: Python flushes the rest at its exit, and that would fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
