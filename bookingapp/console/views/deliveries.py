"""Deliveries of Calendly and Stripe: which came, what each did, and applying one again. Reading a body is recorded."""

from __future__ import annotations

from flask import Response, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.console import work_acts
from bookingapp.console.forms import ReasonForm
from bookingapp.console.models import ActCode
from bookingapp.console.places import read_place, write_place
from bookingapp.console.views.act_page import committed, decided, offer_act
from bookingapp.console.views.blueprint import blueprint, reader_zone
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import is_htmx, vary_on_htmx
from bookingapp.core.i18n import gettext
from bookingapp.core.queue import WorkState
from bookingapp.dashboard.delivery_page import describe_delivery, describe_rehearsal
from bookingapp.dashboard.words import deliveries as words
from bookingapp.operations.words import describe
from bookingapp.webhooks import deliveries
from bookingapp.webhooks.body import readable_body
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.rehearsal import rehearse_replay

PER_PAGE = 25


@blueprint.get("/deliveries", endpoint="deliveries")
def list_() -> str:
    """Those that were given up, the newest first; with ``state`` those that are ``open``, or ``all``."""
    after, state = read_place(request.args.get("after", "")), request.args.get("state", "")
    chosen = state if state in ("open", "all") else "dead"
    search = deliveries.Search(
        state=WorkState.DEAD if chosen == "dead" else None, is_open=chosen == "open", after=after
    )
    found = deliveries.list_deliveries(db.session(), search, limit=PER_PAGE + 1)
    last = found[PER_PAGE - 1] if len(found) > PER_PAGE else None
    return render_template(
        "console/deliveries.html",
        events=found[:PER_PAGE],
        after=after,
        next_place=write_place(last.run_at, last.id) if last else None,
        chosen=chosen,
        choices=[
            ("dead", gettext("Given up")),
            ("open", gettext("Still to apply")),
            ("all", gettext("Everything")),
        ],
        labels=words.STATE_LABELS,
        attempts=words.describe_attempts,
        outcome=describe,
    )


@blueprint.get("/deliveries/<int:delivery_id>")
def delivery(delivery_id: int) -> str:
    """One delivery, and what it did."""
    session = db.session()
    event = deliveries.get_delivery(session, delivery_id)
    return render_template(
        "console/delivery.html",
        layout="console/base.html",
        **describe_delivery(session, event, reader_zone(), outcome=describe),
    )


@blueprint.get("/deliveries/<int:delivery_id>/rehearsal")
@limiter.limit("30/minute")
def rehearse_delivery(delivery_id: int) -> Response:
    """What a replay would do. Fetches from the provider, and changes nothing."""
    event = deliveries.get_delivery(db.session(), delivery_id)
    found = rehearse_replay(db.session(), services.get(Context), event, clock=utcnow)
    body = render_template(
        "console/_rehearsal.html" if is_htmx() else "console/rehearsal.html",
        event=event,
        **describe_rehearsal(found, reader_zone(), outcome=describe),
    )
    return vary_on_htmx(make_response(body))


@blueprint.route("/deliveries/<int:delivery_id>/replay", methods=["GET", "POST"])
@limiter.limit("30/minute")
def replay_delivery(delivery_id: int) -> BaseResponse:
    """Let the worker apply one delivery again; nothing is applied twice."""
    event = deliveries.get_delivery(db.session(), delivery_id)
    perform = committed(lambda session, decision: work_acts.replay_delivery(session, delivery_id, decision))
    about = gettext("%(provider)s sent %(type)s", provider=event.provider.title(), type=event.type)
    back = url_for(".delivery", delivery_id=delivery_id)
    return offer_act(ActCode.DELIVERY_REPLAYED, perform, about=about, back=back)


@blueprint.route("/deliveries/<int:delivery_id>/set-aside", methods=["GET", "POST"])
def set_delivery_aside(delivery_id: int) -> BaseResponse:
    """Accept that a delivery that was given up is never applied."""
    event = deliveries.get_delivery(db.session(), delivery_id)
    perform = committed(
        lambda session, decision: work_acts.set_delivery_aside(session, delivery_id, decision)
    )
    about = gettext("%(provider)s sent %(type)s", provider=event.provider.title(), type=event.type)
    back = url_for(".delivery", delivery_id=delivery_id)
    return offer_act(ActCode.DELIVERY_SET_ASIDE, perform, about=about, back=back)


@blueprint.route("/deliveries/<int:delivery_id>/body", methods=["GET", "POST"])
def delivery_body(delivery_id: int) -> BaseResponse:
    """The body, which names people: for a reason, which is recorded before it is shown."""
    event = deliveries.get_delivery(db.session(), delivery_id)
    form, back = ReasonForm(), url_for(".delivery", delivery_id=delivery_id)
    if form.validate_on_submit():
        body = readable_body(event.body) if event.body is not None else None
        with transaction(db.session()) as session:
            work_acts.read_body(session, delivery_id, decided(form))
        return make_response(render_template("console/body.html", event=event, body=body, back=back))
    about = gettext("%(provider)s sent %(type)s", provider=event.provider.title(), type=event.type)
    return offer_act(ActCode.BODY_READ, lambda _form: None, about=about, back=back)
