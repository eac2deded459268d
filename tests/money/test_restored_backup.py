"""The drill of docs/deploy.md: a backup that is older than what happened at both providers."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from bookingapp.bookings.mail_triggers import Mail
from bookingapp.bookings.models import Booking
from bookingapp.bookings.reminders import REMIND_JOB, Step
from bookingapp.checkout.unknown_sessions import RECONCILE_JOB
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.jobs import REGISTRY
from bookingapp.core.queue import Job, WorkState
from bookingapp.core.settings import PROJECT_ROOT, Settings
from bookingapp.payments.models import PaymentState
from bookingapp.sync import repeated_mails
from bookingapp.webhooks.models import DeliveryOutcome, InboxEvent
from tests.life.road import create_checkout
from tests.live import Live, press
from tests.mailbox import Mailbox
from tests.money.deals import BUILDER, Deal, open_shop
from tests.servers import missing
from tests.waiting import eventually

BACKUP = PROJECT_ROOT / "deploy" / "backup.sh"


def back_up(settings: Settings, folder: Path) -> Path:
    """One copy, as the timer makes it while the application runs."""
    if shutil.which("sqlite3") is None:
        missing("no sqlite3 on this machine")
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": settings.database_url}
    folder.mkdir()
    done = subprocess.run([BACKUP, folder], env=environ, capture_output=True, text=True, check=True)
    made = Path(done.stdout.strip())
    assert [path.name for path in folder.iterdir()] == [made.name]
    return made


def restore(live: Live, settings: Settings, made: Path) -> None:
    """Put the copy in place of the database, while no process runs."""
    with live.app.app_context():
        db.session.remove()
        db.engine.dispose()
    database = Path(settings.database_url.removeprefix("sqlite:///"))
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
    shutil.copy(made, database)


def reconcile(live: Live, *options: str) -> str:
    result = live.runner().invoke(args=["bookings", "reconcile", *options])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def shop(live: Live) -> Live:
    open_shop(live)
    # The worker has run before, so the hourly reconciliation waits for its next period.
    with live.database() as session:
        REGISTRY[RECONCILE_JOB].ensure_enqueued(session, now=utcnow())
    live.work()
    return live


def let_the_copy_age(live: Live) -> None:
    """The copy is of two hours ago: so long nobody has asked Stripe what was missed."""
    with live.database() as session, transaction(session):
        old = sa.update(Job).where(Job.name == RECONCILE_JOB)
        session.execute(old.values(created_at=utcnow() - timedelta(hours=2)))


def test_scenario_62_a_backup_is_restored_and_the_providers_are_asked(
    shop: Live, tmp_path: Path, settings: Settings, mailbox: Mailbox
) -> None:
    """What the copy knows a booking of comes back. One that it does not know is reported, with what was paid for it."""
    live = shop
    begun = Deal(live, *live.book())
    waiting, confirmed = Deal(live, *live.scheduled()), Deal(live, *live.scheduled())
    unpaid = Deal(live, *live.scheduled())
    page = waiting.open_checkout()
    confirmed.pay()
    made = back_up(settings, tmp_path / "backups")
    unpaid.pay()

    live.choose(begun.browser, begun.ref)
    waiting.pay(page)
    intent = next(
        row["payment_intent"]
        for row in live.state()["sessions"]
        if row["client_reference_id"] == confirmed.row.tracking_id
    )
    confirmed.at_stripe(f"payments/{intent}/refund", amount=1000)
    lost = Deal(live, *live.scheduled())
    lost.pay()
    lost_intent = next(
        row["payment_intent"]
        for row in live.state()["sessions"]
        if row["client_reference_id"] == lost.row.tracking_id
    )
    sent = {mail["Message-ID"] for mail in mailbox.all()}

    restore(live, settings, made)
    assert [deal.truth()[:2] for deal in (begun, waiting, confirmed, unpaid)] == [
        ("pending", "none"),
        ("scheduled", "open"),
        ("confirmed", "paid"),
        ("scheduled", "none"),
    ]
    found = reconcile(live)
    for words in (
        "checkout.session.completed",
        "charge.refunded",
        "from pending to scheduled",
        f"£60.00 ({lost_intent}) for a booking that this database does not have",
    ):
        assert words in found
    live.work()
    assert [deal.truth()[:2] for deal in (begun, waiting, confirmed, unpaid)] == [
        ("scheduled", "none"),
        ("confirmed", "paid"),
        ("confirmed", "partially_refunded"),
        ("confirmed", "paid"),
    ]
    assert reconcile(live) == "nothing was missing\n"
    assert sorted(minor for _, minor, _ in begun.ledger()) == [-1000, 6000, 6000, 6000]
    # A mail that is repeated is the same to every mail program.
    assert {mail["Message-ID"] for mail in mailbox.all()} == sent
    with live.database() as session:
        assert session.scalar(sa.select(sa.func.count(Booking.id))) == 4
        (alarm,) = session.scalars(sa.select(InboxEvent).where(InboxEvent.state == WorkState.DEAD))
        assert (alarm.outcome, alarm.outcome_facts["amount_minor"]) == (DeliveryOutcome.BOOKING_LOST, 6000)


@pytest.mark.parametrize("how", ["paid", "open"])
def test_scenario_62_nobody_is_charged_twice_before_stripe_is_asked(
    shop: Live, tmp_path: Path, settings: Settings, how: str
) -> None:
    """The application is started with the copy at once. A client who presses Pay is led to no second page beside one
    on which they can pay, or have paid.
    """
    deal = Deal(shop, *shop.scheduled())
    made = back_up(settings, tmp_path / "backups")
    page = deal.open_checkout()
    if how == "paid":
        deal.pay(page)
    restore(shop, settings, made)
    let_the_copy_age(shop)
    assert deal.attempts() == []
    answer = deal.press("pay")
    if how == "paid":
        assert answer.status_code == 409
        assert "already paid" in answer.text
        assert deal.truth()[:2] == ("confirmed", "paid")
    else:
        assert {row["id"]: row["status"] for row in deal.sessions()}[page] == "expired"
        (second,) = [row for row in deal.sessions() if row["status"] == "open"]
        assert answer.headers["Location"] == second["url"]


def test_scenario_62_the_same_key_finds_what_was_paid(shop: Live, tmp_path: Path, settings: Settings) -> None:
    """A copy of minutes ago, which no missing reconciliation shows: Stripe knows the attempt by its key."""
    deal = Deal(shop, *shop.scheduled())
    made = back_up(settings, tmp_path / "backups")
    deal.pay()
    restore(shop, settings, made)
    deal.begins_in(100)
    assert deal.press("pay").status_code == 409
    assert deal.truth()[:2] == ("confirmed", "paid")
    assert deal.balance() == {"GBP": 6000}


def test_scenario_62_no_hold_ends_before_stripe_is_asked(
    shop: Live, tmp_path: Path, settings: Settings
) -> None:
    """The time of a client who has paid is not given away."""
    deal = Deal(shop, *shop.scheduled())
    made = back_up(settings, tmp_path / "backups")
    deal.pay()
    restore(shop, settings, made)
    let_the_copy_age(shop)
    deal.let_the_hold_end()
    assert deal.truth()[:2] == ("confirmed", "paid")


def test_two_pages_that_were_paid_are_two_payments(shop: Live, tmp_path: Path, settings: Settings) -> None:
    """Both were open and nobody knew of the first: each is a payment of its own, and the second one goes back."""
    deal = Deal(shop, *shop.scheduled())
    made = back_up(settings, tmp_path / "backups")
    first = deal.open_checkout()
    restore(shop, settings, made)
    shop.hands.control("faults", provider="stripe", kind="drop")
    second = create_checkout(shop, deal.row.tracking_id, "another", deal.sessions()[0]["metadata"])
    shop.hands.control("faults/clear")
    for page in (first, second):
        deal.pay(page)
    assert deal.truth()[0] == "confirmed"
    assert (deal.total(), deal.balance()) == ({"GBP": 6000}, {"GBP": 6000})
    assert deal.attempts() == [PaymentState.PAID, PaymentState.PAID]
    assert [amount for amount, _, _ in deal.refunds()] == [6000]


def test_scenario_62_no_mail_is_sent_for_what_the_restore_repeats(
    shop: Live, tmp_path: Path, settings: Settings, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lost installation mailed what it saw. What happened since it stopped is mailed, whatever came before that."""
    monkeypatch.setattr(repeated_mails, "SENT_AFTER", timedelta(0))
    live = shop
    seen, late, reminded = (Deal(live, *live.scheduled()) for _ in range(3))
    chosen, mixed = (Deal(live, *live.book()) for _ in range(2))
    reminded.pay()
    day_before = sa.update(Job).where(Job.name == REMIND_JOB).values(run_at=utcnow())
    with live.database() as session, transaction(session):
        session.execute(day_before)
    made = back_up(settings, tmp_path / "backups")

    live.work()
    live.choose(chosen.browser, chosen.ref)
    live.choose(mixed.browser, mixed.ref)
    live.work()
    for deal in (seen, chosen):
        deal.pay()
    pages = {late.ref: late.open_checkout(), mixed.ref: mixed.open_checkout()}
    served_until = utcnow().replace(microsecond=0) + timedelta(seconds=1)
    # Stripe's moments are whole seconds.
    eventually(lambda: utcnow() >= served_until + timedelta(seconds=1) or None, "the next second")
    for deal in (late, mixed):
        deal.pay(pages[deal.ref])

    restore(live, settings, made)
    for mail in mailbox.folder.iterdir():
        mail.unlink()
    # As journalctl writes it.
    found = reconcile(live, "--served-until", f"{served_until:%Y-%m-%dT%H:%M:%S}+0000")
    live.work()
    assert [deal.truth()[0] for deal in (seen, late, reminded, chosen, mixed)] == ["confirmed"] * 5
    # To the client and to the builder.
    mails = {
        deal.ref: len(mailbox.to(deal.row.client_email)) for deal in (seen, late, reminded, chosen, mixed)
    }
    assert mails == {seen.ref: 0, late.ref: 1, reminded.ref: 0, chosen.ref: 0, mixed.ref: 1}
    assert len(mailbox.to(BUILDER)) == 2
    assert "4 mails are not sent again" in found
    (hour_before,) = (
        job for job in live.jobs(REMIND_JOB, WorkState.RECEIVED) if job.booking_id == reminded.row.id
    )
    assert hour_before.args["step"] == Step.HOUR
    ada = live.browser("ada")
    assert ada.page(seen.dashboard).text.count("Not sent again") == 2
    assert press(ada, f"{seen.dashboard}/mails", {"mail": Mail.CONFIRMED_CLIENT}).status_code == 303
    live.work()
    assert len(mailbox.to(seen.row.client_email)) == 1
