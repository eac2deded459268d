"""The pages behind an invitee's own links: cancel, move, and the room of the conference."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, redirect, render_template, request
from werkzeug.wrappers import Response

from bookingapp.sandbox.calendly.booking_pages import EMBED_KEYS, carry
from bookingapp.sandbox.calendly.month import build_month, choose_zone, zone_choices
from bookingapp.sandbox.calendly.scheduling import SchedulingError, SlotTakenError, cancel_invitee, reschedule
from bookingapp.sandbox.clock import parse_instant, to_iso_seconds, utcnow
from bookingapp.sandbox.context import current_sandbox
from bookingapp.sandbox.store import Document

blueprint = Blueprint("changes", __name__)


class Booking(NamedTuple):
    """One invitee with everything around it."""

    invitee: Document
    event: Document
    event_type: Document
    host: Document

    @property
    def timezone(self) -> str:
        """The zone that times are shown in."""
        return choose_zone(request.args.get("timezone"), self.invitee["timezone"] or self.host["timezone"])

    @property
    def start(self) -> datetime:
        """When it begins, in that zone."""
        return parse_instant(self.event["start_time"]).astimezone(ZoneInfo(self.timezone))

    @property
    def is_over(self) -> bool:
        """Whether nothing can be changed any more."""
        return self.invitee["status"] == "canceled" or parse_instant(self.event["start_time"]) <= utcnow()


def _booking(invitee_id: str) -> Booking:
    store = current_sandbox().store
    invitee = store.get("invitee", invitee_id) or abort(404)
    event = store.get("event", invitee["event"]) or abort(404)
    event_type = store.get("event_type", event["event_type"]) or abort(404)
    host = store.get("user", event["user"]) or abort(404)
    return Booking(invitee, event, event_type, host)


@blueprint.route("/cancellations/<invitee_id>", methods=["GET", "POST"])
def cancel(invitee_id: str) -> str | tuple[str, int]:
    """Ask for a reason and cancel."""
    booking = _booking(invitee_id)
    if request.method == "POST":
        reason = request.form.get("reason", "").strip() or None
        try:
            cancel_invitee(current_sandbox(), invitee_id, reason)
        except SchedulingError as error:
            return render_template("calendly/cancel.html", booking=booking, problem=str(error)), 409
        return render_template("calendly/cancel.html", booking=_booking(invitee_id))
    return render_template("calendly/cancel.html", booking=booking)


@blueprint.get("/reschedulings/<invitee_id>")
def move(invitee_id: str) -> str:
    """The month of free times for a booking that is to be moved."""
    booking = _booking(invitee_id)
    if booking.is_over:
        return render_template("calendly/cancel.html", booking=booking)
    month = build_month(
        current_sandbox(),
        booking.event_type,
        timezone=booking.timezone,
        month=request.args.get("month"),
        day=request.args.get("date"),
        without_event=_own_event(booking),
    )
    return render_template(
        "calendly/choose.html",
        page=_MovePage(booking),
        month=month,
        zones=zone_choices(),
        kept=[(key, request.args[key]) for key in EMBED_KEYS if request.args.get(key)],
        guess_zone=False,
        taken="taken" in request.args,
        slot_path=lambda start: f"/{quote(to_iso_seconds(start), safe=':')}",
        message="calendly.event_type_viewed",
        moving=booking,
    )


@blueprint.route("/reschedulings/<invitee_id>/<start>", methods=["GET", "POST"])
def confirm_move(invitee_id: str, start: str) -> str | Response:
    """Confirm the new time."""
    booking = _booking(invitee_id)
    if booking.is_over:
        return render_template("calendly/cancel.html", booking=booking)
    try:
        instant = parse_instant(start)
    except ValueError:
        abort(404)
    page = _MovePage(booking)
    if request.method == "POST":
        reason = request.form.get("reason", "").strip() or None
        try:
            new = reschedule(current_sandbox(), invitee_id, instant, reason=reason)
        except SlotTakenError:
            return redirect(page.url(taken="1"), 303)
        done = f"/{booking.host['slug']}/{booking.event_type['slug']}/invitees/{new['id']}"
        return redirect(carry(done), 303)
    local = instant.astimezone(ZoneInfo(booking.timezone))
    return render_template(
        "calendly/move.html",
        booking=booking,
        start=local,
        action=page.url(f"/{to_iso_seconds(instant)}"),
        back=page.url(date=local.date().isoformat()),
        message="calendly.date_and_time_selected",
    )


def _own_event(booking: Booking) -> str | None:
    return booking.event["id"] if booking.event["seats"] == 1 else None


class _MovePage:
    """The calendar page's idea of where it is, for a booking that is being moved."""

    def __init__(self, booking: Booking) -> None:
        self.event_type, self.host = booking.event_type, booking.host
        self.timezone = booking.timezone
        self.path = f"/reschedulings/{booking.invitee['id']}"

    def url(self, suffix: str = "", **changes: str | None) -> str:
        """An address below this page."""
        return carry(f"{self.path}{suffix}", **changes)


@blueprint.get("/events/<event_id>/google_meet")
def pending_room(event_id: str) -> str:
    """Where the placeholder of a conference link leads."""
    if current_sandbox().store.get("event", event_id) is None:
        abort(404)
    return render_template("calendly/room.html")


@blueprint.get("/meet/<code>")
def room(code: str) -> str:
    """Where the final conference link leads."""
    if not current_sandbox().store.all("event", location=code):
        abort(404)
    return render_template("calendly/room.html")
