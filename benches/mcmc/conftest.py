"""Processes of peers, which end with the test that starts them."""

import pytest

from benches.mcmc.apart import Apart


@pytest.fixture
def apart():
    """Start a peer, or return why that is impossible; see `Apart`."""
    running = []

    def start(*args, **options):
        try:
            running.append(Apart(*args, **options))
        except RuntimeError as why:
            return str(why)
        return running[-1]

    yield start
    for each in running:
        each.close()
