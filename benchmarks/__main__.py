"""The command line of the benchmarks."""

import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks import cluster as cluster_
from benchmarks import codec as codec_
from benchmarks import fairness as fairness_
from benchmarks import framer as framer_
from benchmarks import hostile as hostile_
from benchmarks import hot as hot_
from benchmarks import instead as instead_
from benchmarks import latency as latency_
from benchmarks import memory as memory_
from benchmarks import peers, report, slow_readers, target_table, timing
from benchmarks import restart as restart_
from benchmarks import segments as segments_
from benchmarks import soak as soak_
from benchmarks import targets as targets_
from benchmarks import throughput as throughput_
from benchmarks import walk as walk_
from benchmarks.processes import StartError
from benchmarks.programs import ProgramError
from benchmarks.proxied import FRAME_LIMITS, proxied
from benchmarks.redis_benchmark import OutcomeError
from benchmarks.restart import RestartError
from benchmarks.targets import Target

_against = click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="Another checkout, run by its own .venv if it has one.",
)


@click.group()
def main() -> None:
    """Measure the cost of the proxy. Each benchmark writes benchmarks/results/<NAME>.json.

    Machines are noisy: compare ratios within one run, and CPU time rather than the clock.
    """
    # So that what was started is ended in order by either, also where a shell had the one of Ctrl-C ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.signal(number, lambda *_: sys.exit(1))
        click.get_current_context().call_on_close(partial(signal.signal, number, before))


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
@click.option("--shared", is_flag=True, help="Beside slow readers on a shared connection, instead. Some 4 minutes.")
@click.option("--rounds", default=5, show_default=True, help="With --shared: runs of each way to Redis, interleaved.")
def fairness(seconds: float, only: str | None, shared: bool, rounds: int) -> None:
    """Delay of a bystander's small reads while other clients use large values or very many keys.

    With --shared, the others do not read, or read slowly, or leave: with one connection to Redis for all clients, with
    one for each, and straight on Redis. That is written to results/fairness-shared.json.
    """
    if shared:
        _beside_slow_readers(seconds, only, rounds)
        return
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
        click.echo(f"\nWritten to {report.write('fairness', {'seconds': seconds, 'frame_limits': FRAME_LIMITS}, rows)}")


def _beside_slow_readers(seconds: float, only: str | None, rounds: int) -> None:
    rows: list[dict[str, Any]] = []
    with slow_readers.servers() as ways:
        for load in slow_readers.LOADS:
            if only is not None and only not in load.name:
                continue
            steps = slow_readers.measure(load, ways, rounds, seconds)
            with click.progressbar(steps, rounds * len(ways), label=f"{load.name:40}", file=sys.stderr) as progress:
                each = [row for row in progress if row]
            click.echo(load.name)
            for row in each:
                click.echo(slow_readers.sentence(row))
            rows += each
    if only is None:
        settings = {"seconds": seconds, "rounds": rounds, **slow_readers.settings()}
        click.echo(f"\nWritten to {report.write('fairness-shared', settings, rows)}")


@main.command()
@click.option("--commands", default=300_000, show_default=True, help="Number of commands. 10000000 show more.")
@click.option("--parts", default=10, show_default=True, help="Number of memory measurements.")
def soak(commands: int, parts: int) -> None:
    """Memory of the proxy over many commands: does it grow?"""
    with proxied() as proxy:
        rows = soak_.run(proxy, commands, parts)
    for row in rows:
        click.echo(f"  {row['mib']:7.2f} MiB after {row['commands']:10,} commands of {row['clients']:7,} clients")
    click.echo(f"\nWritten to {report.write('soak', {'commands': commands}, rows)}")


