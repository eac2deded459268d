"""The names of people, as they are stored."""

from __future__ import annotations

import re

from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import gettext
from bookingapp.text import one_line

# Mail programs make a link of it, and our mails would carry it to strangers. "Dr.Li" and "St.John" are names.
_WEB_ADDRESS = re.compile(
    r"://|www\.|[\w-]{3,}\.(?:[a-z]{2}|(?i:com|net|org|info|biz|xyz|top|site|online|shop|store|club|live|link|click|app"
    r"|dev|tech|space|website|page|pro|icu|vip|example))(?!\w)",
)


def normalize_name(text: str) -> str:
    """A person's name: one line, with what joins the letters of a word. Raises :class:`Invalid` for any other text."""
    if len(text.strip().splitlines()) > 1:
        raise Invalid(gettext("Please write your name on one line."))
    name = one_line(text)
    if not name:
        raise Invalid(gettext("Please enter your name."))
    if _WEB_ADDRESS.search(name):
        raise Invalid(gettext("Please enter your name without a web address."))
    return name
