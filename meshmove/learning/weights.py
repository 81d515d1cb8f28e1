"""Weights in safetensors files: written whole or not at all, checked when read, never unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from meshmove.geometry.errors import MeshmoveError
from meshmove.geometry.given import path_of
from meshmove.whole_files import whole

__all__ = ["WeightsError", "read_weights", "shipped", "write_weights"]

#: raised when the meaning of stored weights changes
VERSION = 1


class WeightsError(MeshmoveError, ValueError):
    """A weight file is missing, truncated, altered, or of another kind or version."""


def shipped(folder: Path) -> list[str]:
    """Names of the models in a folder of the package."""
    return sorted(p.stem for p in folder.glob("*.safetensors"))


def digest(tensors: Mapping[str, Tensor], settings: str) -> str:
    """SHA-256 of the settings, and of names, shapes and values."""
    h = hashlib.sha256(settings.encode())
    for name in sorted(tensors):
        t = tensors[name].detach().cpu().contiguous()
        h.update(f"{name} {tuple(t.shape)} {t.dtype}\n".encode())
        h.update(t.reshape(-1).view(torch.uint8).numpy().tobytes())
    return h.hexdigest()


def write_weights(path: str | Path, kind: str, settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Path:
    """Write a safetensors file with its kind, version, settings and hash in the header."""
    path = path_of(path, "a file for weights", WeightsError)
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    text = json.dumps(dict(settings))
    header = {"kind": kind, "version": str(VERSION), "settings": text, "sha256": digest(tensors, text)}
    try:
        with whole(path) as part:
            part.write_bytes(save(tensors, metadata=header))
    except OSError as error:
        raise WeightsError(f"Expected a place to write weights to (got {path}: {error})") from error
    return path


def read_weights(
    name_or_path: str | Path, kind: str, folder: Path | None = None
) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Settings and tensors of a model that ships in `folder`, if one is given, or of a file that `write_weights` wrote.

    Raises
    ------
    WeightsError
        With what was expected, what came, and what to try.
    """
    path = path_of(name_or_path, "weights, or the name of a shipped model", WeightsError)
    if folder is not None and path.suffix != ".safetensors" and (folder / f"{name_or_path}.safetensors").is_file():
        path = folder / f"{name_or_path}.safetensors"
    if not path.is_file():
        names = ", ".join(shipped(folder)) if folder is not None else ""
        raise WeightsError(
            f"Expected the name of a shipped model ({names or 'none'}) or a .safetensors file "
            f"(got {str(name_or_path)!r}, which is neither)"
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"Expected a safetensors file at {path} (got: {error}). It may be truncated: copy or download it again."
        ) from error
    if header.get("kind") != kind:
        raise WeightsError(
            f"Expected weights of kind {kind!r} in {path} (got {header.get('kind', 'no kind at all')!r})"
        )
    if header.get("version") != str(VERSION):
        raise WeightsError(
            f"Expected weights of version {VERSION} in {path} (got {header.get('version')}): "
            "use the meshmove that wrote them, or train again"
        )
    if header.get("sha256") != digest(tensors, header.get("settings", "")):
        raise WeightsError(f"Expected the values that were written to {path} (their hash differs): copy it again")
    return json.loads(header["settings"]), tensors
