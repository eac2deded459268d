"""Clients and the builder, who do what people do: at any time, twice, from two tabs, or not at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.absence_claims import claim_absence, deny_claim, withdraw_claim
from bookingapp.bookings.codes import CauseCode, RefundReason
from bookingapp.bookings.models import Actor, RequestState
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot_requests import Choice, TimeBeingTaken, find_request
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.checkout import calendly_slot, cancellation, pay
from bookingapp.checkout.take_time import AT_ONCE, STEP, Taking, choose_time, take_time
from bookingapp.core.db import end_read, transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.queue import Restart, restart
from bookingapp.integrations.calendly import CalendlyError
from bookingapp.payments.chosen_refunds import Refundable, find_refundable, refund_amount
from bookingapp.session_types.models import SessionType
from bookingapp.webhooks.models import InboxEvent
from tests.simulation.calendly import Object, SimulatedCalendly
from tests.simulation.machines import Machines, Refused
from tests.simulation.refund_policy import POLICIES, USUAL, Canceled, Moved, Terms
from tests.simulation.stripe import SimulatedStripe
from tests.simulation.stripe_books import VOUCHERS

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass
class Chosen:
    """A time that a client chose on our list. One that is not ``sure`` was chosen in a request that was killed."""

    at: datetime
    start: datetime
    sure: bool = False


@dataclass(frozen=True)
class Rush:
    """Many clients who all want one time of our list, some seconds apart."""

    at: float
    kind: SessionType
    start: datetime


@dataclass
class Visit:
    """One booking, as its client knows it. ``by_hand`` is what was refunded in Stripe's dashboard, ``given_back`` are
    the amounts of the forms that its builder sent, ``chosen`` are the times of our list and ``invited`` the invitees
    that we made.
    """

    number: int
    title: str
    ref: str
    booking_id: int
    tracking_id: str
    tracking: str
    price_minor: int
    terms: Terms
    booked_at: datetime
    invitees: list[str] = field(default_factory=list)
    moves: list[Moved] = field(default_factory=list)
    called_off: list[Canceled] = field(default_factory=list)
    by_hand: int = 0
    given_back: list[int] = field(default_factory=list)
    chosen: list[Chosen] = field(default_factory=list)
    invited: list[str] = field(default_factory=list)

    @property
    def took_by_itself(self) -> bool:
        """Whether the client took a time in Calendly's calendar, or moved one."""
        return bool(set(self.invitees) - set(self.invited))


@dataclass(frozen=True)
class Collaborators:
    calendly: SimulatedCalendly
    stripe: SimulatedStripe
    signer: TrackingSigner
    timers: calendly_slot.Timers


