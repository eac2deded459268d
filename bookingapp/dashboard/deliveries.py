"""The dashboard's pages about deliveries: which came, what each did, and what a replay would do.

A builder sees deliveries about their own bookings, without the bodies, which hold other people's data. An operator sees
all.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from flask import Blueprint, Response, flash, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts.guard import current_account
from bookingapp.bookings.models import Booking
from bookingapp.builders.guard import find_current_builder
from bookingapp.builders.models import Builder
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import NotFound
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import is_htmx, see_other, vary_on_htmx
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import WorkState
from bookingapp.core.security import forbid_caching
from bookingapp.dashboard.forms import page_number
from bookingapp.dashboard.words import deliveries as words
from bookingapp.dashboard.words.outcomes import describe_outcome
from bookingapp.webhooks import deliveries, replay
from bookingapp.webhooks.body import readable_body
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.models import InboxEvent
from bookingapp.webhooks.rehearsal import rehearse_replay

blueprint = Blueprint("deliveries", __name__, url_prefix="/dashboard/webhooks")
blueprint.after_request(forbid_caching)
log = structlog.get_logger(__name__)

PER_PAGE = 25


@dataclass(frozen=True)
class Viewer:
    """The reader: a builder, an operator, or both. ``account_id`` is for the log."""

    account_id: int
    builder: Builder | None
    is_operator: bool

    @property
    def builder_id(self) -> int | None:
        """Whose deliveries are shown; None for all."""
        return None if self.is_operator or self.builder is None else self.builder.id

    def owns(self, booking: Booking) -> bool:
        """Whether the reader has a page for this booking on their dashboard."""
        return self.builder is not None and booking.builder_id == self.builder.id

    @property
    def timezone(self) -> str:
        """The zone in which times are shown."""
        return self.builder.timezone if self.builder else "UTC"


def _get_viewer() -> Viewer:
    account, builder = current_account(), find_current_builder()
    if account is None or (builder is None and not account.is_operator):
        raise NotFound
    return Viewer(account.id, builder, account.is_operator)


def _get_delivery(viewer: Viewer, delivery_id: int) -> InboxEvent:
    try:
        return deliveries.get_delivery(db.session(), delivery_id, builder_id=viewer.builder_id)
    except NotFound:
        # With the message of any other address that does not exist.
        raise NotFound from None


@blueprint.get("")
def index() -> str:
    """List deliveries, newest first."""
    viewer = _get_viewer()
    page = page_number()
    state = request.args.get("state", "")
    search = deliveries.Search(
        state=WorkState(state) if state in set(WorkState) else None, builder_id=viewer.builder_id
    )
    found = deliveries.list_deliveries(db.session(), search, limit=PER_PAGE + 1, offset=(page - 1) * PER_PAGE)
    return render_template(
        "dashboard/webhooks.html",
        viewer=viewer,
        builder=viewer.builder,
        events=found[:PER_PAGE],
        has_more=len(found) > PER_PAGE,
        page=page,
        state_filter=search.state,
        labels=words.STATE_LABELS,
        attempts=words.describe_attempts,
        outcome=describe_outcome,
    )


@blueprint.get("/<int:delivery_id>")
def show(delivery_id: int) -> str:
    """One delivery, and what it did."""
    viewer = _get_viewer()
    event = _get_delivery(viewer, delivery_id)
    done = deliveries.list_effects(db.session(), event)
    mine = done.booking if done.booking and viewer.owns(done.booking) else None
    return render_template(
        "dashboard/delivery.html",
        viewer=viewer,
        builder=viewer.builder,
        event=event,
        age=round((event.received_at - event.signed_at).total_seconds()),
        booking=mine,
        title=done.booking.title if done.booking else None,
        label=words.STATE_LABELS[event.state],
        attempts=words.describe_attempts(event.attempts),
        outcome=describe_outcome(event.outcome, event.outcome_facts),
        did=[
            *words.describe_history(done.history),
            *words.describe_ledger(done.ledger),
            *(gettext("Led to %(job)s", job=job) for job in words.describe_jobs(done.jobs, viewer.timezone)),
        ],
        refusal=replay.why_not_replayable(event),
        body=readable_body(event.body) if viewer.is_operator and event.body is not None else None,
    )


@blueprint.get("/<int:delivery_id>/rehearsal")
@limiter.limit("30/minute")
def rehearsal(delivery_id: int) -> Response:
    """What a replay would do. Fetches from the provider, and changes nothing."""
    viewer = _get_viewer()
    event = _get_delivery(viewer, delivery_id)
    found = rehearse_replay(db.session(), services.get(Context), event, clock=utcnow)
    body = render_template(
        "dashboard/_rehearsal.html" if is_htmx() else "dashboard/rehearsal.html",
        viewer=viewer,
        builder=viewer.builder,
        event=event,
        found=found,
        label=words.STATE_LABELS[found.state],
        outcome=describe_outcome(found.outcome, found.facts),
        changes=[words.describe_change(change, viewer.timezone) for change in found.changes],
        entered=words.describe_ledger(found.ledger),
        jobs=words.describe_jobs(found.jobs, viewer.timezone),
    )
    return vary_on_htmx(make_response(body))


@blueprint.post("/<int:delivery_id>/replay")
@limiter.limit("30/minute")
def apply_again(delivery_id: int) -> BaseResponse:
    """Let the worker apply one delivery again; nothing is applied twice."""
    viewer = _get_viewer()
    event = _get_delivery(viewer, delivery_id)
    with transaction(db.session()) as database:
        replay.replay_delivery(database, event, now=utcnow())
    log.info("inbox_replayed", inbox=event.id, account=viewer.account_id)
    flash(gettext("It will be applied again in a moment."), "ok")
    return see_other(url_for(".show", delivery_id=delivery_id))
