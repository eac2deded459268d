"""What builders read above and below a list of bookings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bookingapp.core.i18n import lazy_gettext
from bookingapp.dashboard.listing import Sort

SORTS: Final[Mapping[Sort, str]] = {
    Sort.NEXT: lazy_gettext("Ahead, the next first"),
    Sort.PAST: lazy_gettext("Past, the latest first"),
    Sort.LATEST: lazy_gettext("All, the latest first"),
    Sort.EARLIEST: lazy_gettext("All, the earliest first"),
    Sort.NEWEST: lazy_gettext("Booked last"),
    Sort.OLDEST: lazy_gettext("Booked first"),
    Sort.HIGHEST: lazy_gettext("Highest amount"),
    Sort.LOWEST: lazy_gettext("Lowest amount"),
    Sort.NAME: lazy_gettext("Name, A to Z"),
    Sort.NAME_BACK: lazy_gettext("Name, Z to A"),
}
