"""Kernels on disk before anything runs them: all of them, for the types that the stages use, and once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpusmill.recipe import load_recipe
from corpusmill.stages import CorrectSpelling, FilterQuality, StripHtml, compile_ahead

STAGES = (*load_recipe("web").stages, StripHtml(output="markdown"), FilterQuality(presets=("c4",)), CorrectSpelling())
PARTS = sorted({name for stage in STAGES for name in stage.kernels})
RUN = """
import pyarrow as pa
from corpusmill.recipe import load_recipe
from corpusmill.stages import CorrectSpelling, Deduplicate, FilterQuality, StripHtml, Tokenize

page = (
    '<html lang="en"><head><title>Bread</title><link rel="canonical" href="/bread"><script type="application/ld+json">'
    '{"@type": "Article", "articleBody": "Flour, water, salt and time."}</script></head><body><h1>Bread</h1>'
    '<ul><li>Flour<li>Water</ul><table><tr><td>Salt<td>2 %</table><p>Flour, water, salt and <b>time</b>.</body></html>'
)
for output in ("text", "markdown"):
    batch = pa.record_batch({"html": pa.array([page.encode()] * 2, pa.large_binary())})
    assert len(StripHtml(output=output)(batch)) == 2
words = [[f"w{number * of}" for number in range(200)] for of in (1, 2, 3)]
texts = [" ".join((*words[number % 3], str(number % 100))) for number in range(900)]
assert len(Deduplicate()(pa.record_batch({"text": pa.array(texts, pa.large_string())}))) == 3
texts = [
    "What the f*ck, bullshit and the end.",
    "e\\u0301 and www.example.org, " * 40,
    "SHORT  TEXT \\r\\n\\n\\n\\n schÃ¶n \\u200b",
    "Write to mill@example.org, call +49 30 1234567 from 8.8.8.8 😀🇩🇪.",
    "the same line of a page, again and again\\n" * 9,
    "1 2 3",
    None,
]
batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
for stage in (*load_recipe("web").stages, FilterQuality(presets=("c4",)), CorrectSpelling()):
    if not isinstance(stage, StripHtml | Deduplicate | Tokenize):
        assert len(stage.judge(batch)[1]) == len(texts)
"""
AHEAD = f"from corpusmill.stages import compile_ahead; compile_ahead.main({PARTS})"
LISTEN = """
from numba.core import event


class Listener(event.Listener):
    def on_start(self, happened):
        print("compiled", happened.data["dispatcher"].py_func.__name__)

    def on_end(self, happened):
        pass


event.register("numba:compile", Listener())
"""
REPORT = """
import sys

for place, module in list(sys.modules.items()):
    if place.startswith("corpusmill.stages.kernels."):
        for name, found in vars(module).items():
            if hasattr(getattr(found, "_cache", None), "exists"):
                print(*(f"{place.rpartition('.')[2]}:{name} {types}" for types in found.signatures), sep="\\n")
"""


def kernels(code: str) -> set[str]:
    """The kernels that a process compiled or took from disk, each with the types for which it did."""
    done = subprocess.run([sys.executable, "-c", code + REPORT], capture_output=True, text=True, check=True)
    return set(filter(None, done.stdout.splitlines()))


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="nothing is compiled")
def test_what_is_compiled_ahead_is_all_that_stages_run() -> None:
    ahead = kernels(AHEAD)
    assert {compile_ahead._PARTS[name].last for name in PARTS} <= {name.split()[0] for name in ahead}
    run = kernels(LISTEN + RUN)  # all is on disk now
    assert len(run) >= len(PARTS)
    assert run - ahead == set()


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="nothing is compiled")
def test_processes_compile_what_is_not_on_disk(tmp_path: Path) -> None:
    code = (
        "from corpusmill.stages import compile_ahead as c; missing = c.not_compiled('emoji', 'repeated_lines'); "
        "c.processors = lambda: 2; c._use = lambda names: print('left', *names); "
        "c.compile_ahead(*missing); print(*missing, 'then', *c.not_compiled(*missing))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["left", "emoji", "repeated_lines", "then"]


def test_a_part_without_a_place_on_disk_is_compiled_here_once(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    part = compile_ahead._PARTS["near_sign"]._replace(use=lambda: used.append("near_sign"))
    monkeypatch.setitem(compile_ahead._PARTS, "near_sign", part)
    monkeypatch.setattr(compile_ahead, "_cache", lambda _: None)
    monkeypatch.setattr(compile_ahead, "_ready", set())
    monkeypatch.setattr(compile_ahead, "_compile_apart", lambda names: used.extend(["apart", *names]))
    assert compile_ahead.not_compiled("near_sign", "near_sign") == ["near_sign"]
    for _ in range(2):
        compile_ahead.compile_ahead("near_sign")
    assert used == ["near_sign"]


def test_where_no_process_can_be_started_it_is_compiled_here(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    part = compile_ahead._PARTS["near_sign"]._replace(use=lambda: used.append("near_sign"))

    class Nowhere:
        exists = False
        cache_path = "/proc/nowhere"

    monkeypatch.setitem(compile_ahead._PARTS, "near_sign", part)
    monkeypatch.setattr(compile_ahead, "_cache", lambda _: Nowhere())
    monkeypatch.setattr(compile_ahead, "_ready", set())
    monkeypatch.setattr(compile_ahead, "processors", lambda: 2)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    compile_ahead.compile_ahead("near_sign")
    assert used == ["near_sign"]


def test_processes_that_compile_import_nothing_from_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "numpy.py").write_text("open('imported', 'w').close()")
    monkeypatch.chdir(tmp_path)
    compile_ahead._compile_apart(["near_sign"])
    assert [path.name for path in tmp_path.iterdir()] == ["numpy.py"]


@pytest.mark.parametrize(("name", "value"), [("executable", None), ("executable", ""), ("frozen", True)])
def test_a_program_with_python_inside_is_not_started_again(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    started: list[object] = []
    monkeypatch.setattr(sys, name, value, raising=False)
    monkeypatch.setattr(subprocess, "Popen", lambda *given, **_: started.append(given))
    compile_ahead._compile_apart(["near_sign"])
    assert started == []


def test_errors_in_its_turn_are_raised(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), compile_ahead._turn(str(tmp_path)):
        raise FileNotFoundError


def test_engines_name_the_kernels_of_what_pages_declare() -> None:
    for engine in ("resiliparse", "bs4", "text"):
        assert "html_declare" in StripHtml(engine=engine).kernels
        assert "html_declare" not in StripHtml(engine=engine, metadata=False).kernels
