"""Those who are to become builders: invitations and applications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.console.builder_acts import answer_application, invite_builder, perform_invitation_act
from bookingapp.console.forms import InvitationForm
from bookingapp.console.models import ActCode
from bookingapp.console.views.act_page import committed, offer_act
from bookingapp.console.views.blueprint import blueprint
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.errors import NotFound
from bookingapp.core.settings import Settings
from bookingapp.onboarding import applications as waiting
from bookingapp.onboarding import invitations as invited

# The acts by their names in addresses.
INVITATION_ACTS: Final[Mapping[str, ActCode]] = {
    "again": ActCode.BUILDER_INVITED,
    "end": ActCode.INVITATION_ENDED,
}
ANSWERS: Final[Mapping[str, ActCode]] = {
    "accept": ActCode.APPLICATION_ACCEPTED,
    "decline": ActCode.APPLICATION_DECLINED,
}


@blueprint.get("/invitations", endpoint="invitations")
def list_invitations() -> str:
    """The latest invitations: open, used, expired, ended."""
    found = invited.list_invitations(db.session(), now=utcnow())
    return render_template("console/invitations.html", invitations=found)


@blueprint.route("/invitations/new", methods=["GET", "POST"])
def invite() -> BaseResponse:
    """Invite somebody."""
    form = InvitationForm()
    perform = committed(
        lambda session, decision: invite_builder(
            session, email=form.email.data or "", name=form.name.data or "", decision=decision
        )
    )
    back = url_for(".invitations")
    return offer_act(ActCode.BUILDER_INVITED, perform, about="", back=back, form=form)


@blueprint.route("/invitations/<int:invitation_id>/<invitation_act>", methods=["GET", "POST"])
def invitation_act(invitation_id: int, invitation_act: str) -> BaseResponse:
    """Send an invitation again, or end it."""
    code = INVITATION_ACTS.get(invitation_act)
    if code is None:
        raise NotFound
    found = invited.get_invitation(db.session(), invitation_id, now=utcnow())
    perform = committed(
        lambda session, decision: perform_invitation_act(session, invitation_id, code, decision)
    )
    return offer_act(code, perform, about=f"{found.name}, {found.email}", back=url_for(".invitations"))


@blueprint.get("/applications", endpoint="applications")
def list_applications() -> str:
    """The applications that wait for an answer, and those that were answered last."""
    session = db.session()
    return render_template(
        "console/applications.html",
        waiting=waiting.list_waiting(session),
        decided=waiting.list_decided(session),
        are_taken=services.get(Settings).builder_signup == "apply",
    )


@blueprint.route("/applications/<int:application_id>/<answer>", methods=["GET", "POST"])
def application(application_id: int, answer: str) -> BaseResponse:
    """Accept an application, or decline it with a sentence that the applicant reads."""
    code = ANSWERS.get(answer)
    if code is None:
        raise NotFound
    found = waiting.get_application(db.session(), application_id)
    perform = committed(lambda session, decision: answer_application(session, application_id, code, decision))
    return offer_act(code, perform, about=f"{found.name}, {found.email}", back=url_for(".applications"))
