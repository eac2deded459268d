"""How many builders are a small set, which decides how the directory reads them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bookingapp.directory import places


@pytest.fixture(params=[places.FEW, 1], ids=["small sets", "large sets"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small sets are looked up and sorted, large ones are read in the order of their places."""
    monkeypatch.setattr(places, "FEW", request.param)
    # It has that number in it.
    places._counting.cache_clear()
    yield
    places._counting.cache_clear()
