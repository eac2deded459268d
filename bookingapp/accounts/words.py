"""Log-ins and security events in words, for the account's owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bookingapp.accounts.codes import LogInEnd, SecondStep, SecurityCode
from bookingapp.accounts.models import LogIn, SecurityEvent
from bookingapp.accounts.origins import describe_browser, describe_network
from bookingapp.core.i18n import gettext, lazy_gettext

_ENDS: Mapping[LogInEnd, str] = MappingProxyType(
    {
        LogInEnd.LOGGED_OUT: lazy_gettext("Logged out"),
        LogInEnd.BY_OWNER: lazy_gettext("Ended by you, from another browser"),
        LogInEnd.PASSWORD_CHANGED: lazy_gettext("Ended when the password was changed"),
        LogInEnd.TWO_STEP_ON: lazy_gettext("Ended when two-step log-in was turned on"),
        LogInEnd.RESET: lazy_gettext("Ended by an operator, who reset the account"),
    }
)

_EVENTS: Mapping[SecurityCode, str] = MappingProxyType(
    {
        SecurityCode.LOGGED_IN: lazy_gettext("Logged in"),
        SecurityCode.NEW_BROWSER: lazy_gettext("Logged in, from a browser we had not seen before"),
        SecurityCode.LOG_IN_FAILED: lazy_gettext("Wrong password"),
        SecurityCode.SECOND_STEP_FAILED: lazy_gettext("Right password, but a wrong code"),
        SecurityCode.LOGGED_OUT: lazy_gettext("Logged out"),
        SecurityCode.LOG_IN_ENDED: lazy_gettext("Logged another browser out"),
        SecurityCode.OTHERS_ENDED: lazy_gettext("Logged all other browsers out"),
        SecurityCode.PASSWORD_CHANGED: lazy_gettext("Password changed"),
        SecurityCode.RESET_ASKED: lazy_gettext("Link to reset the password asked for"),
        SecurityCode.PASSWORD_RESET: lazy_gettext("Password reset by a link"),
        SecurityCode.PASSWORD_REFUSED: lazy_gettext("Wrong password entered for a change"),
        SecurityCode.ADDRESS_CHANGE_ASKED: lazy_gettext("Change of e-mail address asked for"),
        SecurityCode.ADDRESS_CHANGE_STOPPED: lazy_gettext("Change of e-mail address stopped"),
        SecurityCode.ADDRESS_CHANGED: lazy_gettext("E-mail address changed"),
        SecurityCode.ADDRESS_SET: lazy_gettext("E-mail address changed by an operator"),
        SecurityCode.TWO_STEP_ON: lazy_gettext("Two-step log-in turned on"),
        SecurityCode.TWO_STEP_OFF: lazy_gettext("Two-step log-in turned off"),
        SecurityCode.RECOVERY_CODE_USED: lazy_gettext("Recovery code used"),
        SecurityCode.RECOVERY_CODES_MADE: lazy_gettext("New recovery codes made"),
        SecurityCode.ACCOUNT_RESET: lazy_gettext("Account reset by an operator"),
        SecurityCode.MADE_OPERATOR: lazy_gettext("Made an operator"),
        SecurityCode.DENIED: lazy_gettext("Asked for a page that is not theirs"),
    }
)


@dataclass(frozen=True)
class LogInWords:
    """A log-in with its place in words."""

    row: LogIn
    browser: str
    network: str


def log_in_words(log_in: LogIn) -> LogInWords:
    """A log-in for the list."""
    return LogInWords(log_in, describe_browser(log_in.user_agent), describe_network(log_in.network))


def describe_end(log_in: LogIn) -> str:
    """How a log-in ended."""
    if log_in.ended_how is not None:
        return str(_ENDS[log_in.ended_how])
    if log_in.second_step is SecondStep.DUE:
        return gettext("The password was right, but no code was entered")
    return gettext("Expired after two idle hours, or a day")


def describe_event(event: SecurityEvent) -> str:
    """What happened, as the owner reads it."""
    return str(_EVENTS[event.code])
