"""``flask outbox``: lists the jobs, and retries dead ones."""

from __future__ import annotations

import json

import click
import sqlalchemy as sa
from flask.cli import AppGroup

from bookingapp.cli.errors import report_errors
from bookingapp.cli.table import align_columns
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import db, reading, transaction
from bookingapp.core.i18n import gettext, ngettext
from bookingapp.core.queue import Job, Restart, WorkState, restart
from bookingapp.operations.words import describe

outbox = AppGroup("outbox", help="The outbox: calls to providers, mails, timers.")

_COLUMNS = ("ID", "DUE OR ENDED", "NAME", "STATE", "TRIES", "ABOUT", "OUTCOME")


@outbox.command("list")
@click.option("--state", type=click.Choice([state.value for state in WorkState]))
@click.option("--name", help="payments.refund, for example.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@report_errors
def list_jobs(state: str | None, name: str | None, limit: int) -> None:
    """List the newest jobs, one a line."""
    query = sa.select(Job).order_by(Job.id.desc()).limit(limit)
    if state:
        query = query.where(Job.state == WorkState(state))
    if name:
        query = query.where(Job.name == name)
    with reading(db.session()) as session:
        found = session.scalars(query).all()
    if not found:
        click.echo(gettext("no matching jobs"))
        return
    lines: list[tuple[str, ...]] = [_COLUMNS]
    for job in found:
        when, about = iso(job.finished_at or job.run_at), json.dumps(job.args, separators=(",", ":"))
        tries, outcome = str(job.attempts), describe(job.outcome, job.outcome_facts)
        lines.append((str(job.id), when, job.name, job.state, tries, about, outcome))
    for line in align_columns(lines):
        click.echo(line)


@outbox.command("retry")
@click.argument("job_id", type=int, metavar="[ID]", required=False)
@click.option("--state", type=click.Choice([WorkState.DEAD.value]), help="All dead jobs.")
@report_errors
def retry(job_id: int | None, state: str | None) -> None:
    """Retry a dead job, or all of them, with all their tries. Nothing is done twice: each call to a provider has an
    idempotency key, or checks first.
    """
    if (job_id is None) == (state is None):
        raise click.UsageError(gettext("name one job by its ID, or --state dead"))
    dead = sa.select(Job.id).where(Job.state == WorkState.DEAD).order_by(Job.id)
    with transaction(db.session()) as session:
        chosen = session.scalars(dead if job_id is None else dead.where(Job.id == job_id)).all()
        again = sum(restart(session, Job, one, now=utcnow(), outcome=Restart.RETRIED) for one in chosen)
    if job_id is not None and not again:
        raise click.ClickException(
            gettext("there is no dead job %(number)s; only dead jobs can be retried", number=job_id)
        )
    what = ngettext("%(num)s dead job", "%(num)s dead jobs", again)
    click.echo(gettext("%(what)s will be retried by the worker, or by: flask bookings sweep", what=what))
