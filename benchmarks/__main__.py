"""The command line of the benchmarks."""

import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks import codec as codec_
from benchmarks import fairness as fairness_
from benchmarks import framer as framer_
from benchmarks import hostile as hostile_
from benchmarks import hot as hot_
from benchmarks import instead as instead_
from benchmarks import latency as latency_
from benchmarks import memory as memory_
from benchmarks import peers, report, targets, timing
from benchmarks import soak as soak_
from benchmarks import throughput as throughput_
from benchmarks.processes import StartError
from benchmarks.programs import ProgramError
from benchmarks.proxied import proxied
from benchmarks.redis_benchmark import OutcomeError


@click.group()
def main() -> None:
    """Measure what the proxy costs. Each benchmark writes benchmarks/results/<NAME>.json.

    Machines are noisy: compare ratios within one run, and CPU time rather than the clock.
    """
    # So that what was started is ended as it is by Ctrl-C.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    click.get_current_context().call_on_close(lambda: signal.signal(signal.SIGTERM, before))


@main.command()
@click.option("--rounds", default=3, show_default=True, help="Processes of each engine, in turn.")
@click.option("--only", metavar="TEXT", help="Values whose name contains it; nothing is written.")
def hostile(rounds: int, only: str | None) -> None:
    """The worst that one value can cost: CPU seconds and peak memory on each engine, at the default limits.

    Both directions, JSON and msgpack. Values that are refused count too, until they are. Some 6 minutes.
    """
    rows = _by_engine(hostile_, rounds, [only] if only else [], hostile_.summary)
    for engine in dict.fromkeys(row["engine"] for row in rows):
        for measure, unit in hostile_.MEASURES.items():
            click.echo(f"\nThe worst of the {engine} engine by {unit}:")
            for row in hostile_.worst([row for row in rows if row["engine"] == engine], measure):
                click.echo(hostile_.sentence(row))
    if only is None:
        click.echo(f"\nWritten to {report.write('hostile', {'rounds': rounds}, rows)}")
        hostile_.plot(report.RESULTS / "hostile.svg", rows)


@main.command()
@click.option("--seconds", default=3.0, show_default=True, help="How long each load is watched.")
@click.option("--only", metavar="TEXT", help="Loads whose name contains it; nothing is written.")
def fairness(seconds: float, only: str | None) -> None:
    """What a bystander's small reads wait for while others read and write large values."""
    rows = []
    with proxied() as proxy:
        for load in fairness_.LOADS:
            if only is None or only in load.name:
                rows.append(row := fairness_.measure(proxy, load, seconds))
                click.echo(
                    f"  p50 {row['p50_ms']:6.2f}  p99 {row['p99_ms']:6.2f}  p99.9 {row['p999_ms']:6.2f} ms"
                    f"  {row['values_per_second']:6} values/s, {row['cpu']:.2f} CPU  {row['clients']} x {row['load']}"
                )
    if only is None:
        click.echo(f"\nWritten to {report.write('fairness', {'seconds': seconds}, rows)}")


@main.command()
@click.option("--commands", default=300_000, show_default=True, help="How many pass through; 10000000 tell more.")
@click.option("--parts", default=10, show_default=True, help="How often the memory is looked at.")
def soak(commands: int, parts: int) -> None:
    """Whether the proxy grows with what passes through it."""
    with proxied() as proxy:
        rows = soak_.run(proxy, commands, parts)
    for row in rows:
        click.echo(f"  {row['mib']:7.2f} MiB after {row['commands']:10,} commands of {row['clients']:7,} clients")
    click.echo(f"\nWritten to {report.write('soak', {'commands': commands}, rows)}")


@main.command()
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="Another checkout, run by its own .venv if it has one.",
)
@click.option("--engine", type=click.Choice(peers.ENGINES), default="python", show_default=True)
@click.option("--size", default=125, show_default=True, help="Bytes of the JSON.")
@click.option("--rounds", default=7, show_default=True, help="Runs of each checkout in each case, interleaved.")
@click.option("--seconds", default=0.4, show_default=True, help="How long a run takes.")
@click.option("--only", metavar="TEXT", help='Cases whose name contains it, such as "unmanaged", "GET" or "P=16".')
def hot(against: Path | None, engine: str, size: int, rounds: int, seconds: float, only: str | None) -> None:
    """CPU microseconds per small command, here and in another checkout. Nothing is written.

    \b
    git worktree add ../before main
    python -m benchmarks hot --against ../before --only GET
    """  # noqa: D301 (a backspace is what keeps click from wrapping)
    checkouts = [peers.Checkout(), *([peers.Checkout(against)] if against else [])]
    cases = [case for case in hot_.CASES if only is None or only in case.name]
    click.echo(f"{'':20}{'CPU us (quartiles)':>26}{'other':>10}  {'ratio (quartiles)':22}{'commands/s':>10}")
    for row in hot_.run(cases, checkouts, engine, size=size, rounds=rounds, seconds=seconds):
        cpu, low, high = row["cpu_us"]
        line = f"{row['case']:20}{cpu:9.2f} ({low:6.2f} -{high:7.2f})"
        if against:
            ratio, least, most = row["ratio"]
            line += f"{row['against']['cpu_us'][0]:10.2f}  {ratio:5.3f} ({least:5.3f} - {most:5.3f})"
        else:
            line += " " * 34
        click.echo(f"{line}{row['per_second'][0]:12,.0f}")


