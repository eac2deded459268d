"""The builder's own profile: texts and links with their preview, the picture, the cancellation policy."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response, flash, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.builders.bio import set_bio
from bookingapp.builders.guard import current_builder
from bookingapp.builders.models import Builder
from bookingapp.builders.pictures import LARGEST_UPLOAD, encode_picture, remove_picture, store_picture
from bookingapp.builders.policy import USUAL, Step, policy_sentences, snapshot_of, steps_of
from bookingapp.core.bodies import accept_uploads
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, rolled_back, transaction
from bookingapp.core.edge import LARGEST_FORM
from bookingapp.core.errors import Conflict, Invalid
from bookingapp.core.htmx import is_htmx, see_other
from bookingapp.core.i18n import gettext
from bookingapp.dashboard.profile_forms import PictureForm, PolicyForm, ProfileForm
from bookingapp.dashboard.views.blueprint import blueprint
from bookingapp.onboarding.checklist import publish_profile
from bookingapp.text import one_line

_COLUMNS = (
    "display_name",
    "headline",
    "skills",
    "links",
    "timezone",
    "availability",
    "scheduling_first",
    "listed",
)


# The file, and the other fields of its form.
accept_uploads("/dashboard/profile/picture", LARGEST_UPLOAD + LARGEST_FORM)


@blueprint.route("/profile", methods=["GET", "POST"])
def profile() -> Response | BaseResponse:
    """What clients read about the builder: show the form, or save it. ``edit`` is the way back from the preview."""
    form = ProfileForm.of(current_builder())
    if "edit" in request.form:
        return _show(form)
    if form.validate_on_submit():
        try:
            with transaction(db.session()) as database:
                # Locked, because the directory's entry is made of what an operator may change at the same moment.
                row = database.get_one(Builder, current_builder().id, with_for_update=True)
                was_listed = row.listed
                _fill(row, form)
                if row.listed and not was_listed:
                    publish_profile(database, row, now=utcnow())
        except Conflict as error:
            form.listed.errors = [error.message]
        else:
            flash(gettext("Your profile is saved."), "ok")
            return see_other(url_for(".profile"))
    return _show(form, status=422 if form.is_submitted() else 200)


@blueprint.post("/profile/preview")
def preview_profile() -> Response:
    """The public page and the card as the form would make them, which is not stored; 422 where it is refused."""
    form = ProfileForm.of(current_builder())
    if not form.validate_on_submit():
        return _show(form, status=422)
    sent = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]
    with rolled_back(db.session()) as database:
        row = database.get_one(Builder, current_builder().id)
        _fill(row, form)
        return make_response(render_template("dashboard/profile_preview.html", builder=row, sent=sent))


@blueprint.post("/profile/picture")
def upload_picture() -> Response | BaseResponse:
    """Replace the picture; 422 with the reason where the file cannot be used."""
    form = PictureForm()
    if form.validate_on_submit():
        try:
            # It may take a second, so not within the transaction.
            sizes = encode_picture(form.read())
        except Invalid as error:
            form.picture.errors = [error.message]
        else:
            with transaction(db.session()) as database:
                row = database.get_one(Builder, current_builder().id, with_for_update=True)
                store_picture(database, row, sizes, one_line(form.alt.data or ""))
            flash(gettext("Your picture is saved."), "ok")
            return _to_profile()
    return _show(picture_form=form, status=422)


@blueprint.post("/profile/picture/description")
def describe_picture() -> BaseResponse:
    """Change what the picture's description says."""
    with transaction(db.session()) as database:
        row = database.get_one(Builder, current_builder().id)
        row.picture_alt = one_line(request.form.get("alt", ""), longest=160) if row.picture else ""
    flash(gettext("The description of your picture is saved."), "ok")
    return _to_profile()


@blueprint.post("/profile/picture/remove")
def remove_my_picture() -> BaseResponse:
    """Back to the initials."""
    with transaction(db.session()) as database:
        remove_picture(database, database.get_one(Builder, current_builder().id, with_for_update=True))
    flash(gettext("Your picture is removed."), "ok")
    return _to_profile()


@blueprint.post("/profile/policy")
def save_policy() -> Response | BaseResponse:
    """Store the cancellation policy of new bookings; 422 with the reason where it is refused."""
    form = PolicyForm()
    try:
        steps = form.read()
    except Invalid as error:
        return _show(policy_form=form, policy_problem=error.message, status=422)
    with transaction(db.session()) as database:
        row = database.get_one(Builder, current_builder().id)
        row.refund_steps = None if steps is None else [step._asdict() for step in steps]
    flash(gettext("Your cancellation policy is saved. Bookings made before keep theirs."), "ok")
    return _to_profile()


@blueprint.post("/profile/policy/sentences")
def describe_policy() -> Response:
    """What clients will read of the steps that were entered; stores nothing."""
    form, problem = PolicyForm(), None
    steps: Sequence[Step] = ()
    try:
        entered = form.read()
        steps = USUAL if entered is None else entered
    except Invalid as error:
        problem = error.message
    if not is_htmx():
        return _show(policy_form=form, policy_problem=problem, steps=steps)
    return make_response(
        render_template(
            "dashboard/_policy_sentences.html", sentences=_sentences(steps), policy_problem=problem
        )
    )


def _fill(row: Builder, form: ProfileForm) -> None:
    for name in _COLUMNS:
        value = getattr(form, name)
        setattr(row, name, value if name == "links" else value.data)
    set_bio(row, form.bio.data or "")


def _sentences(steps: Sequence[Step]) -> list[str]:
    return policy_sentences(snapshot_of(steps))


def _to_profile() -> BaseResponse:
    """The top of the page, where it is said what was saved."""
    return see_other(url_for(".profile", _anchor="main"))


def _show(
    form: ProfileForm | None = None,
    *,
    picture_form: PictureForm | None = None,
    policy_form: PolicyForm | None = None,
    policy_problem: str | None = None,
    steps: Sequence[Step] | None = None,
    status: int = 200,
) -> Response:
    """The page; a form that is not given shows what is stored."""
    builder = current_builder()
    page = render_template(
        "dashboard/profile.html",
        builder=builder,
        form=form or ProfileForm.of(builder, formdata=None),
        picture_form=picture_form or PictureForm(formdata=None, alt=builder.picture_alt),
        policy_form=policy_form or PolicyForm.of(builder),
        policy_problem=policy_problem,
        sentences=_sentences(steps_of(builder) if steps is None else steps),
    )
    return make_response(page, status)
