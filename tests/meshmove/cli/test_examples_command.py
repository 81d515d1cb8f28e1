"""`meshmove examples`: what there is, and copies that run where they are."""

import pytest
from typer.testing import CliRunner

from meshmove.cli import examples
from meshmove.cli.commands import app


def test_all_are_listed_with_a_title():
    titles = examples.found()
    assert {"poisson_steep", "cylinder_channel", "heat_rod"} <= set(titles) and all(titles.values())
    listed = CliRunner().invoke(app, ["examples"]).stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(titles)


def test_a_copy_has_its_data_and_replaces_nothing(tmp_path):
    first = CliRunner().invoke(app, ["examples", "cylinder_channel", "--out", str(tmp_path)])
    assert first.exit_code == 0
    names = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert {"cylinder_channel.py", "data/channel.msh", "data/channel_reference.npz"} <= names
    again = CliRunner().invoke(app, ["examples", "cylinder_channel", "--out", str(tmp_path)])
    assert again.exit_code == 1 and "not there yet" in again.stderr


@pytest.mark.parametrize("name", ["poisson_stee", "poisson_stee.py"])
def test_a_name_that_is_none(name, tmp_path):
    result = CliRunner().invoke(app, ["examples", name, "--out", str(tmp_path)])
    assert result.exit_code == 2 and "did you mean 'poisson_steep'" in " ".join(result.stderr.split())
    assert not list(tmp_path.iterdir())
