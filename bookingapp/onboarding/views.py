"""The pages on which somebody becomes a builder: applying, accepting an invitation, publishing."""

from __future__ import annotations

from flask import Blueprint, Response, flash, make_response, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts.codes import LinkPurpose
from bookingapp.accounts.guard import enter, remember
from bookingapp.accounts.links import find_link
from bookingapp.accounts.models import Account, AccountLink
from bookingapp.accounts.passwords import hash_new_password
from bookingapp.accounts.service import find_account
from bookingapp.builders.guard import current_builder
from bookingapp.builders.models import Builder
from bookingapp.builders.service import Owner
from bookingapp.core import clock, quotas, services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, end_request_read, transaction
from bookingapp.core.errors import Invalid, NotFound, TooOften
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext
from bookingapp.core.security import forbid_caching_and_indexing
from bookingapp.core.settings import Settings
from bookingapp.core.visitors import mailbox, visitor_address
from bookingapp.onboarding.applications import confirm_application, request_application
from bookingapp.onboarding.checklist import load_checklist, publish_profile
from bookingapp.onboarding.forms import AcceptForm, ApplicationForm
from bookingapp.onboarding.invitations import accept_invitation
from bookingapp.onboarding.words import StepLine, describe_checklist, describe_next

blueprint = Blueprint("onboarding", __name__)

GONE = 410


@blueprint.get("/become-a-builder")
def become() -> str:
    """How builders come here; the form where this site takes applications."""
    return render_template(
        "onboarding/become.html", form=ApplicationForm() if _takes_applications() else None
    )


@blueprint.post("/become-a-builder")
@limiter.limit("10/minute")
def apply() -> Response | BaseResponse:
    """Apply. The answer is the same for every address, whether it has an account or not."""
    if not _takes_applications():
        raise NotFound
    form = ApplicationForm()
    if not form.validate_on_submit():
        return make_response(render_template("onboarding/become.html", form=form), 422)
    _limit_applications(form.email.data or "")
    with transaction(db.session()) as database:
        request_application(
            database,
            email=form.email.data or "",
            name=form.name.data or "",
            about=(form.about.data or "").strip(),
            link=form.link.data or "",
            now=utcnow(),
        )
    return see_other(url_for(".applied"))


@blueprint.get("/become-a-builder/sent")
def applied() -> str:
    """The answer to an application: a mail is on its way."""
    return render_template("onboarding/applied.html", is_confirmed=False)


@blueprint.get("/become-a-builder/confirm/<token>")
@limiter.limit("60/minute")
def confirmation(token: str) -> Response:
    """The page that the mail's link opens. It has a button, because mail programs open links but press no buttons."""
    link = find_link(db.session(), LinkPurpose.APPLICATION, token, now=utcnow())
    if link is None:
        return _gone_page("onboarding/application_gone.html")
    return _private(make_response(render_template("onboarding/confirm.html", token=token, link=link)))


@blueprint.post("/become-a-builder/confirm/<token>")
@limiter.limit("60/minute")
def confirm(token: str) -> Response:
    """The button of that page: from now on operators see the application."""
    with transaction(db.session()) as database:
        found = confirm_application(database, token, now=utcnow())
    if found is None:
        return _gone_page("onboarding/application_gone.html")
    return _private(make_response(render_template("onboarding/applied.html", is_confirmed=True)))


@blueprint.get("/invitation/<token>")
@limiter.limit("60/minute")
def invitation(token: str) -> Response:
    """The form of an invitation."""
    link = find_link(db.session(), LinkPurpose.INVITATION, token, now=utcnow())
    if link is None:
        return _gone_page("onboarding/invitation_gone.html")
    form = AcceptForm(data={"name": link.facts["name"], "timezone": "UTC"})
    return _invitation_page(token, link, form, find_account(db.session(), link.email))


@blueprint.post("/invitation/<token>")
@limiter.limit("20/minute")
def accept(token: str) -> Response | BaseResponse:
    """Use an invitation: make the account and the profile, and log in. An account that was there before gets the
    profile, and logs in as ever.
    """
    now = utcnow()
    link = find_link(db.session(), LinkPurpose.INVITATION, token, now=now)
    if link is None:
        return _gone_page("onboarding/invitation_gone.html")
    form, present = AcceptForm(), find_account(db.session(), link.email)
    if present is not None:
        form.password.validators = ()
    if not form.validate_on_submit():
        return _invitation_page(token, link, form, present, 422)
    name, password_hash, entered = form.name.data or "", None, None
    end_request_read()
    try:
        if present is None:
            password_hash = hash_new_password(form.password.data or "", name=name, email=link.email)
        with transaction(db.session()) as database:
            account = accept_invitation(
                database, token, name=name, password_hash=password_hash, timezone=form.timezone.data, now=now
            )
            if account is not None and present is None:
                entered = enter(account, now=now)
    except Invalid as error:
        form.password.errors = [error.message]
        return _invitation_page(token, link, form, present, 422)
    if account is None:
        return _gone_page("onboarding/invitation_gone.html")
    if entered is None:
        flash(gettext("Your page is ready. You log in with the password that you have."), "ok")
        return see_other(url_for("accounts.login"))
    response = remember(see_other(url_for("dashboard.index")), entered)
    flash(gettext("Welcome! Your account is ready."), "ok")
    return response


@blueprint.post("/dashboard/publish")
def publish() -> BaseResponse:
    """Let the directory list the builder who is logged in."""
    builder = current_builder()
    with transaction(db.session()) as database:
        publish_profile(database, builder, now=utcnow())
    flash(gettext("Your page is published: clients find you in the directory."), "ok")
    return see_other(url_for("dashboard.index"))


@blueprint.app_template_global("first_steps")
def first_steps(builder: Builder) -> list[StepLine]:
    """The lines of the builder's checklist; none where everything is done."""
    checklist = load_checklist(db.session(), builder, now=utcnow())
    return describe_checklist(checklist, builder) if checklist.next else []


@blueprint.app_template_global("next_step")
def next_step(owner: Builder | Owner) -> StepLine | None:
    """What a builder who is not published yet does next, for the other pages of the dashboard."""
    if owner.listed:
        return None
    builder = current_builder()
    checklist = load_checklist(db.session(), builder, now=utcnow())
    return describe_next(checklist, builder) if checklist.next else None


def _takes_applications() -> bool:
    return services.get(Settings).builder_signup == "apply"


def _limit_applications(email: str) -> None:
    """Count an application. Raises :class:`TooOften`: our form must not fill a stranger's mailbox."""
    wait = quotas.try_spend(quotas.APPLICATIONS_OF_ADDRESS, visitor_address())
    wait = wait or quotas.try_spend(quotas.APPLICATIONS, mailbox(email))
    if wait:
        raise TooOften(
            gettext(
                "Several applications came from here already. Please check your inbox, and spam, for our mail. You can "
                "try again in %(wait)s.",
                wait=clock.wait(wait),
            ),
            retry_after=wait,
        )


def _invitation_page(
    token: str, link: AccountLink, form: AcceptForm, present: Account | None, status: int = 200
) -> Response:
    """``present`` is the account that the address has already."""
    body = render_template(
        "onboarding/invitation.html",
        token=token,
        email=link.email,
        form=form,
        has_account=present is not None,
    )
    return _private(make_response(body, status))


def _gone_page(template: str) -> Response:
    """One answer for every link that does not work: forged, expired, used, or ended."""
    return _private(make_response(render_template(template), GONE))


def _private(response: Response) -> Response:
    return forbid_caching_and_indexing(response)
