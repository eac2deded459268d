"""``flask webhooks``: what came, and what became of it."""

from __future__ import annotations

import json

import click
import sqlalchemy as sa
from flask.cli import AppGroup
from sqlalchemy.orm import defer

from bookingapp.cli.failing import plainly
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.queue import WorkState, start_over
from bookingapp.webhooks.models import InboxEvent

webhooks = AppGroup("webhooks", help="The inbox.")


@webhooks.command("list")
@click.option("--state", type=click.Choice([state.value for state in WorkState]))
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@plainly
def list_events(state: str | None, limit: int) -> None:
    """The newest deliveries, one a line."""
    query = sa.select(InboxEvent).options(defer(InboxEvent.body)).order_by(InboxEvent.id.desc()).limit(limit)
    if state:
        query = query.where(InboxEvent.state == WorkState(state))
    for event in db.session().scalars(query):
        note = event.note or ""
        click.echo(
            f"{event.id}\t{iso(event.received_at)}\t{event.provider}\t{event.type}\t{event.state}\t{event.attempts}\t{note}"
        )


@webhooks.command("show")
@click.argument("event_id", type=int, metavar="ID")
@click.option("--body", is_flag=True, help="The body too; it holds personal data.")
@plainly
def show(event_id: int, body: bool) -> None:
    """One delivery."""
    event = _find(event_id)
    for name in (
        "id",
        "provider",
        "type",
        "event_key",
        "state",
        "attempts",
        "note",
        "key_index",
        "booking_id",
    ):
        click.echo(f"{name}: {getattr(event, name)}")
    click.echo(f"received: {iso(event.received_at)}, signed {iso(event.signed_at)}")
    if body and event.body is not None:
        click.echo(json.dumps(json.loads(event.body), indent=2, ensure_ascii=False))


@webhooks.command("replay")
@click.argument("event_id", type=int, metavar="ID")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@plainly
def replay(event_id: int, dry_run: bool) -> None:
    """Apply one delivery again; what it said already changes nothing a second time."""
    event = _find(event_id)
    if dry_run:
        click.echo(f"would apply {event.provider} {event.type} again (now {event.state})")
        return
    with transaction(db.session()) as session:
        if not start_over(session, InboxEvent, event_id, now=utcnow(), note="replayed"):
            raise click.ClickException("it has not ended yet: the worker will apply it by itself")
    click.echo(f"{event.provider} {event.type} will be applied by the worker, or by: flask bookings sweep")


def _find(event_id: int) -> InboxEvent:
    event = db.session().get(InboxEvent, event_id)
    if event is None:
        raise click.ClickException(f"there is no delivery {event_id}")
    return event
