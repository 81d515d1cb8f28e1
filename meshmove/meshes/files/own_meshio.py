"""meshio's readers and writers, loaded once more for ourselves, so that they may run beside other threads.

meshio talks on the console, waits for ever at the end of some files, takes numbers that a file does not hold for
read, and leaves HDF5 files open. Nothing of this can be mended from outside without touching what the whole process
shares (`sys.stdout`, warning filters, meshio itself). So its format modules are executed a second time, from the same
files, with built-ins of our own: in these copies `open` gives files that refuse to be read past their end again and
again, `import rich` a console that keeps what is said, NumPy's `fromfile` counts what it read, and HDF5 files are
written in memory and to disk at the end. They make meshes of meshio's own classes, and meshio stays as it is.
"""

from __future__ import annotations

import builtins
import functools
import gzip
import importlib.util
import io
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from .mended import MENDED

__all__ = ["can_read", "extensions", "listening", "own", "reader", "writer"]

#: a reader that meets the end of its file this often does not see it
_PATIENCE = 100
#: what meshio says of a block that does not end, and then goes on
_CUT_SHORT = ("not closed by",)
_SHARED = ("_mesh", "_exceptions", "_cli")

_said: ContextVar[list[str] | None] = ContextVar("said", default=None)
_written: ContextVar[list[Any] | None] = ContextVar("written", default=None)
_modules: dict[str, ModuleType] = {}
_lock = threading.RLock()


@contextmanager
def listening() -> Iterator[list[str]]:
    """What meshio says in this thread meanwhile; HDF5 files that it makes are written at the end."""
    words: list[str] = []
    files: list[Any] = []
    outer = _said.get()
    tokens = _said.set(words), _written.set(files)
    try:
        with np.errstate(all="ignore"):
            yield words
            for file in files:
                file.to_disk()
    finally:
        if outer is not None:
            outer += words
        _said.reset(tokens[0])
        _written.reset(tokens[1])
        for file in files:
            file.close()


def reader(file_format: str) -> Callable[[str], Any]:
    """meshio's reader of a format, or the one that somebody registered with meshio."""
    return _foreign("reader_map", file_format) or own("_helpers").reader_map[file_format]


def can_read(file_format: str) -> bool:
    """Whether there is a reader of a format, and not only a writer."""
    return _foreign("reader_map", file_format) is not None or file_format in own("_helpers").reader_map


def writer(file_format: str) -> Callable[..., None]:
    """A function (path, mesh) that writes a format as `meshio.write` does."""
    foreign = _foreign("_writer_map", file_format)
    if foreign is not None:
        return foreign
    return functools.partial(own("_helpers").write, file_format=file_format)


def extensions() -> dict[str, list[str]]:
    """Extension -> formats, as meshio knows them now."""
    import meshio

    return meshio.extension_to_filetypes


def _foreign(table: str, file_format: str) -> Any:
    import meshio._helpers

    found = getattr(meshio._helpers, table).get(file_format)
    module = getattr(getattr(found, "func", found), "__module__", "")
    return None if found is None or module.partition(".")[0] == "meshio" else found


# -- the copy -------------------------------------------------------------------------------------------------------


def own(name: str) -> ModuleType:
    """Our copy of meshio's module of this name."""
    with _lock:
        _load("meshio")  # formats register themselves with the copy of `_helpers`
        return _load(f"meshio.{name}")


def _load(name: str) -> ModuleType:
    """Our own module of this name, executed when it is first asked for."""
    if name in _modules:
        return _modules[name]
    import meshio

    parent, _, last = name.rpartition(".")
    if parent == "meshio" and last in _SHARED:
        _modules[name] = getattr(meshio, last)
        return _modules[name]
    where = Path(meshio.__file__).parent.joinpath(*name.split(".")[1:])
    packaged = where.is_dir()
    spec = importlib.util.spec_from_file_location(
        name,
        where / "__init__.py" if packaged else where.with_suffix(".py"),
        submodule_search_locations=[str(where)] if packaged else None,
    )
    if spec is None or spec.loader is None or not Path(spec.origin or "").is_file():
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    module = _modules[name] = importlib.util.module_from_spec(spec)
    module.__dict__["__builtins__"] = _BUILTINS
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del _modules[name]
        raise
    for path, ours in MENDED.get(name, {}).items():
        *owners, last_name = path.split(".")
        setattr(functools.reduce(getattr, owners, module), last_name, ours)
    if parent:
        setattr(_modules[parent], last, module)
    return module


