"""Write docs/reference/dependencies.md: what the core and each extra install, under which licence, and why.

    python tools/dependencies.py

Names and bounds come from pyproject.toml, licences from the metadata of the installed packages. The licence of a
package that is not installed stays as the page has it. A test fails if the page and pyproject.toml differ.
"""

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mien.cli.doctor_extras import PURPOSE

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "dependencies.md"
#: What mien uses each library for.
WHY = {
    "av": "reads and writes videos, reads cameras; has its own FFmpeg",
    "click": "parses commands, prints their help, completes them",
    "fastapi": "routes, validation and OpenAPI of the server",
    "filelock": "keeps two processes from writing one run, study or output",
    "jinja2": "templates of HTML pages; escapes what they show",
    "keras": "networks, layers, optimizers; saves models",
    "mien-web": "the page and its library, built by node; holds onnxruntime-web",
    "matplotlib": "charts as PNG and SVG",
    "numpy": "images, probabilities and metrics are its arrays",
    "onnx": "writes and checks the exported graph",
    "onnxruntime": "runs the face detector and the classifier",
    "optuna": "proposes settings, stops weak trials, keeps studies",
    "packaging": "compares versions with bounds in `mien doctor`",
    "pi-heif": "decodes HEIC and HEIF, the photos of phones",
    "pillow": "decodes, resizes, draws and saves images",
    "prometheus-client": "the server's metrics in Prometheus format",
    "psycopg": "connects a study to PostgreSQL",
    "pyarrow": "writes and reads Parquet",
    "pydantic": "validates parameters and describes answers of the server",
    "python-multipart": "parses uploaded forms",
    "ray": "reads images on many machines",
    "rich": "tables, progress bars and colours in the terminal",
    "scikit-learn": "the logistic-regression baseline, weights of balanced classes",
    "scipy": "fits the temperature; correlations and tests of sweeps",
    "sqlalchemy": "connects a study to any SQL database",
    "starlette": "requests, responses, WebSockets and forms of the server",
    "tensorboardx": "writes logs that TensorBoard reads",
    "tensorflow": "runs Keras on ARM Linux and macOS",
    "tensorflow-cpu": "runs Keras on x86-64 Linux and Windows, without CUDA",
    "tf2onnx": "converts a Keras model to ONNX",
    "uvicorn": "the HTTP server",
    "websockets": "the webcam's WebSocket",
}
_INTRO = """# Dependencies

Written by `python tools/dependencies.py` out of `pyproject.toml` and the packages' metadata. The sizes stand under
[Install](../index.md#install). Each release has a complete list, with what these packages need themselves, in its SBOM
(`mien-VERSION.cdx.json`).

`make test-lowest` installs exactly the lower bounds and tests images, inference, server and training with them. An
upper bound stands where mien uses what a library does not document.
"""
_ROW = re.compile(r"^\| \[?([\w.-]+).*?\| .*? \| (.*?) \| .*? \|$", re.MULTILINE)


def project() -> dict[str, list[Requirement]]:
    """Return the requirements of the core, under "", and of each extra."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"": table["dependencies"], **table["optional-dependencies"]}
    return {name: [Requirement(line) for line in lines] for name, lines in groups.items()}


def licence(name: str) -> str | None:
    """Return the licence that an installed package states; None if it is not installed or states none."""
    if name == "tensorflow":  # one project, two packages: only one of them can be installed
        return licence("tensorflow-cpu")
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if expression := found.get_all("License-Expression"):
        return str(expression[0])
    marks = [row.split(" :: ")[-1] for row in found.get_all("Classifier") or [] if row.startswith("License ::")]
    words = " ".join(found.get_all("License") or []).strip()
    return " or ".join(marks) or (words if 0 < len(words) <= 60 else None)


def render(page: str) -> str:
    """Return the page, with the licences of packages that are not installed as an earlier page has them."""
    known: dict[str, str] = {canonicalize_name(name): words for name, words in _ROW.findall(page)}
    lines = [_INTRO]
    for extra, rows in project().items():
        lines += [*_section(extra, rows, known), ""]
    return "\n".join(lines)


def _section(extra: str, rows: list[Requirement], known: dict[str, str]) -> Iterator[str]:
    included = [f"`mien[{name}]`" for row in rows if row.name == "mien" for name in sorted(row.extras)]
    yield f"## mien[{extra}]" if extra else "## Core"
    yield ""
    if extra:
        purpose = PURPOSE[extra]
        yield f"For {f'`{purpose}`' if purpose.startswith(('mien', '--')) else purpose}." + (
            f" Includes {' and '.join(included)}." if included else ""
        )
        yield ""
    yield "| package | versions | licence | why |"
    yield "|---|---|---|---|"
    for row in sorted((row for row in rows if row.name != "mien"), key=lambda row: row.name.lower()):
        name = canonicalize_name(row.name)
        words = licence(name) or known.get(name, "not stated")
        extras = f"[{','.join(sorted(row.extras))}]" if row.extras else ""
        bounds = ", ".join(sorted((str(one) for one in row.specifier), key=lambda one: one.startswith("<")))
        yield f"| {row.name}{extras} | `{bounds}` | {words} | {WHY[name]} |"


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""), encoding="utf-8")
