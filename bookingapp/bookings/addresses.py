"""The client's e-mail addresses: to which ones mails go, and which of these mails may carry the booking's key.

Two addresses can differ: the one that was typed into our form, and the one that Calendly has, because the invitee
corrected it on Calendly's page. The key (the booking's ``ref``, in the link to its page) lets its holder see, move and
cancel the booking, so it may not go to a stranger, and of two addresses one is often a typing mistake:

- The client mistyped it in our form, noticed that in Calendly and corrected it there. Then ours is a stranger's.
- The client typed it right in our form and made a mistake in Calendly. Then Calendly's is a stranger's.
- Both are the client's own.

Nothing that we know tells these apart, so neither is trusted by itself: both get the mails, without the key. Two
things do prove an address. A link that was mailed to it was opened in the browser that booked (session types may ask
for that): then our address has the key, and Calendly's gets the mails without it. Or the client, who has the booking's
page open and so the key already, reads both addresses there and chooses one: that is the moment in which a mistake is
noticed. From then on the chosen address gets the mails, with the key, and the other one none.

Where Calendly has the address of our form, nothing was corrected, and it gets the key. "My bookings", which opens a
booking for the holder of an address, follows the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from bookingapp.bookings.models import Booking, EmailProof


@dataclass(frozen=True)
class MailAddress:
    """One address of the client, and whether mails to it may carry the booking's key."""

    email: str
    has_key: bool


def mail_addresses(booking: Booking) -> tuple[MailAddress, ...]:
    """The addresses that mails to the client go to; the first is the one to reach them at."""
    typed, theirs = booking.client_email, booking.invitee_email
    if theirs is None or booking.email_proof is EmailProof.CHOSEN:
        return (MailAddress(typed, has_key=True),)
    if booking.email_proof is EmailProof.LINK:
        return MailAddress(typed, has_key=True), MailAddress(theirs, has_key=False)
    return MailAddress(theirs, has_key=False), MailAddress(typed, has_key=False)


def contact_address(booking: Booking) -> str:
    """The address to reach the client at."""
    return mail_addresses(booking)[0].email


def has_open_choice(booking: Booking) -> bool:
    """Whether the client should say which of two addresses is right."""
    return booking.invitee_email is not None and booking.email_proof is None


def opens_for(email: str) -> sa.ColumnElement[bool]:
    """The bookings that the holder of a (normalized) address may open: those whose key that address may have."""
    is_known = sa.or_(Booking.invitee_email.is_(None), Booking.email_proof.is_not(None))
    return sa.and_(Booking.client_email == email, is_known)


def record_invitee_email(booking: Booking, email: str | None) -> None:
    """Record the (normalized) address that Calendly has of the invitee. A new one may have to be chosen again."""
    theirs = email if email != booking.client_email else None
    if email is None or theirs == booking.invitee_email:
        return
    booking.invitee_email = theirs
    if theirs is not None and booking.email_proof is EmailProof.CHOSEN:
        booking.email_proof = None


def choose_address(booking: Booking, *, theirs: bool) -> bool:
    """Record which address the client chose: the one that Calendly has, or that of our form. Returns whether there was
    a choice.
    """
    if not has_open_choice(booking):
        return False
    if theirs and booking.invitee_email is not None:
        booking.client_email, booking.invitee_email = booking.invitee_email, None
    booking.email_proof = EmailProof.CHOSEN
    return True
