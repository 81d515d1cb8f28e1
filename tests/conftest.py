"""What every test runs under."""

import gc

import pytest
from hypothesis import settings

settings.register_profile("meshmove", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("meshmove")

#: names by which a module of tests starts threads
THREADS = {"ThreadPoolExecutor", "ProcessPoolExecutor", "multiprocessing", "threading", "on_ranks"}


@pytest.fixture(scope="module", autouse=True)
def windows_are_gone(request):
    """Windows that earlier tests left to the collector go in the thread that made them; others cannot close them."""
    if THREADS & set(vars(request.module)):
        gc.collect()
