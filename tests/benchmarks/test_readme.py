"""README's figures: made from records by command, with day and commit; what is not recorded keeps its words."""

import json
import re
import sys

import pytest

from benchmarks import harness, readme

ROWS = {
    "benchmarks.adapting.ring": [
        harness.row("ring10 80x80", "0.0300 in 0.4 s", effort=0.3, movement=""),
        {"case": "ring10 80x80", "effort": 0.1, "imbalance": 0.0432, "seconds": 0.15, "inverted": 0},
        {"case": "ring10 80x80", "effort": 0.3, "imbalance": 0.0301, "seconds": 0.352, "inverted": 0},
    ],
    "benchmarks.adapting.cube": [
        harness.row("162000 tetrahedra: imbalance", "1.180 -> 0.057", "<= 1/4", True),
        harness.row("seconds", 12.3, "< 30", True),
    ],
    "benchmarks.adapting.growth": [
        harness.row(f"by {way}: {what}", value)
        for way in readme.GROWTH
        for what, value in (("exponent of the time", 1.01), ("a million, seconds", 59.7), ("a million, GB", 1.62))
    ],
    "benchmarks.dmm.aligning": [
        harness.row("Poisson task 15x15, alone: mean cut, least; CPU ms", "38.7, 13.1 %; 82 ms"),
        harness.row("Poisson task 15x15, classical: mean cut, least; CPU ms", "42.6, 16.5 %; 281 ms"),
        *(
            harness.row(f"{what}, network {name} / classical, median of 8", 1.1)
            for name in ("alone", "with steps")
            for what in ("L2 error", "H1 error", "time")
        ),
    ],
    "benchmarks.hypino.run --only projection": [
        harness.row("projection HT", 2.1e-15, seconds=0.11, unknowns=90),
        harness.row("projection PS-L", 8.3e-6, seconds=2.3, unknowns=900),
    ],
    "benchmarks.hypino.hard --seed 1127 --limit 156": [harness.row("all (156)", 0.968, factor=10.2, worst=0.4)],
}  # fmt: skip
WORDS = (
    "0.043 in 0.15 s, 0.030 in 0.35 s", "imbalance 1.180 -> 0.057 in 12 s", "60 s, 1.6 GB; 60 s, 1.6 GB; time grows",
    "38.7, 13.1 %; 82 ms; the classical default 42.6, 16.5 %; 281 ms", "HT 2e-15, PS-L 8e-06, in 0.1 to 2.3 s",
    "above the true one in 96.8 %, 10 times",
)  # fmt: skip


@pytest.fixture
def results(tmp_path, monkeypatch):
    for module in (harness, readme):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    return tmp_path


def test_words_are_made_from_the_rows_that_the_benchmarks_give(results):
    found = {command: {"day": "2026-12-01", "commit": "abc1234", "rows": rows} for command, rows in ROWS.items()}
    (results / "some-processor.json").write_text(json.dumps(found))
    block = readme.block()
    assert all(words in block for words in WORDS)
    assert block.count("| 2026-12-01, abc1234 |") == len(ROWS) + 1  # two figures are of one command
    left = list(readme.to_record(False))
    assert [
        c for c in left if "ring" in c or "hard" in c
    ] == [] and "python -m benchmarks.adapting.suite --record" in left


def test_what_is_not_recorded_keeps_its_words_and_is_listed(results):
    block = readme.block()
    assert all(f.before in block for f in readme.FIGURES if f.before) and "2026" not in block
    assert set(readme.to_record(False)) == set(readme.to_record(True))


def test_a_record_is_kept_by_its_command_with_day_and_commit(results):
    module = readme.Path("benchmarks/adapting/ring.py")
    file = harness.record(module, {"rows": [1]}, ["--quick", "--record", "--json", "x.json"])
    harness.record(module, {"rows": [2]}, ["--record"])
    known = json.loads(file.read_text())
    assert {k: v["rows"] for k, v in known.items()} == {
        "benchmarks.adapting.ring --quick": [1], "benchmarks.adapting.ring": [2],
    }  # fmt: skip
    assert all(re.fullmatch(r"[0-9a-f]{7}\+?|", v["commit"]) for v in known.values())


def test_commands_are_listed_for_a_shell(results, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["readme", "--missing"])
    assert readme.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines and all(re.fullmatch(r"python -m benchmarks\.\S+.* --record", line) for line in lines)
