"""The application and everything around it, set up for one story."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from unittest import mock

import flask_migrate
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.checkout.tasks import run_next
from bookingapp.core import claims, migrations, services
from bookingapp.core import jobs as jobs_registry
from bookingapp.core.db import Base, db
from bookingapp.factory import create_app
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.notifications.service import Mailer
from bookingapp.session_types.models import SessionType
from bookingapp.sync.models import Reconciliation
from bookingapp.sync.reconciliation import reconcile_everything
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.tasks import apply_next
from tests.conftest import close, forget_power_cuts, make_settings
from tests.factories import event_type_uri, make_builder, make_session_type, user_uri
from tests.simulation.calendly import Kind, SimulatedCalendly
from tests.simulation.checks import Scene, untrue
from tests.simulation.machines import Machines, Step
from tests.simulation.mail import Mailbox
from tests.simulation.network import Network
from tests.simulation.people import Collaborators, People
from tests.simulation.stripe import SimulatedStripe

KEPT = ("accounts", "builders", "session_types")
HOST = user_uri("SIMULATION")
# Price, currency, minutes, seats.
PRICES = (
    (6000, "GBP", 60, 1),
    (9999, "EUR", 60, 1),
    (5001, "JPY", 30, 1),
    (2500, "GBP", 45, 4),
    (0, "GBP", 30, 1),
)


class Studio:
    """The application with an empty database, which one seed after another may use."""

    def __init__(self, folder: Path) -> None:
        self.app = create_app(make_settings(folder))
        migrations.init_app(self.app)
        forget_power_cuts(self.app)
        with self.app.app_context():
            flask_migrate.upgrade()
            builder = make_builder(db.session(), slug="ada", calendly_user_uri=HOST)
            for number, (price, currency, _, _) in enumerate(PRICES):
                uri = event_type_uri(f"SIMULATION{number}")
                make_session_type(
                    db.session(), builder, event_type_uri=uri, price_minor=price, currency=currency
                )

    def empty(self) -> None:
        with self.app.app_context(), db.engine.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                if table.name not in KEPT:
                    connection.execute(sa.delete(table))

    def close(self) -> None:
        close(self.app)


@dataclass(frozen=True)
class Stage:
    """What a seed runs with: the people, one step of each of the worker's two loops, and the reconciliation."""

    scene: Scene
    people: People
    inbox: Step
    outbox: Step
    reconcile: Callable[[Session], Reconciliation]


def set_up(machines: Machines, network: Network) -> Stage:
    world, mailbox = machines.world, Mailbox(machines)
    builder = db.session.scalars(sa.select(Builder)).one()
    types = list(db.session.scalars(sa.select(SessionType).order_by(SessionType.id)))
    db.session.remove()
    kinds = tuple(
        Kind(one.event_type_uri, minutes, seats)
        for one, (_, _, minutes, seats) in zip(types, PRICES, strict=True)
    )
    calendly = SimulatedCalendly(machines, network, user=HOST, kinds=kinds)
    stripe = SimulatedStripe(machines, network)
    inbox = replace(services.get(Context), calendly=calendly, stripe=stripe)
    jobs = services.get(jobs_registry.Collaborators)
    mailer = replace(jobs.get(Mailer), transport=mailbox)
    jobs = jobs.replacing({CalendlyClient: calendly, StripeGateway: stripe, Mailer: mailer, Context: inbox})
    with_ = Collaborators(calendly, stripe, services.get(TrackingSigner), services.get(Timers))
    people = People(machines, with_, builder, types)
    mailbox.untrue = partial(untrue, stripe, calendly, people, machines)
    return Stage(
        Scene(world, machines.faults, db.session(), people, stripe, calendly, mailbox),
        people,
        lambda session, hand: apply_next(session, inbox, hand, clock=machines.time.now),
        lambda session, hand: run_next(session, jobs, hand, clock=machines.time.now),
        lambda session: reconcile_everything(session, inbox, now=world.now),
    )


@contextmanager
def only_our_chance(seed: int) -> Iterator[None]:
    """Seed the jitter of the application's pauses, and silence its log, which would be full of faults made on purpose.
    Workers claim more rows at once than elsewhere, so that they die with more in hand.
    """
    dice, silence = random.getstate(), logging.root.manager.disable
    random.seed(seed)
    logging.disable(logging.CRITICAL)
    with mock.patch.object(claims, "QUICK", timedelta(seconds=1)):
        yield
    logging.disable(silence)
    random.setstate(dice)
