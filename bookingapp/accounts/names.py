"""The names of people, as they are stored."""

from __future__ import annotations

import re
import unicodedata

from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import gettext
from bookingapp.text import one_line, without_joiners

# Mail programs make a link of it, and our mails would carry it to strangers: an address with its scheme or a path, four
# numbers, or a word with a well-known ending. "Dr.Li", "St.John" and "John Smith.jr" are names.
_WEB_ADDRESS = re.compile(
    r"://|www\.|\w\.\w+/|\b\d{1,3}(?:\.\d{1,3}){3}\b|[\w-]{3,}\.(?!(?:jr|sr)\b)(?:[a-z]{2}|com|net|org|info|biz|xyz|top|site"
    r"|online|shop|store|club|live|link|click|app|dev|tech|space|website|page|pro|icu|vip|cloud|money|cash|fun|help"
    r"|support|bank|mobi|рф|онлайн|сайт|укр|бел|中国|公司|网络|在线"
    r"|example)(?!\w)",
    re.IGNORECASE,
)


def normalize_name(text: str) -> str:
    """A person's name: one line, with what joins the letters of a word. Raises :class:`Invalid` for any other text."""
    if len(text.strip().splitlines()) > 1:
        raise Invalid(gettext("Please write your name on one line."))
    name = one_line(text)
    if not name:
        raise Invalid(gettext("Please enter your name."))
    # Browsers read an address without joiners, and with any of these dots.
    plain = without_joiners(unicodedata.normalize("NFKC", name)).replace("\N{IDEOGRAPHIC FULL STOP}", ".")
    if _WEB_ADDRESS.search(plain):
        raise Invalid(gettext("Please enter your name without a web address."))
    return name
