"""The public booking pages of the stand-in Calendly: profile, month of times, details, done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, redirect, render_template, request
from werkzeug.wrappers import Response

from bookingapp.sandbox.calendly.availability import is_free
from bookingapp.sandbox.calendly.month import build_month, choose_zone, zone_choices, zone_label
from bookingapp.sandbox.calendly.objects import QUESTION, TRACKING_KEYS, invitee_resource
from bookingapp.sandbox.calendly.scheduling import Guest, SlotTakenError, book
from bookingapp.sandbox.clock import parse_instant, to_iso_seconds
from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.store import Document

blueprint = Blueprint("booking", __name__)

EMBED_KEYS = ("embed_domain", "embed_type", "hide_event_type_details", "hide_gdpr_banner")
ANSWER_KEYS = tuple(f"a{number}" for number in range(1, 11))
PREFILL_KEYS = ("name", "first_name", "last_name", "email", *ANSWER_KEYS)
CARRIED = (*EMBED_KEYS, *TRACKING_KEYS, *PREFILL_KEYS, "timezone")
LONGEST_FIELD = 255


@dataclass(frozen=True, slots=True)
class Page:
    """One booking page: its type and host, the path it lives under, and the link that led to it."""

    event_type: Document
    host: Document
    path: str
    code: str | None = None

    @property
    def timezone(self) -> str:
        """The zone that times are shown in."""
        return choose_zone(request.args.get("timezone"), self.host["timezone"])

    def url(self, suffix: str = "", **changes: str | None) -> str:
        """An address below this page that carries prefill, tracking and embedding along."""
        return carry(f"{self.path}{suffix}", **changes)


def carry(path: str, **changes: str | None) -> str:
    """A path with the visitor's query values that must survive every step; None drops one."""
    query = {key: request.args[key] for key in CARRIED if request.args.get(key)}
    query |= {key: value for key, value in changes.items() if value is not None}
    for key in [key for key, value in changes.items() if value is None]:
        query.pop(key, None)
    return f"{path}?{urlencode(query)}" if query else path


def is_embedded() -> bool:
    """Whether the page stands in somebody's frame; without ``embed_domain`` it must send no messages."""
    return bool(request.args.get("embed_domain"))


@blueprint.app_context_processor
def _names() -> dict[str, Any]:
    return {"embedded": is_embedded(), "zone_label": zone_label}


@blueprint.get("/<user_slug>")
def landing(user_slug: str) -> str:
    """Everything that one host offers."""
    sandbox = current_sandbox()
    host = _host(sandbox, user_slug)
    offered = [
        row
        for row in sandbox.store.all("event_type", user=host["id"], active=True)
        if row["deleted_at"] is None and not row["secret"]
    ]
    return render_template("calendly/landing.html", host=host, event_types=offered, carry=carry)


def _host(sandbox: Sandbox, slug: str) -> Document:
    return next(iter(sandbox.store.all("user", slug=slug)), None) or abort(404)


def _page(user_slug: str, type_slug: str) -> Page:
    sandbox = current_sandbox()
    host = _host(sandbox, user_slug)
    rows = sandbox.store.all("event_type", user=host["id"], slug=type_slug)
    if not rows or not rows[-1]["active"] or rows[-1]["deleted_at"]:
        abort(404)
    return Page(rows[-1], host, f"/{user_slug}/{type_slug}")


def _single_use_page(code: str, type_slug: str) -> Page:
    sandbox = current_sandbox()
    link = sandbox.store.get("scheduling_link", code) or abort(404)
    event_type = sandbox.store.get("event_type", link["event_type"]) or abort(404)
    host = sandbox.store.get("user", event_type["user"]) or abort(404)
    if link["used"] or not event_type["active"] or event_type["deleted_at"]:
        abort(410)
    return Page(event_type, host, f"/d/{code}/{type_slug}", code)


@blueprint.get("/<user_slug>/<type_slug>")
def choose_time(user_slug: str, type_slug: str) -> str:
    """The month of free times."""
    return _choose(_page(user_slug, type_slug))


@blueprint.get("/d/<code>/<type_slug>")
def choose_time_once(code: str, type_slug: str) -> str:
    """The same behind a link that is good for one booking."""
    return _choose(_single_use_page(code, type_slug))


