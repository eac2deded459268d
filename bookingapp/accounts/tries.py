"""Limits on tries of passwords and codes, and on links to reset a password. A browser that has logged in to the account
before has a limit of its own, so that strangers do not lock it out. All other browsers share the account's limit, and
are counted by network address too.
"""

from __future__ import annotations

from dataclasses import dataclass

from bookingapp.core import quotas


@dataclass(frozen=True)
class Tries:
    """The tries of one browser at one account: ``account`` is what was entered, whether there is such an account or
    not. ``browser`` is its hash where it has logged in to this account before.
    """

    account: str
    browser: str | None
    address: str

    def spend_password(self) -> int:
        """Count a try of a password. Returns 0, or the seconds to wait."""
        if self.browser is not None:
            return quotas.try_spend(quotas.LOG_INS_OF_BROWSER, self.account, self.browser)
        wait = quotas.seconds_until_left(quotas.FAILED_LOG_INS, self.address)
        return wait or quotas.try_spend(quotas.LOG_INS, self.account)

    def spend_code(self) -> int:
        """Count a try of a second step. Returns 0, or the seconds to wait."""
        if self.browser is not None:
            return quotas.try_spend(quotas.SECOND_STEPS_OF_BROWSER, self.account, self.browser)
        return quotas.try_spend(quotas.SECOND_STEPS, self.account)

    def spend_reset(self) -> int:
        """Count a link that resets the password. Returns 0, or the seconds to wait."""
        if self.browser is not None:
            return quotas.try_spend(quotas.RESET_LINKS_OF_BROWSER, self.account, self.browser)
        return quotas.try_spend(quotas.RESET_LINKS, self.account)

    def record_failure(self) -> None:
        """Count a wrong password."""
        if self.browser is None:
            quotas.try_spend(quotas.FAILED_LOG_INS, self.address)

    def forget_passwords(self) -> None:
        """The password was right: all tries are left again."""
        if self.browser is not None:
            quotas.forget(quotas.LOG_INS_OF_BROWSER, self.account, self.browser)
        else:
            quotas.forget(quotas.LOG_INS, self.account)
