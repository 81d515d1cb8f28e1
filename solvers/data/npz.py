"""The arrays of an npz file, each no larger than what the file holds; nothing is unpickled."""

from __future__ import annotations

import math
import os
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_npz"]

#: the most that deflate packs into a byte; what claims more is forged
DENSEST = 1032
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(path: str | os.PathLike[str]) -> dict[str, NDArray]:
    """All arrays by name.

    Raises
    ------
    ValueError
        The file is damaged, an array has Python's objects or a shape that is larger than what is stored of it; says
        what is the matter.
    OSError
        The file is not there or not to be opened.
    """
    with open(path, "rb") as raw:
        size = os.fstat(raw.fileno()).st_size
        try:
            with zipfile.ZipFile(raw) as archive:
                members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
                return {m.filename.removesuffix(".npy"): _array(archive, m, size) for m in members}
        # zipfile lets zlib's, struct's and the system's errors through, as the damage has it
        except Exception as error:
            raise ValueError(str(error) or type(error).__name__) from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int) -> NDArray:
    name, packed = member.filename, member.compress_size
    most = {zipfile.ZIP_STORED: packed, zipfile.ZIP_DEFLATED: DENSEST * packed}.get(member.compress_type)
    if most is None:
        raise ValueError(f"{name} compressed otherwise than by deflate")
    if packed > size or member.file_size > most:
        raise ValueError(f"{name} of {member.file_size} bytes in a file of {size}")
    with archive.open(member) as file:
        shape, _, dtype = _header(file, name)
        if dtype.hasobject:
            raise ValueError(f"{name} with Python objects, which are not read")
        claimed, there = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
        if claimed != there:
            raise ValueError(f"{name} of shape {shape}, {claimed} bytes, where there are {there}")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _header(file: Any, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (3, 0):  # the second with names in UTF-8, for which there is no function
        version = (2, 0)
    if version not in _HEADERS:
        raise ValueError(f"{name} of version {version}")
    return _HEADERS[version](file)
