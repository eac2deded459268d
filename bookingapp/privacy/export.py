"""The file of everything that we have about an e-mail address: its bookings with answers, mails, money and history.

Values are codes and moments (ISO 8601, UTC), amounts are in the currency's minor unit: the file is for programs too.
What builders and operators note down for themselves is not in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from bookingapp.bookings.addresses import opens_for
from bookingapp.bookings.erased import impersonal
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB, Mail
from bookingapp.bookings.models import Booking, HistoryEntry, Move, SlotRequest, UnattachedInvitee
from bookingapp.bookings.unattached import of_address
from bookingapp.clients.models import SignIn
from bookingapp.core.clock import iso
from bookingapp.core.queue import Job
from bookingapp.payments.models import Dispute, Payment, Refund

FORMAT = 1


def export_data(session: Session, email: str, *, now: datetime) -> dict[str, Any]:
    """Everything about a (normalized) address that its holder has verified."""
    query = sa.select(Booking).where(opens_for(email)).options(joinedload(Booking.builder))
    found = session.scalars(query.order_by(Booking.id)).all()
    ids = [one.id for one in found]
    rows = {
        model: _by_booking(session, model, ids)
        for model in (SlotRequest, Move, Payment, Refund, Dispute, HistoryEntry)
    }
    mails = _by_booking(session, Job, ids, Job.name == SEND_MAIL_JOB)
    direct = sa.select(UnattachedInvitee).where(of_address(email))
    sign_ins = session.scalars(sa.select(SignIn).where(SignIn.email == email).order_by(SignIn.id))
    return {
        "format": FORMAT,
        "address": email,
        "made_at": iso(now),
        "bookings": [
            _booking(one, {model: of[one.id] for model, of in rows.items()}, mails[one.id]) for one in found
        ],
        "booked_in_calendly_directly": [
            {
                "title": one.title,
                "name": one.name,
                "starts_at": iso(one.starts_at),
                "ends_at": iso(one.ends_at),
                "calendly_invitee": one.invitee_uri,
            }
            for one in session.scalars(direct.order_by(UnattachedInvitee.id))
        ],
        "sign_in_links": [{"asked_at": iso(one.created_at), "used_at": _at(one.used_at)} for one in sign_ins],
    }


def _by_booking(
    session: Session, model: type[Any], ids: Sequence[int], *conditions: sa.ColumnElement[bool]
) -> Mapping[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in session.scalars(
        sa.select(model).where(model.booking_id.in_(ids), *conditions).order_by(model.id)
    ):
        found[row.booking_id].append(row)
    return found


def _booking(one: Booking, rows: Mapping[type[Any], list[Any]], mails: Sequence[Job]) -> dict[str, Any]:
    def each(model: type[Any], show: Callable[[Any], dict[str, Any]]) -> list[dict[str, Any]]:
        return [show(row) for row in rows[model]]

    return {
        "reference": one.ref,
        "title": one.title,
        "builder": one.builder.display_name,
        "status": one.status,
        "payment_status": one.payment_status,
        "paid_in_calendly": one.paid_in_calendly,
        "created_at": iso(one.created_at),
        "starts_at": _at(one.starts_at),
        "ends_at": _at(one.ends_at),
        "price": _money(one.price_minor, one.currency),
        "name": one.client_name,
        "address": one.client_email,
        "address_in_calendly": one.invitee_email or one.client_email,
        "time_zone": one.client_timezone,
        "language": one.language,
        "pathway": one.pathway,
        "answers": one.answers,
        "place": {"kind": one.place_kind, "place": one.place, "join": one.join_url},
        "missed_at": _at(one.no_show_at),
        "said_that_builder_did_not_come_at": _at(one.absence_claimed_at),
        "chosen_on_our_list": each(
            SlotRequest, lambda row: {"starts_at": iso(row.starts_at), "state": row.state, **row.details}
        ),
        "moves": each(Move, lambda row: {"from": iso(row.from_start), "to": _at(row.to_start), "by": row.by}),
        "payments": each(
            Payment,
            lambda row: {
                **_money(row.amount_minor, row.currency),
                "state": row.state,
                "at": iso(row.created_at),
                "stripe_checkout": row.checkout_session_id,
                "stripe_payment": row.payment_intent_id,
            },
        ),
        "refunds": each(
            Refund,
            lambda row: {
                **_money(row.amount_minor, row.currency),
                "state": row.state,
                "reason": row.reason,
                "at": iso(row.created_at),
            },
        ),
        "disputes": each(
            Dispute,
            lambda row: {
                **_money(row.amount_minor, row.currency),
                "status": row.status,
                "at": iso(row.created_at),
            },
        ),
        "mails": [
            {"mail": row.args["mail"], "at": iso(row.created_at), "state": row.state}
            for row in mails
            if not Mail(row.args["mail"]).to_builder
        ],
        "history": each(
            HistoryEntry,
            lambda row: {
                "at": iso(row.at),
                "from": row.from_status,
                "to": row.to_status,
                "event": row.event,
                "by": row.actor,
                "cause": row.cause,
                **impersonal(row.cause_facts),
            },
        ),
    }


def _money(minor: int, currency: str) -> dict[str, Any]:
    return {"amount_minor": minor, "currency": currency}


def _at(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None
