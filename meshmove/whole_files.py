"""Files that are written whole or not at all, and locks that hold between processes and threads."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["locked", "unwritable", "whole"]


@contextlib.contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A place to write to, in the folder of the file, which is renamed to the file when all is written.

    Killed at any moment, the old file is there or the new one, whole. A link stays one: what it points to is replaced;
    the mode of what is replaced is kept.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole(f"{folder}/a.txt") as part:
    ...         _ = part.write_text("all of it")
    ...     Path(f"{folder}/a.txt").read_text(), len(os.listdir(folder))
    ('all of it', 1)
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield part
        with part.open("rb") as file:  # or a power cut may leave the name, and nothing in it
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            part.chmod(stat.S_IMODE(target.stat().st_mode))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def unwritable(folder: Path) -> str | None:
    """Why no file can be made in a folder, as the system says; None where one can.

    Permissions do not tell: some folders and file systems take no files from anybody.
    """
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as why:
        return why.strerror or str(why)
    return None


@contextlib.contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[None]:
    """While this lasts nobody else, in another process or thread, is within the lock of the same file or folder.

    The lock is a hidden file beside it, and ends with the process that holds it, however that ends.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.with_name(f".{target.name}.lock")
    held = _held(lock)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # one system does not remove what is open
            lock.unlink(missing_ok=True)
        os.close(held)


def _held(lock: Path) -> int:
    """A descriptor of the lock's file, which is locked."""
    while True:
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _wait(file)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.stat(lock)):
                    return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # whoever held it has removed it


def _wait(file: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(file, fcntl.LOCK_EX)
