"""``flask webhooks``: what came, what became of it, and what a replay would do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import click
import sqlalchemy as sa
from flask.cli import AppGroup

from bookingapp.bookings.models import Booking
from bookingapp.cli.errors import report_errors
from bookingapp.cli.table import align_columns
from bookingapp.core import services
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import db, reading, transaction
from bookingapp.core.money import format_money
from bookingapp.core.queue import WorkState
from bookingapp.dashboard.booking_words import cause_words
from bookingapp.webhooks import deliveries, replay
from bookingapp.webhooks.body import readable_body
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.models import InboxEvent, Provider
from bookingapp.webhooks.rehearsal import Rehearsal, rehearse_replay

webhooks = AppGroup("webhooks", help="The inbox.")

BODY_FORGOTTEN = "The body is not kept any more: it names people, and is let go of after a while."
APPLIED_BY = "will be applied by the worker, or by: flask bookings sweep"
_AGO = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_COLUMNS = ("ID", "RECEIVED", "PROVIDER", "TYPE", "STATE", "TRIES", "NOTE")


class Since(click.ParamType[datetime]):
    """A moment: ``90m``, ``24h`` or ``7d`` ago, or a date with or without a time, in UTC where it names no zone."""

    name = "since"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment, aware. Fails with an example where it is none."""
        text = str(value)
        ago = _AGO.fullmatch(text)
        try:
            if ago:
                return utcnow() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            at = datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            self.fail(f"{text} is no time; write 24h, 7d, 2026-11-24 or 2026-11-24T10:00", param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


@webhooks.command("list")
@click.option("--state", type=click.Choice([state.value for state in WorkState]))
@click.option("--provider", type=click.Choice([provider.value for provider in Provider]))
@click.option("--type", "type_", metavar="TYPE", help="invitee.created, for example.")
@click.option("--booking", "ref", metavar="REF", help="Only what was about this booking.")
@click.option("--since", type=Since(), metavar="WHEN", help="24h, 7d, 2026-11-24, 2026-11-24T10:00 (UTC).")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@report_errors
def list_events(
    state: str | None,
    provider: str | None,
    type_: str | None,
    ref: str | None,
    since: datetime | None,
    limit: int,
) -> None:
    """The newest deliveries, one a line."""
    search = deliveries.Search(
        state=WorkState(state) if state else None,
        provider=Provider(provider) if provider else None,
        type=type_,
        booking_id=_booking_id(ref) if ref else None,
        since=since,
    )
    with reading(db.session()) as session:
        found = deliveries.list_deliveries(session, search, limit=limit)
    if not found:
        click.echo("no delivery is like that" if search != deliveries.Search() else "nothing has arrived yet")
        return
    lines: list[tuple[str, ...]] = [_COLUMNS]
    for event in found:
        received, note = iso(event.received_at), event.note or ""
        lines.append(
            (str(event.id), received, event.provider, event.type, event.state, str(event.attempts), note)
        )
    for line in align_columns(lines):
        click.echo(line)


@webhooks.command("show")
@click.argument("event_id", type=int, metavar="ID")
@click.option("--body", is_flag=True, help="The body too; it holds personal data.")
@report_errors
def show(event_id: int, body: bool) -> None:
    """One delivery, and what it has done."""
    with reading(db.session()) as session:
        event = deliveries.get_delivery(session, event_id)
        done = deliveries.list_effects(session, event)
    for line in _facts(event):
        click.echo(line)
    click.echo(f"booking: {done.booking.ref if done.booking else 'none'}")
    for change in done.history:
        click.echo(
            f"history: {iso(change.at)} {change.from_status or '-'} -> {change.to_status}: "
            f"{cause_words(change.cause, change.cause_facts)}"
        )
    for entry in done.ledger:
        click.echo(
            f"ledger: {entry.kind} {format_money(entry.amount_minor, entry.currency)} {entry.stripe_id}"
        )
    for job in done.owed:
        when = f", due {iso(job.run_at)}" if job.state.is_open else ""
        click.echo(f"outbox: {job.name}, {job.state}{when}{f', {job.note}' if job.note else ''}")
    if body:
        click.echo("body:" if event.body is not None else BODY_FORGOTTEN)
        if event.body is not None:
            click.echo(readable_body(event.body))


@webhooks.command("replay")
@click.argument("event_id", type=int, metavar="[ID]", required=False)
@click.option("--state", type=click.Choice([WorkState.DEAD.value]), help="Every delivery that was given up.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@report_errors
def replay_events(event_id: int | None, state: str | None, dry_run: bool) -> None:
    """Apply one delivery again; what it said already changes nothing a second time."""
    if (event_id is None) == (state is None):
        raise click.UsageError("name one delivery by its ID, or --state dead")
    if event_id is None:
        _replay_dead(dry_run=dry_run)
        return
    with reading(db.session()) as session:
        event = deliveries.get_delivery(session, event_id)
    what = f"{event.provider} {event.type}"
    if dry_run:
        found = rehearse_replay(session, services.get(Context), event, clock=utcnow)
        if found.failure:
            raise click.ClickException(f"a replay of {what} would fail now: {found.failure}")
        click.echo(f"{what}, now {event.state}. A replay would do this, and has not done it:")
        for line in _rehearsed(found):
            click.echo(f"  {line}")
        return
    with transaction(session):
        replay.replay_delivery(session, event, now=utcnow())
    click.echo(f"{what} {APPLIED_BY}")


def _replay_dead(*, dry_run: bool) -> None:
    if dry_run:
        raise click.UsageError("rehearse one at a time: flask webhooks replay ID --dry-run")
    with transaction(db.session()) as session:
        again, forgotten = replay.replay_dead_deliveries(session, now=utcnow())
    click.echo(f"{again} dead {'delivery' if again == 1 else 'deliveries'} {APPLIED_BY}")
    if forgotten:
        click.echo(f"{forgotten} cannot be: their bodies are not kept any more")


def _booking_id(ref: str) -> int:
    with reading(db.session()) as session:
        found = session.scalar(sa.select(Booking.id).where(Booking.ref == ref))
    if found is None:
        raise click.ClickException("there is no booking with that reference")
    return found


def _facts(event: InboxEvent) -> Iterable[str]:
    age = (event.received_at - event.signed_at).total_seconds()
    of_no_count = f" ({event.waits} of them count for nothing)" if event.waits else ""
    yield f"delivery: {event.id}"
    yield f"provider: {event.provider}"
    yield f"type: {event.type}"
    yield f"identity: {event.event_key}"
    yield f"received: {iso(event.received_at)}"
    yield f"signature: {age:.0f} s old on receipt, by key {event.key_index} (0 is the first in the settings)"
    yield f"state: {event.state}"
    yield f"tries: {event.attempts}{of_no_count}"
    if event.state.is_open:
        yield f"due: {iso(event.run_at)}"
    if event.finished_at:
        yield f"finished: {iso(event.finished_at)}"
    if event.note:
        yield f"note: {event.note}"


def _rehearsed(found: Rehearsal) -> Iterable[str]:
    yield f"end: {found.state}, {found.note}" + (" (and try again later)" if found.comes_again else "")
    yield f"booking: {found.ref or 'none'}"
    for change in found.changes:
        yield f"{change.what.replace('_', ' ')}: {_said(change.before)} -> {_said(change.after)}"
    if found.columns:
        yield f"also: {', '.join(found.columns)}"
    for entry in found.history:
        yield f"history: {entry.from_status or '-'} -> {entry.to_status} ({entry.event})"
    for money in found.ledger:
        yield f"ledger: {money.kind} {format_money(money.amount_minor, money.currency)}"
    for job in found.owed:
        yield f"owed: {job.name}, due {iso(job.run_at)}"
    if found.changes_nothing:
        yield "nothing else would change"


def _said(value: object) -> str:
    return iso(value) if isinstance(value, datetime) else str("none" if value is None else value)
