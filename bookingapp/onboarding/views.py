"""The pages on which somebody becomes a builder."""

from __future__ import annotations

from flask import Blueprint, flash, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.builders.guard import current_builder
from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext
from bookingapp.core.security import forbid_caching_and_indexing
from bookingapp.onboarding.checklist import load_checklist, publish_profile
from bookingapp.onboarding.words import StepLine, describe_checklist, describe_next

blueprint = Blueprint("onboarding", __name__)
blueprint.after_request(forbid_caching_and_indexing)


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
def next_step(builder: Builder) -> StepLine | None:
    """What a builder who is not published yet does next, for the other pages of the dashboard."""
    checklist = None if builder.listed else load_checklist(db.session(), builder, now=utcnow())
    return describe_next(checklist, builder) if checklist and checklist.next else None
