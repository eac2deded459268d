"""A builder's own notes about a booking: adding one is on the booking's page, changing one has a page of its own."""

from __future__ import annotations

from flask import Response, flash, make_response, render_template
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.bookings import notes
from bookingapp.bookings.models import Actor
from bookingapp.builders.guard import current_builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.i18n import gettext
from bookingapp.dashboard.booking_forms import NoteForm
from bookingapp.dashboard.views.blueprint import blueprint
from bookingapp.dashboard.views.booking import locked, own_booking, render_booking, to_booking


@blueprint.post("/bookings/<tracking_id>/notes")
def add_note(tracking_id: str) -> Response | BaseResponse:
    """Add a note."""
    own_booking(tracking_id)
    form = NoteForm()
    if not form.validate_on_submit():
        return make_response(render_booking(tracking_id, form), 422)
    with locked(tracking_id) as mine:
        notes.add_note(db.session(), mine, form.text.data or "", by=Actor.BUILDER, now=utcnow())
    flash(gettext("The note is saved."), "ok")
    return to_booking(tracking_id, "notes")


@blueprint.get("/bookings/<tracking_id>/notes/<int:note_id>")
def note(tracking_id: str, note_id: int) -> Response:
    """One of the builder's own notes, to change or delete it."""
    found = notes.get_own_note(db.session(), own_booking(tracking_id), note_id, Actor.BUILDER)
    return _note_page(tracking_id, note_id, NoteForm(formdata=None, data={"text": found.text}))


@blueprint.post("/bookings/<tracking_id>/notes/<int:note_id>")
def edit_note(tracking_id: str, note_id: int) -> Response | BaseResponse:
    """Change it."""
    notes.get_own_note(db.session(), own_booking(tracking_id), note_id, Actor.BUILDER)
    form = NoteForm()
    if not form.validate_on_submit():
        return _note_page(tracking_id, note_id, form, status=422)
    with locked(tracking_id) as mine:
        notes.edit_note(db.session(), mine, note_id, form.text.data or "", by=Actor.BUILDER, now=utcnow())
    flash(gettext("The note is saved."), "ok")
    return to_booking(tracking_id, "notes")


@blueprint.post("/bookings/<tracking_id>/notes/<int:note_id>/delete")
def delete_note(tracking_id: str, note_id: int) -> BaseResponse:
    """Delete it."""
    with locked(tracking_id) as mine:
        notes.delete_note(db.session(), mine, note_id, by=Actor.BUILDER)
    flash(gettext("The note is deleted."), "ok")
    return to_booking(tracking_id, "notes")


def _note_page(tracking_id: str, note_id: int, form: NoteForm, *, status: int = 200) -> Response:
    body = render_template(
        "dashboard/note.html", builder=current_builder(), tracking_id=tracking_id, note_id=note_id, form=form
    )
    return make_response(body, status)
