"""The codes that are stored of accounts. Their words are made where they are shown."""

from __future__ import annotations

import enum


class LinkPurpose(enum.StrEnum):
    """What a link that works once is for."""

    RESET_PASSWORD = "reset_password"  # noqa: S105 - a code, no password.
    CONFIRM_NEW_ADDRESS = "confirm_new_address"
    CONFIRM_OLD_ADDRESS = "confirm_old_address"
    INVITATION = "invitation"
    APPLICATION = "application"  # Confirms the address of somebody who applies to become a builder.


class SecondStep(enum.StrEnum):
    """Where a log-in is with its second step."""

    NOT_NEEDED = "not_needed"
    DUE = "due"  # The password was right, the code is still to come: this opens nothing.
    PASSED = "passed"


class LogInEnd(enum.StrEnum):
    """How a log-in was ended. Without one of these it expires by its times."""

    LOGGED_OUT = "logged_out"
    BY_OWNER = "by_owner"  # From the list of log-ins, in another browser.
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a code, no password.
    TWO_STEP_ON = "two_step_on"
    RESET = "reset"  # By an operator.


class SecurityCode(enum.StrEnum):
    """What happened to an account, or was refused."""

    LOGGED_IN = "logged_in"
    NEW_BROWSER = "new_browser"  # Logged in, in a browser that was not seen before.
    LOG_IN_FAILED = "log_in_failed"
    SECOND_STEP_FAILED = "second_step_failed"
    LOGGED_OUT = "logged_out"
    LOG_IN_ENDED = "log_in_ended"
    OTHERS_ENDED = "others_ended"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a code, no password.
    RESET_ASKED = "reset_asked"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a code, no password.
    PASSWORD_REFUSED = "password_refused"  # noqa: S105 - a wrong one, where a change needs it.
    ADDRESS_CHANGE_ASKED = "address_change_asked"
    ADDRESS_CHANGE_STOPPED = "address_change_stopped"
    ADDRESS_CHANGED = "address_changed"
    ADDRESS_SET = "address_set"  # By an operator, for an owner who cannot read the old one any more.
    TWO_STEP_ON = "two_step_on"
    TWO_STEP_OFF = "two_step_off"
    RECOVERY_CODE_USED = "recovery_code_used"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    ACCOUNT_RESET = "account_reset"
    MADE_OPERATOR = "made_operator"
    DENIED = "denied"  # A page or an object that is not this account's.
