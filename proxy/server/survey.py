"""Surveys a sample of Redis' keys at the start, and after a reload that changes rules. Clients do not wait for it.

It sends SCAN, TYPE and GETRANGE of two bytes on a connection of its own, and never reads a value. On a cluster, each
master gives its share of the keys. Numbers of keys, rounds, bytes and seconds are bounded, because Redis may be hostile
or slow. A survey that Redis refuses is skipped, with a line that says why.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from proxy.assembly import upstream_for
from proxy.config import Listener, ListenerAddress, Settings, TcpAddress
from proxy.net.tls import TlsError
from proxy.resp import Answer, ErrorAnswer
from proxy.resp.encode import command
from proxy.server.rules_told import doubts, surveyed
from proxy.session import Opening
from proxy.survey.prefixes import Names
from proxy.survey.sample import Sample, SurveyedRule
from proxy.survey.starts import BYTES
from proxy.survey.wording import Line, rule_lines, sample_lines
from proxy.upstream.dialer import Upstream
from proxy.upstream.link import UpstreamError
from proxy.upstream.query import Query

_log = logging.getLogger("proxy.survey")
_KEYS: Final = 500
_ROUNDS: Final = 100
"""Calls of SCAN at most. A table with few keys for its size needs many calls for a key."""
_COUNT: Final = b"25"
"""The COUNT of each SCAN. An answer of more than 64 KiB ends the survey, so calls are small."""
_TOGETHER: Final = 50
"""Keys that are asked about at once."""
_DEADLINE: Final = 30.0
"""Seconds for one survey, from the connection on."""
_DELAYS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between two attempts to reach Redis. The last one repeats."""
_LATER: Final = ("LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN")
"""Errors of a Redis that answers later."""
_LEFT: Final = ("MOVED", "ASK", "TRYAGAIN")
"""Errors about a key that has left its node of a cluster since SCAN."""
_NOAUTH: Final = "NOAUTH"
_NOPERM: Final = "NOPERM"
_LONGEST_TEXT: Final = 200
"""Characters of an error that the log shows."""
_CODE: Final = re.compile("[A-Z]{1,16}(?= |$)")
"""The first word of an error."""


class _SkippedError(Exception):
    """There is no survey. `str()` gives the reason."""


class _NotReadyError(Exception):
    """Redis cannot be asked yet."""


class Survey:
    """Tells the log about rules and keys. One process of the proxy has it: the server, or the supervisor of workers."""

    def __init__(
        self,
        start: Callable[[Awaitable[None], str], "asyncio.Task[None]"],
        listeners: Sequence[Listener],
        addresses: Sequence[ListenerAddress],
    ) -> None:
        """`start`: starts a task. `addresses`: the real ones of the listeners."""
        self._start = start
        places = zip(listeners, addresses, strict=True)
        self._where = ", ".join(f"{listener.form} on {address}" for listener, address in places)
        self._names = Names()
        self._task: asyncio.Task[None] | None = None
        self._told: object = None

    def begin(self, settings: Settings) -> None:
        """List the rules and begin the survey, if the rules are not those of the last call."""
        if self._told == settings.rule:
            return
        self._told = settings.rule
        _tell(doubts(settings.rule))
        _tell(rule_lines(surveyed(settings.rule), self._where))
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if settings.log.survey:
            self._task = self._start(self._run(settings), "survey the keys")

    async def _run(self, settings: Settings) -> None:
        try:
            upstream = upstream_for(settings)
            try:
                sample = await _look_when_ready(upstream, surveyed(settings.rule))
            finally:
                await upstream.end()
        except (_SkippedError, TlsError) as error:
            _log.info("no survey of the keys: %s", error)
        else:
            _tell(sample_lines(sample, self._where, self._names))


def _tell(lines: Iterable[Line]) -> None:
    for line in lines:
        _log.log(logging.WARNING if line.is_warning else logging.INFO, "%s", line.text)


async def _look_when_ready(upstream: Upstream, rules: Sequence[SurveyedRule]) -> Sample:
    """Take a sample once Redis answers. Raises _SkippedError."""
    attempt = 0
    while True:
        try:
            return await _look(upstream, rules)
        except _NotReadyError:
            await asyncio.sleep(_DELAYS[min(attempt, len(_DELAYS) - 1)])
            attempt += 1


