"""Calendly's public booking pages: a host's types, the month of free times, the visitor's details, the confirmation.

Pages that change a booking are in ``change_pages``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, redirect, render_template, request
from werkzeug.wrappers import Response

from bookingapp.sandbox.calendly.availability import is_free
from bookingapp.sandbox.calendly.month import build_month, choose_zone, zone_choices, zone_label
from bookingapp.sandbox.calendly.objects import QUESTION, TRACKING_KEYS, invitee_resource
from bookingapp.sandbox.calendly.scheduling import Guest, SlotTakenError, schedule_invitee
from bookingapp.sandbox.clock import parse_instant, to_iso_seconds
from bookingapp.sandbox.context import Sandbox, current_sandbox, get_or_404
from bookingapp.sandbox.store import Document

blueprint = Blueprint("booking", __name__)

EMBED_KEYS = ("embed_domain", "embed_type", "hide_event_type_details", "hide_gdpr_banner")
ANSWER_KEYS = tuple(f"a{number}" for number in range(1, 11))
PREFILL_KEYS = ("name", "first_name", "last_name", "email", *ANSWER_KEYS)
CARRIED_KEYS = (*EMBED_KEYS, *TRACKING_KEYS, *PREFILL_KEYS, "timezone")
LONGEST_FIELD = 255


@dataclass(frozen=True, slots=True)
class Page:
    """The event type and host of a page, its path, the zone of its times, and a single-use link's code."""

    event_type: Document
    host: Document
    path: str
    timezone: str
    code: str | None = None

    def url(self, suffix: str = "", **changes: str | None) -> str:
        """An address below this page with prefill, tracking and embedding in its query."""
        return carry(f"{self.path}{suffix}", **changes)

    def time_url(self, start: datetime) -> str:
        """The address of the step after choosing this time."""
        return self.url(f"/{to_iso_seconds(start)}", timezone=self.timezone)

    def chosen(self, start: datetime) -> dict[str, Any]:
        """Template values of the step after choosing a time."""
        local = start.astimezone(ZoneInfo(self.timezone))
        return {
            "page": self,
            "start": local,
            "action": self.url(f"/{to_iso_seconds(start)}"),
            "back": self.url(date=local.date().isoformat()),
            "message": "calendly.date_and_time_selected",
        }


