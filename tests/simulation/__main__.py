"""``python -m tests.simulation --seeds N [--seed S] [--verbose]``: run seeds, print the first lines of what fails."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click

from tests.conftest import search_for_garbage
from tests.simulation.run import CLIENTS, simulate, words
from tests.simulation.stage import Studio


@click.command()
@click.option("--seeds", default=200, show_default=True, help="How many seeds to run.")
@click.option("--seed", default=1, show_default=True, help="The first of them.")
@click.option("--clients", default=CLIENTS, show_default=True, help="How many clients come in each.")
@click.option("--verbose", is_flag=True, help="Say everything that happens.")
def main(seeds: int, seed: int, clients: int, verbose: bool) -> None:
    """Run the simulation. Exits with 1 where a seed fails."""
    search_for_garbage()
    began, failed, bookings = time.monotonic(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder))
        for number in range(seed, seed + seeds):
            report = simulate(studio, number, say=click.echo if verbose else None, clients=clients)
            bookings += report.bookings
            if report.problems:
                failed.append(number)
                click.echo(words(report, lines=0 if verbose else 20))
            if number % 100 == 0:
                click.echo(f"up to seed {number}: {len(failed)} failed", err=True)
        studio.close()
    took = time.monotonic() - began
    click.echo(f"{seeds} seeds, {bookings} bookings, {took:.0f} s, {len(failed)} failed: {failed}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