def _import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """What `import` does in the copy: its own modules for its own names, and stand-ins for a few others."""
    if not level:
        standing = _STAND_INS.get(name)
        return standing() if standing else builtins.__import__(name, globals, locals, fromlist)
    full = importlib.util.resolve_name("." * level + name, globals["__package__"])
    with _lock:
        for k in range(1, full.count(".") + 1):
            _load(".".join(full.split(".")[:k]))
        module = _load(full)
        for item in fromlist or ():
            if not hasattr(module, item):
                setattr(module, item, _load(f"{full}.{item}"))
    return module


# -- stand-ins ------------------------------------------------------------------------------------------------------


def _say(*words: Any, **_: Any) -> None:
    text = " ".join(" ".join(str(w) for w in words).split())
    said = _said.get()
    if said is not None:
        said.append(text)
    if any(sign in text for sign in _CUT_SHORT):
        raise EOFError("the file ends too early")


class _Console:
    def __init__(self, *_: Any, **__: Any) -> None:
        self.print = _say


class _AtEnd:
    """Counts reads that find nothing."""

    _empty = 0

    def _seen(self, found: Any) -> Any:
        self._empty = 0 if found else self._empty + 1
        if self._empty > _PATIENCE:
            raise EOFError("the file ends too early")
        return found


class _Text(_AtEnd, io.TextIOWrapper):
    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        return self._seen(super().readline(size))

    def read(self, size: int | None = -1, /) -> str:
        return self._seen(super().read(size))


class _Bytes(_AtEnd, io.BufferedReader):
    def readline(self, size: int | None = -1, /) -> bytes:
        return self._seen(super().readline(size))

    def read(self, size: int | None = -1, /) -> bytes:
        return self._seen(super().read(size))


def _open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
    if set(mode) & set("wax+") or args or kwargs:
        utf8 = {} if "b" in mode or len(args) > 1 else {"encoding": "utf-8"}  # as it is read, and as XML says
        return open(file, mode, *args, **utf8 | kwargs)
    raw = _Bytes(io.FileIO(file, "r"))
    # files of other programs hold names in other encodings: a letter that is none in UTF-8 spoils no mesh
    return raw if "b" in mode else _Text(raw, encoding="utf-8", errors="replace")


def _gzip_open(file: Any, mode: str = "rb", *args: Any, **kwargs: Any) -> Any:
    if "r" in mode and "t" in mode:
        return _Text(gzip.open(file, "rb"), encoding="utf-8", errors="replace")
    return gzip.open(file, mode, *args, **kwargs)


def _fromfile(file: Any, dtype: Any = float, count: int = -1, sep: str = "", **kwargs: Any) -> Any:
    if count > _left(file, np.dtype(dtype).itemsize if not sep else 1):
        raise EOFError(f"the file ends too early: {count} numbers expected")
    found = np.fromfile(file, dtype, count, sep, **kwargs)
    if len(found) < count:
        raise EOFError(f"the file ends too early: {count} numbers expected, {len(found)} found")
    return found


def _left(file: Any, size: int) -> float:
    """How many numbers of at least `size` bytes a file can hold: what it promises is not believed."""
    return os.fstat(file.fileno()).st_size / size


def _islice(items: Any, count: int) -> Iterator[Any]:
    """The first so many, which must be there."""
    found = 0
    for item in itertools.islice(items, count):
        found += 1
        yield item
    if found < count:
        raise EOFError(f"the file ends too early: {count} lines expected, {found} found")


class _Module(ModuleType):
    """Another module with some names of our own."""

    def __init__(self, module: ModuleType, **ours: Any) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(ours, _module=module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@functools.cache
def _h5py() -> ModuleType:
    h5py: Any = importlib.import_module("h5py")

    class File(h5py.File):
        """In memory while it is written: HDF5 ends the process where a disk is full."""

        def __init__(self, name: Any, mode: str = "r", **kwargs: Any) -> None:
            written = _written.get()
            if mode == "r" or written is None:
                super().__init__(name, mode, **kwargs)
                return
            super().__init__(str(name), mode, driver="core", backing_store=False, **kwargs)
            self._path = Path(name)
            written.append(self)

        def close(self) -> None:
            if self.id and hasattr(self, "_path"):
                self._image()
            super().close()

        def _image(self) -> None:
            self.flush()
            self._bytes = self.id.get_file_image()

        def to_disk(self) -> None:
            if self.id:
                self._image()
            self._path.write_bytes(self._bytes)

    return _Module(h5py, File=File)


_STAND_INS: dict[str, Callable[[], Any]] = {
    "numpy": functools.cache(lambda: _Module(np, fromfile=_fromfile)),
    "rich.console": lambda: SimpleNamespace(Console=_Console),
    "gzip": functools.cache(lambda: _Module(gzip, open=_gzip_open)),
    "itertools": functools.cache(lambda: _Module(itertools, islice=_islice)),
    "h5py": _h5py,
}
_BUILTINS = {**vars(builtins), "open": _open, "print": _say, "__import__": _import}
