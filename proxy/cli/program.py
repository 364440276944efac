"""The group of all commands, which sees to it that a stream that fails ends in a sentence, not in a traceback."""

import errno
import io
import os
import sys
from typing import Any, Final

import click

from proxy.cli.options import NO, fail

_STREAMS: Final = (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))


class Program(click.Group):
    """Runs a command on streams that may be closed, full, or of a narrow encoding."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """See click. What cannot be written (a full disk) ends with 1; a reader that went away is click's."""
        _prepare()
        try:
            try:
                return super().main(*args, **kwargs)
            finally:
                sys.stdout.flush()  # now, while there is somebody to say that it failed
        except OSError as error:
            _give_up_stdout()
            if error.errno == errno.EPIPE:
                sys.exit(NO)
            fail(f"cannot read or write: {error.strerror or error}", NO)


def _prepare() -> None:
    """Give what the shell closed (`>&-`) an end that is empty, and text that has no code in an encoding its escape."""
    for name, flag in _STREAMS:
        if getattr(sys, name) is None:
            file = os.fdopen(os.open(os.devnull, flag), "r" if flag == os.O_RDONLY else "w")
            setattr(sys, name, file)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _give_up_stdout() -> None:
    """Python flushes it once more at its end: what is left in it goes nowhere, without a word."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
