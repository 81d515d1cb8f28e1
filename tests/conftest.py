"""What every test runs under."""

import signal

import pytest
from hypothesis import settings

settings.register_profile("meshmove", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("meshmove")


@pytest.fixture(scope="module", autouse=True)
def broken_pipes_raise():
    """Tests that call Gmsh themselves leave SIGPIPE deadly behind, to the first later test that closes a pipe."""
    yield
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.getsignal(signal.SIGPIPE))
