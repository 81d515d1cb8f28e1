"""Weights come back as they were written, and damaged or foreign files do not come at all."""

import pickle
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from meshmove.geometry import MeshmoveError
from meshmove.learning.weights import read_weights, shipped, write_weights
from meshmove.neural import DMM, Settings, WeightsError
from meshmove.neural import dmm as module
from tests.meshmove.neural.cases import batch_of, bump, cube, model_of


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return model_of(head=0.1, layers=1).save_pretrained(tmp_path_factory.mktemp("weights") / "model.safetensors")


def test_a_model_comes_back_bit_for_bit(tmp_path):
    model = model_of(head=0.1, layers=1, distortion=0.004)
    path = model.save_pretrained(str(tmp_path / "new" / "folder" / "model.safetensors"))
    again = DMM.from_pretrained(path)
    assert again.settings == model.settings and not again.training
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))
    batch = batch_of(cube("triangle"))
    with torch.no_grad():
        assert torch.equal(model(batch, bump).points, again(batch, bump).points)
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]
    again.save_pretrained(path)  # over the old one
    assert DMM.from_pretrained(str(path)).settings == model.settings


def test_half_precision_is_read_as_single(tmp_path):
    path = model_of(head=0.1).half().save_pretrained(tmp_path / "half.safetensors")
    assert path.stat().st_size < model_of().save_pretrained(tmp_path / "full.safetensors").stat().st_size
    assert all(p.dtype == torch.float32 for p in DMM.from_pretrained(path).parameters())


def test_files_are_readable_by_those_who_may_read_the_folder(written):
    other = written.with_name("plain")
    other.write_text("")
    assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_what_is_not_there_is_told_with_what_is(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(WeightsError, match=r"shipped model \(none\).*got 'dmm-9d'"):
        DMM.from_pretrained("dmm-9d")
    model_of().save_pretrained(tmp_path / "dmm-2d.safetensors")
    assert shipped(tmp_path) == ["dmm-2d"]
    assert DMM.from_pretrained().settings.width == 8
    for name in ("dmm-3d", tmp_path / "nowhere.safetensors", "", tmp_path):
        with pytest.raises(WeightsError, match="dmm-2d"):
            DMM.from_pretrained(name)


def test_it_is_an_error_of_ours_and_a_value_error():
    assert issubclass(WeightsError, MeshmoveError) and issubclass(WeightsError, ValueError)


@pytest.mark.parametrize("length", [0, 4, 100, -1, -1000])
def test_truncated_files_are_refused(written, tmp_path, length):
    short = tmp_path / "short.safetensors"
    short.write_bytes(written.read_bytes()[:length])
    with pytest.raises(WeightsError, match="truncated"):
        DMM.from_pretrained(short)


@given(place=st.floats(0, 1, exclude_max=True), early=st.booleans(), change=st.integers(1, 255))
@settings(max_examples=150)
def test_no_byte_may_change(written, place, early, change):
    data = bytearray(written.read_bytes())
    header = 8 + int.from_bytes(data[:8], "little")
    data[int(place * (header if early else len(data)))] ^= change
    bad = written.with_name("altered.safetensors")
    bad.write_bytes(data)
    with pytest.raises(WeightsError):
        DMM.from_pretrained(bad)


def test_altered_values_and_settings_are_told_by_their_hash(written, tmp_path):
    bad, data = tmp_path / "bad.safetensors", written.read_bytes()
    for other in (data[:-1] + bytes([data[-1] ^ 1]), data.replace(b"0.002", b"0.003")):
        assert other != data
        bad.write_bytes(other)
        with pytest.raises(WeightsError, match="hash differs"):
            DMM.from_pretrained(bad)


def test_other_kinds_and_versions_are_refused(tmp_path, monkeypatch):
    path = write_weights(tmp_path / "other.safetensors", "hypino", {}, {"a": torch.zeros(2)})
    with pytest.raises(WeightsError, match="kind 'dmm'.*'hypino'"):
        DMM.from_pretrained(path)
    save_file({"a": torch.zeros(2)}, tmp_path / "plain.safetensors")
    with pytest.raises(WeightsError, match="no kind"):
        DMM.from_pretrained(tmp_path / "plain.safetensors")
    monkeypatch.setattr("meshmove.learning.weights.VERSION", 99)
    path = model_of().save_pretrained(tmp_path / "new.safetensors")
    monkeypatch.undo()
    with pytest.raises(WeightsError, match="version 1 .*got 99.*train again"):
        DMM.from_pretrained(path)


def test_pickles_are_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(WeightsError, match="safetensors file"):
        DMM.from_pretrained(path)
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="safetensors file"):
        DMM.from_pretrained(path)


@pytest.mark.parametrize("other", [{"width": 16}, {"layers": 1}, {"inverse_rounds": 1}])
def test_tensors_that_do_not_fit_the_settings_are_refused(tmp_path, other):
    kept, given_ = model_of(), model_of(**other)
    path = write_weights(tmp_path / "m.safetensors", "dmm", kept.settings.as_dict(), given_.state_dict())
    with pytest.raises(WeightsError, match="weights of a DMM"):
        DMM.from_pretrained(path)


@pytest.mark.parametrize("changed", [{"depth": 3}, {"width": "8"}, {"width": None}])
def test_settings_that_mean_nothing_are_refused(tmp_path, changed):
    facts = Settings(width=8).as_dict() | changed
    path = write_weights(tmp_path / "m.safetensors", "dmm", facts, model_of().state_dict())
    with pytest.raises(WeightsError, match="weights of a DMM"):
        DMM.from_pretrained(path)


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.safetensors").mkdir()
    for place in (tmp_path / "file" / "model.safetensors", tmp_path / "folder.safetensors"):
        with pytest.raises(WeightsError, match="place to write"):
            model_of().save_pretrained(place)
    old = model_of().save_pretrained(tmp_path / "model.safetensors").read_bytes()

    def full(path, data):
        path.write_text("half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WeightsError, match="No space left"):
        model_of(head=1.0).save_pretrained(tmp_path / "model.safetensors")
    monkeypatch.undo()
    assert (tmp_path / "model.safetensors").read_bytes() == old
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.safetensors", "model.safetensors"]


def test_any_tensor_comes_back(tmp_path):
    tensors = {
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "strided": torch.arange(12.0).reshape(3, 4).T,
        "whole": torch.arange(3),
        "half": torch.ones(2, dtype=torch.bfloat16),
    }
    path = write_weights(tmp_path / "t.safetensors", "some", {"a": 1, "b": [1, 2], "c": "text"}, tensors)
    facts, again = read_weights(path, "some")
    assert facts == {"a": 1, "b": [1, 2], "c": "text"}
    assert all(torch.equal(tensors[k], again[k]) and tensors[k].dtype == again[k].dtype for k in tensors)
    np.testing.assert_array_equal(again["strided"], tensors["strided"])
