"""What a booking's page says and offers, in every state: never a promise that is not true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bookingapp.bookings.models import Booking, RequestState, Slot, SlotRequest
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.builders.policy import USUAL, snapshot_of
from bookingapp.checkout.presenter import LOOK_SECONDS, BookingView, present_booking
from bookingapp.checkout.words import PAYMENT_LABELS, STATUS_LABELS
from bookingapp.payments.models import PaymentStatus, RefundState
from bookingapp.payments.service import MoneySummary

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
START = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)
NOTHING = MoneySummary(PaymentStatus.NONE, 0, 0)
PAID = MoneySummary(PaymentStatus.PAID, 6000, 0)


def booking(status: Status, **how: Any) -> Booking:
    """A booking in a state, as it would be there: with its time, its payment and its hold."""
    paid = status in (Status.PAID, Status.CONFIRMED, Status.COMPLETED)
    has_time = status not in (Status.PENDING, Status.PAID)
    values: dict[str, Any] = {
        "ref": "ref",
        "status": status,
        "title": "60 Minute Consultation",
        "duration_minutes": 60,
        "client_name": "Grace Hall",
        "client_email": "grace@example.org",
        "client_timezone": "Europe/Berlin",
        "price_minor": 6000,
        "currency": "GBP",
        "policy": snapshot_of(USUAL),
        "slot": Slot.ACTIVE if has_time else Slot.NONE,
        "starts_at": START if has_time else None,
        "ends_at": START + timedelta(hours=1) if has_time else None,
        "paid_at": NOW if paid else None,
        "hold_expires_at": None if paid or status.is_final else NOW + timedelta(minutes=30),
        "join_url": "https://zoom.example/j/1",
        "reschedule_url": "https://calendly.com/reschedulings/1",
        "canceled_invitees": [],
        "builder": Builder(display_name="Ada Okonkwo", slug="ada", timezone="Europe/London"),
        **how,
    }
    return Booking(**values)


def shown(one: Booking, money: MoneySummary | None = None, **how: Any) -> BookingView:
    money = money or (PAID if one.paid_at else NOTHING)
    return present_booking(one, money, now=NOW, look_url="/next", **how)


@pytest.mark.parametrize("free", [False, True], ids=["priced", "free"])
@pytest.mark.parametrize("status", list(Status))
def test_every_state_has_its_words(status: Status, free: bool) -> None:
    how: dict[str, Any] = {"price_minor": 0, "paid_at": None} if free else {}
    b = shown(booking(status, **how))
    assert b.headline
    assert b.sentence.endswith((".", "!"))
    assert b.status_label == STATUS_LABELS[status]
    assert len(b.steps) == (3 if free else 4)
    if free:
        assert b.payment_label == "Free"
        assert not b.can_pay
        assert "£" not in b.sentence


@pytest.mark.parametrize("status", list(Status))
def test_what_can_be_done_next(status: Status) -> None:
    b = shown(booking(status))
    assert b.can_schedule is (status is Status.PENDING)
    assert b.can_pay is (status is Status.SCHEDULED)
    assert bool(b.join_url) is (status is Status.CONFIRMED)
    assert bool(b.reschedule_url) is (status in (Status.SCHEDULED, Status.CONFIRMED))
    assert b.can_cancel is not status.is_final
    assert b.live is (status in (Status.PENDING, Status.SCHEDULED, Status.PAID))


@pytest.mark.parametrize("status", [Status.PENDING, Status.SCHEDULED])
def test_a_hold_that_has_run_out_is_over_at_once(status: Status) -> None:
    """Even before the worker has expired it."""
    b = shown(booking(status, hold_expires_at=NOW))
    assert "has ended" in b.headline
    assert not b.can_pay
    assert not b.can_schedule


@pytest.mark.parametrize("status", [PaymentStatus.PROCESSING, PaymentStatus.PAID])
def test_nobody_is_asked_for_money_twice(status: PaymentStatus) -> None:
    assert not shown(booking(Status.SCHEDULED), MoneySummary(status, 0, 0)).can_pay


def test_a_failed_payment_can_be_tried_again() -> None:
    b = shown(booking(Status.SCHEDULED), MoneySummary(PaymentStatus.FAILED, 0, 0))
    assert "did not go through" in b.headline
    assert "11:30 CET" in b.sentence
    assert b.can_pay


@pytest.mark.parametrize("status", [Status.CANCELED, Status.EXPIRED])
def test_nothing_was_charged_is_said_only_where_it_is_true(status: Status) -> None:
    assert "Nothing was charged" in shown(booking(status)).sentence
    late = shown(booking(status, paid_at=NOW), PAID)
    assert "Nothing was charged" not in late.sentence
    back = shown(
        booking(status, paid_at=NOW),
        MoneySummary(PaymentStatus.REFUNDED, 6000, 6000, (6000, RefundState.SUCCEEDED)),
    )
    assert "Nothing was charged" not in back.sentence
    assert back.refund == (6000, RefundState.SUCCEEDED)


def test_looking_is_quick_at_first_and_never_ends() -> None:
    """In the end it is each minute."""
    waits = [shown(booking(Status.SCHEDULED), looks=n).look_seconds for n in range(len(LOOK_SECONDS))]
    assert waits == list(LOOK_SECONDS)
    assert waits[0] is not None
    assert waits[0] <= 1
    assert shown(booking(Status.SCHEDULED), looks=500).look_seconds == LOOK_SECONDS[-1] == 60


@pytest.mark.parametrize(
    ("until_start", "seconds"),
    [
        (timedelta(days=7), 3600),
        (timedelta(hours=2, minutes=30), 1800),
        (timedelta(hours=2), 60),
        (timedelta(minutes=5), 60),
        (-timedelta(minutes=30), 60),
    ],
)
def test_an_open_page_of_a_confirmed_session_looks_again(until_start: timedelta, seconds: float) -> None:
    """Each minute near the session, and before in time to be near."""
    assert shown(booking(Status.CONFIRMED, starts_at=NOW + until_start)).look_seconds == seconds


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.CANCELED, Status.EXPIRED])
def test_what_is_over_looks_again_only_when_it_becomes_visible(status: Status) -> None:
    """It has an address to ask, and no pause after which it would."""
    b = shown(booking(status))
    assert (b.look_seconds, b.look_url) == (None, "/next")


def test_the_builders_own_time_is_named_where_it_differs() -> None:
    assert shown(booking(Status.CONFIRMED)).timezone_note == (
        "For Ada Okonkwo in London that is 14:00\N{EN DASH}15:00 GMT."
    )
    assert shown(booking(Status.CONFIRMED, client_timezone="Europe/London")).timezone_note is None


def test_a_bank_that_only_asks_has_taken_nothing() -> None:
    """Then what the page says of a refund is true, and is shown; while the bank has the money, no refund is."""
    canceled = booking(Status.CANCELED, paid_at=NOW)
    pending = (6000, RefundState.PENDING)
    asked = shown(canceled, MoneySummary(PaymentStatus.DISPUTED, 6000, 0, pending))
    assert asked.refund == pending and "Your bank has taken" not in asked.sentence
    taken = shown(canceled, MoneySummary(PaymentStatus.DISPUTED, 6000, 0, pending, taken_back_minor=6000))
    assert taken.refund is None and "Your bank has taken" in taken.sentence


def test_every_payment_state_of_the_outside_interface_has_words() -> None:
    names = "none open authorized processing paid failed expired partially_refunded refunded disputed"
    assert set(PAYMENT_LABELS) == set(names.split())


@pytest.mark.parametrize(
    ("minutes", "is_open"), [(-3 * 24 * 60, False), (-16, False), (-15, True), (30, True)]
)
def test_joining_is_the_main_thing_when_it_is_time(minutes: int, *, is_open: bool) -> None:
    """From a quarter of an hour before the start; earlier the link is there, and says from when on."""
    b = present_booking(booking(Status.CONFIRMED), PAID, now=START + timedelta(minutes=minutes))
    assert b.join_url
    assert b.join_opens_at == (None if is_open else START - timedelta(minutes=15))


@pytest.mark.parametrize(
    ("minutes", "headline", "can_join", "has_policy"),
    [
        (-1, "You are booked", True, True),
        (0, "It's time for your session", True, False),
        (59, "It's time for your session", True, False),
        (60, "This session is over", False, False),
    ],
)
def test_a_page_says_that_the_session_has_begun_and_that_it_is_over(
    minutes: int, headline: str, *, can_join: bool, has_policy: bool
) -> None:
    """Also in the moments before it is completed; what can be canceled no more has no policy."""
    b = present_booking(booking(Status.CONFIRMED), PAID, now=START + timedelta(minutes=minutes))
    assert (b.headline, bool(b.join_url), bool(b.policy)) == (headline, can_join, has_policy)


def test_the_steps_say_where_one_is() -> None:
    states = [state for _, state in shown(booking(Status.SCHEDULED)).steps]
    assert states == ["done", "done", "current", "todo"]
    for status in Status:
        states = [state for _, state in shown(booking(status)).steps]
        assert states.count("current") == (0 if status.is_final or status is Status.CONFIRMED else 1)


AUTHORIZED = MoneySummary(PaymentStatus.AUTHORIZED, 0, 0)


@pytest.mark.parametrize(
    ("money", "state", "label", "note", "steps"),
    [
        (NOTHING, "chosen", "Time not reserved yet", "not reserved yet", "done done current todo"),
        (AUTHORIZED, "chosen", "Time is being booked", "being booked", "done done done current"),
        (AUTHORIZED, "asking", "Time is being booked", "being booked", "done done done current"),
        (AUTHORIZED, "gone", "Waiting for a time", None, "done current done todo"),
        (NOTHING, "refused", "Waiting for a time", None, "done current todo todo"),
    ],
)
def test_a_time_that_was_chosen_on_our_list_is_shown_as_far_as_it_is(
    money: MoneySummary, state: str, label: str, note: str | None, steps: str
) -> None:
    request = SlotRequest(state=RequestState(state), starts_at=START, details={})
    b = shown(booking(Status.PENDING), money, request=request)
    assert (b.status, b.status_label) == (Status.PENDING, label)
    assert b.chosen_start == (START if note else None)
    assert (note or "") in (b.chosen_note or "")
    assert [state for _, state in b.steps] == steps.split()
    assert [state for _, state in b.choosing_steps][1] == "current"
    over = shown(booking(Status.PENDING, hold_expires_at=NOW), money, request=request)
    assert (over.chosen_start, over.chosen_note) == (None, None)
