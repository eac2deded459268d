"""What mails about accounts say: the links that work once, and what happened to an account, with what to do if it was
not its owner. They are sent by :mod:`bookingapp.notifications.account_jobs`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bookingapp.accounts.codes import LinkPurpose, SecurityCode
from bookingapp.accounts.models import AccountLink, SecurityEvent
from bookingapp.accounts.origins import describe_browser, describe_network
from bookingapp.core import clock
from bookingapp.core.i18n import gettext as _
from bookingapp.notifications.content import MailContent


@dataclass(frozen=True)
class AccountReader:
    """Who reads a mail about an account, and the addresses of the pages that it names."""

    name: str
    email: str
    timezone: str
    account_url: str
    log_ins_url: str
    forgot_url: str


def compose_link_mail(link: AccountLink, reader: AccountReader, url: str) -> MailContent:
    """A mail with a link that works once."""
    return _LINK_MAILS[link.purpose](link, reader, url)


def _reset_mail(link: AccountLink, reader: AccountReader, url: str) -> MailContent:
    return MailContent(
        subject=_("Choose another password"),
        heading=_("Choose another password"),
        greeting=_("Hello %(name)s,", name=reader.name),
        paragraphs=(
            _("Somebody asked for a link to choose another password for your account, most likely you."),
            _(
                "The link works once, for an hour. Your present password stays until you have chosen another one."
            ),
        ),
        facts=_place(str(link.facts.get("user_agent", "")), str(link.facts.get("network", ""))),
        action=(_("Choose a password"), url),
        notes=(
            _("You did not ask for this? Then you need not do anything: without the link nothing changes."),
        ),
    )


def _new_address_mail(link: AccountLink, _reader: AccountReader, url: str) -> MailContent:
    return MailContent(
        subject=_("Confirm your new e-mail address"),
        heading=_("Confirm your new e-mail address"),
        greeting=_("Hello,"),
        paragraphs=(
            _(
                "An account on our site is about to use %(email)s. Please confirm that it is yours.",
                email=link.email,
            ),
            _("The present address has to confirm as well. The link works once, for a day."),
        ),
        action=(_("See and confirm"), url),
        notes=(_("This is not yours, or you did not ask for it? Then you need not do anything."),),
    )


def _old_address_mail(link: AccountLink, reader: AccountReader, url: str) -> MailContent:
    return MailContent(
        subject=_("Your e-mail address is about to change"),
        heading=_("Your e-mail address is about to change"),
        greeting=_("Hello %(name)s,", name=reader.name),
        paragraphs=(
            _(
                "You asked to log in as %(email)s from now on. Please confirm that here; the new address has to confirm"
                " as well. The link works once, for a day.",
                email=str(link.facts.get("new_email", "")),
            ),
        ),
        action=(_("Confirm or stop it"), url),
        notes=(
            _(
                "You did not ask for this? Open the link and stop it, then change your password: somebody else was"
                " logged in as you."
            ),
        ),
    )


_LINK_MAILS: dict[LinkPurpose, Callable[[AccountLink, AccountReader, str], MailContent]] = {
    LinkPurpose.RESET_PASSWORD: _reset_mail,
    LinkPurpose.CONFIRM_NEW_ADDRESS: _new_address_mail,
    LinkPurpose.CONFIRM_OLD_ADDRESS: _old_address_mail,
}


def compose_notice(event: SecurityEvent, reader: AccountReader) -> MailContent:
    """A mail about something that happened to the account."""
    subject, *paragraphs = _notice_words(event.code, reader)
    return MailContent(
        subject=subject,
        heading=subject,
        greeting=_("Hello %(name)s,", name=reader.name),
        paragraphs=tuple(paragraphs),
        facts=(
            (_("When"), clock.day_time(event.at, reader.timezone)),
            *_place(event.user_agent, event.network),
        ),
        action=(_("See your log-ins"), reader.log_ins_url),
        notes=(_("You did not ask for this? Then please answer this mail, or write to us, at once."),)
        if event.code is SecurityCode.ADDRESS_SET
        else (
            _("It was you? Then you need not do anything."),
            _(
                "It was not you? Choose another password now: %(url)s. That logs everybody out. Then check your"
                " account, and write to us if something is wrong.",
                url=reader.forgot_url,
            ),
        ),
    )


def _notice_words(code: SecurityCode, reader: AccountReader) -> tuple[str, ...]:
    """The subject, and what it means."""
    words = {
        SecurityCode.NEW_BROWSER: lambda: (
            _("A log-in from a new browser"),
            _("Your account was logged in to from a browser that we had not seen before."),
        ),
        SecurityCode.PASSWORD_CHANGED: lambda: (
            _("Your password was changed"),
            _("All other browsers were logged out."),
        ),
        SecurityCode.PASSWORD_RESET: lambda: (
            _("Your password was reset"),
            _(
                "Another password was chosen with the link that we had sent. All other browsers were logged out."
            ),
        ),
        SecurityCode.ADDRESS_CHANGED: lambda: (
            _("Your e-mail address was changed"),
            _("Both addresses have confirmed it. From now on, log in as %(email)s.", email=reader.email),
        ),
        SecurityCode.ADDRESS_SET: lambda: (
            _("Your e-mail address was changed"),
            _(
                "An operator of the site changed it, because you no longer receive mail at your old address. From"
                " now on, log in as %(email)s. You are logged out everywhere.",
                email=reader.email,
            ),
        ),
        SecurityCode.TWO_STEP_ON: lambda: (
            _("Two-step log-in is on"),
            _("From now on, each log-in needs a code from your phone. Keep your recovery codes."),
        ),
        SecurityCode.TWO_STEP_OFF: lambda: (
            _("Two-step log-in is off"),
            _("The password alone logs in to your account."),
        ),
        SecurityCode.RECOVERY_CODE_USED: lambda: (
            _("A recovery code was used"),
            _(
                "Somebody logged in with your password and one of your recovery codes. That code no longer works."
            ),
        ),
        SecurityCode.RECOVERY_CODES_MADE: lambda: (
            _("You have new recovery codes"),
            _("Your earlier recovery codes no longer work."),
        ),
        SecurityCode.ACCOUNT_RESET: lambda: (
            _("Your account was reset"),
            _(
                "An operator of the site has logged you out everywhere, and will give you a link to choose a password."
            ),
        ),
        SecurityCode.MADE_OPERATOR: lambda: (
            _("You are an operator now"),
            _("Your account can use the operators' console. It asks you to set up two-step log-in first."),
        ),
    }
    return words[code]()


def _place(user_agent: str, network: str) -> tuple[tuple[str, str], ...]:
    """Browser and network; nothing for the command line, which has neither."""
    if not user_agent and not network:
        return ()
    return (_("Browser"), describe_browser(user_agent)), (_("Network"), describe_network(network))