def _choose(page: Page) -> str:
    month = build_month(
        current_sandbox(),
        page.event_type,
        timezone=page.timezone,
        month=request.args.get("month"),
        day=request.args.get("date"),
    )
    return render_template(
        "calendly/choose.html",
        page=page,
        month=month,
        zones=zone_choices(),
        kept=[(key, request.args[key]) for key in CARRIED if request.args.get(key) and key != "timezone"],
        guess_zone="timezone" not in request.args,
        taken="taken" in request.args,
        slot_path=lambda start: f"/{quote(to_iso_seconds(start), safe=':')}",
        message="calendly.event_type_viewed",
    )


@blueprint.route("/<user_slug>/<type_slug>/<start>", methods=["GET", "POST"])
def details(user_slug: str, type_slug: str, start: str) -> str | tuple[str, int] | Response:
    """Who is coming: the form behind one free time."""
    return _details(_page(user_slug, type_slug), start)


@blueprint.route("/d/<code>/<type_slug>/<start>", methods=["GET", "POST"])
def details_once(code: str, type_slug: str, start: str) -> str | tuple[str, int] | Response:
    """The same behind a link that is good for one booking."""
    return _details(_single_use_page(code, type_slug), start)


def _details(page: Page, start_text: str) -> str | tuple[str, int] | Response:
    sandbox, start = current_sandbox(), _start(start_text)
    if not is_free(sandbox, page.event_type, start):
        return _choose_again(page, start)
    if request.method == "GET":
        return _details_form(page, start, _prefill(), {})
    values = {key: request.form.get(key, "").strip() for key in ("name", "email", "answer")}
    errors = _errors(values)
    if errors:
        return _details_form(page, start, values, errors), 422
    guest = Guest(
        name=values["name"],
        email=values["email"],
        timezone=page.timezone,
        tracking={key: request.args.get(key) for key in TRACKING_KEYS},
        answers=[{"question": QUESTION, "answer": values["answer"], "position": 0}]
        if values["answer"]
        else [],
        scheduling_method="instant_book",
    )
    try:
        invitee = book(sandbox, page.event_type, start, guest, single_use_code=page.code)
    except SlotTakenError:
        return _choose_again(page, start)
    if page.event_type["redirect_url"] and not is_embedded():
        return redirect(redirect_after_booking(sandbox, page.event_type, invitee), 303)
    done = f"/{page.host['slug']}/{page.event_type['slug']}/invitees/{invitee['id']}"
    return redirect(carry(done, **dict.fromkeys((*PREFILL_KEYS, *TRACKING_KEYS))), 303)


def _choose_again(page: Page, start: datetime) -> Response:
    day = start.astimezone(ZoneInfo(page.timezone)).date().isoformat()
    return redirect(page.url(taken="1", date=day), 303)


def _start(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError:
        abort(404)


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


def _details_form(page: Page, start: datetime, values: Mapping[str, str], errors: Mapping[str, str]) -> str:
    local = start.astimezone(ZoneInfo(page.timezone))
    return render_template(
        "calendly/details.html",
        page=page,
        start=local,
        action=page.url(f"/{to_iso_seconds(start)}"),
        back=page.url(date=local.date().isoformat()),
        values=values,
        errors=errors,
        question=QUESTION,
        message="calendly.date_and_time_selected",
    )


@blueprint.get("/<user_slug>/<type_slug>/invitees/<invitee_id>")
def done(user_slug: str, type_slug: str, invitee_id: str) -> str:
    """The booking is made; an embedding page is told which one it was."""
    sandbox = current_sandbox()
    invitee = sandbox.store.get("invitee", invitee_id) or abort(404)
    event = sandbox.store.get("event", invitee["event"]) or abort(404)
    event_type = sandbox.store.get("event_type", event["event_type"]) or abort(404)
    host = sandbox.store.get("user", event["user"]) or abort(404)
    if (host["slug"], event_type["slug"]) != (user_slug, type_slug):
        abort(404)
    moved = invitee["old_invitee"] is not None
    onward = event_type["redirect_url"] and not moved
    return render_template(
        "calendly/done.html",
        event_type=event_type,
        host=host,
        invitee=invitee,
        links=invitee_resource(sandbox, invitee),
        start=parse_instant(event["start_time"]).astimezone(
            ZoneInfo(invitee["timezone"] or host["timezone"])
        ),
        timezone=invitee["timezone"] or host["timezone"],
        onward=redirect_after_booking(sandbox, event_type, invitee) if onward else None,
        onward_host=urlsplit(event_type["redirect_url"]).netloc if onward else None,
        # Calendly announces bookings, and says nothing when one is moved.
        message=None if moved else "calendly.event_scheduled",
    )


def redirect_after_booking(sandbox: Sandbox, event_type: Document, invitee: Document) -> str:
    """Where the type's host sends people after booking, with the details that Calendly passes on."""
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