@main.command()
@click.option("--rounds", default=9, show_default=True, help="Runs of each contender in each case, interleaved.")
@click.option("--seconds", default=0.8, show_default=True, help="How long a run takes.")
@click.option("--full", is_flag=True, help="The whole matrix: 1, 50 and 500 connections, four sizes, msgpack too.")
@click.option("--only", metavar="TEXT", help='Cases whose name contains it, such as "GET P=16"; nothing is written.')
def throughput(rounds: int, seconds: float, full: bool, only: str | None) -> None:
    """CPU per command, rates and waits under load, beside twemproxy and Envoy, and whether the targets are met.

    Some 15 minutes; with --full some four hours, or one and a half with --rounds 3.
    """
    cases = throughput_.FULL if full else throughput_.DEFAULT
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        contenders = throughput_.contenders(stack)
        for case in cases:
            if only is not None and only not in case.name:
                continue
            steps = throughput_.measure(case, contenders, rounds, seconds)
            length = len(contenders) * (rounds + 2)
            with click.progressbar(steps, length, label=f"{case.name:32}", file=sys.stderr) as progress:
                each = [row for _, row in progress if row]
            click.echo(case.name)
            for row in each:
                click.echo(throughput_.sentence(row))
            rows += each
    shown = targets.shown(targets.THROUGHPUT, rows)
    click.echo("\nCPU per command, ratios of medians (quartiles of the rounds' ratios):")
    for found in shown:
        if only is None or found["ratio"]:
            click.echo(targets.sentence(found))
    if only is None:
        settings = {"rounds": rounds, "seconds": seconds, "full": full}
        name = "throughput-full" if full else "throughput"
        click.echo(f"\nWritten to {report.write(name, settings, rows, targets=shown)}")
        throughput_.plot(report.RESULTS / f"{name}.svg", rows)


@main.command()
@click.option("--rounds", default=5, show_default=True, help="Runs of each contender in each part, interleaved.")
@click.option("--seconds", default=3.0, show_default=True, help="How long a run is measured.")
@click.option("--only", metavar="TEXT", help='Parts whose name contains it, such as "go-redis"; nothing is written.')
def latency(rounds: int, seconds: float, only: str | None) -> None:
    """What is added to a command's time at fixed rates, from go-redis and ioredis, beside twemproxy and Envoy.

    Also: the rate that saturates one worker, half a CPU, a mix of views, TLS, new connections. Some 25 minutes.
    twemproxy and Envoy are spoken to in RESP2: twemproxy has no other.
    """
    rows: list[dict[str, Any]] = []
    with latency_.setting() as setting:
        for part in latency_.PARTS:
            if only is not None and only not in part.name:
                continue
            length = rounds * len(setting.contenders)
            try:
                steps = latency_.measure(part, setting, rounds, seconds)
                with click.progressbar(steps, length, label=f"{part.name:24}", file=sys.stderr) as progress:
                    each = [row for row in progress if row]
            except peers.Missing as missing:
                peers.skip(missing)
                continue
            click.echo(part.name + (f", {each[-1]['limit']}" if each[-1].get("limit") else ""))
            for row in each:
                click.echo(latency_.sentence(row))
            rows += each
    if only is None:
        click.echo(f"\nWritten to {report.write('latency', {'rounds': rounds, 'seconds': seconds}, rows)}")
        latency_.plot(report.RESULTS / "latency.svg", rows, latency_.HEADLINE)
        latency_.plot(report.RESULTS / "latency-all.svg", rows)


@main.command()
@click.option("--rounds", default=5, show_default=True, help="Processes of each engine, in turn.")
@click.option("--seconds", default=0.2, show_default=True, help="How long each figure is measured in each process.")
@click.option("--only", metavar="TEXT", help="Sizes, formats, directions or names that contain it; nothing is written.")
def codec(rounds: int, seconds: float, only: str | None) -> None:
    """What a value costs by size and direction, on each engine, beside JSON or msgpack and pickle. Some 4 minutes."""
    rows = _timed(codec_, rounds, [str(seconds), *([only] if only else [])])
    if only is None:
        click.echo(f"\nWritten to {report.write('codec', {'rounds': rounds, 'seconds': seconds}, rows)}")
        codec_.plot(report.RESULTS / "codec.svg", rows)


