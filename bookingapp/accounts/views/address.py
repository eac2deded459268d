"""Changing the e-mail address: asking for it, and the pages of its two links."""

from __future__ import annotations

from flask import Response, flash, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts import addresses, links
from bookingapp.accounts.addresses import Outcome
from bookingapp.accounts.codes import LinkPurpose, SecurityCode
from bookingapp.accounts.events import record_event
from bookingapp.accounts.forms import ChangeAddressForm
from bookingapp.accounts.mail_jobs import enqueue_notice
from bookingapp.accounts.models import AccountLink
from bookingapp.accounts.views.blueprint import blueprint, is_confirmed, page, this_log_in
from bookingapp.core import quotas
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext

GONE = 410
NEW, OLD = LinkPurpose.CONFIRM_NEW_ADDRESS, LinkPurpose.CONFIRM_OLD_ADDRESS


@blueprint.get("/account/address")
def address() -> Response:
    """The form, or the change that waits."""
    return _page(ChangeAddressForm(formdata=None))


@blueprint.post("/account/address")
def change_address() -> Response | BaseResponse:
    """Mail the two links."""
    form, log_in = ChangeAddressForm(), this_log_in()
    is_right = is_confirmed(form)
    if form.email.data == log_in.account.email:
        form.email.errors = [gettext("This is your address already.")]
    elif is_right and (wait := quotas.try_spend(quotas.ADDRESS_CHANGES, str(log_in.account_id))):
        form.email.errors = [quotas.too_often(wait)]
    if form.errors:
        return _page(form)
    with transaction(db.session()) as database:
        addresses.ask_for_change(database, log_in.account, form.email.data or "", now=utcnow())
        _record(SecurityCode.ADDRESS_CHANGE_ASKED, log_in.account_id)
    flash(gettext("We sent a link to both addresses. Please confirm at each of them."), "ok")
    return see_other(url_for(".address"))


@blueprint.post("/account/address/stop")
def stop_address_change() -> BaseResponse:
    """Stop the change that waits."""
    log_in = this_log_in()
    with transaction(db.session()) as database:
        if addresses.stop_change(database, log_in.account_id, now=utcnow()):
            _record(SecurityCode.ADDRESS_CHANGE_STOPPED, log_in.account_id)
    flash(gettext("Your address stays as it is."), "ok")
    return see_other(url_for(".address"))


@blueprint.get("/confirm-address/new/<token>")
@limiter.limit("60/minute")
def confirm_new_address(token: str) -> Response:
    """The page of the new address's link. It has a button, because mail programs open links but press no buttons."""
    return _link_page(NEW, token)


@blueprint.post("/confirm-address/new/<token>")
@limiter.limit("60/minute")
def use_new_address(token: str) -> Response:
    """Confirm for the new address."""
    return _confirm(NEW, token)


@blueprint.get("/confirm-address/old/<token>")
@limiter.limit("60/minute")
def confirm_old_address(token: str) -> Response:
    """The page of the old address's link, with a button for each answer."""
    return _link_page(OLD, token)


@blueprint.post("/confirm-address/old/<token>")
@limiter.limit("60/minute")
def use_old_address(token: str) -> Response:
    """Confirm for the old address."""
    return _confirm(OLD, token)


@blueprint.post("/confirm-address/old/<token>/stop")
@limiter.limit("60/minute")
def stop_by_old_address(token: str) -> Response:
    """Stop the change from the old address."""
    with transaction(db.session()) as database:
        link = links.find_link(database, OLD, token, now=utcnow())
        account_id = link.account_id if link is not None else None
        # It may be confirmed at this moment, and is not stopped then.
        is_stopped = account_id is not None and addresses.stop_change(database, account_id, now=utcnow())
        if account_id is not None and is_stopped:
            _record(SecurityCode.ADDRESS_CHANGE_STOPPED, account_id)
    return page("address_done.html", outcome="stopped") if is_stopped else _invalid_link_page()


def _page(form: ChangeAddressForm) -> Response:
    account = this_log_in().account
    change = addresses.find_change(db.session(), account.id, now=utcnow())
    return page("address.html", 422 if form.errors else 200, form=form, account=account, change=change)


def _link_page(purpose: LinkPurpose, token: str) -> Response:
    link: AccountLink | None = links.find_link(db.session(), purpose, token, now=utcnow())
    if link is None:
        return _invalid_link_page()
    return page("address_link.html", link=link, token=token, is_new=purpose is NEW)


def _confirm(purpose: LinkPurpose, token: str) -> Response:
    now = utcnow()
    with transaction(db.session()) as database:
        confirmed = addresses.confirm_change(database, purpose, token, now=now)
        if confirmed is not None and confirmed[0] is Outcome.CHANGED:
            event = record_event(
                database, SecurityCode.ADDRESS_CHANGED, account_id=confirmed[1].account_id, now=now
            )
            enqueue_notice(database, event, now=now, to_link=confirmed[1].old)
    if confirmed is None:
        return _invalid_link_page()
    outcome, change = confirmed
    return page("address_done.html", outcome=outcome.value, change=change, is_new=purpose is NEW)


def _record(code: SecurityCode, account_id: int) -> None:
    """In the transaction that is open."""
    record_event(db.session(), code, account_id=account_id, now=utcnow())


def _invalid_link_page() -> Response:
    return page("address_gone.html", GONE)