def carry(path: str, **changes: str | None) -> str:
    """A path with the query values that every step keeps, and with changes to them; None drops one."""
    query = {key: request.args.get(key) for key in CARRIED_KEYS} | changes
    kept = {key: value for key, value in query.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path


def _is_embedded() -> bool:
    # Without ``embed_domain`` a page posts no messages to its parent.
    return bool(request.args.get("embed_domain"))


@blueprint.app_context_processor
def _template_names() -> dict[str, Any]:
    return {"embedded": _is_embedded(), "zone_label": zone_label}


def parse_start(text: str) -> datetime:
    """The time in a page's address, or the page for 404."""
    try:
        return parse_instant(text)
    except ValueError:
        abort(404)


@blueprint.get("/<user_slug>")
def show_event_types(user_slug: str) -> str:
    """The public event types of one host."""
    host = _host(user_slug)
    rows = current_sandbox().store.all("event_type", user=host["id"], active=True, deleted_at=None)
    offered = [row for row in rows if not row["secret"]]
    return render_template("calendly/landing.html", host=host, event_types=offered, carry=carry)


def _host(slug: str) -> Document:
    return next(iter(current_sandbox().store.all("user", slug=slug)), None) or abort(404)


def _page(user_slug: str, type_slug: str) -> Page:
    host = _host(user_slug)
    rows = current_sandbox().store.all("event_type", user=host["id"], slug=type_slug)
    if not rows or not rows[-1]["active"] or rows[-1]["deleted_at"]:
        abort(404)
    return Page(rows[-1], host, f"/{user_slug}/{type_slug}", _zone(host))


def _single_use_page(code: str, type_slug: str) -> Page:
    link = get_or_404("scheduling_link", code)
    event_type = get_or_404("event_type", link["event_type"])
    host = get_or_404("user", event_type["user"])
    if link["used"] or not event_type["active"] or event_type["deleted_at"]:
        abort(410)
    return Page(event_type, host, f"/d/{code}/{type_slug}", _zone(host), code)


def _zone(host: Document) -> str:
    return choose_zone(request.args.get("timezone"), host["timezone"])


@blueprint.get("/<user_slug>/<type_slug>")
def show_times(user_slug: str, type_slug: str) -> str:
    """The month of free times."""
    return render_times(_page(user_slug, type_slug), guess_zone="timezone" not in request.args)


@blueprint.get("/d/<code>/<type_slug>")
def show_times_of_link(code: str, type_slug: str) -> str:
    """The month of free times behind a single-use link."""
    return render_times(_single_use_page(code, type_slug), guess_zone="timezone" not in request.args)


def render_times(
    page: Page, *, guess_zone: bool = False, moving: Document | None = None, former: datetime | None = None
) -> str:
    """The month of free times, for a new booking or for one that moves from its ``former`` time."""
    month = build_month(
        current_sandbox(),
        page.event_type,
        timezone=page.timezone,
        month=request.args.get("month"),
        day=request.args.get("date"),
        moving=moving,
    )
    kept = [(key, request.args[key]) for key in CARRIED_KEYS if request.args.get(key) and key != "timezone"]
    return render_template(
        "calendly/choose.html",
        page=page,
        month=month,
        zones=zone_choices(),
        kept=kept,
        guess_zone=guess_zone,
        taken="taken" in request.args,
        former=former,
        message="calendly.event_type_viewed",
    )


@blueprint.route("/<user_slug>/<type_slug>/<start>", methods=["GET", "POST"])
def enter_details(user_slug: str, type_slug: str, start: str) -> str | tuple[str, int] | Response:
    """The form behind one free time: name, e-mail and answer; sent, it schedules the visitor."""
    return _enter_details(_page(user_slug, type_slug), parse_start(start))


@blueprint.route("/d/<code>/<type_slug>/<start>", methods=["GET", "POST"])
def enter_details_of_link(code: str, type_slug: str, start: str) -> str | tuple[str, int] | Response:
    """The form behind one free time of a single-use link."""
    return _enter_details(_single_use_page(code, type_slug), parse_start(start))


def _enter_details(page: Page, start: datetime) -> str | tuple[str, int] | Response:
    sandbox = current_sandbox()
    if not is_free(sandbox, page.event_type, start):
        return _choose_again(page, start)
    if request.method == "GET":
        return _render_details(page, start, _prefill(), {})
    values = {key: request.form.get(key, "").strip() for key in ("name", "email", "answer")}
    errors = _errors(values)
    if errors:
        return _render_details(page, start, values, errors), 422
    answer = {"question": QUESTION, "answer": values["answer"], "position": 0}
    guest = Guest(
        name=values["name"],
        email=values["email"],
        timezone=page.timezone,
        tracking={key: request.args.get(key) for key in TRACKING_KEYS},
        answers=[answer] if values["answer"] else [],
        scheduling_method="instant_book",
    )
    try:
        invitee = schedule_invitee(sandbox, page.event_type, start, guest, single_use_code=page.code)
    except SlotTakenError:
        return _choose_again(page, start)
    if page.event_type["redirect_url"] and not _is_embedded():
        return redirect(_redirect_after_booking(sandbox, page.event_type, invitee), 303)
    done = f"/{page.host['slug']}/{page.event_type['slug']}/invitees/{invitee['id']}"
    return redirect(carry(done, **dict.fromkeys((*PREFILL_KEYS, *TRACKING_KEYS))), 303)


def _choose_again(page: Page, start: datetime) -> Response:
    day = start.astimezone(ZoneInfo(page.timezone)).date().isoformat()
    return redirect(page.url(taken="1", date=day), 303)


def _prefill() -> dict[str, str]:
    args = request.args
    name = args.get("name") or f"{args.get('first_name', '')} {args.get('last_name', '')}".strip()
    return {"name": name, "email": args.get("email", ""), "answer": args.get("a1", "")}


def _errors(values: Mapping[str, str]) -> dict[str, str]:
    errors = {}
    if not 0 < len(values["name"]) <= LONGEST_FIELD:
        errors["name"] = "Please enter your name."
    local, _, domain = values["email"].partition("@")
    if not local or "." not in domain or " " in values["email"] or len(values["email"]) > LONGEST_FIELD:
        errors["email"] = "Please enter an e-mail address, such as name@example.com."
    return errors


def _render_details(page: Page, start: datetime, values: Mapping[str, str], errors: Mapping[str, str]) -> str:
    return render_template(
        "calendly/details.html", **page.chosen(start), values=values, errors=errors, question=QUESTION
    )


@blueprint.get("/<user_slug>/<type_slug>/invitees/<invitee_id>")
def show_confirmation(user_slug: str, type_slug: str, invitee_id: str) -> str:
    """The confirmation; an embedding page gets the URIs of the booking."""
    sandbox = current_sandbox()
    invitee = get_or_404("invitee", invitee_id)
    event = get_or_404("event", invitee["event"])
    event_type = get_or_404("event_type", event["event_type"])
    host = get_or_404("user", event["user"])
    if (host["slug"], event_type["slug"]) != (user_slug, type_slug):
        abort(404)
    moved = invitee["old_invitee"] is not None
    onward = event_type["redirect_url"] and not moved
    timezone = invitee["timezone"] or host["timezone"]
    return render_template(
        "calendly/done.html",
        event_type=event_type,
        host=host,
        invitee=invitee,
        links=invitee_resource(sandbox, invitee),
        start=parse_instant(event["start_time"]).astimezone(ZoneInfo(timezone)),
        timezone=timezone,
        onward=_redirect_after_booking(sandbox, event_type, invitee) if onward else None,
        onward_host=urlsplit(event_type["redirect_url"]).netloc if onward else None,
        # Calendly posts no message when a booking is rescheduled (react-calendly, issues 125 and 157).
        message=None if moved else "calendly.event_scheduled",
    )


def _redirect_after_booking(sandbox: Sandbox, event_type: Document, invitee: Document) -> str:
    """The type's redirect address with the details that Calendly passes on (seen in public code, not documented)."""
    event = sandbox.store.get("event", invitee["event"]) or {}
    host = sandbox.store.get("user", event_type["user"]) or {"name": ""}
    zone = ZoneInfo(invitee["timezone"] or "UTC")
    first_name, _, last_name = invitee["name"].rpartition(" ")
    passed = {
        "assigned_to": host["name"],
        "event_type_uuid": event_type["id"],
        "event_type_name": event_type["name"],
        # In the invitee's zone with its offset, unlike every other time of Calendly's.
        "event_start_time": parse_instant(event["start_time"]).astimezone(zone).isoformat(timespec="seconds"),
        "event_end_time": parse_instant(event["end_time"]).astimezone(zone).isoformat(timespec="seconds"),
        "invitee_uuid": invitee["id"],
        "invitee_first_name": first_name or invitee["name"],
        "invitee_last_name": last_name if first_name else "",
        "invitee_full_name": invitee["name"],
        "invitee_email": invitee["email"],
        **{f"answer_{item['position'] + 1}": item["answer"] for item in invitee["questions_and_answers"]},
        **{key: value for key, value in invitee["tracking"].items() if value and key.startswith("utm_")},
    }
    separator = "&" if "?" in event_type["redirect_url"] else "?"
    return f"{event_type['redirect_url']}{separator}{urlencode(passed)}"
