"""``flask bookings``: one booking's whole truth, and the work that is due."""

from __future__ import annotations

import click
import sqlalchemy as sa
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from bookingapp import worker
from bookingapp.bookings import service
from bookingapp.bookings.models import Booking, HistoryEntry, Source
from bookingapp.bookings.state_table import markdown
from bookingapp.cli.errors import report_errors, this_app
from bookingapp.core import services
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import db
from bookingapp.core.i18n import gettext
from bookingapp.core.money import format_money
from bookingapp.dashboard.booking_words import cause_words, flag_sentence
from bookingapp.operations.words import describe
from bookingapp.payments.models import Dispute, LedgerEntry, Payment, Refund
from bookingapp.payments.service import list_disputes, summarize_money
from bookingapp.sync import reconciliation
from bookingapp.webhooks.handlers import Context as InboxContext

bookings = AppGroup("bookings", help="Bookings.")


@bookings.command("show")
@click.argument("ref")
@report_errors
def show(ref: str) -> None:
    """Status, facts, payments, ledger and history of one booking."""
    session = db.session()
    booking = service.get_by_ref(session, ref)
    click.echo(f"{booking.title} with {booking.builder.display_name}: {booking.status}")
    click.echo(
        f"price: {format_money(booking.price_minor, booking.currency)}; "
        f"payment: {summarize_money(session, booking).status}"
    )
    slot = (
        f"{iso(booking.starts_at)} to {iso(booking.ends_at)}"
        if booking.starts_at and booking.ends_at
        else "none"
    )
    click.echo(f"time: {slot} ({booking.slot} in Calendly)")
    if booking.slot_checked_at:
        said = "told by webhook" if booking.slot_source is Source.WEBHOOK else "asked Calendly"
        click.echo(f"time last known: {iso(booking.slot_checked_at)} ({said})")
    if booking.moving_since:
        click.echo(f"being moved since: {iso(booking.moving_since)}")
    if booking.no_show_at:
        click.echo(f"client did not come: {iso(booking.no_show_at)}")
    if booking.hold_expires_at:
        click.echo(f"held until: {iso(booking.hold_expires_at)}")
    for flag in booking.open_flags:
        click.echo(f"attention: {flag.code}: {flag_sentence(flag.code, flag.facts)}")
    _show_money(session, booking)
    for change in session.scalars(
        sa.select(HistoryEntry).where(HistoryEntry.booking_id == booking.id).order_by(HistoryEntry.id)
    ):
        click.echo(
            f"{iso(change.at)} {change.from_status or '-'} -> {change.to_status} by {change.actor}: "
            f"{cause_words(change.cause, change.cause_facts)}"
        )


def _show_money(session: Session, booking: Booking) -> None:
    """Each attempt, refund and dispute, and the ledger."""
    for payment in session.scalars(
        sa.select(Payment).where(Payment.booking_id == booking.id).order_by(Payment.attempt)
    ):
        amount = format_money(payment.amount_minor, payment.currency)
        session_id = payment.checkout_session_id or "no session yet"
        click.echo(
            f"payment attempt {payment.attempt}: {payment.state}, {amount}, {session_id}{_told(payment)}"
        )
    for refund in session.scalars(
        sa.select(Refund).where(Refund.booking_id == booking.id).order_by(Refund.id)
    ):
        amount = format_money(refund.amount_minor, refund.currency)
        click.echo(f"refund: {refund.state}, {amount}, {refund.reason}{_told(refund)}")
    for dispute in list_disputes(session, booking.id):
        amount = format_money(dispute.amount_minor, dispute.currency)
        click.echo(f"dispute: {dispute.status}, {amount}, {dispute.reason}{_told(dispute)}")
    for entry in session.scalars(
        sa.select(LedgerEntry).where(LedgerEntry.booking_id == booking.id).order_by(LedgerEntry.id)
    ):
        click.echo(
            f"ledger: {entry.kind} {format_money(entry.amount_minor, entry.currency)} {entry.stripe_id}"
        )


def _told(fact: Payment | Refund | Dispute) -> str:
    """Who said so, and when Stripe was last heard."""
    if fact.checked_at is None:
        return ""
    cause = cause_words(fact.cause, fact.cause_facts) if fact.cause else "nothing yet"
    return f" ({cause}; checked {iso(fact.checked_at)})"


@bookings.command("states")
def states() -> None:
    """What each event does to a booking in each state, as a Markdown table."""
    click.echo(markdown())


@bookings.command("reconcile")
@click.argument("ref", required=False)
@report_errors
def reconcile(ref: str | None) -> None:
    """Fetch what webhooks of Calendly and Stripe did not deliver, for all bookings or one, and repair them."""
    session, context, now = db.session(), services.get(InboxContext), utcnow()
    if ref is None:
        report = reconciliation.reconcile_everything(session, context, now=now)
    else:
        report = reconciliation.reconcile_booking(session, context, ref=ref, now=now)
    for finding in report.missing:
        click.echo(describe(finding["code"], finding["facts"]))
    if not report.missing:
        click.echo(gettext("nothing found missing") if report.failed else gettext("nothing was missing"))
    if report.failed:
        failed = "; ".join(describe(finding["code"], finding["facts"]) for finding in report.failed)
        raise click.ClickException(gettext("not everything could be fetched: %(failed)s", failed=failed))


@bookings.command("sweep")
@report_errors
def sweep() -> None:
    """Do everything that is due by now, once: deliveries, expiries, owed cancellations, checks, retries."""
    done = worker.run_due(this_app())
    click.echo(f"{done} done")
