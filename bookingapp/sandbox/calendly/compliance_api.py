"""Calendly's API v2: erasing invitees."""

from __future__ import annotations

from flask import Response, jsonify

from bookingapp.sandbox.behavior import current_behavior
from bookingapp.sandbox.calendly.http import blueprint, caller, denied, invalid, parse_body, require_scope
from bookingapp.sandbox.clock import now_iso
from bookingapp.sandbox.context import current_sandbox

MISSING_PLAN = "Please upgrade your Calendly account to Enterprise."
MISSING_PERMISSION = (
    "You must be an admin/owner with the data requests permission enabled to use this resource. Contact Calendly "
    "support and ask them to grant you data requests permission."
)


@blueprint.post("/data_compliance/deletion/invitees")
def erase_invitees() -> tuple[Response, int]:
    """Erase invitees of the whole organization, here at once (Calendly API reference, Delete Invitee Data)."""
    require_scope("data_compliance:write")
    sandbox, emails = current_sandbox(), parse_body().get("emails")
    if not isinstance(emails, list) or not all(isinstance(one, str) and "@" in one for one in emails):
        raise invalid("emails", "is missing or invalid")
    if not current_behavior(sandbox.store)["enterprise"]:
        raise denied(MISSING_PLAN)
    if not caller().is_owner:
        raise denied(MISSING_PERMISSION)
    with sandbox.store.transaction():
        for invitee in sandbox.store.all("invitee"):
            if invitee["email"].lower() in {one.lower() for one in emails}:
                invitee.update(name="", first_name=None, last_name=None, email="", questions_and_answers=[])
                invitee.update(text_reminder_number=None, updated_at=now_iso())
                sandbox.store.put("invitee", invitee["id"], invitee)
    return jsonify({}), 202