@main.command()
@click.option("--engine", type=click.Choice(peers.ENGINES), default="native", show_default=True)
@click.option("--size", default=125, show_default=True, help="Bytes of the JSON.")
@click.option("--rounds", default=7, show_default=True, help="Runs of each server in each case, interleaved.")
@click.option("--seconds", default=0.4, show_default=True, help="How long a run takes.")
@click.option("--only", metavar="TEXT", help='Cases whose name contains it, such as "GET"; nothing is written.')
def cluster(engine: str, size: int, rounds: int, seconds: float, only: str | None) -> None:
    """CPU microseconds per small command on a Redis Cluster, on a plain Redis, and of Envoy on the same cluster.

    On the cluster with a connection to each node for each client, and with shared connections. And the memory of an
    idle client there. Some 5 minutes.
    """
    cases = [case for case in cluster_.CASES if only is None or only in case.name]
    rows = []
    with cluster_.setting(engine) as setting:
        memory = {} if only else cluster_.memory(setting)
        for row in cluster_.run(setting, cases, size=size, rounds=rounds, seconds=seconds):
            rows.append(row)
            click.echo(cluster_.sentence(row))
    for name, kib in memory.items():
        click.echo(
            f"{name:9} {kib['first_kib']:5.1f} KiB for an idle client, {kib['further_kib']:4.1f} for a further node"
        )
    click.echo("\nRatios of medians (quartiles of the rounds' ratios):")
    shown = _judged(targets_.CLUSTER, cluster_.judged(rows), only)
    if only is None:
        settings = {"engine": engine, "size": size, "rounds": rounds, "seconds": seconds, "masters": cluster_.MASTERS}
        click.echo(f"\nWritten to {report.write('cluster', settings, rows, memory=memory, targets=shown)}")


@main.command()
@_against
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
@click.option("--steps", is_flag=True, help="Name each function, in order.")
def walk(steps: bool) -> None:
    """Functions of the proxy that a small managed SET enters, and its reply. Nothing is written."""
    with peers.directory() as home:
        walks = walk_.run(home)
    for name, each in zip(("SET", "its reply"), walks, strict=True):
        click.echo(
            f"{name:10}{len(each.steps):4} calls of {each.functions} functions in {each.files} files,"
            f" {each.changes} changes of file"
        )
        for step in each.steps if steps else ():
            click.echo(f"    {step.file}  {step.function}")


@main.command()
@click.option("--rounds", default=9, show_default=True, help="Runs of each contender in each case, interleaved.")
@click.option("--seconds", default=0.8, show_default=True, help="How long a run takes.")
@click.option("--full", is_flag=True, help="The whole matrix: 1, 50 and 500 connections, four sizes, msgpack too.")
@click.option("--only", metavar="TEXT", help='Cases whose name contains it, such as "GET P=16"; nothing is written.')
@_against
def throughput(rounds: int, seconds: float, full: bool, only: str | None, against: Path | None) -> None:
    """CPU per command, rates and waits under load, beside twemproxy and Envoy, and whether the targets are met.

    Also beside two bare uvloop proxies, the floors, and with Redis' own CPU. Some 20 minutes; with --full some five
    hours, or two with --rounds 3.
    """
    cases = throughput_.FULL if full else throughput_.DEFAULT
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        contenders = throughput_.contenders(stack, against)
        for case in cases:
            if only is not None and only not in case.name:
                continue
            steps = throughput_.measure(case, contenders, rounds, seconds)
            length = len(throughput_.taking(case, contenders)) * (rounds + 2)
            with click.progressbar(steps, length, label=f"{case.name:32}", file=sys.stderr) as progress:
                each = [row for _, row in progress if row]
            click.echo(case.name)
            for row in each:
                click.echo(throughput_.sentence(row))
            rows += each
    click.echo("\nRatios of medians (quartiles of the rounds' ratios):")
    shown = _judged(targets_.THROUGHPUT, rows, only)
    if only is None:
        settings = {"rounds": rounds, "seconds": seconds, "full": full, **_other(against)}
        name = "throughput-full" if full else "throughput"
        click.echo(f"\nWritten to {report.write(name, settings, rows, targets=shown)}")
        throughput_.plot(report.RESULTS / f"{name}.svg", rows)


