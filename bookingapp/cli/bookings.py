"""``flask bookings``: everything about one booking, reconciliation, and running what is due."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

import click
import sqlalchemy as sa
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from bookingapp import worker
from bookingapp.bookings import service
from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.bookings.state_table import markdown
from bookingapp.cli.errors import report_errors, this_app
from bookingapp.console.jobs import list_jobs_about
from bookingapp.core import services
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import db
from bookingapp.core.i18n import gettext
from bookingapp.core.money import format_money
from bookingapp.dashboard.words.bookings import cause_words, flag_sentence
from bookingapp.operations.words import describe
from bookingapp.payments.models import Dispute, LedgerEntry, Payment, Refund
from bookingapp.payments.service import list_disputes, summarize_money
from bookingapp.sync import reconciliation
from bookingapp.sync.repeated_mails import skip_repeated_mails
from bookingapp.webhooks.deliveries import Search, list_deliveries
from bookingapp.webhooks.handlers import Context as InboxContext
from bookingapp.webhooks.lookup import find_bookings

MOST_FOUND = 10
MOST_WORK = 100

Row = TypeVar("Row", HistoryEntry, Payment, Refund, LedgerEntry)

bookings = AppGroup("bookings", help="Bookings.")


@bookings.command("show")
@click.argument("name", metavar="BOOKING")
@report_errors
def show(name: str) -> None:
    """Status, facts, payments, ledger and history of one booking, by its identifier or its client's reference."""
    session = db.session()
    _print_story(session, service.get_by_name(session, name))


@bookings.command("find")
@click.argument("anything", nargs=-1, required=True)
@report_errors
def find(anything: tuple[str, ...]) -> None:
    """Find bookings by a name, an e-mail address, an identifier or reference, or any id of Calendly or Stripe, and show
    the whole story of each.
    """
    session, wanted = db.session(), " ".join(anything)
    found = find_bookings(session, wanted, limit=MOST_FOUND + 1)
    if not found:
        raise click.ClickException(gettext("no booking is found by %(what)s", what=wanted))
    for number, booking_id in enumerate(found[:MOST_FOUND]):
        if number:
            click.echo()
        booking = service.get_by_id(session, booking_id)
        _print_story(session, booking)
        _print_work(session, booking)
    if len(found) > MOST_FOUND:
        click.echo()
        click.echo(gettext("There are more: these are the newest %(count)s.", count=MOST_FOUND))


def _print_story(session: Session, booking: Booking) -> None:
    """Status, facts, payments, ledger and history."""
    _print(f"{booking.title}, {booking.builder.display_name}", booking.status)
    _print(gettext("identifier"), booking.tracking_id)
    _print(gettext("price"), format_money(booking.price_minor, booking.currency))
    _print(gettext("payment"), summarize_money(session, booking).status)
    _print(gettext("time in Calendly"), booking.slot, _iso(booking.starts_at), _iso(booking.ends_at))
    _print(gettext("time last checked"), _iso(booking.slot_checked_at), booking.slot_source)
    _print(gettext("being rescheduled since"), _iso(booking.moving_since))
    _print(gettext("client did not come"), _iso(booking.no_show_at))
    _print(gettext("held until"), _iso(booking.hold_expires_at))
    for flag in booking.open_flags:
        _print(gettext("attention"), flag.code, flag_sentence(flag.code, flag.facts))
    _print_money(session, booking)
    for change in _list_rows(session, HistoryEntry, booking):
        step = f"{change.from_status or '-'} -> {change.to_status}"
        _print(iso(change.at), step, change.actor, cause_words(change.cause, change.cause_facts))


def _print_work(session: Session, booking: Booking) -> None:
    """Every delivery and job about the booking."""
    for event in list_deliveries(session, Search(booking_id=booking.id), limit=MOST_WORK)[::-1]:
        outcome = describe(event.outcome, event.outcome_facts)
        _print(
            gettext("delivery %(number)s", number=event.id),
            iso(event.received_at),
            event.provider,
            event.type,
            event.state,
            outcome,
        )
    for job in list_jobs_about(session, booking.id, limit=MOST_WORK):
        outcome = describe(job.outcome, job.outcome_facts)
        when = iso(job.finished_at or job.run_at)
        _print(gettext("job %(number)s", number=job.id), when, job.name, job.state, outcome)


