"""What the guide to scheduled jobs shows is run, or read by what will read it."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
BIN = Path(sys.executable).parent
QUICK = "--set tokenize.tokenizer=bytes --recipe minimal --executor inline"
TEXTFILES = "/var/lib/prometheus/node-exporter"


def block(info: str) -> str:
    (code,) = re.findall(rf"^```{re.escape(info)}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(code)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a crawl/, over which all schedulers of the guide run one after the other."""
    root = tmp_path_factory.mktemp("srv")
    shutil.copytree(ROOT / "sample_corpus" / "pages", root / "crawl")
    (root / "metrics").mkdir()
    return root


def here(text: str, place: Path) -> str:
    """Return *text* with the paths of this machine, and with settings that make a run quick."""
    for path, ours in (("/srv/corpus", place), ("/opt/corpusmill/bin", BIN), (TEXTFILES, place / "metrics")):
        text = text.replace(path, str(ours))
    text = text.replace("/data/crawl", f"{place}/crawl").replace("/data/out", f"{place}/out")
    return re.sub(r"(run \S*crawl/? \S*out/?)(?=\s|$)", rf"\1 {QUICK}", text)


def shell(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, shell=True, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (place / "out" / "manifest.json").exists()
    return done


def calls(tree: ast.AST, name: str) -> list[dict[str, Any]]:
    """The literal keywords of each call of *name*."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == name]
    return [
        {k.arg or "": ast.literal_eval(k.value) for k in call.keywords if isinstance(k.value, ast.Constant)}
        for call in found
    ]


def test_the_cron_line_runs(place: Path) -> None:
    *when, command = block("cron").strip().split(maxsplit=5)
    assert all(re.fullmatch(r"[\d*/,-]+", field) for field in when)
    assert "%" not in command  # which cron takes for a line break
    assert shell(here(command, place), place).stdout == ""
    assert (place / "corpusmill.log").exists()
    assert "corpusmill_documents_in_total" in (place / "metrics" / "corpusmill.prom").read_text()


def test_the_alerts_name_metrics_that_a_run_writes(place: Path) -> None:
    file = place / "metrics" / "corpusmill.prom"
    if not file.exists():  # when this test runs alone
        test_the_cron_line_runs(place)
    written = set(re.findall(r"^(corpusmill_\w+)", file.read_text(), re.MULTILINE))
    rules = [rule for group in yaml.safe_load(block("yaml alerts"))["groups"] for rule in group["rules"]]
    assert len(rules) >= 5
    for rule in rules:
        named = set(re.findall(r"\bcorpusmill_\w+", rule["expr"]))
        assert named
        assert named <= written, rule["alert"]
        assert rule["annotations"]["summary"]
    labels = {label for rule in rules for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])}
    assert labels == {"output"}


def test_the_systemd_units_are_sound_and_their_command_runs(place: Path, tmp_path: Path) -> None:
    for name in ("corpusmill.service", "corpusmill.timer"):
        (tmp_path / name).write_text(here(block(f"ini {name}"), place))
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read([tmp_path / "corpusmill.service", tmp_path / "corpusmill.timer"])
    assert {"Unit", "Service", "Timer", "Install"} <= set(unit.sections())
    assert unit["Service"]["Type"] == "oneshot"
    shell(unit["Service"]["ExecStart"], place)
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here; the command of the unit was run")
    command = [analyze, "verify", "--man=no", *map(str, sorted(tmp_path.glob("corpusmill.*")))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "corpusmill" in line]
    assert (done.returncode, said) == (0, [])


def test_the_cron_job_of_kubernetes_runs(place: Path) -> None:
    job = yaml.safe_load(block("yaml cronjob"))
    assert (job["kind"], job["spec"]["concurrencyPolicy"]) == ("CronJob", "Forbid")
    pods = job["spec"]["jobTemplate"]["spec"]
    (container,) = pods["template"]["spec"]["containers"]
    rules = pods["podFailurePolicy"]["rules"]
    assert rules[0]["onExitCodes"] == {"containerName": container["name"], "operator": "In", "values": [1, 2, 4]}
    assert pods["template"]["spec"]["restartPolicy"] == "Never"  # what podFailurePolicy asks for
    volumes = {volume["name"] for volume in pods["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    assert all(isinstance(argument, str) for argument in container["args"])
    shell(here(shlex.join([*container["command"], *container["args"]]), place), place)


def test_the_tasks_of_airflow_run(place: Path) -> None:
    tree = ast.parse(block("python dag"))
    compile(tree, "dag.py", "exec")
    (dag,) = calls(tree, "DAG")
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    run, audit = calls(tree, "BashOperator")
    assert run["skip_on_exit_code"] == 3
    assert run["cwd"] == audit["cwd"] == "/srv/corpus"
    for task in (run, audit):
        shell(here(task["bash_command"], place), place)


def test_the_shell_commands_run(place: Path) -> None:
    (place / "new").mkdir(exist_ok=True)
    (place / "new" / "part-0042.jsonl.gz").write_bytes(b"")
    if not (place / "out").exists():  # when this test runs alone
        test_the_cron_line_runs(place)
    for info in ("sh deliver", "sh release"):
        shell(f"set -e\n{block(info)}", place)
    assert [path.name for path in (place / "crawl").glob("part*")] == ["part-0042.jsonl.gz"]
    assert {path.name for path in (place / "release").iterdir()} == {"shards", "tokenizer.json", "manifest.json"}


def test_the_limits_are_settings_and_those_shown_are_the_defaults(tmp_path: Path) -> None:
    from corpusmill.recipe import load_recipe
    from corpusmill.schemas.recipe import LimitSettings

    (tmp_path / "recipe.toml").write_text(f'{block("toml limits")}\n[[stage]]\nkind = "normalize_text"\n')
    assert load_recipe(str(tmp_path / "recipe.toml")).limits == LimitSettings()


def test_every_exit_code_of_ours_is_explained() -> None:
    from corpusmill import schemas
    from corpusmill.cli import _INTERRUPTED

    codes = {cls.exit_code for cls in vars(schemas).values() if isinstance(cls, type) and hasattr(cls, "exit_code")}
    explained = {int(code) for code in re.findall(r"^\| (\d+)[ ,]", PAGE, re.MULTILINE)}
    assert {0, _INTERRUPTED} | codes <= explained


def test_after_too_much_quarantine_the_same_command_ends_with_0(tmp_path: Path) -> None:
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "bad.jsonl").write_text('{"text": "a line"}\n{broken\n')
    command = here("corpusmill run crawl/ out/ --quiet", tmp_path)
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    codes = [
        subprocess.run(line, shell=True, cwd=tmp_path, env=environment, capture_output=True, check=False).returncode
        for line in (command, command, f"{command} --restart --max-quarantined 1")
    ]
    assert codes == [1, 0, 0]
