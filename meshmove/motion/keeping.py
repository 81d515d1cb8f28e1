"""What outlives a loop: files to go on from, and films."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

from meshmove.adaptation.adapt import lasting
from meshmove.meshes.registry import named

from .saved import read_state, write_state

__all__ = ["Keeping"]


class Keeping(ABC):
    """A moving mesh that can be saved, loaded and filmed."""

    @abstractmethod
    def __getstate__(self) -> dict[str, Any]: ...

    @abstractmethod
    def __setstate__(self, kept: Mapping[str, Any]) -> None: ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that the mesh knows of its motion to an .npz file, from which `load` goes on to the bit.

        The file holds arrays and words, no pickle. It leaves out the last step, and options that are functions or
        objects of yours, which `load` asks for.

        Raises
        ------
        MeshFileError
            The folder cannot be written. It is an `OSError`.
        UnsupportedMeshError
            A mesh of another library than scikit-fem, meshio and PyVista.
        """
        write_state(path, self.__getstate__())

    @classmethod
    def load(cls, path: str | os.PathLike[str], **options: Any) -> Self:
        """A moving mesh as it was saved; `options`: those that the file does not hold.

        Raises
        ------
        MeshFileError
            There is no such file, or it is damaged.
        ValueError
            An option that is missing, or one that the file holds.

        Examples
        --------
        >>> import skfem, tempfile
        >>> from meshmove import MovingMesh
        >>> moving = MovingMesh(skfem.MeshTri().refined(2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     moving.save(f"{folder}/state.npz")
        ...     MovingMesh.load(f"{folder}/state.npz")
        <MovingMesh of a MeshTri1 at time 0>
        """
        out = cls.__new__(cls)
        out.__setstate__(read_state(path, lasting(options)))
        return out

    def record(self, path: str | os.PathLike[str], field: Any = None, **options: Any) -> Any:
        """A film of the steps within a ``with``: ``with moving.record("film.mp4") as film:``.

        Each step adds a frame, the mesh at its beginning with its field; ``film.add(u)`` adds the mesh as it is. The
        file is written at the end, whole or not at all, and not where the loop ends in an error.

        Parameters
        ----------
        path
            .gif; .mp4 (the extra "video"); .html, a page with a time slider; .pvd or .xdmf for ParaView.
        field
            Which of several fields is shown: its number in a list, its key in a dict. By default the first.
        options
            `every`: steps from frame to frame; `frames_per_second`, `size`, `edges`, `cmap`, `clim` and `title`: see
            `meshmove.animate`.

        Raises
        ------
        ValueError
            Another suffix, or an option that is not known.
        MeshFileError
            The folder cannot be written. It is an `OSError`.
        MissingPackageError
            PyVista is not installed (but for .pvd and .xdmf), or what writes .mp4 is not.
        """
        pictures: Any = named("pyvista")
        return pictures.film(self, path, field, **options)
