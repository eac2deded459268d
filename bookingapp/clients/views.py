"""The pages of the clients' sign-in: asking for a link, using it, signing out."""

from __future__ import annotations

import re

from flask import Blueprint, Response, make_response, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts.service import LONGEST_ADDRESS
from bookingapp.clients import service
from bookingapp.clients.forms import AddressForm
from bookingapp.clients.guard import COOKIE_KEY
from bookingapp.clients.links import LinkSigner
from bookingapp.core import clock, quotas, services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import TooOften
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext
from bookingapp.core.security import forbid_caching_and_indexing
from bookingapp.core.visitors import current_visitor, mailbox

blueprint = Blueprint("clients", __name__)
blueprint.after_request(forbid_caching_and_indexing)

LANDING = "my_bookings.index"
ASKED_KEY = "client_asked"
REFUSED_KEY = (
    "client_refused"  # What was typed in place of an address, for the session type's page that asked for it.
)
GONE = 410
_SESSION_TYPE = re.compile(
    r"/builders/[\w-]{1,64}/session-types/[\w-]{1,64}(\?[\w%&=:./+-]{1,100})?", re.ASCII
)


@blueprint.post("/my-bookings")
@limiter.limit("5/minute;30/hour")
def ask() -> Response | BaseResponse:
    """Request a link. The answer is the same for every address: how many links a mailbox gets is counted for all."""
    form = AddressForm()
    is_valid, return_to = form.validate_on_submit(), _session_type_path(form.return_to.data)
    if not is_valid and return_to:
        # The page that asked shows what is wrong.
        session[REFUSED_KEY] = (form.email.data or "")[:LONGEST_ADDRESS]
        return see_other(return_to)
    if not is_valid:
        return make_response(render_template("clients/ask.html", form=form), 422)
    _limit_links(form.email.data or "")
    with transaction(db.session()) as database:
        service.request_link(database, email=form.email.data or "", return_to=return_to, now=utcnow())
    session[ASKED_KEY] = form.email.data
    return see_other(url_for(".sent", booking=1 if return_to else None))


@blueprint.get("/my-bookings/sent")
def sent() -> str:
    """The answer to a request. ``booking`` is set where a session type asked for the address."""
    return render_template(
        "clients/sent.html", address=session.get(ASKED_KEY), for_booking=bool(request.args.get("booking"))
    )


@blueprint.get("/my-bookings/link/<value>")
@limiter.limit("60/minute")
def link(value: str) -> Response:
    """The page that a link opens. It has a button, because mail programs open links but press no buttons."""
    sign_in = service.find_link(db.session(), services.get(LinkSigner).read(value))
    if sign_in is None:
        return _invalid_link_page()
    body = render_template(
        "clients/link.html", value=value, address=sign_in.email, for_booking=bool(sign_in.return_to)
    )
    return make_response(body)


@blueprint.post("/my-bookings/link/<value>")
@limiter.limit("60/minute")
def confirm(value: str) -> Response | BaseResponse:
    """The button of that page: verify the address in this browser, and use the link."""
    with transaction(db.session()) as database:
        used = service.use_link(database, services.get(LinkSigner).read(value), now=utcnow())
        if used is not None:
            service.end_sign_in(database, session.get(COOKIE_KEY))
    if used is None:
        return _invalid_link_page()
    sign_in, token = used
    session.pop(ASKED_KEY, None)
    session[COOKIE_KEY] = token
    session.permanent = True
    return redirect(_session_type_path(sign_in.return_to) or url_for(LANDING), code=303)


@blueprint.post("/my-bookings/forget")
def forget() -> BaseResponse:
    """Sign out, in this browser and in the database."""
    with transaction(db.session()) as database:
        service.end_sign_in(database, session.pop(COOKIE_KEY, None))
    session.pop(ASKED_KEY, None)
    return see_other(_session_type_path(request.form.get("return_to")) or url_for(LANDING))


def _limit_links(email: str) -> None:
    """Count a link. Raises :class:`TooOften`: our form must not fill a stranger's mailbox."""
    browser = current_visitor().browser
    wait = quotas.try_spend(quotas.LINKS_OF_BROWSER, browser) if browser is not None else 0
    wait = wait or quotas.try_spend(quotas.LINKS, mailbox(email))
    if wait:
        raise TooOften(
            gettext(
                "Several links were asked for already. Please check your inbox, and spam, for the newest one. "
                "You can ask for another in %(wait)s.",
                wait=clock.wait(wait),
            ),
            retry_after=wait,
        )


def _invalid_link_page() -> Response:
    """One answer for every invalid link: forged, expired, used or never sent."""
    return make_response(render_template("clients/gone.html", form=AddressForm(formdata=None)), GONE)


def _session_type_path(target: str | None) -> str | None:
    """``target`` where it is the path of a session type, else None: no link leads anywhere else."""
    return target if target and _SESSION_TYPE.fullmatch(target) else None