def _print_money(session: Session, booking: Booking) -> None:
    """Each payment attempt, refund, dispute and ledger entry."""
    for payment in _list_rows(session, Payment, booking):
        state = payment.state, _amount(payment), payment.checkout_session_id
        _print(gettext("payment attempt %(number)s", number=payment.attempt), *state, *_source(payment))
    for refund in _list_rows(session, Refund, booking):
        _print(gettext("refund"), refund.state, _amount(refund), refund.reason, *_source(refund))
    for dispute in list_disputes(session, booking.id):
        _print(gettext("dispute"), dispute.status, _amount(dispute), dispute.reason, *_source(dispute))
    for entry in _list_rows(session, LedgerEntry, booking):
        _print(gettext("ledger"), entry.kind, _amount(entry), entry.stripe_id)


def _print(label: str, *facts: str | None) -> None:
    """``label: fact, fact``, without the facts that are missing; nothing without any."""
    if any(facts):
        click.echo(f"{label}: {', '.join(fact for fact in facts if fact)}")


def _list_rows(session: Session, model: type[Row], booking: Booking) -> Iterable[Row]:
    return session.scalars(sa.select(model).where(model.booking_id == booking.id).order_by(model.id))


def _iso(at: datetime | None) -> str | None:
    return iso(at) if at else None


def _amount(row: Payment | Refund | Dispute | LedgerEntry) -> str:
    return format_money(row.amount_minor, row.currency)


def _source(row: Payment | Refund | Dispute) -> list[str]:
    """What the row was last read from, and when it was last compared with Stripe."""
    if row.checked_at is None:
        return []
    cause = cause_words(row.cause, row.cause_facts) if row.cause else "-"
    return [cause, gettext("checked %(time)s", time=iso(row.checked_at))]


@bookings.command("states")
def states() -> None:
    """What each event does to a booking in each state, as a Markdown table."""
    click.echo(markdown())


@bookings.command("reconcile")
@click.argument("name", metavar="[BOOKING]", required=False)
@click.option(
    "--served-until",
    # As we write times, as journalctl does with --utc, and as log lines have them.
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"]),
    metavar="TIME",
    help="After the restore of a backup: when the lost installation last worked, as 2026-12-31T23:59:59Z. What was due"
    " before is not mailed again.",
)
@report_errors
def reconcile(name: str | None, served_until: datetime | None) -> None:
    """Fetch what webhooks of Calendly and Stripe did not deliver, for all bookings or one, and repair them."""
    session, context, now = db.session(), services.get(InboxContext), utcnow()
    if served_until is not None and (name is not None or served_until > now):
        raise click.UsageError(gettext("--served-until is a moment that is past, and is for all bookings"))
    if name is None:
        report = reconciliation.reconcile_everything(session, context, now=now)
    else:
        report = reconciliation.reconcile_booking(session, context, name=name, now=now)
    repeated = 0
    if served_until is not None:
        repeated = skip_repeated_mails(session, served_until=served_until, now=now)
    for finding in report.missing:
        click.echo(describe(finding["code"], finding["facts"]))
    if not report.missing:
        click.echo(gettext("nothing found missing") if report.failed else gettext("nothing was missing"))
    if repeated:
        click.echo(gettext("%(count)s mails are not sent again", count=repeated))
    if report.failed:
        failed = "; ".join(describe(finding["code"], finding["facts"]) for finding in report.failed)
        raise click.ClickException(gettext("not everything could be fetched: %(failed)s", failed=failed))


@bookings.command("sweep")
@report_errors
def sweep() -> None:
    """Run everything that is due by now, once: deliveries, expiries, cancellations, refunds, retries, reminders."""
    click.echo(gettext("%(count)s done", count=worker.run_due(this_app())))
