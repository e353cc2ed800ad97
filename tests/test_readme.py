"""What the README and the guides show is executed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "docs" / "library.md", ROOT / "docs" / "html.md", ROOT / "docs" / "training.md"]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(page: Path, language: str) -> list[str]:
    return [code for info, code in FENCE.findall(page.read_text("utf-8")) if info.strip() == language]


@pytest.fixture(scope="module")
def shell_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a crawl/, as the commands expect, and the sources for `pip install .`: the README's were run in it."""
    tmp_path = tmp_path_factory.mktemp("readme")
    for folder in ("pages", "rejects"):
        shutil.copytree(ROOT / "sample_corpus" / folder, tmp_path / "crawl" / folder)
    for name in ("pyproject.toml", "README.md", "LICENSE", "pipeline", "stages", "schemas"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    commands = [line for block in _blocks(ROOT / "README.md", "sh")[1:] for line in block.splitlines() if line.strip()]
    assert {"pip install .", "corpusmill run crawl/ out/"} <= set(commands)
    for command in commands:
        done = _shell(command, tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return tmp_path


def _shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line as it is written; the environment keeps pip offline and out of this installation."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this one the wrong way round: 0 switches isolation off
        "PIP_TARGET": str(cwd / "installed"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return subprocess.run(command, shell=True, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = _blocks(page, "python")
    assert blocks
    monkeypatch.chdir(tmp_path)
    for code in blocks:
        exec(compile(code, page.name, "exec", dont_inherit=True), {"__name__": "example"})


def test_the_readme_example_keeps_one_of_two_duplicates(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = _blocks(ROOT / "README.md", "python")
    assert len(code.splitlines()) <= 12
    exec(compile(code, "README.md", "exec", dont_inherit=True), {"__name__": "example"})
    assert capsys.readouterr().out.startswith("a ")


def test_shell_commands_run_as_written(shell_directory: Path) -> None:
    assert list((shell_directory / "installed" / "corpusmill" / "stages").glob("*.py"))
    assert list((shell_directory / "out" / "shards").glob("train-*.parquet"))


def test_the_recipe_that_the_guide_shows_is_one(tmp_path: Path) -> None:
    from corpusmill.chain import cut
    from corpusmill.recipe import load_recipe

    (text,) = _blocks(ROOT / "docs" / "recipe_file.md", "toml recipe")
    path = tmp_path / "news.toml"
    path.write_text(text)
    changes = re.findall(r"--set '?([^'`]+?)'?(?: (?=--)|`)", (ROOT / "docs" / "recipe_file.md").read_text("utf-8"))
    assert len(changes) >= 8
    assert cut(load_recipe(str(path), changes).stages).pack is not None


def test_the_queries_that_the_guide_shows_run(shell_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import duckdb

    monkeypatch.chdir(shell_directory)
    (block,) = _blocks(ROOT / "docs" / "output.md", "sql")
    for query in filter(None, block.strip().split(";")):
        assert duckdb.connect().execute(query).fetchall()


def test_make_targets_that_the_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for line in _blocks(ROOT / "README.md", "sh")[0].splitlines():
        target = shlex.split(line, comments=True)[1]
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_cron_line_runs_and_runs_again(shell_directory: Path) -> None:
    (line,) = _blocks(ROOT / "README.md", "cron")
    *when, command = line.strip().split(maxsplit=5)
    assert all(re.fullmatch(r"[\d*/,-]+", field) for field in when)
    (shell_directory / "crawl" / "new.txt").write_text(
        "The mill by the river has ground flour for the village for ages."
    )
    first, second = (_shell(command, shell_directory) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), (shell_directory / "corpusmill.log").read_text()
    assert first.stdout == second.stdout == ""
    shown = _shell("corpusmill explain out/ new.txt", shell_directory).stdout
    assert shown.startswith("document new.txt: ")


def test_every_page_that_is_linked_exists() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
