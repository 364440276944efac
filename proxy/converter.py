"""Large conversions, in a process of their own: a thread would hold up every other client (it shares the lock).

Parent and child speak in `frames`, each followed by the value that it is about, as it is: within the frame it
would be copied on the loop, megabytes there and back. Neither ever unpickles.

The child is started by the first large value, and again if it dies: then what it had is answered with an error.
"""

import asyncio
import gc
import logging
import signal
import sys
import traceback
from contextlib import suppress
from typing import BinaryIO, Final

import msgspec

from proxy.codec import CodecError, Options, PayloadError, Transcoder, UndecodableError
from proxy.frames import framed, next_document, read_document
from proxy.session import Conversion, Converted, Half

_log = logging.getLogger("proxy.converter")
_JOBS_AT_ONCE: Final = 2
"""One that the process works at, and one that it finds when it is done."""
_HANGS: Final = 60.0
"""Seconds after which a process that has not answered is killed; the worst value takes less than one."""
_STREAM_LIMIT: Final = 1024 * 1024


class _Job(msgspec.Struct, array_like=True):
    """One conversion. The value follows, of so many bytes."""

    number: int
    encode: bool
    options: Options
    size: int


class _Done(msgspec.Struct, array_like=True):
    """What became of it: the size of the result, which follows, or (where that is not empty) the text of an error."""

    number: int
    size: int
    error: str


_Result = tuple[bytes, str]


class Converter:
    """The parent's side. Jobs wait here, not in the pipe: a client that hangs up takes its own with it."""

    def __init__(self) -> None:
        """No process is started yet."""
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self._slots = asyncio.Semaphore(_JOBS_AT_ONCE)
        self._waiting: dict[int, asyncio.Future[_Result]] = {}
        self._next = 0

    async def convert(self, conversion: Conversion) -> Converted:
        """The result of a conversion. May be cancelled."""
        encode = conversion.half is Half.REQUESTS
        family = PayloadError if encode else UndecodableError
        await self._slots.acquire()
        try:
            result, failure = await self._convert(encode, conversion)
        except (OSError, ValueError) as error:
            _log.error("the converter process failed: %s", error)
            return family("the converter process ended; try again")
        return family(failure) if failure else result

    async def _convert(self, encode: bool, conversion: Conversion) -> _Result:
        """Raises OSError if the process dies. The slot is free once the process has answered, cancelled or not."""
        future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda _: self._slots.release())
        try:
            async with self._starting:
                process = await self._running()
            self._next += 1
            job = _Job(self._next, encode, conversion.transcoder.options, len(conversion.value))
            assert process.stdin is not None  # noqa: S101 (narrows the type: it is a pipe)
            # Not drained: few jobs are under way, and how a broken pipe ends is for `_read` alone to say.
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
        """Whoever waits for it learns of its end; the next value starts another."""
        _log.error("the converter process has not answered for %g s and is killed", _HANGS)
        with suppress(ProcessLookupError):
            process.kill()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "proxy.converter"),
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
            # It counts as gone before its exit is known, or a job handed to it until then would wait for ever.
            if self._process is process:
                self._process = None
            waiting, self._waiting = self._waiting, {}
            for future in waiting.values():
                if not future.done():
                    future.set_exception(OSError("the converter process ended"))
                    future.exception()  # retrieved: whoever waited for it may be gone
            assert process.stdin is not None  # noqa: S101 (narrows the type: it is a pipe)
            process.stdin.close()
            with suppress(OSError):  # asked for, or some Pythons (3.11.2, of Debian 12) log it as an error
                await process.stdin.wait_closed()

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reader is not None:
            await self._reader


def _serve(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """The child: answer jobs until the parent closes the pipe.

    The cyclic collector looks through all that a job has made so far, again and again; once, behind it, is enough.
    """
    gc.freeze()
    gc.disable()
    decoder = msgspec.msgpack.Decoder(_Job)
    transcoders: dict[Options, Transcoder] = {}
    while (document := read_document(stdin)) is not None:
        job = decoder.decode(document)
        result, error = _converted(transcoders, job.encode, job.options, stdin.read(job.size))
        stdout.write(framed(_Done(job.number, len(result), error)))
        stdout.write(result)
        stdout.flush()
        del result
        gc.collect()


def _converted(
    transcoders: dict[Options, Transcoder], encode: bool, options: Options, data: bytes
) -> tuple[bytes, str]:
    transcoder = transcoders.get(options) or transcoders.setdefault(options, Transcoder(options))
    try:
        return (transcoder.encode(data) if encode else transcoder.decode(data)), ""
    except CodecError as error:
        return b"", str(error)
    except Exception as error:  # a fault of ours: it costs this value, not everyone's
        traceback.print_exc()
        return b"", f"the conversion failed ({type(error).__name__})"


if __name__ == "__main__":
    # systemd sends TERM to every process of a service: what the parent drains may still need us. We end with our pipe.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _serve(sys.stdin.buffer, sys.stdout.buffer)
