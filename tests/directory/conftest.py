"""How many builders are a small set, which decides how the directory reads and counts them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bookingapp.directory import places, service


@pytest.fixture(
    params=[(places.FEW, service.COUNTED), (1, service.COUNTED), (30, 29)],
    ids=["small sets", "large sets", "large sets that are known to be more than are counted"],
)
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small sets are looked up and sorted, large ones are read in the order of their places."""
    few, counted = request.param
    monkeypatch.setattr(places, "FEW", few)
    monkeypatch.setattr(service, "COUNTED", counted)
    # It has the first number in it.
    places._counting.cache_clear()
    yield
    places._counting.cache_clear()
