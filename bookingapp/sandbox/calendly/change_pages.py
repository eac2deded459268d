"""Calendly's pages behind an invitee's own links: cancel, reschedule, and the conference room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, redirect, render_template, request
from werkzeug.wrappers import Response

from bookingapp.sandbox.calendly.booking_pages import Page, carry, parse_start, render_times
from bookingapp.sandbox.calendly.month import choose_zone
from bookingapp.sandbox.calendly.scheduling import (
    SchedulingError,
    SlotTakenError,
    cancel_invitee,
    reschedule_invitee,
)
from bookingapp.sandbox.clock import parse_instant, utcnow
from bookingapp.sandbox.context import current_sandbox, get_or_404
from bookingapp.sandbox.store import Document

blueprint = Blueprint("changes", __name__)


@dataclass(frozen=True, slots=True)
class InviteeBooking:
    """One invitee with their event, event type and host."""

    invitee: Document
    event: Document
    event_type: Document
    host: Document

    @property
    def page(self) -> Page:
        """The page that reschedules it."""
        zone = choose_zone(request.args.get("timezone"), self.invitee["timezone"] or self.host["timezone"])
        return Page(self.event_type, self.host, f"/reschedulings/{self.invitee['id']}", zone)

    @property
    def start(self) -> datetime:
        """Its start, in the zone of the page."""
        return parse_instant(self.event["start_time"]).astimezone(ZoneInfo(self.page.timezone))

    @property
    def is_over(self) -> bool:
        """Whether it can no longer be changed."""
        return self.invitee["status"] == "canceled" or self.start <= utcnow()


def _find_booking(invitee_id: str) -> InviteeBooking:
    invitee = get_or_404("invitee", invitee_id)
    event = get_or_404("event", invitee["event"])
    event_type = get_or_404("event_type", event["event_type"])
    return InviteeBooking(invitee, event, event_type, get_or_404("user", event["user"]))


def _reason() -> str | None:
    return request.form.get("reason", "").strip() or None


@blueprint.route("/cancellations/<invitee_id>", methods=["GET", "POST"])
def cancel_by_invitee(invitee_id: str) -> str | tuple[str, int]:
    """The form for a reason; sent, it cancels."""
    booking, problem = _find_booking(invitee_id), None
    if request.method == "POST":
        try:
            cancel_invitee(current_sandbox(), invitee_id, _reason())
        except SchedulingError as error:
            problem = str(error)
        booking = _find_booking(invitee_id)
    page = render_template("calendly/cancel.html", booking=booking, problem=problem)
    return page, 409 if problem else 200


@blueprint.get("/reschedulings/<invitee_id>")
def show_new_times(invitee_id: str) -> str:
    """The month of free times for a booking that is rescheduled."""
    booking = _find_booking(invitee_id)
    if booking.is_over:
        return render_template("calendly/cancel.html", booking=booking)
    return render_times(booking.page, moving=booking.event, former=booking.start)


@blueprint.route("/reschedulings/<invitee_id>/<start>", methods=["GET", "POST"])
def confirm_new_time(invitee_id: str, start: str) -> str | Response:
    """The form that confirms a new time; sent, it reschedules."""
    booking, instant = _find_booking(invitee_id), parse_start(start)
    if booking.is_over:
        return render_template("calendly/cancel.html", booking=booking)
    if request.method == "GET":
        return render_template("calendly/move.html", **booking.page.chosen(instant), former=booking.start)
    try:
        new = reschedule_invitee(current_sandbox(), invitee_id, instant, reason=_reason())
    except SlotTakenError:
        return redirect(booking.page.url(taken="1"), 303)
    return redirect(carry(f"/{booking.host['slug']}/{booking.event_type['slug']}/invitees/{new['id']}"), 303)


@blueprint.get("/events/<event_id>/google_meet")
def show_pending_room(event_id: str) -> str:
    """The target of a conference link while it is a placeholder."""
    get_or_404("event", event_id)
    return render_template("calendly/room.html")


@blueprint.get("/meet/<code>")
def show_room(code: str) -> str:
    """The target of the final conference link."""
    if not current_sandbox().store.all("event", location=code):
        abort(404)
    return render_template("calendly/room.html")
