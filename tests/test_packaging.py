"""What is installed is whole, without the source tree beside it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from reasonkit import doctor

TOP = Path(__file__).parent.parent


def test_every_folder_with_code_is_packaged() -> None:
    tools = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {p.parent.relative_to(TOP) for p in (TOP / "reasonkit").rglob("*.py")}
    names = {".".join(folder.parts) for folder in folders} - {"reasonkit.docs.examples"}
    assert names == {*tools["packages"]} - {"reasonkit.recipes.files"}


def test_every_extra_is_documented() -> None:
    page = (TOP / "reasonkit/docs/installing.md").read_text()
    assert [name for name in (*doctor.EXTRAS, doctor.FOR_TESTS) if f"`{name}`" not in page] == []


@pytest.mark.slow
def test_a_wheel_is_small_and_runs_alone(tmp_path: Path) -> None:
    wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", tmp_path, TOP]
    subprocess.run(wheel, check=True)
    (made,) = tmp_path.glob("*.whl")
    assert made.stat().st_size < 30 * 2**20
    names = zipfile.ZipFile(made).namelist()
    assert {"reasonkit/py.typed", "reasonkit/docs/examples/read_a_run.py"} <= {*names}
    venv.create(tmp_path / "env", with_pip=False)
    (packages,) = (tmp_path / "env/lib").glob("*/site-packages")
    # Its dependencies are those that are here.
    here = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(here))
    zipfile.ZipFile(made).extractall(packages)
    argv = ["grpo", "--config", "abacus-arithmetic-group-4", "--steps", "1", "--dry-run"]
    for line in (["--version"], ["recipes", "show", "grpo/abacus-tiny-code"], argv):
        python = [tmp_path / "env/bin/python", "-P", "-m", "reasonkit"]
        ended = subprocess.run([*python, *line], cwd=tmp_path, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
