"""A forgotten password: asking for a link, and the page that the link opens."""

from __future__ import annotations

from flask import Response, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts import log_ins, service
from bookingapp.accounts.codes import SecurityCode
from bookingapp.accounts.events import record_event
from bookingapp.accounts.forms import AddressForm, NewPasswordForm
from bookingapp.accounts.guard import enter, remember
from bookingapp.accounts.origins import current_origin
from bookingapp.accounts.passwords import hash_new_password
from bookingapp.accounts.tries import Tries
from bookingapp.accounts.views.blueprint import blueprint, page
from bookingapp.core import clock
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, reading, transaction
from bookingapp.core.errors import Invalid, TooOften
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext
from bookingapp.core.visitors import mailbox, visitor_address

ASKED_KEY = "reset_asked"
GONE = 410


@blueprint.get("/forgot-password")
def forgot_password() -> Response:
    """The form for the address."""
    return page("forgot_password.html", form=AddressForm())


@blueprint.post("/forgot-password")
@limiter.limit("5/minute;30/hour")
def ask_for_reset() -> Response | BaseResponse:
    """Mail a link. The answer is the same for every address, and its mails are counted for all alike."""
    form = AddressForm()
    if not form.validate_on_submit():
        return page("forgot_password.html", 422, form=form)
    origin = current_origin()
    with reading(db.session()) as database:
        account = service.find_account(database, form.email.data or "")
        browser = log_ins.find_known_browser(database, account.id if account else None, origin.browser_hash)
    wait = Tries(mailbox(form.email.data or ""), browser, visitor_address()).spend_reset()
    if wait:
        raise TooOften(
            gettext(
                "Several links were asked for already. Please check your inbox, and spam, for the newest one. "
                "You can ask for another in %(wait)s.",
                wait=clock.wait(wait),
            ),
            retry_after=wait,
        )
    with transaction(db.session()) as database:
        service.ask_for_reset(database, form.email.data or "", origin, now=utcnow())
    session[ASKED_KEY] = form.email.data
    return see_other(url_for(".reset_sent"))


@blueprint.get("/forgot-password/sent")
def reset_sent() -> Response:
    """The answer to asking."""
    return page("reset_sent.html", address=session.get(ASKED_KEY))


@blueprint.get("/reset-password/<token>")
@limiter.limit("60/minute")
def reset_password(token: str) -> Response:
    """The page that a link opens: its form uses the link, because mail programs open links but send no forms."""
    account = service.find_account_to_reset(db.session(), token, now=utcnow())
    if account is None:
        return _invalid_link_page()
    return page("reset_password.html", form=NewPasswordForm(), token=token, address=account.email)


@blueprint.post("/reset-password/<token>")
@limiter.limit("20/minute")
def use_reset(token: str) -> Response | BaseResponse:
    """Set the password, end every log-in and log in here. With two-step log-in, the code is still needed."""
    form = NewPasswordForm()
    with reading(db.session()) as database:
        account = service.find_account_to_reset(database, token, now=utcnow())
    if account is None:
        return _invalid_link_page()
    try:
        if form.validate_on_submit():
            hashed = hash_new_password(form.password.data or "", name=account.name, email=account.email)
    except Invalid as error:
        form.password.errors = [error.message]
    if form.errors:
        return page("reset_password.html", 422, form=form, token=token, address=account.email)
    now = utcnow()
    with transaction(db.session()) as database:
        found = service.reset_password(database, token, hashed, now=now)
        if found is not None:
            record_event(database, SecurityCode.PASSWORD_RESET, account_id=found.id, now=now)
            entered = enter(found, now=now)
    if found is None:
        return _invalid_link_page()
    target = url_for("dashboard.index" if entered.is_complete else ".second_step")
    return remember(see_other(target), entered)


def _invalid_link_page() -> Response:
    """One answer for every invalid link: made up, expired, used or replaced."""
    return page("reset_gone.html", GONE, form=AddressForm(formdata=None))
