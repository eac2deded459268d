"""Fifty seeds of the simulation. ``make simulate SEEDS=10000`` runs more of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.run import simulate, words
from tests.simulation.stage import Studio

SEEDS = 50
CLIENTS = 4


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = Studio(tmp_path_factory.mktemp("simulation"))
    yield studio
    studio.close()


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_everything_comes_to_rest_and_is_right(studio: Studio, seed: int) -> None:
    """Nothing is lost, no client is charged twice, and no time is kept without money."""
    report = simulate(studio, seed, clients=CLIENTS)
    assert not report.problems, words(report)
    assert report.bookings


def test_a_seed_replays_exactly(studio: Studio) -> None:
    first, again, other = (simulate(studio, seed, clients=CLIENTS) for seed in (4711, 4711, 4712))
    assert first.lines == again.lines
    assert first.digest == again.digest != other.digest
