"""The privacy page, and what clients can do with their data behind the link to their address: have it, or erase it."""

from __future__ import annotations

import json

from flask import Blueprint, Response, make_response, redirect, render_template, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings.views import MINE
from bookingapp.clients.guard import COOKIE_KEY, verified_address
from bookingapp.clients.service import KEPT as SIGN_INS_KEPT
from bookingapp.clients.views import ASKED_KEY
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import see_other
from bookingapp.core.security import forbid_caching_and_indexing
from bookingapp.core.settings import Settings
from bookingapp.privacy.addresses import erase_address, plan_erasure
from bookingapp.privacy.export import export_data
from bookingapp.privacy.forms import EraseForm
from bookingapp.privacy.retention import DIGESTS_KEPT
from bookingapp.privacy.words import kept_for, obstacle_sentence

blueprint = Blueprint("privacy", __name__)

LANDING = "my_bookings.index"


@blueprint.get("/privacy")
def notice() -> str:
    """What is kept, where it goes, for how long, and how to have or erase it."""
    return render_template("privacy/notice.html", **_kept())


@blueprint.get("/my-bookings/data")
@limiter.limit("10/minute")
def download() -> Response | BaseResponse:
    """Everything about the address that is verified here, as one JSON file."""
    email = verified_address()
    if email is None:
        return redirect(url_for(LANDING), code=303)
    data = export_data(db.session(), email, now=utcnow())
    response = make_response(json.dumps(data, ensure_ascii=False, indent=2))
    response.headers["Content-Type"] = "application/json"
    response.headers["Content-Disposition"] = 'attachment; filename="my-data.json"'
    return forbid_caching_and_indexing(response)


@blueprint.get("/my-bookings/erase")
def preview() -> Response | BaseResponse:
    """What erasing would delete and what stays; or what is in the way."""
    email = verified_address()
    return _erase_page(email, EraseForm()) if email else redirect(url_for(LANDING), code=303)


@blueprint.post("/my-bookings/erase")
@limiter.limit("10/minute")
def erase() -> Response | BaseResponse:
    """Erase everything of the address that is verified here, once its holder has confirmed it."""
    email, form = verified_address(), EraseForm()
    if email is None:
        return see_other(url_for(LANDING))
    if not form.validate_on_submit():
        return _erase_page(email, form, 422)
    erase_address(db.session(), email, now=utcnow())
    for key in (COOKIE_KEY, ASKED_KEY, MINE):
        session.pop(key, None)
    return see_other(url_for(".erased"))


@blueprint.get("/my-bookings/erased")
def erased() -> Response:
    """The page after an erasure."""
    return forbid_caching_and_indexing(make_response(render_template("privacy/erased.html", **_kept())))


def _erase_page(email: str, form: EraseForm, status: int = 200) -> Response:
    plan = plan_erasure(db.session(), email, now=utcnow())
    body = render_template(
        "privacy/erase.html",
        address=email,
        form=form,
        plan=plan,
        obstacles=[(booking, obstacle_sentence(why)) for booking, why in plan.obstacles],
        **_kept(),
    )
    return forbid_caching_and_indexing(make_response(body, status))


def _kept() -> dict[str, str | bool]:
    """How long each kind of data is kept, in words."""
    settings = services.get(Settings)
    return {
        "bookings_kept": kept_for(settings.retention_bookings_days),
        "payments_kept": kept_for(settings.retention_payments_days),
        "security_kept": kept_for(settings.retention_security_days),
        "deliveries_kept": kept_for(settings.retention_deliveries_days),
        "jobs_kept": kept_for(settings.retention_jobs_days),
        "links_kept": kept_for(SIGN_INS_KEPT.days),
        "digests_kept": kept_for(DIGESTS_KEPT.days),
        "uses_cdn": settings.htmx_source == "cdn",
        "asks_first": settings.embed_consent == "ask",
    }
