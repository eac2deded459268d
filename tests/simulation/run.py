"""One seed from beginning to end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bookingapp.core.db import db
from tests.simulation.checks import problems
from tests.simulation.faults import LAST, RECONCILE_EVERY, Faults
from tests.simulation.machines import Machines, Workers
from tests.simulation.network import Network
from tests.simulation.stage import Stage, Studio, only_our_chance, set_up
from tests.simulation.world import BEGIN, Crash, World

CLIENTS = 12
LONGEST = timedelta(days=120)


@dataclass(frozen=True)
class Report:
    seed: int
    clients: int
    problems: list[str]
    lines: list[str]
    digest: str
    bookings: int


def simulate(
    studio: Studio, seed: int, *, say: Callable[[str], None] | None = None, clients: int = CLIENTS
) -> Report:
    world = World(seed, say)
    studio.empty()
    with only_our_chance(seed), studio.app.app_context():
        faults = Faults.drawn(world)
        world.note("faults", faults.words())
        machines = Machines(studio.app, world, faults)
        stage = set_up(machines, Network(machines))
        stage.people.begin(clients)
        if faults.lost:
            world.at(BEGIN + RECONCILE_EVERY, partial(_reconcile, machines, stage))
        count = world.dice.choice((1, 2, 3))
        workers = Workers(machines, inbox=stage.inbox, outbox=stage.outbox, count=count)
        found = run_until_quiet(world, workers)
        if faults.lost:
            found += _reconcile_until_all_is_known(machines, stage, workers)
        found += problems(stage.scene)
        stage.scene.session.close()
    lines, digest = world.trace.lines, world.trace.digest()
    return Report(seed, clients, found, lines, digest, len(stage.people.by_ref))


def _reconcile(machines: Machines, stage: Stage, *, again: bool = True) -> None:
    """Reconcile with the providers, and once more a day later while anything goes on."""
    world, calendly = machines.world, stage.scene.calendly
    try:
        report = machines.run(stage.reconcile)
        world.note("reconciliation", f"{len(report.missing)} things were missing")
    except Crash:
        world.note("reconciliation", "killed")
    else:
        if not report.failed:
            stage.scene.stripe.note_told()
            for uri in calendly.people:
                calendly.note_known(uri)
    if again and world.next_at() is not None:
        world.at(world.now + RECONCILE_EVERY, partial(_reconcile, machines, stage))


def _reconcile_until_all_is_known(machines: Machines, stage: Stage, workers: Workers) -> list[str]:
    """Two have to be enough: what the first one finds may lead to calls that are answered by webhooks."""
    found = []
    for _ in range(2):
        # The hourly check repeats until nothing fails any more.
        at = max(machines.world.now + timedelta(seconds=1), LAST)
        machines.world.at(at, partial(_reconcile, machines, stage, again=False))
        found += run_until_quiet(machines.world, workers)
    return found


def run_until_quiet(world: World, workers: Workers, *, until: datetime | None = None) -> list[str]:
    """Run everything that is still due, or due ``until`` then. Returns what is wrong where that does not end."""
    with closing(sqlite3.connect(db.engine.url.database or "")) as connection:
        while world.now - BEGIN < LONGEST:
            following, due = world.next_at(), workers.next_due(connection)
            if until is not None and all(at is None or at > until for at in (following, due and due[0])):
                return []
            if due is not None and (following is None or due[0] <= following):
                world.begin(*due)
            elif not world.step():
                return []
    return [f"after {LONGEST.days} days there is still something to do"]


def words(report: Report, *, lines: int = 300) -> str:
    """The report as text: what is wrong, what led there, and how to replay it."""
    shown = report.lines[-lines:] if lines else []
    again = f"--seeds 1 --seed {report.seed} --clients {report.clients} --verbose"
    parts = [
        f"seed {report.seed}: {len(report.problems)} things are wrong",
        *(f"  - {one}" for one in report.problems),
        f"what happened (the last {len(shown)} of {len(report.lines)} lines):",
        *shown,
        f"again: python -m tests.simulation {again}",
    ]
    return "\n".join(parts)
