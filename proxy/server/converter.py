"""The converter: a child process that encodes and decodes large values, so that the event loop stays free.

A thread would block the loop, because it shares the interpreter lock. Parent and child exchange frames (`net.ipc`).
The value follows its frame without encoding, because msgpack would copy megabytes on the loop. Neither side uses
pickle.

The first large value starts the child. If the child dies, its jobs fail, and the next value starts a new child.
"""

import asyncio
import gc
import logging
import signal
import sys
import traceback
from contextlib import suppress
from functools import lru_cache
from typing import BinaryIO, Final

import msgspec

from proxy.codec import CodecError, Options, PayloadError, Transcoder, UndecodableError
from proxy.net.ipc import framed, next_document, read_document
from proxy.session import Conversion, Converted, Half

_log = logging.getLogger("proxy.converter")
_JOBS_AT_ONCE: Final = 2
"""One job that runs, and one that waits in the pipe, so that the child never waits for the parent."""
_HANGS: Final = 60.0
"""Seconds for one job. A child that takes longer is killed. The worst known value takes less than 1 s."""
_STREAM_LIMIT: Final = 1024 * 1024
_RULES: Final = 128
"""The number of transcoders that the child keeps. The least recently used one goes first, as after a reload."""


class _Job(msgspec.Struct, array_like=True):
    """One conversion. The value follows: `size` bytes."""

    number: int
    encode: bool
    options: Options
    size: int


class _Done(msgspec.Struct, array_like=True):
    """The answer to a job. The result follows: `size` bytes."""

    number: int
    size: int
    error: tuple[str, str | None, str] | None
    """The arguments of a CodecError: text, limit, reason."""


_Result = tuple[bytes, tuple[str, str | None, str] | None]
_FAILED: Final = "failed"
"""The reason of errors that are not the value's fault."""


class Converter:
    """The parent's side. Jobs wait here and not in the pipe, so that a client that leaves cancels its jobs."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self._slots = asyncio.Semaphore(_JOBS_AT_ONCE)
        self._waiting: dict[int, asyncio.Future[_Result]] = {}
        self._next = 0

    async def convert(self, conversion: Conversion) -> Converted:
        """Convert a value. Returns the result, or a CodecError if it fails. The caller may cancel it."""
        encode = conversion.half is Half.REQUESTS
        family = PayloadError if encode else UndecodableError
        await self._slots.acquire()
        try:
            result, failure = await self._convert(encode, conversion)
        except (OSError, ValueError) as error:
            _log.error("the converter process failed: %s", error)
            return family("the converter process ended; try again", reason=_FAILED)
        return result if failure is None else family(*failure)

    async def _convert(self, encode: bool, conversion: Conversion) -> _Result:
        """Run one job. Frees the slot when the child has answered, even if the caller has cancelled it.

        Raises OSError if the child dies.
        """
        future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda _: self._slots.release())
        try:
            async with self._starting:
                process = await self._running()
            self._next += 1
            job = _Job(self._next, encode, conversion.transcoder.options, len(conversion.value))
            assert process.stdin is not None  # noqa: S101 (narrows the type: it is a pipe)
            # No `drain`: at most two jobs are under way. `_read` alone handles a broken pipe.
            process.stdin.write(framed(job))
            process.stdin.write(conversion.value)
        except BaseException:
            future.cancel()
            raise
        self._waiting[job.number] = future
        hangs = asyncio.get_running_loop().call_later(_HANGS, self._kill, process)
        future.add_done_callback(lambda _: hangs.cancel())
        return await asyncio.shield(future)

    def _kill(self, process: asyncio.subprocess.Process) -> None:
        """Kill a child that hangs. `_read` then fails its jobs, and the next value starts a new child."""
        _log.error("the converter process did not answer for %g s and is killed", _HANGS)
        with suppress(ProcessLookupError):
            process.kill()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "proxy.server.converter"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_STREAM_LIMIT,
                start_new_session=True,
            )
            self._reader = asyncio.create_task(self._read(self._process), name="converter replies")
        return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 (narrows the type: it is a pipe)
        decoder = msgspec.msgpack.Decoder(_Done)
        try:
            while True:
                done = decoder.decode(await next_document(process.stdout))
                result = await process.stdout.readexactly(done.size), done.error
                future = self._waiting.pop(done.number, None)
                if future is not None and not future.done():
                    future.set_result(result)
        except (asyncio.IncompleteReadError, OSError):
            # Forget the child now, before its exit status is known. A job given to it until then would never end.
            if self._process is process:
                self._process = None
            waiting, self._waiting = self._waiting, {}
            for future in waiting.values():
                if not future.done():
                    future.set_exception(OSError("the converter process ended"))
                    future.exception()  # marks it as retrieved: the caller may have left
            assert process.stdin is not None  # noqa: S101 (narrows the type: it is a pipe)
            process.stdin.close()
            with suppress(OSError):  # if nobody awaits this, Python 3.11.2 (Debian 12) logs an error
                await process.stdin.wait_closed()

    async def close(self) -> None:
        """Kill the child and wait for its end."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reader is not None:
            await self._reader


def _serve(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """The child's main loop: run jobs until the parent closes the pipe.

    The garbage collector runs once after each job. During a job it would scan the job's objects again and again.
    """
    gc.freeze()
    gc.disable()
    decoder = msgspec.msgpack.Decoder(_Job)
    while (document := read_document(stdin)) is not None:
        job = decoder.decode(document)
        result, error = _converted(job.encode, job.options, stdin.read(job.size))
        stdout.write(framed(_Done(job.number, len(result), error)))
        stdout.write(result)
        stdout.flush()
        del result
        gc.collect()


_transcoder = lru_cache(maxsize=_RULES)(Transcoder)


def _converted(encode: bool, options: Options, data: bytes) -> _Result:
    transcoder = _transcoder(options)
    try:
        return (transcoder.encode(data) if encode else transcoder.decode(data)), None
    except CodecError as error:
        return b"", (str(error), error.limit, error.reason)
    except Exception as error:  # a bug in the codec: only this value fails
        traceback.print_exc()
        return b"", (f"the conversion failed ({type(error).__name__})", None, _FAILED)


if __name__ == "__main__":
    # systemd sends TERM to every process of a service. While the parent drains, it may still need the child.
    # So the child ignores TERM, and ends when the pipe closes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _serve(sys.stdin.buffer, sys.stdout.buffer)
