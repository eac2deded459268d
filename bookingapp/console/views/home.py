"""The console's first page: what needs a person, and settling it."""

from __future__ import annotations

from typing import Any, Final

from flask import make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.console import attention, work_acts
from bookingapp.console.attention import Item, Source, Topic
from bookingapp.console.models import ActCode
from bookingapp.console.views.act_page import committed, offer_act, with_way_back
from bookingapp.console.views.blueprint import blueprint, reader_zone
from bookingapp.console.views.booking_acts import ACT_NAMES
from bookingapp.console.words import attention as words
from bookingapp.console.words.acts import ACTS
from bookingapp.core import heartbeat
from bookingapp.core.clock import age, utcnow
from bookingapp.core.db import db
from bookingapp.core.htmx import is_htmx, vary_on_htmx
from bookingapp.core.i18n import gettext
from bookingapp.onboarding import applications
from bookingapp.text import read_code


@blueprint.get("")
def index() -> BaseResponse:
    """What needs a person, money first; ``topic`` narrows it, ``after`` is the place where the page begins."""
    session, now = db.session(), utcnow()
    wanted, after = request.args.get("topic", ""), attention.read_key(request.args.get("after", ""))
    topic = read_code(Topic, wanted)
    found = attention.list_items(session, now=now, topic=topic, after=after, limit=attention.PER_PAGE + 1)
    shown = found[: attention.PER_PAGE]
    counts = attention.count_items(session, now=now)
    body = render_template(
        "console/_items.html" if is_htmx() else "console/index.html",
        items=[_describe(item) for item in shown],
        now=now,
        age=age,
        topic=topic,
        topics=[(one, words.TOPIC_LABELS[one], counts[one]) for one in Topic],
        total=sum(counts.values()),
        next_key=attention.write_key(shown[-1]) if len(found) > len(shown) else None,
        is_first=after is None,
        workers=heartbeat.count_workers(session, now=now),
        applications=applications.count_waiting(session),
    )
    return vary_on_htmx(make_response(body))


DELIVERY_ACTS: Final = {
    ActCode.DELIVERY_REPLAYED: "operator.replay_delivery",
    ActCode.DELIVERY_SET_ASIDE: "operator.set_delivery_aside",
}


def _describe(item: Item) -> dict[str, Any]:
    """An item for the template: its sentence, where it leads, and the buttons that settle it: addresses and words."""
    acts = words.settling_acts(item)
    page = ""
    settle: dict[ActCode, str] = {}
    match item.source:
        case Source.DELIVERY:
            page = url_for("operator.delivery", delivery_id=item.id)
            settle = {act: url_for(endpoint, delivery_id=item.id) for act, endpoint in DELIVERY_ACTS.items()}
        case Source.JOB:
            page = url_for("operator.jobs")
            settle = {ActCode.JOB_RETRIED: url_for("operator.retry_job", job_id=item.id)}
        case Source.UNATTACHED:
            settle = {ActCode.UNATTACHED_KEPT: url_for("operator.keep_unattached", number=item.id)}
        case Source.CONNECTION:
            page = url_for("operator.state", _anchor="connections")
        case Source.FLAG:
            page = url_for("operator.booking", tracking_id=item.tracking_id)
    return {
        "item": item,
        "sentence": words.item_sentence(item, reader_zone()),
        "title": words.item_title(item),
        "page": page,
        "settling": [
            (
                with_way_back(settle.get(act) or _act_on_booking(item, act), f"item-{item.source}-{item.id}"),
                ACTS[act].button,
            )
            for act in acts
        ],
    }


def _act_on_booking(item: Item, act: ActCode) -> str:
    flag = item.code if act is ActCode.FLAGS_RESOLVED else None
    return url_for("operator.booking_act", tracking_id=item.tracking_id, act=ACT_NAMES[act], flag=flag)


@blueprint.route("/unattached/<int:number>/keep", methods=["GET", "POST"])
def keep_unattached(number: int) -> BaseResponse:
    """Accept a time in Calendly that belongs to no booking."""
    perform = committed(lambda session, decision: work_acts.keep_unattached(session, number, decision))
    about = gettext("Time %(number)s without a booking", number=number)
    return offer_act(ActCode.UNATTACHED_KEPT, perform, about=about, back=url_for(".index"))