@main.command()
@click.option("--rounds", default=9, show_default=True, help="Processes of each engine, in turn.")
@click.option("--seconds", default=0.3, show_default=True, help="How long each figure is measured in each process.")
@click.option("--no-write", is_flag=True, help="Show, write nothing.")
def framer(rounds: int, seconds: float, no_write: bool) -> None:
    """What it costs to cut Redis' stream into replies, on each engine, beside hiredis' reader. Half a minute."""
    rows = _timed(framer_, rounds, [str(seconds)])
    if not no_write:
        click.echo(f"\nWritten to {report.write('framer', {'rounds': rounds, 'seconds': seconds}, rows)}")
        framer_.plot(report.RESULTS / "framer.svg", rows)


@main.command()
@click.option("--rounds", default=5, show_default=True, help="How often each way is gone, interleaved.")
@click.option("--values", "count", default=10_000, show_default=True, help="How many values of 1 KB.")
@click.option("--only", metavar="TEXT", help="Ways whose name contains it; nothing is written.")
def instead(rounds: int, count: int, only: str | None) -> None:
    """What one would do without the proxy, on the same values. Some 2 minutes.

    cachelib in Python, an HTTP sidecar, pickles written by Go, a JSON serializer; and through the proxy from go-redis
    and ioredis.
    """
    stored = instead_.values(count)
    with instead_.ways(stored) as (ways, redis):
        ways = [way for way in ways if only is None or only in way.name]
        steps = instead_.measure(ways, redis, stored, rounds)
        with click.progressbar(steps, rounds * len(ways), label="Filling", file=sys.stderr) as progress:
            rows = [row for row in progress if row]
    for row in rows:
        click.echo(instead_.sentence(row))
    for found in (shown := instead_.shown(rows)):
        median, low, high = found["ratio"]
        click.echo(
            f"{found['ours']} / {found['theirs']}: {median:.2f} ({low:.2f} - {high:.2f}) times as fast,"
            f" wanted {found['times_as_fast_at_least']:.0f}: {'met' if found['met'] else 'MISSED'}"
        )
    if only is None:
        settings = {"rounds": rounds, "values": count}
        click.echo(f"\nWritten to {report.write('instead', settings, rows, targets=shown)}")
        instead_.plot(report.RESULTS / "instead.svg", rows)


@main.command()
@click.option("--rounds", default=5, show_default=True, help="How often each proxy is started, interleaved.")
@click.option("--connections", default=1000, show_default=True, help="How many idle.")
@click.option("--seconds", default=1.0, show_default=True, help="How long each load is.")
@click.option("--no-write", is_flag=True, help="Show, write nothing.")
def memory(rounds: int, connections: int, seconds: float, no_write: bool) -> None:
    """Resident memory: idle, for each idle connection, under load; beside twemproxy and Envoy. Some 3 minutes."""
    steps = memory_.measure(connections, rounds, seconds)
    with click.progressbar(steps, rounds * (len(peers.ENGINES) + 2), label="Measuring", file=sys.stderr) as progress:
        rows = [row for row in progress if row]
    for number, title in enumerate(memory_.MEASURES.values(), 1):
        click.echo(f"  {number}: {title}")
    click.echo(f"{'':16}" + "".join(f"{number:10}" for number in range(1, len(memory_.MEASURES) + 1)))
    for row in rows:
        click.echo(memory_.sentence(row))
    if not no_write:
        settings = {"rounds": rounds, "connections": connections, "seconds": seconds}
        click.echo(f"\nWritten to {report.write('memory', settings, rows)}")
        memory_.plot(report.RESULTS / "memory.svg", rows)


def _by_engine(
    module: Any, rounds: int, arguments: list[str], summary: Callable[[timing.Runs], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """What a module measures of each engine that runs here."""
    engines = peers.Checkout().engines()
    for engine in peers.ENGINES:
        if engine not in engines:
            peers.skip(peers.Missing(f"the {engine} engine does not run here: {peers.CARGO}"))
    steps = timing.of_engines(module.__name__, engines, rounds, arguments)
    with click.progressbar(steps, rounds * len(engines), label="Measuring", file=sys.stderr) as progress:
        return [row for runs in progress if runs for row in summary(runs)]


def _timed(module: Any, rounds: int, arguments: list[str]) -> list[dict[str, Any]]:
    """The same, where what is measured is nanoseconds; told."""
    rows = _by_engine(module, rounds, arguments, timing.medians)
    for row in rows:
        click.echo(module.sentence(row))
    return rows


if __name__ == "__main__":
    try:
        main(prog_name="python -m benchmarks")
    except (peers.Missing, StartError, OutcomeError, ProgramError) as error:
        sys.exit(str(error))
