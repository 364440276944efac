"""The command line of the benchmarks."""

from typing import Any

import click

from benchmarks import fairness as fairness_
from benchmarks import hostile as hostile_
from benchmarks import report
from benchmarks import soak as soak_
from benchmarks.proxied import proxied


@click.group()
def main() -> None:
    """Measure what the proxy costs. Each benchmark writes benchmarks/results/<NAME>.json.

    Machines are noisy: compare ratios within one run, and CPU time rather than the clock.
    """


@main.command()
@click.option("--rounds", default=3, show_default=True, help="Conversions of each value; the fastest counts.")
@click.option("--only", metavar="TEXT", help="Values whose name contains it; nothing is written.")
def hostile(rounds: int, only: str | None) -> None:
    """The worst that one value can cost: CPU seconds and peak memory, at the default limits.

    Both directions, JSON and msgpack. Values that are refused count too, until they are.
    """
    with click.progressbar(hostile_.values(only), label="Converting", item_show_func=_name, show_pos=True) as worst:
        rows = [hostile_.measure(each, rounds) for each in worst]
    for measure in ("cpu_seconds", "peak_mib"):
        click.echo(f"\nThe worst by {measure}:")
        for row in sorted(rows, key=lambda row: -row[measure])[:12]:
            click.echo(
                f"  {row['cpu_seconds']:6.2f} s {row['peak_mib']:6.1f} MiB  {row['direction']} {row['value']}"
                f" ({row['payload']}, {row['types']}, {row['bytes']:,} bytes){': refused' if row['refused'] else ''}"
            )
    if only is None:
        click.echo(f"\nWritten to {report.write('hostile', {'rounds': rounds}, rows)}")


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


def _name(worst: Any) -> str:
    return "" if worst is None else worst.name


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
