"""What goes wrong in one seed: how often, and until when. Some seeds are calm, some are a bad week."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from tests.simulation.world import BEGIN, World

LAST = BEGIN + timedelta(days=10)
"""From then on nothing fails any more. Vouchers are paid until then."""


RECONCILE_EVERY = timedelta(hours=24)
"""How often we reconcile with the providers, where webhooks are lost."""


@dataclass(frozen=True)
class Outage:
    """A time without answers: of ``calendly``, ``stripe``, or ``web``, our own web server."""

    whose: str
    begins: datetime
    ends: datetime


@dataclass(frozen=True)
class WrongClock:
    """A time for which our machine's clock is so far ``ahead`` of the true time."""

    begins: datetime
    ends: datetime
    ahead: timedelta


@dataclass(frozen=True)
class Faults:
    """Shares of all cases. ``crash`` is for each commit and each call, the ``call_*`` for each call of a provider's
    API, ``twice``, ``late`` and ``lost`` for each delivery of a webhook.
    """

    crash: float = 0.0
    call_fails: float = 0.0
    call_times_out: float = 0.0
    call_is_slow: float = 0.0
    error_is_kept: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    lost: float = 0.0
    outages: tuple[Outage, ...] = field(default=())
    wrong_clocks: tuple[WrongClock, ...] = field(default=())

    @classmethod
    def drawn(cls, world: World) -> Faults:
        dice = world.dice
        if dice.random() < 0.1:
            return cls()
        return cls(
            crash=dice.choice((0.0, 0.004, 0.03)),
            call_fails=dice.choice((0.0, 0.02, 0.15)),
            call_times_out=dice.choice((0.0, 0.02, 0.1)),
            call_is_slow=dice.choice((0.0, 0.0, 0.03)),
            error_is_kept=dice.choice((0.0, 0.0, 0.2)),
            twice=dice.choice((0.0, 0.1, 0.5)),
            late=dice.choice((0.0, 0.1, 0.4)),
            lost=dice.choice((0.0, 0.0, 0.0, 0.02, 0.2)),
            outages=tuple(_outages(world)),
            wrong_clocks=tuple(_wrong_clocks(world)),
        )

    def words(self) -> str:
        shares = {name: value for name, value in vars(self).items() if isinstance(value, float) and value}
        away = (f"{one.whose} away from {one.begins - BEGIN} to {one.ends - BEGIN}" for one in self.outages)
        wrong = (f"our clock {one.ahead} ahead from {one.begins - BEGIN}" for one in self.wrong_clocks)
        return (
            ", ".join([*(f"{name} {value}" for name, value in shares.items()), *away, *wrong])
            or "nothing fails"
        )

    @property
    def patience(self) -> timedelta:
        """How much later than usual something may happen: all outages, and the pause between two tries after that."""
        if self == Faults():
            return timedelta()
        # A lost webhook is found by the next reconciliation.
        pause = timedelta(hours=2) + (RECONCILE_EVERY if self.lost else timedelta())
        # Where every fourth call fails, several tries of three calls each may fail in a row, an hour after each other.
        if self.call_fails + self.call_times_out > 0.2:
            pause += timedelta(hours=7)
        return pause + sum((one.ends - one.begins for one in self.outages), timedelta())

    def is_out(self, whose: str, now: datetime) -> bool:
        return any(one.whose == whose and one.begins <= now < one.ends for one in self.outages)

    def ahead(self, now: datetime) -> timedelta:
        """How far our machine's clock is ahead."""
        return sum((one.ahead for one in self.wrong_clocks if one.begins <= now < one.ends), timedelta())


def _outages(world: World) -> list[Outage]:
    found = []
    for whose in ("calendly", "stripe", "web"):
        for _ in range(world.dice.choice((0, 0, 1, 2))):
            begins = BEGIN + timedelta(minutes=world.dice.uniform(0, 60 * 60))
            minutes = world.dice.choice((2, 20, 90, 360))
            found.append(Outage(whose, begins, begins + timedelta(minutes=minutes)))
    return found


def _wrong_clocks(world: World) -> list[WrongClock]:
    # Dice of their own, so that a seed tells the story that it told before there were wrong clocks.
    dice, found = Random(f"clocks of {world.seed}"), []
    for _ in range(dice.choice((0, 1, 3))):
        # By then a provider has said the time.
        begins = BEGIN + timedelta(minutes=dice.uniform(60, 60 * 60))
        minutes = dice.choice((1, 20, 600))
        ahead = timedelta(hours=dice.choice((-30, -2, 0.5, 2, 2, 30, 400 * 24)))
        found.append(WrongClock(begins, begins + timedelta(minutes=minutes), ahead))
    return found
