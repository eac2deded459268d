"""One seed from beginning to end."""

from __future__ import annotations

import logging
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import flask_migrate
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event

from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.checkout.slots import Timers
from bookingapp.checkout.tasks import Context as JobContext
from bookingapp.checkout.tasks import run_next
from bookingapp.core import services
from bookingapp.core.db import Base, db
from bookingapp.core.queue import Job
from bookingapp.core.settings import Settings
from bookingapp.factory import create_app
from bookingapp.payments.models import LedgerEntry, Payment, Refund
from bookingapp.session_types.models import SessionType
from bookingapp.webhooks.handlers import Context as InboxContext
from bookingapp.webhooks.jobs import jobs as jobs_of_webhooks
from bookingapp.webhooks.models import InboxEvent
from bookingapp.webhooks.tasks import apply_next
from tests.factories import event_type_uri, make_builder, make_session_type, user_uri
from tests.simulation.calendly import Kind, SimulatedCalendly
from tests.simulation.checks import Scene, problems, untrue
from tests.simulation.faults import Faults
from tests.simulation.machines import Machines, Workers
from tests.simulation.mail import Mailbox
from tests.simulation.network import Network
from tests.simulation.people import Collaborators, People
from tests.simulation.stripe import SimulatedStripe
from tests.simulation.world import BEGIN, World

CLIENTS = 12
LONGEST = timedelta(days=120)
EMPTIED: tuple[type[Base], ...] = (InboxEvent, Job, LedgerEntry, Refund, Payment, HistoryEntry, Booking)
HOST = user_uri("SIMULATION")
# Price, currency, minutes, seats.
PRICES = (
    (6000, "GBP", 60, 1),
    (9999, "EUR", 60, 1),
    (5001, "JPY", 30, 1),
    (2500, "GBP", 45, 4),
    (0, "GBP", 30, 1),
)


@dataclass(frozen=True)
class Report:
    """How a seed went: what is wrong (empty where nothing is), what happened, and one word for all of that."""

    seed: int
    problems: list[str]
    lines: list[str]
    digest: str
    bookings: int


class Studio:
    """The application with an empty database, which one seed after another may use."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(
            _env_file=None,
            app_env="development",
            instance_dir=folder,
            secret_key="the-cookie-key-of-the-simulation-0123456789",
            encryption_keys="dGhlLWVuY3J5cHRpb24ta2V5LW9mLXRoZS10ZXN0cy4=",
            calendly_webhook_signing_keys="key-of-the-simulation",
            stripe_webhook_secrets="whsec_of_the_simulation",
        )
        self.app = create_app(settings)
        with self.app.app_context():
            # Nothing here has to survive a power cut.
            event.listen(
                db.engine, "connect", lambda connection, _: connection.execute("pragma synchronous=off")
            )
            flask_migrate.upgrade()
            builder = make_builder(db.session(), slug="ada", calendly_user_uri=HOST)
            for number, (price, currency, _, _) in enumerate(PRICES):
                uri = event_type_uri(f"SIMULATION{number}")
                make_session_type(
                    db.session(), builder, event_type_uri=uri, price_minor=price, currency=currency
                )

    def close(self) -> None:
        """Give back the connections."""
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()


def simulate(
    studio: Studio, seed: int, *, say: Callable[[str], None] | None = None, clients: int = CLIENTS
) -> Report:
    """Run one seed until everything has come to rest, and look at what is left."""
    world = World(seed, say)
    with _chance_by_seed(seed), _quiet(), studio.app.app_context():
        with db.engine.begin() as connection:
            for model in EMPTIED:
                connection.execute(sa.delete(model))
        scene, workers = _set_up(studio.app, world, clients)
        found = [*_run(world, workers), *problems(scene)]
        db.session.remove()
    return Report(seed, found, world.trace.lines, world.trace.digest(), len(scene.people.visits))


def _set_up(app: Flask, world: World, clients: int) -> tuple[Scene, Workers]:
    faults = Faults.drawn(world)
    world.note("faults", repr(faults).replace("datetime.datetime", ""))
    machines = Machines(app, world, faults)
    network, mailbox = Network(machines), Mailbox(machines)
    builder = db.session.scalars(sa.select(Builder)).one()
    types = list(db.session.scalars(sa.select(SessionType).order_by(SessionType.id)))
    db.session.remove()
    kinds = tuple(
        Kind(one.event_type_uri, minutes, seats)
        for one, (_, _, minutes, seats) in zip(types, PRICES, strict=True)
    )
    calendly = SimulatedCalendly(machines, network, user=HOST, kinds=kinds)
    stripe = SimulatedStripe(machines, network)
    inbox = replace(services.get(InboxContext), calendly=calendly, stripe=stripe)
    jobs = services.get(JobContext)
    jobs = replace(jobs, calendly=calendly, stripe=stripe, post=replace(jobs.post, transport=mailbox))
    others = jobs_of_webhooks(inbox)
    workers = Workers(
        machines,
        inbox=lambda session: apply_next(session, inbox, clock=world.clock),
        outbox=lambda session: run_next(session, jobs, clock=world.clock, others=others),
        count=world.dice.choice((1, 2, 3)),
    )
    with_ = Collaborators(calendly, stripe, services.get(TrackingSigner), services.get(Timers))
    people = People(machines, with_, builder, types)
    mailbox.untrue = partial(untrue, stripe, people)
    people.begin(clients)
    return Scene(world, db.session(), people, stripe, calendly, mailbox), workers


def _run(world: World, workers: Workers) -> list[str]:
    with closing(sqlite3.connect(db.engine.url.database or "")) as connection:
        while world.now - BEGIN < LONGEST:
            following, due = world.next_at(), workers.next_due(connection)
            if due is not None and (following is None or due[0] <= following):
                world.at(*due)
            if not world.step():
                return []
    return [f"after {LONGEST.days} days there is still something to do"]


@contextmanager
def _chance_by_seed(seed: int) -> Iterator[None]:
    """The application's own dice (the jitter of its pauses) fall by the seed, too."""
    before = random.getstate()
    random.seed(seed)
    yield
    random.setstate(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Thousands of lines about faults that were made on purpose help nobody."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(before)


def words(report: Report, *, lines: int = 300) -> str:
    """A report for whoever has to find out why: what is wrong, what led there, and how to see it again."""
    shown = report.lines[-lines:] if lines else []
    parts: list[Any] = [
        f"seed {report.seed}: {len(report.problems)} things are wrong",
        *(f"  - {one}" for one in report.problems),
        f"what happened (the last {len(shown)} of {len(report.lines)} lines):",
        *shown,
        f"again: python -m tests.simulation --seeds 1 --seed {report.seed} --verbose",
    ]
    return "\n".join(parts)