@main.command()
@click.option("--rounds", default=5, show_default=True, help="Runs of each contender in each part, interleaved.")
@click.option("--seconds", default=3.0, show_default=True, help="How long a run is measured.")
@click.option("--only", metavar="TEXT", help='Parts whose name contains it, such as "go-redis"; nothing is written.')
@_against
def latency(rounds: int, seconds: float, only: str | None, against: Path | None) -> None:
    """Added time per command at fixed rates, from go-redis and ioredis, compared with twemproxy and Envoy.

    Also: the rate that saturates one worker, half a CPU, a mix of views, TLS, new connections. About 25 minutes.
    Another checkout is measured for that rate only, and shared connections for a few parts. twemproxy and Envoy are
    used with RESP2, because twemproxy supports only that.
    """
    rows: list[dict[str, Any]] = []
    with latency_.setting(against) as setting:
        for part in latency_.PARTS:
            if only is not None and only not in part.name:
                continue
            length = rounds * len(latency_.taking(part, setting))
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
    click.echo("\nRatios of medians (quartiles of the rounds' ratios):")
    shown = _judged(targets_.LATENCY, rows, only)
    if only is None:
        settings = {"rounds": rounds, "seconds": seconds, **_other(against)}
        click.echo(f"\nWritten to {report.write('latency', settings, rows, targets=shown)}")
        latency_.plot(report.RESULTS / "latency.svg", rows, latency_.HEADLINE)
        latency_.plot(report.RESULTS / "latency-all.svg", rows)


@main.command()
@click.option("--rounds", default=5, show_default=True, help="Processes of each engine, in turn.")
@click.option("--seconds", default=0.2, show_default=True, help="How long each figure is measured in each process.")
@click.option("--only", metavar="TEXT", help="Sizes, formats, directions or names that contain it; nothing is written.")
def codec(rounds: int, seconds: float, only: str | None) -> None:
    """Cost of a value by size and direction, on each engine, with JSON, msgpack and pickle. About 6 minutes.

    And the cost to read a DataFrame, beside pandas' own to_json.
    """
    rows = _timed(codec_, rounds, [str(seconds), *([only] if only else [])])
    click.echo(codec_.LIMITS)
    if only is None:
        options = {"rounds": rounds, "seconds": seconds, "limits": codec_.LIMITS}
        click.echo(f"\nWritten to {report.write('codec', options, rows)}")
        codec_.plot(report.RESULTS / "codec.svg", rows)


@main.command()
@click.option("--rounds", default=9, show_default=True, help="Processes of each engine, in turn.")
@click.option("--seconds", default=0.3, show_default=True, help="How long each figure is measured in each process.")
@click.option("--no-write", is_flag=True, help="Show, write nothing.")
def framer(rounds: int, seconds: float, no_write: bool) -> None:
    """Cost to split Redis' bytes into replies, on each engine, compared with hiredis' reader. Half a minute."""
    rows = _timed(framer_, rounds, [str(seconds)])
    if not no_write:
        click.echo(f"\nWritten to {report.write('framer', {'rounds': rounds, 'seconds': seconds}, rows)}")
        framer_.plot(report.RESULTS / "framer.svg", rows)


@main.command()
@click.option("--rounds", default=3, show_default=True, help="Processes of each engine, in turn.")
@click.option("--seconds", default=0.2, show_default=True, help="How long each case is measured.")
@click.option("--only", default="", metavar="TEXT", help="Requests whose name contains it; nothing is written.")
def segments(rounds: int, seconds: float, only: str) -> None:
    """Cost of requests in segments of 1,448 bytes, compared with whole reads, on each engine. A minute."""
    rows = _by_engine(segments_, rounds, [str(seconds), only], segments_.summary)
    for row in rows:
        click.echo(segments_.sentence(row))
    if not only:
        click.echo(f"\nWritten to {report.write('segments', {'rounds': rounds, 'seconds': seconds}, rows)}")


