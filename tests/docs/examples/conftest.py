"""What the tests of the examples share."""

import runpy

import pytest

from tests.docs.examples.cases import EXAMPLES


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """What an example gave back, and the folder of its pictures; each is run once by the file that is about it."""
    done = {}

    def run(name):
        if name not in done:
            out = tmp_path_factory.mktemp(name)
            done[name] = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](out=out), out
        return done[name]

    return run