async def _look(upstream: Upstream, rules: Sequence[SurveyedRule]) -> Sample:
    """Raises _SkippedError, _NotReadyError."""
    try:
        openings = upstream.opening()
    except UpstreamError as error:
        raise _SkippedError(error) from None
    sample, are_whole = Sample(rules), []
    try:
        async with asyncio.timeout(_DEADLINE):
            nodes = await _nodes(upstream)
            for node in nodes:
                await _look_at(upstream, node, openings, sample, max(1, _KEYS // len(nodes)))
                are_whole.append(sample.is_whole)
    except TimeoutError:
        raise _SkippedError(f"Redis has not answered all of it in {_DEADLINE:g} s") from None
    except OSError as error:
        raise _SkippedError(error) from None
    sample.is_whole = all(are_whole)
    return sample


async def _nodes(upstream: Upstream) -> Sequence[TcpAddress | None]:
    """The masters of a cluster, or None for the only Redis. Raises _NotReadyError."""
    if upstream.cluster is None:
        return (None,)
    try:
        await upstream.discover()
    except UpstreamError as error:
        raise _NotReadyError(error) from None
    finally:
        upstream.close()
    return () if upstream.cluster.layout is None else upstream.cluster.layout.masters


async def _look_at(
    upstream: Upstream, node: TcpAddress | None, openings: Iterable[Opening], sample: Sample, most: int
) -> None:
    """Add `most` keys of one node. Raises _SkippedError, _NotReadyError, OSError."""
    try:
        query = await upstream.connect(partial(Query, "surrogateescape"), node)
    except UpstreamError as error:
        raise _NotReadyError(error) from None
    try:
        for opening in openings:
            _checked(await query.ask(opening.raw))
        await _fill(query, sample, most)
    finally:
        query.close()


async def _fill(query: Query, sample: Sample, most: int) -> None:
    """Fill the sample: with keys that a rule matches, then with others.

    Raises _SkippedError, _NotReadyError, OSError.
    """
    keys = await _sampled(query, sample, most)
    seen, refused = sample.keys, sample.refused
    managed: list[bytes] = []
    others: list[bytes] = []
    for key in keys:
        (others if sample.rule_of(key) is None else managed).append(key)
        await asyncio.sleep(0)  # with thousands of rules each key takes milliseconds
    for several in _groups(managed):
        await _add(query, sample, several)
    if 0 < sample.keys - seen == sample.refused - refused:
        raise _SkippedError("Redis does not permit the proxy's user to read the keys of the rules")
    # A refused key is an entry in Redis' ACL LOG. So the first key is asked about alone, and the first refusal ends it.
    for several in (others[:1], *_groups(others[1:])):
        before = sample.refused
        if several and before > 0:
            _refuse(sample, several)
        elif several:
            await _add(query, sample, several)


async def _sampled(query: Query, sample: Sample, most: int) -> list[bytes]:
    """Some keys of the database; `sample` learns if they are all. Raises _SkippedError, _NotReadyError, OSError."""
    found: dict[bytes, None] = {}
    cursor = "0"
    for _ in range(_ROUNDS):
        match _checked(await query.ask(command(b"SCAN", _raw(cursor), b"COUNT", _COUNT))):
            case [str() as cursor, list() as keys] if cursor.isascii() and cursor.isdecimal():
                found |= dict.fromkeys(_raw(key) for key in keys if isinstance(key, str))
            case _:
                raise _SkippedError("the answer to SCAN is not Redis'")
        if cursor == "0" or len(found) >= most:
            break
    sample.is_whole = cursor == "0" and len(found) <= most
    return list(found)[:most]


async def _add(query: Query, sample: Sample, keys: Sequence[bytes]) -> None:
    """Count these keys, but not those that have left the node. Only strings are asked for their first bytes.

    Raises _SkippedError, _NotReadyError, OSError.
    """
    kinds = await query.ask_all([command(b"TYPE", key) for key in keys])
    strings = [key for key, kind in zip(keys, kinds, strict=True) if _permitted(kind) == "string"]
    ends = b"0", b"%d" % (BYTES - 1)
    starts: dict[bytes, Answer] = {}
    if strings:
        answers = await query.ask_all([command(b"GETRANGE", key, *ends) for key in strings])
        starts = dict(zip(strings, map(_permitted, answers), strict=True))
    for key, kind in zip(keys, kinds, strict=True):
        start = starts.get(key)
        if _has_left(kind) or _has_left(start):
            sample.is_whole = False
            continue
        is_refused = isinstance(kind, ErrorAnswer) or isinstance(start, ErrorAnswer)
        sample.add(key, _raw(start) if isinstance(start, str) else None, is_refused=is_refused)


def _refuse(sample: Sample, keys: Sequence[bytes]) -> None:
    for key in keys:
        sample.add(key, None, is_refused=True)


def _groups(keys: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [keys[at : at + _TOGETHER] for at in range(0, len(keys), _TOGETHER)]


def _raw(text: str) -> bytes:
    """The bytes of an answer, see `_look`."""
    return text.encode("utf-8", "surrogateescape")


def _has_left(answer: Answer) -> bool:
    """The node does not have the key any more."""
    return isinstance(answer, ErrorAnswer) and answer.text.startswith(_LEFT)


def _permitted(answer: Answer) -> Answer:
    """An answer about one key. It may be NOPERM or a redirect, and None for WRONGTYPE.

    Raises _SkippedError, _NotReadyError.
    """
    if isinstance(answer, ErrorAnswer) and answer.text.startswith((*_LEFT, _NOPERM, "WRONGTYPE")):
        return None if answer.text.startswith("WRONGTYPE") else answer
    if isinstance(answer, ErrorAnswer) and not answer.text.startswith((*_LATER, _NOAUTH)):
        # Redis quotes the arguments of a command that it does not know, and the log may not name a key.
        code = _CODE.match(answer.text)
        raise _SkippedError(f"Redis refuses TYPE or GETRANGE ({code[0] if code else 'an error without a code'})")
    checked: Answer = _checked(answer)
    return checked


def _checked(answer: Answer) -> Any:
    """An answer that is no error. Raises _SkippedError, _NotReadyError."""
    if not isinstance(answer, ErrorAnswer):
        return answer
    if answer.text.startswith(_LATER):
        raise _NotReadyError(answer.text)
    if answer.text.startswith(_NOAUTH):
        raise _SkippedError("Redis needs a password, and clients give it themselves (AUTH passes through)")
    raise _SkippedError(f"Redis says: {answer.text[:_LONGEST_TEXT]}")
