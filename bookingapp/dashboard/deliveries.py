"""The dashboard's pages about deliveries: which came, what each did, and what a replay would do.

A builder sees deliveries about their own bookings, without the bodies, which hold other people's data. Operators see
all of them on the console.
"""

from __future__ import annotations

import structlog
from flask import Blueprint, Response, flash, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.builders.guard import current_builder
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import NotFound
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import is_htmx, see_other, vary_on_htmx
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import WorkState
from bookingapp.core.security import forbid_caching
from bookingapp.dashboard.delivery_page import describe_delivery, describe_rehearsal
from bookingapp.dashboard.forms import page_number
from bookingapp.dashboard.words import deliveries as words
from bookingapp.dashboard.words.outcomes import describe_outcome
from bookingapp.dashboard.words.timeline import describe_report
from bookingapp.text import read_code
from bookingapp.webhooks import deliveries, replay
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.models import InboxEvent
from bookingapp.webhooks.rehearsal import rehearse_replay

blueprint = Blueprint("deliveries", __name__, url_prefix="/dashboard/webhooks")
blueprint.after_request(forbid_caching)
log = structlog.get_logger(__name__)

PER_PAGE = 25


def _get_delivery(delivery_id: int) -> InboxEvent:
    try:
        return deliveries.get_delivery(db.session(), delivery_id, builder_id=current_builder().id)
    except NotFound:
        # With the message of any other address that does not exist.
        raise NotFound from None


@blueprint.get("")
def index() -> str:
    """List deliveries, newest first."""
    builder, page = current_builder(), page_number()
    state = request.args.get("state", "")
    search = deliveries.Search(state=read_code(WorkState, state), builder_id=builder.id)
    found = deliveries.list_deliveries(db.session(), search, limit=PER_PAGE + 1, offset=(page - 1) * PER_PAGE)
    return render_template(
        "dashboard/webhooks.html",
        builder=builder,
        events=found[:PER_PAGE],
        has_more=len(found) > PER_PAGE,
        page=page,
        state_filter=search.state,
        labels=words.STATE_LABELS,
        attempts=words.describe_attempts,
        outcome=describe_outcome,
        report=describe_report,
    )


@blueprint.get("/<int:delivery_id>")
def show(delivery_id: int) -> str:
    """One delivery, and what it did."""
    builder, event = current_builder(), _get_delivery(delivery_id)
    return render_template(
        "dashboard/delivery.html",
        layout="dashboard/base.html",
        builder=builder,
        **describe_delivery(db.session(), event, builder.timezone),
    )


@blueprint.get("/<int:delivery_id>/rehearsal")
@limiter.limit("30/minute")
def rehearsal(delivery_id: int) -> Response:
    """What a replay would do. Fetches from the provider, and changes nothing."""
    builder, event = current_builder(), _get_delivery(delivery_id)
    found = rehearse_replay(db.session(), services.get(Context), event, clock=utcnow)
    body = render_template(
        "dashboard/_rehearsal.html" if is_htmx() else "dashboard/rehearsal.html",
        builder=builder,
        event=event,
        **describe_rehearsal(found, builder.timezone),
    )
    return vary_on_htmx(make_response(body))


@blueprint.post("/<int:delivery_id>/replay")
@limiter.limit("30/minute")
def apply_again(delivery_id: int) -> BaseResponse:
    """Let the worker apply one delivery again; nothing is applied twice."""
    event = _get_delivery(delivery_id)
    with transaction(db.session()) as database:
        replay.replay_delivery(database, event, now=utcnow())
    log.info("inbox_replayed", inbox=event.id, account=current_builder().account_id)
    flash(gettext("It will be applied again in a moment."), "ok")
    return see_other(url_for(".show", delivery_id=delivery_id))
