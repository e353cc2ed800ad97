"""Machine code of kernels kept from one process to the next, in a way that can neither fail nor go stale.

numba's own cache raises where no directory can be written to (a read-only installation for a user without a home), where the
disk is full, and where a file of it is damaged; and it looks at the source file of a kernel alone, so that a kernel goes on
running the old code of a function that it calls in another file. Here every trouble means that the kernel is compiled again, and
the sources of all modules of stages that a kernel's module imports decide whether a file is fresh. The attributes used are
numba's private ones: if a later version renames them, kernels are compiled in every process, which a test notices.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["keep_compiled", "source_stamp"]

_FOLDER = Path(__file__).parent
_IMPORT = re.compile(r"^from corpusmill\.stages((?:\.\w+)*) import (\([^)]*\)|[^\n]*)", re.MULTILINE)


@functools.cache
def source_stamp(module: Path) -> bytes:
    """Return the hash of the source file *module*, of the modules of stages that it imports, and so on."""
    sources: dict[Path, bytes] = {}
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path not in sources and path.is_file():
            sources[path] = path.read_bytes()
            waiting += _imported(sources[path].decode())
    return hashlib.sha256(b"".join(hashlib.sha256(sources[path]).digest() for path in sorted(sources))).digest()


def _imported(source: str) -> list[Path]:
    """Return where the modules of stages would be that *source* imports; what a package gives may be a module of it."""
    paths = []
    for module, names in _IMPORT.findall(source):
        place = _FOLDER.parent.joinpath(*module.split(".")[1:])
        paths += [place.with_suffix(".py"), *(place / f"{name}.py" for name in re.findall(r"\w+", names))]
    return paths


def keep_compiled(dispatcher: Any) -> Any:
    """Return *dispatcher* with a cache on disk, or as it is where there can be none."""
    # Anything at all may go wrong in here: numba is handed paths, permissions and files that are not ours.
    with suppress(Exception):
        if _has_a_place():
            dispatcher._cache = _Cache(dispatcher.py_func)  # noqa: SLF001  numba has no public way to set another cache
    return dispatcher


def _has_a_place() -> bool:
    """Return False where numba would make a directory called `~` in the working directory, for want of a home."""
    inside = _FOLDER / "__pycache__"
    return (
        bool(os.environ.get("NUMBA_CACHE_DIR"))
        or os.path.isabs(os.path.expanduser("~"))  # noqa: PTH111, PTH117  Path.home() raises where there is none
        or os.access(inside if inside.exists() else _FOLDER, os.W_OK)
    )


class _Cache:
    """numba's cache of one function: the same calls, none of which raises."""

    def __init__(self, function: Any) -> None:
        caching: Any = importlib.import_module("numba.core.caching")
        self._inner = caching.FunctionCache(function)
        # One name for each state of the sources: two versions that run at the same time cannot mix up their files.
        implementation = self._inner._impl  # noqa: SLF001
        stamp = source_stamp(_FOLDER / Path(function.__code__.co_filename).name)
        self._inner._cache_file = caching.IndexDataCacheFile(  # noqa: SLF001
            cache_path=self._inner.cache_path,
            filename_base=f"{implementation.filename_base}-{stamp.hex()[:12]}",
            source_stamp=stamp,
        )

    @property
    def cache_path(self) -> str:
        """The directory that the files are in."""
        return str(self._inner.cache_path)

    @property
    def exists(self) -> bool:
        """Whether the kernel was kept by this version of numba for this kind of processor, for some types of arguments."""
        with suppress(Exception):
            context: Any = importlib.import_module("numba.core.registry").cpu_target.target_context
            processor = context.codegen().magic_tuple()
            return any(key[1] == processor for key in self._inner._cache_file._load_index())  # noqa: SLF001
        return False

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled function for argument types *signature*, or None if it has to be compiled."""
        try:
            return self._inner.load_overload(signature, target)
        except Exception:  # noqa: BLE001  a damaged file raises whatever unpickling it happens to raise
            with suppress(Exception):
                self._inner.flush()
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep *compiled* for the next process, if that is possible."""
        with suppress(Exception):
            self._inner.save_overload(signature, compiled)

    def enable(self) -> None:
        """Use the files from now on."""
        self._inner.enable()

    def disable(self) -> None:
        """Leave the files alone from now on."""
        self._inner.disable()

    def flush(self) -> None:
        """Forget what was kept."""
        with suppress(Exception):
            self._inner.flush()
