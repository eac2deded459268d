"""``flask webhooks``: lists deliveries, shows what each did, and replays them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import click
from flask.cli import AppGroup

from bookingapp.bookings.lookup import find_id_by_name
from bookingapp.cli.errors import report_errors
from bookingapp.cli.table import align_columns
from bookingapp.core import services
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import db, reading, transaction
from bookingapp.core.i18n import N_, gettext, ngettext
from bookingapp.core.money import format_money
from bookingapp.core.queue import WorkState
from bookingapp.dashboard.words.bookings import cause_words
from bookingapp.operations.words import describe
from bookingapp.webhooks import deliveries, replay
from bookingapp.webhooks.body import readable_body
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.models import InboxEvent, Provider
from bookingapp.webhooks.rehearsal import Rehearsal, rehearse_replay

webhooks = AppGroup("webhooks", help="The inbox.")

APPLIED_BY = N_("%(what)s will be applied by the worker, or by: flask bookings sweep")
_AGO = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_COLUMNS = ("ID", "RECEIVED", "PROVIDER", "TYPE", "STATE", "TRIES", "OUTCOME")


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
            example = gettext("%(text)s is no time; write 24h, 7d, 2026-11-24 or 2026-11-24T10:00", text=text)
            self.fail(example, param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


@webhooks.command("list")
@click.option("--state", type=click.Choice([state.value for state in WorkState]))
@click.option("--provider", type=click.Choice([provider.value for provider in Provider]))
@click.option("--type", "type_", metavar="TYPE", help="invitee.created, for example.")
@click.option("--booking", "name", metavar="BOOKING", help="Only deliveries about this booking.")
@click.option("--since", type=Since(), metavar="WHEN", help="24h, 7d, 2026-11-24, 2026-11-24T10:00 (UTC).")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@report_errors
def list_events(
    state: str | None,
    provider: str | None,
    type_: str | None,
    name: str | None,
    since: datetime | None,
    limit: int,
) -> None:
    """List the newest deliveries, one a line."""
    search = deliveries.Search(
        state=WorkState(state) if state else None,
        provider=Provider(provider) if provider else None,
        type=type_,
        booking_id=_find_booking_id(name) if name else None,
        since=since,
    )
    with reading(db.session()) as session:
        found = deliveries.list_deliveries(session, search, limit=limit)
    if not found:
        is_any = search == deliveries.Search()
        click.echo(gettext("no deliveries yet") if is_any else gettext("no matching deliveries"))
        return
    lines: list[tuple[str, ...]] = [_COLUMNS]
    for event in found:
        received, tries = iso(event.received_at), str(event.attempts)
        outcome = describe(event.outcome, event.outcome_facts)
        lines.append((str(event.id), received, event.provider, event.type, event.state, tries, outcome))
    for line in align_columns(lines):
        click.echo(line)


@webhooks.command("show")
@click.argument("event_id", type=int, metavar="ID")
@click.option("--body", is_flag=True, help="The body too; it holds personal data.")
@report_errors
def show(event_id: int, body: bool) -> None:
    """Show one delivery, and what it did."""
    with reading(db.session()) as session:
        event = deliveries.get_delivery(session, event_id)
        effects = deliveries.list_effects(session, event)
    for line in (*_delivery_lines(event), *_effect_lines(effects)):
        click.echo(line)
    if body and event.body is None:
        click.echo(gettext("The body has been deleted, because it names people."))
    elif body and event.body is not None:
        click.echo("\n".join(("body:", readable_body(event.body))))


@webhooks.command("replay")
@click.argument("event_id", type=int, metavar="[ID]", required=False)
@click.option("--state", type=click.Choice([WorkState.DEAD.value]), help="All dead deliveries.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@report_errors
def replay_events(event_id: int | None, state: str | None, dry_run: bool) -> None:
    """Apply one delivery again, or all dead ones. Nothing is applied twice."""
    if (event_id is None) == (state is None):
        raise click.UsageError(gettext("name one delivery by its ID, or --state dead"))
    if event_id is None:
        _replay_dead(dry_run=dry_run)
        return
    with reading(db.session()) as session:
        event = deliveries.get_delivery(session, event_id)
    what = f"{event.provider} {event.type}"
    if dry_run:
        found = rehearse_replay(session, services.get(Context), event, clock=utcnow)
        outcome = describe(found.outcome, found.facts)
        if found.has_failed:
            raise click.ClickException(
                gettext("a replay of %(what)s would fail now: %(why)s", what=what, why=outcome)
            )
        click.echo(gettext("%(what)s. A replay would do this, and has not done it:", what=what))
        for line in _rehearsal_lines(found, outcome):
            click.echo(f"  {line}")
        return
    with transaction(session):
        replay.replay_delivery(session, event, now=utcnow())
    click.echo(gettext(APPLIED_BY, what=what))


def _replay_dead(*, dry_run: bool) -> None:
    if dry_run:
        raise click.UsageError(gettext("rehearse one at a time: flask webhooks replay ID --dry-run"))
    with transaction(db.session()) as session:
        again, deleted = replay.replay_dead_deliveries(session, now=utcnow())
    what = ngettext("%(num)s dead delivery", "%(num)s dead deliveries", again)
    click.echo(gettext(APPLIED_BY, what=what))
    if deleted:
        click.echo(ngettext("%(num)s has no body any more", "%(num)s have no bodies any more", deleted))


def _find_booking_id(name: str) -> int:
    with reading(db.session()) as session:
        found = find_id_by_name(session, name)
    if found is None:
        raise click.ClickException(gettext("there is no booking with that reference"))
    return found


def _delivery_lines(event: InboxEvent) -> Iterable[str]:
    age = gettext(
        "%(seconds)s s old on receipt, by key %(key)s (0 is the first in the settings)",
        seconds=f"{(event.received_at - event.signed_at).total_seconds():.0f}",
        key=event.key_index,
    )
    yield f"delivery: {event.id}"
    yield f"provider: {event.provider}"
    yield f"type: {event.type}"
    yield f"identity: {event.event_key}"
    yield f"received: {iso(event.received_at)}"
    yield f"signature: {age}"
    yield f"state: {event.state}"
    not_counted = gettext(" (%(waits)s of them do not count)", waits=event.waits) if event.waits else ""
    yield f"tries: {event.attempts}{not_counted}"
    if event.state.is_open:
        yield f"due: {iso(event.run_at)}"
    if event.finished_at:
        yield f"finished: {iso(event.finished_at)}"
    if event.outcome:
        yield f"outcome: {describe(event.outcome, event.outcome_facts)}"


def _effect_lines(effects: deliveries.Effects) -> Iterable[str]:
    yield f"booking: {effects.booking.tracking_id if effects.booking else 'none'}"
    for change in effects.history:
        cause = cause_words(change.cause, change.cause_facts)
        yield f"history: {iso(change.at)} {change.from_status or '-'} -> {change.to_status}: {cause}"
    for entry in effects.ledger:
        yield f"ledger: {entry.kind} {format_money(entry.amount_minor, entry.currency)} {entry.stripe_id}"
    for job in effects.jobs:
        due = f"due {iso(job.run_at)}" if job.state.is_open else ""
        outcome = describe(job.outcome, job.outcome_facts)
        yield f"outbox: {', '.join(filter(None, (job.name, job.state, due, outcome)))}"


def _rehearsal_lines(found: Rehearsal, outcome: str) -> Iterable[str]:
    again = gettext(" (and retry later)") if found.retried_later else ""
    yield f"end: {found.state}, {outcome}{again}"
    yield f"booking: {found.tracking_id or 'none'}"
    for change in found.changes:
        yield f"{change.what.replace('_', ' ')}: {_format_value(change.before)} -> {_format_value(change.after)}"
    if found.columns:
        yield f"also: {', '.join(found.columns)}"
    for entry in found.history:
        yield f"history: {entry.from_status or '-'} -> {entry.to_status} ({entry.event})"
    for money in found.ledger:
        yield f"ledger: {money.kind} {format_money(money.amount_minor, money.currency)}"
    for job in found.jobs:
        yield f"job: {job.name}, due {iso(job.run_at)}"
    if found.changes_nothing:
        yield gettext("nothing else would change")


def _format_value(value: object) -> str:
    if isinstance(value, tuple):  # The codes of the open flags.
        return " ".join(value)
    return iso(value) if isinstance(value, datetime) else str("none" if value is None else value)
