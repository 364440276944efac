"""The survey of keys, with servers that answer oddly, slowly or not at all."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import hiredis
import pytest

from proxy.config import Rule, Settings, UnixAddress, Upstream
from proxy.config import settings as config_settings
from proxy.net.tasks import Tasks
from proxy.resp import encode
from proxy.resp.answers import MAX_BYTES
from proxy.server import rules_told, survey
from proxy.server.survey import Survey
from proxy.survey.sample import Sample

DEADLINE = 60.0
Answer = Callable[[list[bytes]], bytes | None]
Answering = Callable[..., Awaitable["Scripted"]]


class Scripted:
    """A Redis that answers each request by a function; None: it hangs."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.path = path
        self.answer = answer
        self.requests: list[list[bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = hiredis.Reader(notEnoughData=Ellipsis)
        while data := await reader.read(1 << 16):
            parser.feed(data)
            while (words := parser.gets()) is not Ellipsis:
                self.requests.append(words)
                if (reply := self.answer(words)) is not None:
                    writer.write(reply)
        writer.close()

    @property
    def commands(self) -> list[bytes]:
        """The names, without repetition."""
        return list(dict.fromkeys(words[0] for words in self.requests))


@pytest.fixture
async def answering(tmp_path: Path) -> AsyncIterator[Answering]:
    """Starts one."""
    async with AsyncExitStack() as stack:

        async def start(answer: Answer) -> Scripted:
            scripted = Scripted(tmp_path / "redis.sock", answer)
            server = await asyncio.start_unix_server(scripted.serve, scripted.path)
            stack.callback(server.close)
            return scripted

        yield start


def keys_reply(keys: Iterable[bytes], cursor: bytes = b"0") -> bytes:
    listed = list(keys)
    return b"*2\r\n%b*%d\r\n%b" % (encode.bulk(cursor), len(listed), b"".join(map(encode.bulk, listed)))


def redis_with(values: dict[bytes, bytes | None]) -> Answer:
    """A Redis with these strings (None: lists)."""

    def answer(words: list[bytes]) -> bytes:
        if words[0] == b"SCAN":
            return keys_reply(values)
        stored = values[words[1]]
        if words[0] == b"TYPE":
            return b"+list\r\n" if stored is None else b"+string\r\n"
        assert words[0] == b"GETRANGE"
        assert words[2:] == [b"0", b"1"]
        return encode.bulk((stored or b"")[:2])

    return answer


def settings(path: Path, *keys: str, **upstream: Any) -> Settings:
    rules = tuple(Rule(keys=each) for each in keys or ("flask_cache_*",))
    return Settings(upstream=Upstream(url=f"unix://{path}", **upstream), rule=rules)


async def surveyed(path: Path, caplog: pytest.LogCaptureFixture, *keys: str, **upstream: Any) -> list[str]:
    """The lines of the log behind the list of the rules."""
    with caplog.at_level(logging.INFO, "proxy.survey"):
        await until_done(settings(path, *keys, **upstream))
    told = [f"{record.levelname} {record.message}" for record in caplog.records if record.name == "proxy.survey"]
    return told[len(keys or ("",)) :]


async def until_done(given: Settings) -> None:
    tasks, started = Tasks(), []

    def start(work: Awaitable[None], name: str) -> asyncio.Task[None]:
        started.append(tasks.start(work, name))
        return started[-1]

    Survey(start, given.listener, [UnixAddress("/run/proxy.sock")]).begin(given)
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*started)


async def test_it_asks_for_types_and_two_bytes_only(answering: Answering, caplog: pytest.LogCaptureFixture) -> None:
    server = await answering(redis_with({b"shop_1": b"!\x80\x04N.", b"shop_2": b"text", b"other_": None}))
    assert await surveyed(server.path, caplog) == [
        "INFO manages flask_cache_* (tagged; json on unix:/run/proxy.sock): 0 of 3 sampled keys are Flask's",
        "WARNING no key matches flask_cache_*, but shop_* holds Flask values (1 of 3 sampled): serve --prefix shop_",
    ]
    assert server.commands == [b"SCAN", b"TYPE", b"GETRANGE"]
    assert [b"GETRANGE", b"other_", b"0", b"1"] not in server.requests


async def test_keys_may_be_any_bytes(answering: Answering, caplog: pytest.LogCaptureFixture) -> None:
    keys = [bytes([0xFF, 0xC3, number]) for number in range(256)]
    server = await answering(redis_with(dict.fromkeys(keys, b"!\x80\x04N.")))
    assert "(256 of 256 sampled)" in (await surveyed(server.path, caplog))[1]
    assert {words[1] for words in server.requests if words[0] == b"TYPE"} == set(keys)


async def test_the_sample_is_bounded_whatever_scan_answers(
    answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = iter(range(1_000_000))

    def answer(words: list[bytes]) -> bytes:
        if words[0] == b"SCAN":
            return keys_reply((b"key_%d" % next(fresh) for _ in range(400)), b"7")
        return b"+string\r\n" if words[0] == b"TYPE" else encode.bulk(b"12")

    server = await answering(answer)
    assert "0 of 500 sampled keys" in (await surveyed(server.path, caplog))[0]
    assert sum(words[0] == b"TYPE" for words in server.requests) == 500


async def test_a_cursor_that_never_ends_is_left(answering: Answering, caplog: pytest.LogCaptureFixture) -> None:
    server = await answering(lambda _: keys_reply((), b"18446744073709551615"))
    assert "no key was found in the part of the database" in (await surveyed(server.path, caplog))[0]
    assert len(server.requests) == 100


async def test_other_work_runs_between_the_keys(
    answering: Answering, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Sample.rule_of
    seen: list[bytes] = []
    turns: list[bytes] = []

    def rule_of(sample: Sample, key: bytes) -> int | None:
        if key not in seen:
            assert turns == seen
            seen.append(key)
            asyncio.get_running_loop().call_soon(turns.append, key)
        return real(sample, key)

    monkeypatch.setattr(Sample, "rule_of", rule_of)
    keys = [b"key_%d" % number for number in range(100)]
    server = await answering(redis_with(dict.fromkeys(keys)))
    assert "0 of 100 sampled keys" in (await surveyed(server.path, caplog))[0]
    assert seen == keys


def test_each_key_is_compared_with_the_rules_once() -> None:
    asked: list[bytes] = []
    rule = rules_told.surveyed([Rule(keys="a*")])[0]._replace(matches=lambda key: bool(asked.append(key)))
    sample = Sample([rule])
    for _ in range(3):
        assert sample.rule_of(b"key") is None
    sample.add(b"key", None)
    assert asked == [b"key"]


@pytest.mark.parametrize(
    "reply",
    [
        b"+OK\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*2\r\n$1\r\nx\r\n*0\r\n",
        b"*2\r\n$2\r\n\xd9\xa3\r\n*0\r\n",
        b"*2\r\n*0\r\n$1\r\n0\r\n",
        b"*100000\r\n",
        b"$%d\r\n" % (MAX_BYTES + 1),
        b"*" * 100,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"*1\r\n" * 50,
        b"*2\r\n$1\r\n0\r\n*0\r\n+more\r\n",
        b"-ERR max number of clients reached\r\n",
        b"-NOPERM this user has no permissions to run the 'scan' command\r\n",
    ],
    ids=lambda reply: reply[:24].decode("latin-1").encode("unicode_escape").decode(),
)
async def test_an_odd_answer_is_one_line(answering: Answering, caplog: pytest.LogCaptureFixture, reply: bytes) -> None:
    server = await answering(lambda _: reply)
    (line,) = await surveyed(server.path, caplog)
    assert line.startswith("INFO no survey of the keys: ")
    assert len(line) < 300


@pytest.mark.parametrize("refused", [b"TYPE", b"GETRANGE"])
@pytest.mark.parametrize(
    ("error", "told"),
    [(b"ERR unknown command, with args beginning with: '%b' ", "ERR"), (b"%b is odd", "an error without a code")],
    ids=["unknown", "odd"],
)
async def test_an_error_that_quotes_a_key_is_not_told(
    answering: Answering, caplog: pytest.LogCaptureFixture, refused: bytes, error: bytes, told: str
) -> None:
    redis = redis_with({b"flask_cache_secret": b"!\x80\x04N."})
    server = await answering(
        lambda words: encode.error((error % words[1]).decode()) if words[0] == refused else redis(words)
    )
    assert await surveyed(server.path, caplog) == [
        f"INFO no survey of the keys: Redis refuses TYPE or GETRANGE ({told})"
    ]
    assert "secret" not in caplog.text


async def test_a_long_error_is_cut(answering: Answering, caplog: pytest.LogCaptureFixture) -> None:
    server = await answering(lambda _: b"-ERR " + b"x" * 60_000 + b"\r\n")
    (line,) = await surveyed(server.path, caplog)
    assert line == "INFO no survey of the keys: Redis says: ERR " + "x" * 196


async def test_odd_answers_about_keys_count_no_key_as_flasks(
    answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    odd = iter([b":1\r\n", b"*1\r\n*0\r\n", b"$-1\r\n", b"+string\r\n", b"+string\r\n", b"+string\r\n"])
    values = iter([b":7\r\n", b"$-1\r\n", encode.bulk(b"!\x80" + b"x" * 1000)])

    def answer(words: list[bytes]) -> bytes:
        if words[0] == b"SCAN":
            return keys_reply(b"flask_cache_%d" % number for number in range(6))
        return next(odd if words[0] == b"TYPE" else values)

    server = await answering(answer)
    assert (await surveyed(server.path, caplog))[0].endswith("1 of 6 sampled keys are Flask's, and 5 more match")


async def test_without_a_password_of_ours_it_is_skipped(answering: Answering, caplog: pytest.LogCaptureFixture) -> None:
    server = await answering(lambda _: b"-NOAUTH Authentication required.\r\n")
    assert await surveyed(server.path, caplog) == [
        "INFO no survey of the keys: Redis needs a password, and clients give it themselves (AUTH passes through)"
    ]


async def test_a_wrong_password_is_one_line_without_it(answering: Answering, caplog: pytest.LogCaptureFixture) -> None:
    server = await answering(lambda _: b"-WRONGPASS invalid username-password pair\r\n")
    (line,) = await surveyed(server.path, caplog, password="secret")
    assert line == "INFO no survey of the keys: Redis says: WRONGPASS invalid username-password pair"
    assert server.commands == [b"AUTH"]


NOPERM = b"-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"


async def test_keys_that_an_acl_hides_are_asked_about_once(
    answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(words: list[bytes]) -> bytes:
        if words[0] == b"SCAN":
            return keys_reply([*(b"shop_%d" % number for number in range(200)), b"flask_cache_1"])
        if not words[1].startswith(b"flask_cache_"):
            return NOPERM
        return b"+string\r\n" if words[0] == b"TYPE" else encode.bulk(b"!\x80")

    server = await answering(answer)
    assert await surveyed(server.path, caplog) == [
        "INFO manages flask_cache_* (tagged; json on unix:/run/proxy.sock): 1 of 201 sampled keys are Flask's",
        "INFO 200 of 201 sampled keys are hidden from the survey: Redis does not permit the proxy's user to read them",
    ]
    assert sum(words[1].startswith(b"shop_") for words in server.requests if words[0] != b"SCAN") == 1


async def test_rules_whose_keys_are_all_hidden_have_no_survey(
    answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    server = await answering(lambda words: keys_reply([b"flask_cache_1"]) if words[0] == b"SCAN" else NOPERM)
    (line,) = await surveyed(server.path, caplog)
    assert line == "INFO no survey of the keys: Redis does not permit the proxy's user to read the keys of the rules"


@pytest.mark.parametrize("asked", [b"TYPE", b"GETRANGE"])
@pytest.mark.parametrize("error", [b"-MOVED 5 10.0.0.1:6379\r\n", b"-ASK 5 10.0.0.1:6379\r\n", b"-TRYAGAIN later\r\n"])
async def test_keys_that_have_left_the_node_are_not_counted(
    answering: Answering, caplog: pytest.LogCaptureFixture, asked: bytes, error: bytes
) -> None:
    values = {b"flask_cache_%d" % number: b"!\x80\x04N." for number in range(4)} | {b"other_1": b"x", b"other_2": b"x"}
    full, left = redis_with(values), (b"flask_cache_0", b"flask_cache_3", b"other_1")
    server = await answering(lambda words: error if words[0] == asked and words[1] in left else full(words))
    assert await surveyed(server.path, caplog) == [
        "INFO manages flask_cache_* (tagged; json on unix:/run/proxy.sock): 2 of 3 sampled keys are Flask's",
    ]


async def test_if_all_keys_have_left_the_database_is_not_called_empty(
    answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    server = await answering(
        lambda words: keys_reply([b"flask_cache_1"]) if words[0] == b"SCAN" else b"-MOVED 5 10.0.0.1:6379\r\n"
    )
    (line,) = await surveyed(server.path, caplog)
    assert "no key was found in the part of the database" in line


async def test_rules_whose_keys_are_hidden_or_have_left_have_no_survey(
    answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    errors = {b"flask_cache_1": NOPERM, b"flask_cache_2": b"-MOVED 5 10.0.0.1:6379\r\n"}
    server = await answering(lambda words: keys_reply(errors) if words[0] == b"SCAN" else errors[words[1]])
    (line,) = await surveyed(server.path, caplog)
    assert line == "INFO no survey of the keys: Redis does not permit the proxy's user to read the keys of the rules"


async def test_it_waits_for_a_redis_that_loads(
    answering: Answering, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_DELAYS", (0.0,))
    replies = iter([b"-LOADING Redis is loading the dataset in memory\r\n"] * 3)
    full = redis_with({b"flask_cache_1": b"!\x80\x04N."})
    server = await answering(lambda words: next(replies, None) or full(words))
    assert (await surveyed(server.path, caplog))[0].endswith("1 of 1 sampled keys are Flask's")


async def test_an_attempt_that_fails_halfway_counts_no_key_twice(
    answering: Answering, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_DELAYS", (0.0,))
    full = redis_with({b"flask_cache_1": b"!\x80\x04N.", b"shop_1": b"!\x80\x04N."})
    busy = iter([b"-BUSY Redis is busy running a script\r\n"])
    server = await answering(
        lambda words: (next(busy, None) if words[:2] == [b"GETRANGE", b"shop_1"] else None) or full(words)
    )
    assert (await surveyed(server.path, caplog))[0].endswith("1 of 2 sampled keys are Flask's")


async def test_it_waits_for_a_redis_that_comes_later(
    answering: Answering, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_DELAYS", (0.0,))
    work = asyncio.ensure_future(surveyed(tmp_path / "redis.sock", caplog))
    await asyncio.sleep(0)
    server = await answering(redis_with({b"flask_cache_1": b"12"}))
    assert (await work)[0].endswith("1 of 1 sampled keys are Flask's")
    assert server.commands == [b"SCAN", b"TYPE", b"GETRANGE"]


async def test_a_redis_that_hangs_is_left_after_a_deadline(
    answering: Answering, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_DEADLINE", 0.01)
    server = await answering(lambda _: None)
    assert await surveyed(server.path, caplog) == [
        "INFO no survey of the keys: Redis has not answered all of it in 0.01 s"
    ]


async def test_a_missing_password_file_is_no_endless_attempt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (line,) = await surveyed(tmp_path / "redis.sock", caplog, password_file=str(tmp_path / "absent"))
    assert line.startswith("INFO no survey of the keys: the proxy cannot log in to Redis")


async def test_without_the_setting_rules_are_listed_and_nothing_is_asked(
    answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    server = await answering(redis_with({}))
    given = Settings(upstream=Upstream(url=f"unix://{server.path}"), log=config_settings.Log(survey=False))
    with caplog.at_level(logging.INFO, "proxy.survey"):
        await until_done(given)
    assert [record.message for record in caplog.records] == [
        "manages flask_cache_* (tagged; json on unix:/run/proxy.sock)"
    ]
    assert server.requests == []


async def test_it_begins_again_only_for_other_rules(answering: Answering, caplog: pytest.LogCaptureFixture) -> None:
    server = await answering(redis_with({}))
    tasks, started = Tasks(), []

    def start(work: Awaitable[None], name: str) -> asyncio.Task[None]:
        started.append(tasks.start(work, name))
        return started[-1]

    made = Survey(start, Settings().listener, [UnixAddress("/run/proxy.sock")])
    for keys in ("a_*", "a_*", "b_*"):
        made.begin(settings(server.path, keys))
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*started, return_exceptions=True)
    assert len(started) == 2
    assert started[0].cancelled()
