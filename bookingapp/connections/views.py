"""Connects and disconnects a builder's own Calendly account. The page about it is the dashboard's."""

from __future__ import annotations

from flask import Blueprint, Response, flash, make_response, render_template, request, session, url_for
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts.guard import COOKIE_KEY, current_account, refresh_log_in
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
from bookingapp.core.i18n import gettext
from bookingapp.core.languages import hide_query
from bookingapp.core.security import forbid_caching
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyError,
    Grant,
    OAuthClient,
    missing_scopes,
)

blueprint = Blueprint("connections", __name__, url_prefix="/dashboard/connection")
blueprint.after_request(forbid_caching)

PAGE = "dashboard.connection"


@blueprint.post("/connect")
@limiter.limit("10/minute")
def connect() -> BaseResponse:
    """Send the browser to Calendly's consent page."""
    builder, oauth = current_builder(), services.get(OAuthClient)
    if not oauth.is_configured:
        raise Conflict(gettext("This site has no app at Calendly yet, so accounts cannot be connected."))
    with transaction(db.session()) as database:
        attempt = attempts.request_consent(
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
    """The answer of the consent page: a code that is exchanged for tokens, or a refusal."""
    hide_query()
    # Not sent on to the log-in page: its address would carry what Calendly's answer carries.
    refresh_log_in()
    if current_account() is None:
        return _failed_page(
            401, gettext("You are not logged in in this browser. Please log in and start again.")
        )
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
        message = gettext(
            "This link has expired: it works once, for ten minutes, in the browser where you began. Please start again."
        )
        return _failed_page(400, message)
    code = request.args.get("code", "")
    if "error" in request.args or not code:
        return _failed_page(400, gettext("You did not allow the connection at Calendly."))
    oauth = services.get(OAuthClient)
    try:
        grant = oauth.exchange(code=code, redirect_uri=absolute_url(".callback"), verifier=verifier)
    except CalendlyError as error:
        return _failed_page(503 if error.retryable else 400, gettext(error.user_message))
    return _store_connection(oauth, grant, builder)


@blueprint.post("/disconnect")
@limiter.limit("10/minute")
def disconnect() -> BaseResponse:
    """End one's own connection, and revoke its tokens at Calendly."""
    builder = current_builder()
    with transaction(db.session()) as database:
        ids = service.end_connection(
            database, builder_id=builder.id, actor_id=builder.account_id, now=utcnow()
        )
    if revocations.revoke_now(db.session(), services.get(OAuthClient), ids):
        message = gettext("Your Calendly account is disconnected, and our access has ended.")
    else:
        message = gettext(
            "Your Calendly account is disconnected. Our access ends as soon as Calendly answers."
        )
    flash(message, "ok")
    return see_other(url_for(PAGE))


def _store_connection(oauth: OAuthClient, grant: Grant, builder: Builder) -> Response | BaseResponse:
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
        with transaction(db.session()) as database:
            ids = revocations.enqueue_revocations(
                database, [grant.refresh_token, grant.access_token], now=now
            )
        revocations.revoke_now(db.session(), oauth, ids)
        if isinstance(error, CalendlyError):
            return _failed_page(502, gettext("We could not read Calendly's answer. Please try again."))
        # Two builders may have connected the same account at once; the database lets one of them.
        return _failed_page(409, str(service.ALREADY_CONNECTED))
    flash(gettext("Your Calendly account is connected."), "ok")
    if missing_scopes(grant.scopes):
        flash(gettext("Some permissions are missing. Below you see which."), "problem")
    return see_other(url_for(PAGE))


def _failed_page(status: int, message: str) -> Response:
    end_request_read()
    return make_response(render_template("connections/failed.html", message=message), status)
