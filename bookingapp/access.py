"""Who may call which endpoint: one table, and the guards that it puts before each request.

What a builder may see of an object (a booking, a delivery) is decided by the query that finds it: another's object
is not found, and answers like one that does not exist.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

from flask import Flask, Response, request
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts.guard import (
    current_account,
    record_denial,
    require_builder,
    require_operator,
)

# Longer values are not logged: a booking's ``ref`` or a token that somebody has put in the place of an id.
LONGEST_ID = 24

Guard = Callable[[], Response | BaseResponse | None]


class Access(enum.StrEnum):
    """Who may call an endpoint."""

    PUBLIC = "public"  # Anyone.
    LINK = "link"  # Anyone who has the unguessable address of a booking; its view finds nothing by another.
    CLIENT = "client"  # A client, for the bookings of the address that is verified in this browser.
    BUILDER = "builder"  # A builder who is logged in, for their own objects.
    RETURNING = (
        "returning"  # A builder whom Calendly sends back; its view has a page of its own for anybody else.
    )
    OPERATOR = "operator"  # An operator who is logged in.
    SIGNATURE = "signature"  # A provider that signed the body; its view verifies it.
    NEAR = "near"  # A scraper on this machine or its private network; its view looks.


ACCESS: Mapping[Access, frozenset[str]] = {
    Access.PUBLIC: frozenset(
        {
            "static",
            "builders.index",
            "builders.profile",
            "builders.picture",
            "builders.robots",
            "builders.sitemap",
            "session_types.cards",
            "session_types.times",
            "bookings.new",
            "bookings.create",
            "checkout.landed",
            "accounts.login",
            "accounts.log_in",
            "accounts.logout",
            "onboarding.become",
            "onboarding.apply",
            "onboarding.applied",
            "onboarding.confirmation",
            "onboarding.confirm",
            "onboarding.invitation",
            "onboarding.accept",
            "accounts.second_step",  # For a log-in whose password was right; its view looks.
            "accounts.check_second_step",
            "accounts.forgot_password",
            "accounts.ask_for_reset",
            "accounts.reset_sent",
            "accounts.reset_password",  # From here on, the view finds nothing without the token of a link.
            "accounts.use_reset",
            "accounts.confirm_new_address",
            "accounts.use_new_address",
            "accounts.confirm_old_address",
            "accounts.use_old_address",
            "accounts.stop_by_old_address",
            "clients.ask",
            "clients.sent",
            "clients.link",
            "clients.confirm",
            "clients.forget",
            "privacy.notice",
            "privacy.erased",
            "operations.alive",
            "operations.ready",
        }
    ),
    Access.LINK: frozenset(
        {
            "checkout.show",
            "checkout.status",
            "checkout.schedule",
            "checkout.consent_to_calendar",
            "checkout.scheduled",
            "checkout.choose_address",
            "checkout.pay",
            "checkout.to_checkout",
            "checkout.check",
            "checkout.paid",
            "checkout.session_file",
            "checkout.confirm_cancel",
            "checkout.cancel",
            "bookings.again",
            "attendance.report_builder",
            "attendance.answer_no_show",
            "times.index",
            "times.choose",
        }
    ),
    Access.CLIENT: frozenset({"my_bookings.index", "privacy.download", "privacy.preview", "privacy.erase"}),
    Access.BUILDER: frozenset(
        {
            "dashboard.index",
            "dashboard.keep_unattached",
            "dashboard.bookings",
            "dashboard.bookings_file",
            "dashboard.booking_calendar",
            "dashboard.booking",
            "dashboard.cancel",
            "dashboard.confirm_cancel",
            "dashboard.cancel_event",
            "dashboard.no_show",
            "dashboard.seen",
            "dashboard.refund_warned",
            "dashboard.send_again",
            "dashboard.evidence",
            "dashboard.refund",
            "dashboard.confirm_refund",
            "dashboard.absence",
            "dashboard.confirm_absence",
            "dashboard.was_there",
            "dashboard.mails",
            "dashboard.send_mail_again",
            "dashboard.check_now",
            "dashboard.check_result",
            "dashboard.add_note",
            "dashboard.note",
            "dashboard.edit_note",
            "dashboard.delete_note",
            "dashboard.prices",
            "dashboard.publish",
            "dashboard.preview_card",
            "dashboard.move",
            "dashboard.check",
            "dashboard.connection",
            "dashboard.profile",
            "dashboard.preview_profile",
            "dashboard.upload_picture",
            "dashboard.describe_picture",
            "dashboard.remove_my_picture",
            "dashboard.save_policy",
            "dashboard.describe_policy",
            "deliveries.index",
            "deliveries.show",
            "deliveries.rehearsal",
            "deliveries.apply_again",
            "connections.connect",
            "connections.disconnect",
            "accounts.account",
            "accounts.password",
            "accounts.change_password",
            "accounts.address",
            "accounts.change_address",
            "accounts.stop_address_change",
            "accounts.log_ins",
            "accounts.end_log_in",
            "accounts.end_other_log_ins",
            "accounts.two_step",
            "onboarding.publish",
            "accounts.start_two_step",
            "accounts.set_up_two_step",
            "accounts.confirm_two_step",
            "accounts.new_recovery_codes",
            "accounts.turn_two_step_off",
        }
    ),
    Access.RETURNING: frozenset({"connections.callback"}),
    Access.OPERATOR: frozenset(
        {
            "operator.index",
            "operator.keep_unattached",
            "operator.bookings",
            "operator.booking",
            "operator.booking_act",
            "operator.builders",
            "operator.builder",
            "operator.builder_act",
            "operator.invitations",
            "operator.invite",
            "operator.invitation_act",
            "operator.applications",
            "operator.application",
            "operator.disputes",
            "operator.dispute",
            "operator.evidence",
            "operator.deliveries",
            "operator.delivery",
            "operator.rehearse_delivery",
            "operator.replay_delivery",
            "operator.set_delivery_aside",
            "operator.delivery_body",
            "operator.jobs",
            "operator.retry_job",
            "operator.state",
            "operator.acts",
            "operator.security",
            "operator.connections",
        }
    ),
    Access.SIGNATURE: frozenset({"webhooks.calendly", "webhooks.stripe"}),
    Access.NEAR: frozenset({"operations.metrics_page"}),
}

_GUARDS: Mapping[Access, Guard] = {Access.BUILDER: require_builder, Access.OPERATOR: require_operator}


def init_app(app: Flask) -> None:
    """Guard every endpoint that is registered by now.

    Raises :class:`RuntimeError` where the table and the application do not have the same endpoints.
    """
    access = {endpoint: kind for kind, endpoints in ACCESS.items() for endpoint in endpoints}
    if len(access) != sum(map(len, ACCESS.values())) or access.keys() != app.view_functions.keys():
        differing = sorted(access.keys() ^ app.view_functions.keys())
        raise RuntimeError(f"bookingapp/access.py: each endpoint needs one line of the table: {differing}")

    @app.before_request
    def _guard() -> Response | BaseResponse | None:
        guard = _GUARDS.get(access.get(request.endpoint or "", Access.PUBLIC))
        return guard() if guard else None

    @app.after_request
    def _record_denial(response: Response) -> Response:
        # Another's object looks like one that does not exist. Somebody who tries many of them shows in the record.
        is_private = access.get(request.endpoint or "") in _GUARDS
        if is_private and response.status_code in (403, 404) and (account := current_account()):
            values = (request.view_args or {}).items()
            record_denial(
                account, object={name: value for name, value in values if len(str(value)) <= LONGEST_ID}
            )
        return response
