"""Runs whose pictures are not looked at: drawing them takes most of a small run's time."""

import pytest


@pytest.fixture(autouse=True)
def undrawn(request: pytest.FixtureRequest) -> None:
    """Pictures of one pixel, but for tests that are marked `drawn`."""
    if "drawn" not in request.keywords:
        request.getfixturevalue("blank_pictures")