@main.command()
@click.option("--rounds", default=5, show_default=True, help="Runs of each way, interleaved.")
@click.option("--values", "count", default=10_000, show_default=True, help="Number of values of 1 KB.")
@click.option("--only", metavar="TEXT", help="Ways whose name contains it; nothing is written.")
def instead(rounds: int, count: int, only: str | None) -> None:
    """Alternatives to the proxy, on the same values. About 2 minutes.

    cachelib in Python, an HTTP sidecar, pickles written by Go, a JSON serializer. Compared with the proxy, used from
    go-redis and ioredis.
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
@click.option("--rounds", default=5, show_default=True, help="Starts of each proxy, interleaved.")
@click.option("--connections", default=1000, show_default=True, help="Number of idle connections.")
@click.option("--seconds", default=1.0, show_default=True, help="Seconds of each load.")
@click.option("--no-write", is_flag=True, help="Show, write nothing.")
def memory(rounds: int, connections: int, seconds: float, no_write: bool) -> None:
    """Resident memory: idle, for each idle connection, under load. With twemproxy and Envoy. About 3 minutes."""
    steps = memory_.measure(connections, rounds, seconds)
    with click.progressbar(steps, rounds * len(memory_.CONTENDERS), label="Measuring", file=sys.stderr) as progress:
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


@main.command()
@click.option("--commands", default=100_000, show_default=True, help="Number of commands of each client in each way.")
@click.option("--only", metavar="TEXT", help="Ways whose name contains it; nothing is written.")
def restart(commands: int, only: str | None) -> None:
    """Restarts of the proxy while go-redis and ioredis use it: commands that fail, and waits. About 15 minutes.

    Two proxies behind one name, one alone, and one whose socket systemd keeps.
    """
    rows = []
    for way in restart_.WAYS:
        for client in restart_.clients() if only is None or only in way else ():
            try:
                rows.append(row := restart_.measure(way, client, commands))
            except peers.Missing as missing:
                peers.skip(missing)
                continue
            click.echo(restart_.sentence(row))
    if only is None:
        click.echo(f"\nWritten to {report.write('restart', {'commands': commands}, rows)}")


@main.command()
def targets() -> None:
    """The tables of the targets: must, aim, and the ratios of the last results. Nothing is measured.

    First those of the hot path, then those of shared connections.
    Run throughput and latency with --against first, and segments, instead and cluster.
    """
    found = target_table.read(report.RESULTS)
    for title, lines in (
        ("The hot path", target_table.lines(found)),
        ("Shared connections: one worker with one, on a cluster one for each node", target_table.shared_lines(found)),
    ):
        click.echo(f"{title}:\n")
        for line in target_table.markdown(lines):
            click.echo(line)
        click.echo()
    for line in target_table.origins(found):
        click.echo(line)


def _judged(targets: Sequence[Target], rows: Sequence[dict[str, Any]], only: str | None) -> list[dict[str, Any]]:
    """The targets with their outcomes. Prints them: with `only`, those that were measured."""
    shown = targets_.shown(targets, rows)
    for found in shown:
        if only is None or found["ratio"]:
            click.echo(targets_.sentence(found))
    return shown


def _other(against: Path | None) -> dict[str, str]:
    """The commit of the other checkout, for the settings of a run."""
    return {} if against is None else {"against": report.commit(against)}


def _by_engine(
    module: Any, rounds: int, arguments: list[str], summary: Callable[[timing.Runs], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The rows that a module measures, on each engine that runs here."""
    engines = peers.Checkout().engines()
    for engine in peers.ENGINES:
        if engine not in engines:
            peers.skip(peers.Missing(f"the {engine} engine does not run here: {peers.CARGO}"))
    steps = timing.of_engines(module.__name__, engines, rounds, arguments)
    with click.progressbar(steps, rounds * len(engines), label="Measuring", file=sys.stderr) as progress:
        return [row for runs in progress if runs for row in summary(runs)]


def _timed(module: Any, rounds: int, arguments: list[str]) -> list[dict[str, Any]]:
    """Like `_by_engine`, for rows in nanoseconds. Prints them."""
    rows = _by_engine(module, rounds, arguments, timing.medians)
    for row in rows:
        click.echo(module.sentence(row))
    return rows


if __name__ == "__main__":
    try:
        main(prog_name="python -m benchmarks")
    except (peers.Missing, StartError, OutcomeError, ProgramError, RestartError) as error:
        sys.exit(str(error))
