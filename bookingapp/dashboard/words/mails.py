"""What mails about a booking are about, in a few words for its builder."""

from __future__ import annotations

from bookingapp.bookings.mail_triggers import Mail
from bookingapp.core.i18n import N_, gettext

MAILS_TO_CLIENT = {
    Mail.PAY_REMINDER: N_("a reminder to pay before the hold ends"),
    Mail.CONFIRMED_CLIENT: N_("the confirmation, with time, price and refund policy"),
    Mail.MOVED_CLIENT: N_("the new time"),
    Mail.PLACE_CLIENT: N_("another place, link or host"),
    Mail.ABSENCE_DENIED: N_("that the builder says that they were there"),
    Mail.ABSENCE_DISMISSED: N_("that the session counts as held"),
    Mail.NO_SHOW: N_("that they were marked as a no-show"),
    Mail.NO_SHOW_KEPT: N_("that the no-show mark stays"),
    Mail.NO_SHOW_REMOVED: N_("that the no-show mark was removed"),
    Mail.REMINDER_DAY: N_("the reminder a day before"),
    Mail.REMINDER_HOUR: N_("the reminder an hour before"),
    Mail.CANCELED_CLIENT: N_("the cancellation, with the amount of the refund"),
    Mail.EXPIRED_CLIENT: N_("that the hold had ended"),
    Mail.AMOUNT_REFUNDED: N_("that an amount is being refunded, and why"),
    Mail.PAYMENT_RETURNED: N_("that a payment is being refunded"),
    Mail.PAYMENT_FAILED: N_("that a payment failed"),
    Mail.TIME_GONE: N_("that the chosen time could not be booked, and that another can be chosen"),
    Mail.PAYMENT_RELEASED: N_("that the authorized payment was released"),
    Mail.REFUND_WAITS: N_("that Stripe asks where to send a refund"),
    Mail.REFUND_FAILED: N_("that a refund could not be delivered"),
}
_MAILS_TO_BUILDER = {
    Mail.CONFIRMED_BUILDER: N_("the new booking"),
    Mail.MOVED_BUILDER: N_("the new time"),
    Mail.ABSENCE_ASKED_BUILDER: N_("the question whether you came"),
    Mail.ABSENCE_WITHDRAWN_BUILDER: N_("that the client says that you came after all"),
    Mail.ABSENCE_DENIED_BUILDER: N_("that a person looks at who came"),
    Mail.ABSENCE_DISMISSED_BUILDER: N_("that the session counts as held"),
    Mail.NO_SHOW_DENIED_BUILDER: N_("that the client says that they were there"),
    Mail.NO_SHOW_KEPT_BUILDER: N_("that the no-show mark stays"),
    Mail.REMINDER_DAY_BUILDER: N_("the reminder a day before"),
    Mail.REMINDER_HOUR_BUILDER: N_("the reminder an hour before"),
    Mail.CANCELED_BUILDER: N_("the cancellation"),
    Mail.REFUNDED_BUILDER: N_("that an operator refunded the client"),
    Mail.REFUNDED_OUTSIDE_BUILDER: N_("the question whether the session is still on"),
    Mail.DISPUTED_BUILDER: N_("the dispute, with the day to answer by"),
    Mail.DISPUTE_CLOSED_BUILDER: N_("how the dispute ended"),
    Mail.FRAUD_WARNING_BUILDER: N_("the card network's warning of fraud"),
    Mail.PAYMENT_REFUSED_BUILDER: N_("that Stripe does not accept the payment"),
    Mail.REFUND_REFUSED_BUILDER: N_("that Stripe refused a refund"),
    Mail.REFUND_FAILED_BUILDER: N_("that a refund could not be delivered"),
}


def mail_label(mail: Mail) -> str:
    """What a mail was about."""
    return gettext({**MAILS_TO_CLIENT, **_MAILS_TO_BUILDER}[mail])


def given_up_line(mail: Mail, client: str) -> str:
    """A mail that was not delivered, and to whom."""
    if mail.to_builder:
        return gettext("To you: %(mail)s", mail=mail_label(mail))
    return gettext("To %(client)s: %(mail)s", client=client, mail=mail_label(mail))