class People:
    def __init__(
        self, machines: Machines, with_: Collaborators, builder: Builder, types: list[SessionType]
    ) -> None:
        self._machines = machines
        self._world = machines.world
        self._dice = self._world.dice
        self._with = with_
        self._builder = builder
        self._types = types
        self._titles = 0
        self.by_ref: dict[str, Visit] = {}
        self._types_of: dict[int, str] = {}
        self.shared_starts: dict[str, list[datetime]] = defaultdict(list)
        # How many of the clients use our own list of times differs from seed to seed.
        self._by_list = self._dice.choice((0.0, 0.3, 0.6, 1.0))
        with_.calendly.invited = self._note_invited

    def begin(self, clients: int) -> None:
        rush = self._draw_rush()
        for number in range(1, clients + 1):
            if rush is not None and self._world.chance(0.5):
                at = rush.at + self._dice.uniform(0, 5 * MINUTE)
                self._world.after(at, partial(self._client, number, rush))
            else:
                self._world.after(self._dice.uniform(0, 48 * HOUR), partial(self._client, number))
        for _ in range(self._dice.choice((0, 0, 3, 10))):
            self._world.after(self._dice.uniform(HOUR, 120 * HOUR), self._replay)

    # A client's way

    def _client(self, number: int, rush: Rush | None = None) -> None:
        kind = rush.kind if rush else self._dice.choice(self._types)
        visit = self.book(number, kind) or self.book(number, kind)
        if visit is None or self._world.chance(0.08):
            return
        if rush or self._world.chance(self._by_list):
            self._wait(5, 5 * MINUTE, rarely=3 * HOUR)
            self._use_list(visit, kind, rush.start if rush else None)
        else:
            self._wait(5, 20 * MINUTE, rarely=3 * HOUR)
            self._take_time(visit, kind)
            self._maybe(0.06, lambda: self._take_time(visit, kind), 1, 10 * MINUTE)
        self._maybe(0.15, lambda: self.move(visit), 5, 30 * HOUR)
        self._maybe(0.05, lambda: self.move(visit), 5, 30 * HOUR)
        self._maybe(0.10, lambda: self.cancel_in_calendly(visit, "invitee"), 5, 60 * HOUR)
        self._maybe(0.07, lambda: self.cancel_in_calendly(visit, "host"), 5, 60 * HOUR)
        self._maybe(0.12, lambda: self.cancel_here(visit), 5, 60 * HOUR)
        self._maybe(0.05, lambda: self.cancel_here(visit), 5, HOUR)
        self._maybe(0.05, lambda: self.cancel_here(visit, by_builder=True), 5, 60 * HOUR)
        self._maybe(0.12, lambda: self.could_not_come(visit), 5, 60 * HOUR)
        self._maybe(0.15, lambda: self.wait_in_vain(visit), 5, 60 * HOUR)
        if visit.price_minor and self._world.chance(0.88):
            for tab in range(self._dice.choice((1, 1, 1, 2))):
                self._maybe(1, partial(self._pay, visit, tab + 1), 1, 5 * MINUTE)

    def book(self, number: int, kind: SessionType) -> Visit | None:
        """A client picks a session type. None where our page did not answer."""
        self._titles += 1
        title = f"Session {self._titles}"
        offer = bookings.Offer(title, 60, "https://calendly.com/ada/session")
        client = bookings.Client("Grace Hall", "grace@example.org", "UTC")
        # The builder changes the policy again and again; each booking keeps the one of its moment.
        terms = POLICIES[number % len(POLICIES)]
        own = [{"hours_before": hours, "percent": percent} for hours, percent in terms]
        self._builder.refund_steps = None if terms is USUAL else own

        def make(session: Session) -> Visit:
            with transaction(session):
                booking = bookings.create_booking(
                    session,
                    builder=self._builder,
                    session_type=kind,
                    offer=offer,
                    client=client,
                    pending=self._with.timers.pending,
                    now=self._world.now,
                )
            name = booking.tracking_id
            return Visit(
                number,
                title,
                booking.ref,
                booking.id,
                name,
                self._with.signer.sign(name),
                booking.price_minor,
                terms,
                self._world.now,
            )

        answer = self._machines.request(f"client-{number}", "books", make)
        if isinstance(answer, Refused):
            return None
        self.by_ref[answer.ref] = answer
        self._types_of[answer.booking_id] = kind.event_type_uri
        self._say(answer, f"is booking {answer.booking_id}, {kind.price_minor} {kind.currency}")
        return answer

    # Our own list of times

    def _draw_rush(self) -> Rush | None:
        if not self._world.chance(0.6 * self._by_list):
            return None
        at = self._dice.uniform(0, 24 * HOUR)
        start = self._world.now + timedelta(seconds=at, hours=self._dice.choice((2, 20, 60, 200)))
        kind = self._dice.choice(self._types)
        return Rush(at, kind, start.replace(minute=0, second=0, microsecond=0))

    def _use_list(self, visit: Visit, kind: SessionType, start: datetime | None) -> None:
        first = start or self._some_time(kind)
        for _ in range(self._dice.choice((1, 2, 3))):
            self._maybe(0.1, partial(self.choose, visit, first), 0.01, 3)
            if self.choose(visit, first) is not Taking.GONE:
                break
            self._wait(3, 3 * MINUTE)
            first = self._some_time(kind)
        self._maybe(0.12, lambda: self.somebody_else_takes(visit, kind), 1, 10 * MINUTE)
        self._maybe(0.12, lambda: self.choose(visit, self._some_time(kind)), 1, 10 * MINUTE)
        self._maybe(0.06, lambda: self._take_time(visit, kind), 1, 20 * MINUTE)
        self._maybe(0.05, lambda: self.cancel_here(visit), 5, 20 * MINUTE)
        for seconds in (MINUTE, 10 * MINUTE, HOUR):
            self._maybe(0.6, lambda: self._look_again(visit, kind), seconds, 2 * seconds)

    def _look_again(self, visit: Visit, kind: SessionType) -> None:
        """The client looks at the booking's page. Of those who have lost their time, some leave."""

        def look(session: Session) -> RequestState | None:
            request = find_request(session, visit.booking_id)
            state = request.state if request is not None else None
            end_read(session)
            return state

        seen = self._machines.request(f"client-{visit.number}", "looks at the page", look)
        if seen in (RequestState.GONE, RequestState.REFUSED) and self._world.chance(0.7):
            self._wait(3, 10 * MINUTE, rarely=40 * MINUTE)
            self.choose(visit, self._some_time(kind))

    def choose(self, visit: Visit, start: datetime) -> Taking | None:
        """A client chooses a time of our list, as our page does it. None where it has to be paid first, or nothing came
        of it.
        """
        calendly, now = self._with.calendly, self._world.now

        def ask(session: Session) -> Taking | None:
            uri = self._types_of[visit.booking_id]
            times = calendly.available_times("platform", uri, start - STEP, start + STEP, at_most=AT_ONCE)
            if not any(one.start_time == start for one in times.value):
                return Taking.GONE
            timers, chosen = self._with.timers, Chosen(self._world.now, start)
            visit.chosen.append(chosen)
            try:
                is_first_paid = choose_time(
                    session, ref=visit.ref, choice=Choice(start), timers=timers, now=now
                )
            except Conflict:
                visit.chosen.remove(chosen)
                raise
            chosen.at, chosen.sure = self._world.now, True
            if is_first_paid:
                return None
            try:
                return take_time(
                    session,
                    calendly,
                    self._with.signer,
                    booking_id=visit.booking_id,
                    timers=timers,
                    now=now,
                )
            except (CalendlyError, TimeBeingTaken):
                return Taking.UNKNOWN

        answer = self._machines.request(f"client-{visit.number}", f"chooses {start:%d %H:%M}", ask)
        if isinstance(answer, Refused):
            return None
        self._say(visit, f"reads: {answer.name.lower() if answer else 'to be paid first'}")
        return answer

    def somebody_else_takes(self, visit: Visit, kind: SessionType) -> None:
        """Just the time that the client has chosen."""
        if visit.chosen and self._with.calendly.book_elsewhere(kind.event_type_uri, visit.chosen[-1].start):
            self._world.note("somebody else", f"takes the time of client-{visit.number}")

    def _note_invited(self, reference: str, person: Object) -> None:
        for visit in self.by_ref.values():
            if visit.tracking == reference:
                visit.invitees.append(person["uri"])
                visit.invited.append(person["uri"])

    def _take_time(self, visit: Visit, kind: SessionType) -> None:
        paid_there = self._world.chance(0.02) and visit.price_minor > 0
        person = self.take_time(visit, kind, self._some_time(kind), paid=paid_there)
        if self._world.chance(0.7):
            self._wait(0.2, 2, rarely=10 * MINUTE)
            self.report(visit, person)

    def take_time(self, visit: Visit, kind: SessionType, start: datetime, *, paid: bool = False) -> Object:
        person = self._with.calendly.book(kind.event_type_uri, visit.tracking, start, paid=paid)
        visit.invitees.append(person["uri"])
        at = "and pays in Calendly" if paid else f"that begins {start - self._world.now} later"
        self._say(visit, f"takes a time [{_name(person)}] {at}")
        return person

    def report(self, visit: Visit, person: Object) -> None:
        def claim(session: Session) -> None:
            calendly_slot.verify_claim(
                session,
                self._with.calendly,
                self._with.signer,
                ref=visit.ref,
                event_uri=person["event"],
                invitee_uri=person["uri"],
                mine=(visit.ref,),
                timers=self._with.timers,
                now=self._world.now,
            )

        if self._ask(visit, f"reports [{_name(person)}]", claim) is None:
            self._with.calendly.note_known(person["uri"])

    def move(self, visit: Visit) -> None:
        by = self._dice.choice(("invitee", "invitee", "host"))
        start = self._world.now + timedelta(hours=self._dice.randint(3, 120))
        for uri in reversed(visit.invitees):
            old_start = self._with.calendly.start_of(self._with.calendly.people[uri])
            new = self._with.calendly.reschedule(uri, start, by)
            if new is not None:
                visit.invitees.append(new["uri"])
                visit.moves.append(Moved(by, self._world.now, old_start, start))
                self._say(visit, f"moves to [{_name(new)}] ({by}), {start - self._world.now} ahead")
                return

    def cancel_in_calendly(self, visit: Visit, by: str) -> None:
        for uri in reversed(visit.invitees):
            person = self._with.calendly.people[uri]
            concerned = [person] if by == "invitee" else self._with.calendly.sitting(person["event"])
            if self._with.calendly.cancel(uri, by):
                self._say(visit, f"[{_name(person)}] is canceled in Calendly by the {by}")
                for one in concerned:
                    self._called_off(self._visit_of(one), by_builder=by == "host")
                return

    def cancel_here(self, visit: Visit, *, by_builder: bool = False) -> None:
        now = self._world.now
        who = Actor.BUILDER if by_builder else Actor.CLIENT
        answer = self._ask(
            visit,
            f"is canceled on our page by the {who.value}",
            lambda session: cancellation.cancel_booking(
                session,
                visit.booking_id,
                cause=Cause(who, CauseCode.CANCELED_ON_PAGE),
                by_builder=by_builder,
                now=self._world.now,
            ),
        )
        # A request that was killed may have been done before.
        if answer is None or answer.why == "crash":
            self._called_off(visit, by_builder=by_builder, at=now)

    def _replay(self) -> None:
        def again(session: Session) -> int | None:
            with transaction(session):
                last = session.scalar(sa.select(sa.func.max(InboxEvent.id)))
                number = self._dice.randint(1, last) if last else None
                if number is not None:
                    restart(session, InboxEvent, number, now=self._world.now, outcome=Restart.REPLAYED)
            return number

        number = self._machines.request("operator", "replays a delivery", again)
        self._world.note("operator", f"replayed {number}")

    # Money

    def _pay(self, visit: Visit, tab: int) -> None:
        for _ in range(self._dice.choice((1, 2, 3))):
            session_id = self.ask_to_pay(visit, tab)
            if session_id is not None:
                self._on_checkout_page(visit, tab, session_id)
                return
            self._wait(5, 5 * MINUTE, rarely=30 * MINUTE)

    def ask_to_pay(self, visit: Visit, tab: int) -> str | None:
        """A client presses the button. The Checkout Session that it leads to, if it does."""
        address = self._machines.request(
            f"client-{visit.number}/{tab}",
            "asks to pay",
            lambda session: pay.start_payment(
                session,
                self._with.stripe,
                ref=visit.ref,
                return_to=lambda ref: (f"https://site/{ref}/paid", f"https://site/{ref}"),
                now=self._world.now,
            ),
        )
        return None if isinstance(address, Refused) else address.rsplit("/", 1)[-1]

    def _on_checkout_page(self, visit: Visit, tab: int, session_id: str) -> None:
        self._say(visit, f"is on the checkout page [{session_id}] (tab {tab})")
        if self._world.chance(0.12):
            return
        self._wait(3, 4 * MINUTE, rarely=31 * MINUTE)
        if self._world.chance(0.15):
            self._at_the_last_moment(session_id)
        while self._world.chance(0.15):
            self._say(visit, f"tries a bad card: {self._with.stripe.pay(session_id, 'declined')}")
            self._wait(5, 60)
        slow = [one for one in self._with.stripe.offered(session_id) if one != "card"]
        how = self._dice.choice(slow) if slow and self._world.chance(0.6) else "card"
        said = self._with.stripe.pay(session_id, how)
        self._say(visit, f"pays by {how} (tab {tab}): {said}")
        if said != "complete":
            return
        if how in VOUCHERS:
            # Some cancel and pay after all, and some never pay.
            self._maybe(0.25, lambda: self.cancel_here(visit), MINUTE, 48 * HOUR)
            self._maybe(0.7, lambda: self._pay_voucher(visit, session_id), MINUTE, VOUCHERS[how] * DAY)
        elif how != "card":
            well = self._world.chance(0.7)
            longest = self._dice.choice((4, 10, 20)) * DAY
            self._maybe(1, lambda: self._with.stripe.settle(session_id, well=well), HOUR, longest)
        else:
            self._maybe(0.03, lambda: self._with.stripe.release_by_hand(session_id), 1, 10 * MINUTE)
            self._maybe(0.04, lambda: self.cancel_here(visit), 0.1, 2 * MINUTE)
            self._maybe(0.08, lambda: self.refund_by_hand(visit, session_id), 10, 80 * HOUR)
            self._maybe(0.04, lambda: self.refund_by_hand(visit, session_id), 10, 80 * HOUR)
            self._maybe(0.10, lambda: self.give_back(visit), 10, 80 * HOUR)
            self._maybe(0.05, lambda: self.give_back(visit), 10, 20 * DAY)
            self._maybe(0.04, lambda: self.dispute(visit, session_id), HOUR, 80 * HOUR)
        if self._world.chance(0.75):
            self._wait(0.3, 3)
            self.come_back(visit)

    def _pay_voucher(self, visit: Visit, session_id: str) -> None:
        if not self._with.stripe.settle(session_id, well=True):
            return
        self._say(visit, "pays the voucher")
        self._maybe(0.3, lambda: self.cancel_here(visit), MINUTE, 96 * HOUR)
        for _ in range(2):
            self._maybe(0.15, lambda: self.refund_by_hand(visit, session_id), MINUTE, 96 * HOUR)

    def come_back(self, visit: Visit) -> None:
        self._ask(
            visit,
            "is back from Stripe",
            lambda session: pay.record_return_from_stripe(session, ref=visit.ref, now=self._world.now),
        )

    def _at_the_last_moment(self, session_id: str) -> None:
        """Around the end of the hold or of the page, whichever the dice choose."""
        session = self._with.stripe.books.sessions[session_id]
        end = session["expires_at"] if self._world.chance(0.3) else session["created"] + 30 * 60
        left = end - self._world.now.timestamp() + self._dice.uniform(-6, 3)
        self._world.wait(max(left, 0.0))

    def refund_by_hand(self, visit: Visit, session_id: str) -> None:
        amount = max(1, int(visit.price_minor * self._dice.choice((0.3, 0.5, 1.0))))
        if self._with.stripe.refund_by_hand(session_id, amount):
            visit.by_hand += amount
            self._say(visit, f"{amount} are refunded in Stripe's dashboard")

    def give_back(self, visit: Visit, *, clicks: int = 0) -> None:
        """The builder opens the form for an amount, thinks, and sends it: once, twice, or from two tabs."""

        def look(session: Session) -> Refundable | None:
            found = find_refundable(session, bookings.get_by_ref(session, visit.ref))
            end_read(session)
            return found

        seen = self._machines.request("builder", f"looks at what is left of {visit.title}", look)
        if seen is None or isinstance(seen, Refused) or not seen.left_minor:
            return
        amount = max(1, int(seen.left_minor * self._dice.choice((0.2, 0.5, 1.0))))

        def give(session: Session) -> None:
            with transaction(session):
                refund_amount(
                    session,
                    bookings.lock_booking(session, visit.booking_id),
                    amount_minor=amount,
                    reason=RefundReason.COURTESY,
                    edition=seen.edition,
                    actor=Actor.BUILDER,
                    now=self._world.now,
                )

        self._wait(1, 2 * MINUTE, rarely=3 * HOUR)
        answers = [
            self._ask(visit, f"is given {amount} back", give)
            for _ in range(clicks or self._dice.choice((1, 1, 2)))
        ]
        # A request that was killed may have been done before.
        if any(answer is None or answer.why == "crash" for answer in answers):
            visit.given_back.append(amount)

    def could_not_come(self, visit: Visit) -> None:
        """The builder says so: mostly once the session has begun, sometimes before, and twice."""
        calendly = self._with.calendly
        starts = [calendly.start_of(calendly.people[uri]) for uri in visit.invitees]
        if starts and self._world.chance(0.9):
            ahead = max(starts) - self._world.now
            self._world.wait(max(ahead.total_seconds(), 0) + self._dice.uniform(0, 3 * HOUR))
        for _ in range(self._dice.choice((1, 1, 2))):
            self.report_absence(visit)

    def wait_in_vain(self, visit: Visit) -> None:
        """The client says that the builder did not come, who says no, says nothing, or whom the client then sees."""
        calendly = self._with.calendly
        starts = [calendly.start_of(calendly.people[uri]) for uri in visit.invitees]
        if not starts:
            return
        ahead = max(starts) - self._world.now
        self._world.wait(max(ahead.total_seconds(), 0) + self._dice.uniform(5 * MINUTE, 3 * HOUR))
        now = self._world.now

        def say(do: Callable[..., object], **how: Actor) -> Callable[[Session], None]:
            def act(session: Session) -> None:
                with transaction(session):
                    do(session, bookings.lock_booking(session, visit.booking_id), now=self._world.now, **how)

            return act

        for _ in range(self._dice.choice((1, 1, 2))):
            answer = self._ask(visit, "says that the builder did not come", say(claim_absence))
            if answer is None or answer.why == "crash":
                self._called_off(visit, by_builder=True, at=now)
        self._wait(MINUTE, 3 * HOUR, rarely=30 * HOUR)
        answers = (lambda: None, lambda: None, partial(self.report_absence, visit))
        denies = partial(self._ask, visit, "is told that they were there", say(deny_claim, by=Actor.BUILDER))
        withdraws = partial(self._ask, visit, "takes it back", say(withdraw_claim))
        self._dice.choice((*answers, denies, withdraws))()

    def report_absence(self, visit: Visit) -> None:
        now = self._world.now

        def report(session: Session) -> None:
            cause = Cause(Actor.BUILDER, CauseCode.ABSENCE_REPORTED)
            cancellation.report_absence(session, visit.booking_id, cause=cause, now=self._world.now)

        answer = self._ask(visit, "waited for a builder who could not come", report)
        if answer is None or answer.why == "crash":
            self._called_off(visit, by_builder=True, at=now)

    def dispute(self, visit: Visit, session_id: str) -> None:
        dispute = self._with.stripe.dispute(session_id, inquiry=self._world.chance(0.3))
        if dispute is None:
            return
        self._say(visit, "disputes the payment")
        well = self._world.chance(0.5)
        self._maybe(
            0.9, lambda: self._with.stripe.close_dispute(dispute, won=well), 24 * HOUR, 20 * 24 * HOUR
        )

    # Helpers

    def _some_time(self, kind: SessionType) -> datetime:
        hours = self._dice.choice(
            (
                self._dice.randint(2, 12),
                self._dice.randint(12, 30),
                self._dice.randint(24, 140),
                # So far ahead that vouchers and debits are in time.
                *[self._dice.randint(150, 420)] * 2,
            )
        )
        start = (self._world.now + timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)
        known = [one for one in self.shared_starts[kind.event_type_uri] if one > self._world.now]
        if known and self._world.chance(0.5):
            return self._dice.choice(known)
        self.shared_starts[kind.event_type_uri].append(start)
        return start

    def _called_off(self, visit: Visit | None, *, by_builder: bool, at: datetime | None = None) -> None:
        if visit is not None:
            calendly = self._with.calendly
            starts = tuple(calendly.start_of(calendly.people[uri]) for uri in visit.invitees)
            visit.called_off.append(Canceled(at or self._world.now, starts, by_builder))

    def _visit_of(self, person: Object) -> Visit | None:
        return next((visit for visit in self.by_ref.values() if person["uri"] in visit.invitees), None)

    def _ask(self, visit: Visit, what: str, do: Callable[[Session], None]) -> Refused | None:
        return self._machines.request(f"client-{visit.number}", what, do)

    def _maybe(self, share: float, do: Callable[[], object], soonest: float, latest: float) -> None:
        """Let it happen in that share of all cases, as a process of its own, sooner more often than later."""
        if self._world.chance(share):
            self._world.after(soonest + (latest - soonest) * self._dice.random() ** 3, do)

    def _wait(self, soonest: float, latest: float, *, rarely: float = 0.0) -> None:
        longest = rarely if rarely and self._world.chance(0.08) else latest
        self._world.wait(self._dice.uniform(soonest, longest))

    def _say(self, visit: Visit, what: str) -> None:
        self._world.note(f"client-{visit.number}", what)


def _name(person: Object) -> str:
    return str(person["uri"]).rsplit("/", 1)[-1]
