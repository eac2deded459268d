"""Connecting one's own Calendly account, and ending that. The page itself is the dashboard's."""

from __future__ import annotations

from flask import Blueprint, Response, flash, make_response, render_template, request, session, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts.guard import COOKIE_KEY, current_account, refresh_log_in, require_account
from bookingapp.builders.guard import current_builder
from bookingapp.builders.models import Builder
from bookingapp.connections import attempts, revocations, service
from bookingapp.core import services
from bookingapp.core.addresses import absolute_url
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, end_request_read, transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import see_other
from bookingapp.core.security import forbid_caching
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, Grant, OAuthClient

blueprint = Blueprint("connections", __name__, url_prefix="/dashboard/connection")
blueprint.after_request(forbid_caching)

PAGE = "dashboard.connection"
STALE = (
    "This way to Calendly is not good any more. It works once, within ten minutes, and only in the browser in "
    "which it was begun. Nothing was changed."
)
DECLINED = "You did not allow the connection at Calendly, so nothing was changed."
LOGGED_OUT = "You are not logged in in this browser. Please log in and begin once more. Nothing was changed."


@blueprint.before_request
def _builders_only() -> Response | BaseResponse | None:
    if request.endpoint == f"{blueprint.name}.callback":
        # Not sent on to the log-in page: its address would carry what Calendly's answer carries.
        refresh_log_in()
        return None if current_account() is not None else _failed(LOGGED_OUT, status=401)
    return require_account()


@blueprint.post("/connect")
@limiter.limit("10/minute")
def connect() -> BaseResponse:
    """To Calendly's consent page."""
    builder, oauth = current_builder(), services.get(OAuthClient)
    if not oauth.is_configured:
        raise Conflict("This site has no app at Calendly yet, so accounts cannot be connected.")
    with transaction(db.session()) as database:
        attempt = attempts.start_attempt(
            database, account_id=builder.account_id, browser=session[COOKIE_KEY], now=utcnow()
        )
    return see_other(
        oauth.authorize_url(
            redirect_uri=absolute_url(".callback"), state=attempt.state, verifier=attempt.verifier
        )
    )


@blueprint.get("/callback")
@limiter.limit("20/minute")
def callback() -> Response | BaseResponse:
    """Back from the consent page, with a code or with a no."""
    builder = current_builder()
    with transaction(db.session()) as database:
        verifier = attempts.use_attempt(
            database,
            state=request.args.get("state", ""),
            account_id=builder.account_id,
            browser=session[COOKIE_KEY],
            now=utcnow(),
        )
    if verifier is None:
        return _failed(STALE, status=400)
    code = request.args.get("code", "")
    if "error" in request.args or not code:
        return _failed(DECLINED, status=400)
    oauth = services.get(OAuthClient)
    try:
        grant = oauth.exchange(code=code, redirect_uri=absolute_url(".callback"), verifier=verifier)
    except CalendlyError as error:
        return _failed(f"{error.user_message} Nothing was changed.", status=503 if error.retryable else 400)
    return _keep(oauth, grant, builder)


@blueprint.post("/disconnect")
@limiter.limit("10/minute")
def disconnect() -> BaseResponse:
    """End one's own connection; Calendly is told to forget the tokens."""
    builder = current_builder()
    with transaction(db.session()) as database:
        owed = service.end_connection(
            database, builder_id=builder.id, actor_id=builder.account_id, now=utcnow()
        )
    if revocations.revoke_now(db.session(), services.get(OAuthClient), owed):
        flash("Your Calendly account is disconnected, and Calendly has forgotten our access.", "ok")
    else:
        flash("Your Calendly account is disconnected. Calendly will be told as soon as it answers.", "ok")
    return see_other(url_for(PAGE))


def _keep(oauth: OAuthClient, grant: Grant, builder: Builder) -> Response | BaseResponse:
    now = utcnow()
    try:
        user_uri = services.get(CalendlyClient).checked_user_uri(grant.owner)
        with transaction(db.session()) as database:
            service.store_connection(
                database,
                builder_id=builder.id,
                actor_id=builder.account_id,
                user_uri=user_uri,
                grant=grant,
                now=now,
            )
    except (Conflict, IntegrityError, CalendlyError) as error:
        # Two builders may have come back with the same account at once; the database lets one in.
        with transaction(db.session()) as database:
            owed = revocations.enqueue_revocations(
                database, [grant.refresh_token, grant.access_token], now=now
            )
        revocations.revoke_now(db.session(), oauth, owed)
        if isinstance(error, CalendlyError):
            return _failed("Calendly's answer could not be read. Nothing was changed.", status=502)
        return _failed(service.TAKEN, status=409)
    missing = service.missing_in_words(sorted(grant.scopes))
    flash("Your Calendly account is connected.", "ok")
    if missing:
        flash("Some rights were not given; see below what is missing.", "problem")
    return see_other(url_for(PAGE))


def _failed(message: str, *, status: int) -> Response:
    end_request_read()
    return make_response(render_template("connections/failed.html", message=message), status)
