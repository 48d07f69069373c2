"""Check the machine, the core and the shipped models for `mien doctor`; needs no extra."""

import json
import os
import platform
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np

from mien.arguments import to_flags
from mien.cli.doctor_requirements import look_up, requirements, words
from mien.data.synthetic.faces import draw_face
from mien.errors import MienError
from mien.inference.bundle import SHIPPED, load_bundle, shipped_models
from mien.io.layout import RUNS
from mien.runtime.cores import available_cores, cpu_quota
from mien.runtime.providers import DEVICE_PACKAGES, Device, installed_runtimes, offered_devices
from mien.text import join_words
from mien.version import __version__

#: The one requirement that other packages meet, too.
RUNTIME = "onnxruntime"
State = Literal["ok", "missing", "broken", "info"]

#: Processor features that speed up inference or training, as Linux names them.
_FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16", "i8mm")


@dataclass(frozen=True)
class Check:
    """A line of the report: name, state, what was found, and how to repair it if needed."""

    name: str
    state: State
    text: str
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return a JSON-serialisable dict."""
        return {"name": self.name, "state": self.state, "text": self.text, "fix": self.fix}


def system_checks() -> Iterator[Check]:
    """Yield every check that needs no extra."""
    yield Check("mien", "info", f"{__version__}, in {Path(__file__).parent.parent}")
    yield Check("python", "info", f"{platform.python_version()} ({platform.python_implementation()}), "
                f"{platform.system()} {platform.machine()}")  # fmt: skip
    yield Check("processor", "info", processor())
    yield Check("cores", "info", cores())
    reinstall = f"pip install --force-reinstall {origin()}"
    yield _core()
    yield check_runtime(installed_runtimes(), reinstall)
    models = shipped_models()
    if not models:
        yield Check("models", "broken", "none in this installation", reinstall)
    for name in models:
        yield _guard(f"model {name}", partial(_model, name), reinstall)
    yield _guard("face detector", _detector, reinstall)
    if models:
        yield _guard("self test", _self_test, reinstall)
        yield from _devices()
    yield _runs()


def _core() -> Check:
    """Compare what mien always needs with the bounds of its package; onnxruntime has a check of its own."""
    try:
        found = look_up([row for row in requirements() if row.name != RUNTIME])
    except metadata.PackageNotFoundError:
        return Check("core", "info", "mien is not installed as a package, so the versions it needs are not known")
    unfit = [row for row in found if not row.fits]
    if unfit:
        fix = f"pip install {words([row.requirement for row in unfit])}"
        return Check("core", "broken", ", ".join(map(str, unfit)), fix)
    return Check("core", "ok", ", ".join(map(str, found)))


def origin() -> str:
    """Return what to give to pip to install this mien again: the clone or the wheel it came from, or its name.

    PEP 610 says where pip notes it.
    """
    try:
        noted = metadata.distribution("mien").read_text("direct_url.json")
    except metadata.PackageNotFoundError:  # run from a folder of sources that was never installed
        return "mien"
    if noted is None:
        return "mien"
    found = json.loads(noted)
    place = shlex.quote(url2pathname(urlsplit(found["url"]).path)) if found["url"].startswith("file:") else found["url"]
    return f"-e {place}" if found.get("dir_info", {}).get("editable") else place


def check_runtime(installed: Mapping[str, str], reinstall: str) -> Check:
    """Check that exactly one package brings onnxruntime, in a version that mien takes.

    Args:
        installed: the version of each package that brings it, by name.
        reinstall: the line that installs mien again.
    """
    name, listing = RUNTIME, join_words([f"{package} {version}" for package, version in installed.items()])
    if not installed:
        return Check(name, "broken", "not installed", reinstall)
    if len(installed) > 1:
        wanted = next((one for one in DEVICE_PACKAGES if one in installed), name)
        fix = f"pip uninstall -y {' '.join(installed)} && pip install {wanted}"
        return Check(name, "broken", f"{listing} are installed together and overwrite each other's files", fix)
    try:
        required = [row for row in requirements() if row.name == name]
    except metadata.PackageNotFoundError:  # run from a folder of sources that was never installed
        required = []
    unfit = [row for row in required if not row.specifier.contains(next(iter(installed.values())), prereleases=True)]
    if unfit:
        fix = f"pip install '{next(iter(installed))}{unfit[0].specifier}'"
        return Check(name, "broken", f"{listing} is not {unfit[0].specifier}", fix)
    return Check(name, "ok", listing)


def _devices() -> Iterator[Check]:
    """List the devices that onnxruntime offers, and try each that is not the CPU."""
    try:
        offered = offered_devices()
    except ImportError:  # said above
        return
    yield Check("devices", "info", f"onnxruntime offers {join_words(offered)}, for --device")
    for name in offered:
        if name != "cpu":
            yield _guard(f"device {name}", partial(_device, name), "use --device cpu")


def _device(name: Device) -> str:
    from mien.inference.reader import load

    return str(load(device=name, detect=True).device_note)


def _guard(name: str, check: Callable[[], str], fix: str) -> Check:
    try:
        return Check(name, "ok", check())
    except Exception as error:  # whatever is wrong, the other checks go on
        return Check(name, "broken", f"{type(error).__name__}: {' '.join(to_flags(str(error)).split())}"[:300], fix)


def processor() -> str:
    """Return the processor's name and its vector features, if the system tells them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    known = [name for name in _FEATURES if name in flags]
    return f"{fields.get('model name', platform.machine())}: {', '.join(known) or 'no useful vector extensions'}"


def cores() -> str:
    """Return how many cores this process may use, and what limits them: a container's quota, and variables."""
    quota = cpu_quota()
    granted = "" if quota is None else f", a CPU quota of {quota:.3g}"
    limits = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "KERAS_BACKEND") if name in os.environ}
    words = "".join(f", {name}={value}" for name, value in limits.items())
    return f"{available_cores()} of {os.cpu_count()} may be used{granted}{words}"


def _model(name: str) -> str:
    bundle = load_bundle(SHIPPED / name)  # compares the sha256
    config = bundle.config
    colour = "grey" if config.input_channels == 1 else "RGB"
    return f"sha256 {config.sha256[:12]}… verified, {len(bundle.model) / 1e6:.1f} MB, {config.input_size} px {colour}"


def _detector() -> str:
    from mien.faces.detector import Detector

    Detector(threads=1)(draw_face("happy", 0, 320))
    return "weights verified, runs"


def _self_test() -> str:
    from mien.inference.reader import load

    reader = load(detect=False)
    face = draw_face("happy", 1, 96)
    reader.predict(face)
    began = time.perf_counter()
    found = reader.predict(face)
    milliseconds = 1000 * (time.perf_counter() - began)
    probabilities = np.array(list(found.faces[0].probabilities.values()))
    if not (np.isfinite(probabilities).all() and abs(probabilities.sum() - 1) < 1e-3):
        raise MienError(f"the model's probabilities on a drawn face do not add up to 1: {probabilities}")
    return f"a drawn face was classified in {milliseconds:.1f} ms"


def _runs() -> Check:
    place = Path(RUNS).resolve()
    parent = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(parent).free / 1e9
    if not os.access(parent, os.W_OK | os.X_OK):
        fix = "give --out, or change to a folder that you may write to"
        return Check("runs", "info", f"would go to {place}, which cannot be written", fix)
    return Check("runs", "info", f"go to {place} ({free:.0f} GB free)")
