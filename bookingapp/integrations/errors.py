"""What the errors of both providers share. Each provider's own errors are in its package's ``errors``."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import ClassVar

from bookingapp.outcomes import Failure


@dataclass(eq=False, repr=False)
class ProviderError(Exception):
    """Base of all errors of providers: ``str()`` is for the log, ``user_message`` for a page (through gettext).

    ``status`` is the HTTP status where there was an answer, ``retry_after`` a hint in seconds. An error that only a
    person can cure has ``awaits``: a queue keeps the work until that is done.
    """

    category: ClassVar[Failure]
    retryable: ClassVar[bool] = False
    user_message: ClassVar[str]

    # Exception itself keeps it, for str().
    message: InitVar[str]
    status: int | None = field(default=None, kw_only=True)
    retry_after: float | None = field(default=None, kw_only=True)
