"""The command line of the benchmarks."""

from typing import Any

import click

from benchmarks import hostile as hostile_
from benchmarks import report


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


def _name(worst: Any) -> str:
    return "" if worst is None else worst.name


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
