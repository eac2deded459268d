"""Which time it is, by this machine's clock and those of the providers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from structlog.testing import capture_logs

from bookingapp.core import time_sources
from bookingapp.core.time_sources import TimeSources

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


@dataclass
class Machine:
    """A machine whose clock is ``ahead`` of the true time ``now``."""

    now: datetime = NOW
    ahead: timedelta = timedelta()
    sources: TimeSources = field(init=False)

    def __post_init__(self) -> None:
        self.sources = TimeSources(own=self._own, elapsed=self._elapsed)

    def _own(self) -> float:
        return (self.now + self.ahead).timestamp()

    def _elapsed(self) -> float:
        return (self.now - NOW).total_seconds()

    def hear(self, provider: str, *, ahead: timedelta = timedelta()) -> None:
        """An answer of a provider whose clock is ``ahead`` of the true time."""
        self.sources.note(provider, self.now + ahead)

    @property
    def off(self) -> timedelta:
        """How far from the true time it believes to be."""
        return self.sources.now() - self.now


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_its_own_where_no_provider_has_said_it(machine: Machine) -> None:
    machine.ahead = 2 * HOUR
    assert not machine.sources.is_known()
    assert machine.off == 2 * HOUR
    machine.hear("stripe")
    assert machine.sources.is_known()
    assert machine.off == timedelta()


@pytest.mark.parametrize("ahead", [2 * HOUR, timedelta(days=400), timedelta(minutes=1)])
def test_a_clock_that_leaps_ahead(machine: Machine, ahead: timedelta) -> None:
    """One provider's answer of long ago is enough, and nothing is asked again."""
    machine.hear("calendly")
    machine.now += 20 * HOUR
    assert machine.off == timedelta()
    machine.ahead = ahead
    assert machine.off == timedelta()
    assert machine.sources.error() == ahead
    machine.ahead = timedelta()
    assert machine.off == machine.sources.error() == timedelta()


@pytest.mark.parametrize("ahead", [30 * SECOND, 5 * SECOND, -30 * SECOND])
def test_a_small_difference_says_nothing(machine: Machine, ahead: timedelta) -> None:
    machine.hear("calendly")
    machine.hear("stripe")
    machine.ahead = ahead
    assert machine.off == ahead
    assert machine.sources.error() == timedelta()


@pytest.mark.parametrize(
    ("ours", "calendly", "stripe", "believed"),
    [
        (2, 0, 0, 0),
        (-2, 0, 0, 0),
        (0, 2, 0, 0),
        (0, 0, -2, 0),
        (3, 1, 2, 2),
        # Of two the earlier one.
        (2, 0, None, 0),
        (-2, 0, None, -2),
        (0, 2, None, 0),
    ],
)
def test_of_three_clocks_the_middle_one_is_right(
    machine: Machine, ours: int, calendly: int, stripe: int | None, believed: int
) -> None:
    """So no single clock can do harm, whichever it is."""
    machine.ahead = ours * HOUR
    machine.hear("calendly", ahead=calendly * HOUR)
    if stripe is not None:
        machine.hear("stripe", ahead=stripe * HOUR)
    assert machine.off == believed * HOUR


def test_an_answer_that_was_under_way_for_long(machine: Machine) -> None:
    """It reads an earlier time than the one before, and changes nothing."""
    machine.hear("stripe")
    machine.now += timedelta(minutes=10)
    machine.hear("stripe", ahead=-45 * SECOND)
    assert machine.off == timedelta()
    # The next one after an hour counts whatever it says.
    machine.now += HOUR
    machine.hear("stripe", ahead=-45 * SECOND)
    assert machine.off == -45 * SECOND


def test_it_is_said_once(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it becomes wrong, and when it is right again."""
    with capture_logs() as lines:
        monkeypatch.setattr(time_sources, "log", structlog.get_logger())
        machine.hear("stripe")
        for ahead in (timedelta(), 2 * HOUR, 2 * HOUR, timedelta(), timedelta()):
            machine.ahead = ahead
            machine.sources.error()
    wrong = {"event": "clock_wrong", "ahead_seconds": 7200, "providers": ["stripe"], "log_level": "error"}
    assert lines == [wrong, {"event": "clock_right", "log_level": "info"}]
