"""What holds for the code as a whole: who may import whom, what is public, what a wheel contains, how fast help is."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "pipeline": "corpusmill",
    "stages": "corpusmill.stages",
    "stages/kernels": "corpusmill.stages.kernels",
    "schemas": "corpusmill.schemas",
}
MODULES = sorted(
    (path, f"{package}.{path.stem}" if path.stem != "__init__" else package)
    for folder, package in PACKAGES.items()
    for path in (ROOT / folder).glob("*.py")
)
IDS = [name for _, name in MODULES]
MAY_IMPORT = {
    "schemas": ("schemas",),
    "stages": ("schemas", "stages"),
    "kernels": ("schemas", "stages"),
    "pipeline": ("schemas", "stages", "pipeline"),
}


def _imports(path: Path) -> set[str]:
    """The folders of ours that a module imports from."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if name.split(".")[0] == "corpusmill":
                part = name.split(".")[1] if "." in name else "pipeline"
                found.add(part if part in {"schemas", "stages"} else "pipeline")
    return found


@pytest.mark.parametrize(("path", "name"), MODULES, ids=IDS)
def test_imports_follow_the_arrow(path: Path, name: str) -> None:
    assert _imports(path) <= set(MAY_IMPORT[path.parent.name]), name


@pytest.mark.parametrize(("path", "name"), MODULES, ids=IDS)
def test_modules_are_short_documented_and_say_what_is_public(path: Path, name: str) -> None:
    source = path.read_text("utf-8")
    assert source.count("\n") <= 500
    module = importlib.import_module(name) if path.stem != "__main__" else None
    if module is None:
        return
    assert (module.__doc__ or "").strip()
    public = getattr(module, "__all__", None)
    assert public is not None, "a module says what is public"
    # Classes and functions come sorted as people sort them, without regard to case; constants first is ruff's way.
    assert set(public) <= {*dir(module), *getattr(module, "__annotations__", {}), "Pipeline", "Document", "Drop"}
    assert len(public) == len(set(public))
    for attribute in public:
        value = getattr(module, attribute)
        if callable(value) and getattr(value, "__module__", None) == name and isinstance(value, type(lambda: 0) | type):
            assert value.__doc__, f"{name}.{attribute} has no docstring"


@pytest.mark.parametrize("name", [name for name in IDS if not name.endswith("__main__")])
def test_examples_in_docstrings(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_no_module_is_imported_twice_under_a_directory_name() -> None:
    assert not {name for name in sys.modules if name.split(".")[0] in PACKAGES}


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    code = "import sys, corpusmill.cli; sys.exit(bool({'pyarrow', 'numba', 'numpy', 'tokenizers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    shown = subprocess.run(
        [sys.executable, "-m", "corpusmill", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for command in ("run", "check", "explain", "report", "audit", "stages", "recipes", "tokenizer", "inspect"):
        assert re.search(rf"^  {command} ", shown, re.MULTILINE), command


def test_a_wheel_holds_every_module_and_data_file(tmp_path: Path) -> None:
    """A module that is missing from the wheel imports fine in an editable install, so only this test sees it."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    subprocess.run(
        [*command, str(_copy_of_sources(tmp_path / "source"))], check=True, env={**os.environ, "PIP_NO_INPUT": "1"}
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, package in PACKAGES.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                inside = f"{package.replace('.', '/')}/{path.relative_to(ROOT / folder).as_posix()}"
                assert inside in names, f"{inside} is missing from the wheel"


def _copy_of_sources(target: Path) -> Path:
    """Building leaves files beside the sources; a copy keeps the checkout clean."""
    target.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target / name)
    for folder in sorted({Path(folder).parts[0] for folder in PACKAGES}):
        shutil.copytree(ROOT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return target
