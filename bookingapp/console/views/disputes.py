"""Disputes over all builders, and the evidence to answer one with."""

from __future__ import annotations

from flask import Response, make_response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.console import disputes as service
from bookingapp.console.places import read_place, write_place
from bookingapp.console.views.blueprint import blueprint, reader_zone
from bookingapp.console.words import disputes as words
from bookingapp.core.addresses import absolute_url
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.dashboard.evidence import build_evidence, evidence_lines
from bookingapp.dashboard.words.erasure import evidence_left

PER_PAGE = 25


@blueprint.get("/disputes", endpoint="disputes")
def list_() -> str:
    """The open ones, the next last day first; with ``state=ended`` the others with their outcome."""
    is_open, after = request.args.get("state") != "ended", read_place(request.args.get("after", ""))
    found = service.list_disputes(db.session(), is_open=is_open, after=after, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    place = service.place_of(shown[-1].dispute, is_open=is_open) if len(found) > PER_PAGE else None
    return render_template(
        "console/disputes.html",
        lines=shown,
        is_open=is_open,
        after=after,
        next_place=write_place(*place) if place else None,
        sentence=words.dispute_sentence,
        reason=words.dispute_reason,
        now=utcnow(),
    )


@blueprint.get("/disputes/<int:dispute_id>")
def dispute(dispute_id: int) -> str:
    """One dispute: its last day or its outcome, and the evidence."""
    session = db.session()
    found, booking = service.get_dispute(session, dispute_id)
    return render_template(
        "console/dispute.html",
        dispute=found,
        booking=booking,
        sentence=words.dispute_sentence(found),
        reason=words.dispute_reason(found),
        erased=evidence_left(booking, reader_zone()),
        evidence="\n".join(evidence_lines(session, booking, now=utcnow())),
    )


@blueprint.get("/disputes/<int:dispute_id>/evidence")
def evidence(dispute_id: int) -> BaseResponse:
    """A ZIP file of the evidence."""
    found, booking = service.get_dispute(db.session(), dispute_id)
    address = absolute_url("builders.profile", slug=booking.builder.slug)
    response: Response = make_response(build_evidence(db.session(), booking, address=address, now=utcnow()))
    response.headers["Content-Type"] = "application/zip"
    response.headers["Content-Disposition"] = f'attachment; filename="evidence-{found.booking_id}.zip"'
    return response
