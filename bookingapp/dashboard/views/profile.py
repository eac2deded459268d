"""The form for the builder's own profile."""

from __future__ import annotations

from flask import Response, flash, make_response, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.builders.guard import current_builder
from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext
from bookingapp.dashboard.forms import ProfileForm
from bookingapp.dashboard.views.blueprint import blueprint
from bookingapp.onboarding.checklist import publish_profile


@blueprint.route("/profile", methods=["GET", "POST"])
def profile() -> Response | BaseResponse:
    """What clients read about the builder: show the form, or save it."""
    builder = current_builder()
    form = ProfileForm(obj=builder)
    if form.validate_on_submit():
        try:
            with transaction(db.session()) as database:
                row = database.get_one(Builder, builder.id)
                was_listed = row.listed
                form.populate_obj(row)
                if row.listed and not was_listed:
                    publish_profile(database, row, now=utcnow())
        except Conflict as error:
            form.listed.errors = [error.message]
        else:
            flash(gettext("Your profile is saved."), "ok")
            return see_other(url_for(".profile"))
    page = render_template("dashboard/profile.html", builder=builder, form=form)
    return make_response(page, 422 if form.is_submitted() else 200)
