"""Containerfile: its steps, run one after the other in a folder of their own, end in a server that answers."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORT = 8000


def steps() -> list[tuple[str, str]]:
    """Return the instructions of the Containerfile, as pairs of word and rest."""
    lines = (ROOT / "Containerfile").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition(" ") for line in lines if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in pairs]


def test_every_copied_file_is_tracked_and_not_ignored() -> None:
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], check=True, capture_output=True, text=True).stdout.split()
    for word, rest in steps():
        if word == "COPY" and not rest.startswith("--from"):
            for name in shlex.split(rest)[:-1]:
                assert any(one == name or one.startswith(f"{name}/") for one in tracked), name


def test_the_image_runs_as_an_ordinary_user_and_serves() -> None:
    words = steps()
    assert ("USER", "mien") in words
    assert ("EXPOSE", str(PORT)) in words
    assert words[-1] == ("CMD", '["mien", "serve", "--host", "0.0.0.0"]')


@pytest.mark.slow
def test_the_steps_end_in_a_server_that_answers(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    inside = {**clean, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}", "MIEN_API_KEY": "a-key-of-some-length"}
    stage = tmp_path / "root0"
    work = stage
    for word, rest in steps():
        if word == "FROM":
            stage = tmp_path / f"root{int(stage.name[4:]) + 1}"
            stage.mkdir()
            work = stage
        elif word == "WORKDIR":
            work = stage / rest.lstrip("/")
            work.mkdir(parents=True)
        elif word == "COPY":
            *sources, target = shlex.split(rest)
            origin = tmp_path / "root1" if sources[0].startswith("--from") else ROOT
            for source in [one for one in sources if not one.startswith("--")]:
                place = work if target == "./" else (stage if target.startswith("/") else work)
                goal = place / (source if target == "./" else target.lstrip("/"))
                found = origin / source.lstrip("/")
                (shutil.copytree if found.is_dir() else shutil.copy)(found, goal)
        elif word == "RUN":
            command = rest.split(" && useradd")[0].replace(" /", f" {stage}/")
            subprocess.run(command, shell=True, cwd=work, env=inside, check=True, stdout=subprocess.DEVNULL)
    command = json.loads(steps()[-1][1])
    with subprocess.Popen(
        [*command, "--port", "0"], env=inside, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as server:
        try:
            assert server.stdout is not None
            line = next(line for line in server.stdout if "http://" in line)
            with urllib.request.urlopen(f"http://127.0.0.1:{line.rstrip().rpartition(':')[2]}/healthz") as answer:
                assert answer.status == 200
        finally:
            server.terminate()
    assert server.returncode == 0
