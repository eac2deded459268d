"""One booking, and anything at any moment: Hypothesis picks what happens next, which webhook comes (again), which
worker takes a step, and where it is killed. A small model says what has to come of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bookingapp.bookings.models import AttentionFlag, Booking
from bookingapp.bookings.states import Status
from bookingapp.core.claims import Batch
from bookingapp.core.db import db
from bookingapp.core.queue import Job
from bookingapp.payments.models import EntryKind, LedgerEntry
from bookingapp.session_types.models import SessionType
from bookingapp.webhooks.models import InboxEvent, Provider
from tests.simulation.checks import problems
from tests.simulation.faults import Faults
from tests.simulation.machines import Machines, Workers
from tests.simulation.network import Message, Network
from tests.simulation.people import Visit
from tests.simulation.run import run_until_quiet
from tests.simulation.stage import Stage, Studio, only_our_chance, set_up
from tests.simulation.world import Crash, World

MORE = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    # The same examples each time: more seeds find new faults, not luck in a build.
    derandomize=True,
    # A failure replays as it is and prints its trace; shrinking takes longer than a build may.
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True)
class ByHand(Faults):
    """A provider that is in ``away`` does not answer."""

    away: set[str] = field(default_factory=set)

    @property
    def patience(self) -> timedelta:
        """Workers rest here for days, so that the clock says nothing; :meth:`OneBooking.judge` does."""
        return timedelta(days=365)

    def is_out(self, whose: str, now: datetime) -> bool:
        return whose in self.away


class Fragile(Machines):
    dies_in: int | None = None

    def may_crash(self) -> None:
        if self.dies_in is None:
            return
        self.dies_in -= 1
        if self.dies_in < 0:
            self.dies_in = None
            self.crashes += 1
            raise Crash


class Pile(Network):
    def __init__(self, machines: Machines) -> None:
        super().__init__(machines)
        self.undelivered: list[Message] = []
        self.delivered: list[Message] = []

    def send(
        self, provider: Provider, body: dict[str, Any], what: str, then: Callable[[], None] = lambda: None
    ) -> None:
        self.undelivered.append(Message.of(provider, body, what, then))


class OneBooking(RuleBasedStateMachine):
    studio: ClassVar[Studio]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.studio.empty()
        self.stack.enter_context(only_our_chance(0))
        self.stack.enter_context(self.studio.app.app_context())
        self.world = World(0)
        self.faults = ByHand()
        self.machines = Fragile(self.studio.app, self.world, self.faults)
        self.pile = Pile(self.machines)
        self.stage: Stage = set_up(self.machines, self.pile)
        self.hands: dict[str, Batch[Any]] = {"inbox": Batch(InboxEvent), "outbox": Batch(Job)}
        self.people, self.scene = self.stage.people, self.stage.scene
        self.visit: Visit
        self.kind: SessionType

    @initialize(price=st.sampled_from([0, 1, 4]))
    def book(self, price: int) -> None:
        self.kind = db.session.scalars(sa.select(SessionType).order_by(SessionType.id)).all()[price]
        db.session.remove()
        made = self.people.book(1, self.kind)
        assert made is not None
        self.visit = made

    # What people do

    @precondition(lambda self: len(self.visit.invitees) < 4)
    @rule(hours=st.sampled_from([3, 20, 40, 400, 400]))
    def take_a_time(self, hours: int) -> None:
        self.world.advance(0.1)
        self.people.take_time(self.visit, self.kind, self.world.now + timedelta(hours=hours))

    @rule(hours=st.sampled_from([2, 20, 40, 400]), dies_in=st.none() | st.integers(0, 8))
    def choose_on_our_list(self, hours: int, dies_in: int | None) -> None:
        start = (self.world.now + timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)
        self.machines.dies_in = dies_in
        self.people.choose(self.visit, start)
        self.machines.dies_in = None

    @precondition(lambda self: self.visit.chosen)
    @rule()
    def somebody_else_is_faster(self) -> None:
        self.people.somebody_else_takes(self.visit, self.kind)

    @precondition(lambda self: self.visit.invitees)
    @rule()
    def report(self) -> None:
        self.people.report(self.visit, self.scene.calendly.people[self.visit.invitees[-1]])

    @precondition(lambda self: 0 < len(self.visit.invitees) < 6)
    @rule()
    def move(self) -> None:
        self.world.advance(0.1)
        self.people.move(self.visit)

    @precondition(lambda self: self.visit.invitees)
    @rule(by=st.sampled_from(["invitee", "host"]))
    def cancel_in_calendly(self, by: str) -> None:
        self.people.cancel_in_calendly(self.visit, by)

    @rule(dies_in=st.none() | st.integers(0, 3))
    def cancel_here(self, dies_in: int | None) -> None:
        self.machines.dies_in = dies_in
        self.people.cancel_here(self.visit)
        self.machines.dies_in = None

    @rule(dies_in=st.none() | st.integers(0, 6))
    def ask_to_pay(self, dies_in: int | None) -> None:
        self.machines.dies_in = dies_in
        self.people.ask_to_pay(self.visit, 1)
        self.machines.dies_in = None

    @precondition(lambda self: self.scene.stripe.books.sessions)
    @rule(how=st.sampled_from(["card", "card", "declined", "sepa_debit", "multibanco"]), back=st.booleans())
    def pay(self, how: str, back: bool) -> None:
        said = self.scene.stripe.pay(list(self.scene.stripe.books.sessions)[-1], how)
        if said == "complete" and back:
            self.people.come_back(self.visit)

    @precondition(lambda self: self.pending())
    @rule(well=st.booleans())
    def settle(self, well: bool) -> None:
        self.scene.stripe.settle(self.pending()[0], well=well)

    @precondition(lambda self: self.scene.stripe.books.received(self.visit.tracking_id))
    @rule()
    def refund_by_hand(self) -> None:
        paid = [
            key for key, one in self.scene.stripe.books.sessions.items() if one["payment_status"] == "paid"
        ]
        self.people.refund_by_hand(self.visit, paid[0])

    @precondition(lambda self: self.scene.stripe.books.received(self.visit.tracking_id))
    @rule(clicks=st.integers(1, 2), dies_in=st.none() | st.integers(0, 3))
    def give_an_amount_back(self, clicks: int, dies_in: int | None) -> None:
        self.machines.dies_in = dies_in
        self.people.give_back(self.visit, clicks=clicks)
        self.machines.dies_in = None

    @precondition(lambda self: self.visit.invitees)
    @rule(dies_in=st.none() | st.integers(0, 3))
    def builder_cannot_come(self, dies_in: int | None) -> None:
        self.machines.dies_in = dies_in
        self.people.report_absence(self.visit)
        self.machines.dies_in = None

    @rule()
    def builder_cancels(self) -> None:
        self.people.cancel_here(self.visit, by_builder=True)

    # What the world does

    @precondition(lambda self: self.pile.undelivered)
    @rule(number=st.integers(0, 20), dies_in=st.none() | st.integers(0, 1))
    def deliver(self, number: int, dies_in: int | None) -> None:
        message = self.pile.undelivered[number % len(self.pile.undelivered)]
        self.machines.dies_in = dies_in
        if self.pile.deliver(message):
            self.pile.undelivered.remove(message)
            self.pile.delivered.append(message)
        self.machines.dies_in = None

    @precondition(lambda self: self.pile.delivered)
    @rule(number=st.integers(0, 20))
    def deliver_again(self, number: int) -> None:
        self.pile.deliver(self.pile.delivered[number % len(self.pile.delivered)])

    @rule(loop=st.sampled_from(["inbox", "outbox"]), dies_in=st.none() | st.integers(0, 8))
    def work(self, loop: str, dies_in: int | None) -> None:
        self.machines.dies_in = dies_in
        step, hand = (self.stage.inbox if loop == "inbox" else self.stage.outbox), self.hands[loop]
        try:
            self.machines.run(lambda session: step(session, hand))
        except Crash:
            self.world.note(loop, "killed")
            self.hands[loop] = Batch(hand.model)
        self.machines.dies_in = None

    @rule(whose=st.sampled_from(["calendly", "stripe"]))
    def go_away_or_come_back(self, whose: str) -> None:
        self.faults.away.symmetric_difference_update({whose})

    @rule(minutes=st.sampled_from([0.2, 6, 31, 130, 1500]))
    def time_passes(self, minutes: float) -> None:
        self.world.advance(minutes)

    # What has to be true

    @invariant()
    def money_is_never_invented(self) -> None:
        """It may be recorded late, but never more of it than there is."""
        (entered,) = self.row(
            sa.select(sa.func.coalesce(sa.func.sum(LedgerEntry.amount_minor), 0)).where(
                LedgerEntry.kind == EntryKind.CHARGE
            )
        )
        assert entered <= sum(
            one["amount"] for one in self.scene.stripe.books.received(self.visit.tracking_id)
        )

    @invariant()
    def a_promise_has_its_reasons(self) -> None:
        (status,) = self.row(sa.select(Booking.status))
        if status in (Status.CONFIRMED, Status.COMPLETED):
            assert self.visit.invitees
            assert self.kind.price_minor == 0 or self.scene.stripe.books.received(self.visit.tracking_id)

    @invariant()
    def one_page_at_most_can_be_paid(self) -> None:
        """Of those whose address anybody was given."""
        assert sum(one["status"] == "open" for one in self.scene.stripe.books.sessions.values()) <= 1

    def teardown(self) -> None:
        """In the end everything is delivered and done; then the providers' books and ours agree."""
        try:
            if hasattr(self, "visit"):
                self.come_to_rest()
                assert not problems(self.scene), "\n".join(problems(self.scene))
        except AssertionError as error:
            error.add_note("\n".join(["what happened:", *self.world.trace.lines]))
            raise
        finally:
            self.scene.session.close()
            self.stack.close()

    def come_to_rest(self) -> None:
        self.faults.away.clear()
        workers = Workers(self.machines, inbox=self.stage.inbox, outbox=self.stage.outbox, count=1)
        # Longer than a hold, and than the longest pause between two tries.
        self.deliver_everything(workers, timedelta(hours=2))
        is_flagged = Booking.flags.any(AttentionFlag.resolved_at.is_(None))
        self.judge(*self.row(sa.select(Booking.status, is_flagged)))
        for session_id in self.pending():
            self.scene.stripe.settle(session_id, well=False)
        self.deliver_everything(workers, timedelta(days=60))
        while self.pile.undelivered:
            self.deliver_everything(workers, timedelta(days=1))

    def deliver_everything(self, workers: Workers, within: timedelta) -> None:
        """Deliver all webhooks, and let the workers run what is due within that time."""
        until = self.world.now + within
        while self.pile.undelivered:
            assert self.pile.deliver(self.pile.undelivered.pop(0))
            assert not run_until_quiet(self.world, workers, until=until)
        assert not run_until_quiet(self.world, workers, until=until)

    def judge(self, status: Status, is_flagged: bool) -> None:
        """The reference model: what the booking has to be now that we know everything, from what people did."""
        calendly, stripe = self.scene.calendly, self.scene.stripe
        people = [calendly.people[uri] for uri in self.visit.invitees]
        coming = [
            one for one in people if one["status"] == "active" and calendly.start_of(one) > self.world.now
        ]
        paid = self.kind.price_minor == 0 or bool(stripe.books.received(self.visit.tracking_id))
        if is_flagged:
            return
        if coming:
            # No client keeps a time without paying, or two times.
            assert len(coming) == 1
            assert status is Status.CONFIRMED if paid else self.pending(), status
        elif not people and not self.visit.called_off:
            assert status in (Status.PENDING, Status.EXPIRED), status
        elif not self.visit.called_off:
            # Its time has come, or was never paid for.
            assert status in (Status.COMPLETED, Status.CONFIRMED, Status.EXPIRED), status

    def pending(self) -> list[str]:
        stripe = self.scene.stripe
        return [
            key
            for key, one in stripe.books.sessions.items()
            if one["payment_intent"]
            and stripe.books.intents[one["payment_intent"]]["status"] in ("processing", "requires_action")
        ]

    def row(self, query: sa.Executable) -> sa.Row[*tuple[Any, ...]]:
        with db.engine.connect() as connection:
            return connection.execute(query).one()


@pytest.fixture
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = Studio(tmp_path_factory.mktemp("stateful"))
    yield studio
    studio.close()


def test_one_booking_in_any_order(studio: Studio) -> None:
    OneBooking.studio = studio
    run_state_machine_as_test(OneBooking, settings=MORE)
