"""What people who become builders are mailed. It is sent by :mod:`bookingapp.onboarding.tasks`."""

from __future__ import annotations

from bookingapp.accounts.models import Account, AccountLink
from bookingapp.builders.models import Builder
from bookingapp.core import clock
from bookingapp.core.i18n import gettext as _
from bookingapp.notifications.content import MailContent
from bookingapp.onboarding.models import Application


def compose_invitation(link: AccountLink, url: str, *, has_account: bool) -> MailContent:
    """An invitation with its link. ``has_account``: the address has an account, which becomes a builder's too."""
    subject = _("Your invitation to become a builder")
    return MailContent(
        subject=subject,
        heading=subject,
        greeting=_("Hello %(name)s,", name=link.facts["name"]),
        paragraphs=(
            _(
                "You are invited to offer sessions here: clients find you, choose a time and pay, all on one site."
            ),
            _(
                "Open the link: your account gets a builder's page. You log in with the password that you have."
            )
            if has_account
            else _("Open the link and choose a password."),
            _(
                "A short list then leads you through the rest: your profile, your Calendly account, your prices. It "
                "takes about a quarter of an hour."
            ),
        ),
        action=(_("Accept the invitation"), url),
        notes=(
            _(
                "The link works once, until %(day)s. Please keep it to yourself.",
                day=clock.day(link.expires_at, "UTC"),
            ),
            _("Not interested, or not meant for you? You can ignore this mail."),
        ),
    )


def compose_application_link(url: str) -> MailContent:
    """The link that confirms an application."""
    return _answer_to_applicant(
        _("Please confirm your application"),
        _(
            "Thank you for your interest in becoming a builder. Open the link and press the button there: then we "
            "read your application, and answer by mail."
        ),
        (_("Confirm my application"), url),
    )


def compose_application_waits(row: Application, operator: Account, url: str) -> MailContent:
    """To an operator: an application waits for an answer."""
    return MailContent(
        subject=_("%(name)s applies to become a builder", name=row.name),
        heading=_("An application waits for an answer"),
        greeting=_("Hello %(name)s,", name=operator.name),
        paragraphs=(
            _("%(name)s has applied to become a builder and confirmed their address.", name=row.name),
            _("You accept it with an invitation, or decline it with a sentence."),
        ),
        action=(_("See the application"), url),
    )


def compose_account_exists(url: str) -> MailContent:
    """To somebody who has an account and applied: where to log in."""
    return _answer_to_applicant(
        _("You have an account already"),
        _(
            "Somebody, probably you, applied to become a builder with this address. It has an account already."
        ),
        (_("Log in"), url),
    )


def _answer_to_applicant(subject: str, what: str, action: tuple[str, str]) -> MailContent:
    return MailContent(
        subject=subject,
        heading=subject,
        greeting=_("Hello,"),
        paragraphs=(what,),
        action=action,
        notes=(_("If that was not you, you can ignore this mail: nothing happens then."),),
    )


def compose_decline(row: Application, url: str) -> MailContent:
    """The operator's sentence."""
    return MailContent(
        subject=_("Your application to become a builder"),
        heading=_("Thank you for your application"),
        greeting=_("Hello %(name)s,", name=row.name),
        paragraphs=(
            _("We have read your application, and cannot take you on at the moment."),
            row.answer or "",
        ),
        action=(_("See the builders"), url),
    )


def compose_standing(builder: Builder, url: str) -> MailContent:
    """That a builder is suspended, or not any more."""
    action, greeting = (_("Go to your dashboard"), url), _("Hello %(name)s,", name=builder.display_name)
    if builder.suspended_at is not None:
        return MailContent(
            subject=_("Your page takes no bookings at the moment"),
            heading=_("Your page takes no bookings at the moment"),
            greeting=greeting,
            paragraphs=(
                _("We have paused your page. Clients cannot book you or find you in the directory."),
                builder.suspension_reason or "",
                _(
                    "Booked sessions still take place, so please hold them. To sort it out, please answer this "
                    "mail."
                ),
            ),
            action=action,
        )
    return MailContent(
        subject=_("Clients can book you again"),
        heading=_("Clients can book you again"),
        greeting=greeting,
        paragraphs=(_("Your page is no longer paused. You do not need to do anything."),),
        action=action,
    )
