"""Decoders are processes that end with a bad image, or with their parent; the images of both ways are the same."""

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from polling import wait_until

from mien.data.inspection import inspect_file
from mien.data.synthetic.faces import draw_face
from mien.errors import ImageError
from mien.io.images import examination, isolation
from mien.io.images.decoder_process import CPU_SECONDS
from mien.io.images.decoding import decode, load_image, open_image
from mien.io.images.formats import FORMATS
from mien.io.images.isolation import Decoders
from mien.io.images.loading import decode_with_size
from mien.runtime.memory import MemoryBudget

FACE = Image.fromarray(draw_face("happy", 3, 96))
BUDGET = MemoryBudget(2**30)
SIZED = {"shrink_to": None, "max_pixels": None}


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


LARGE = encode(FACE.resize((800, 800)), "PNG")


def isolated(data: bytes | Path) -> np.ndarray[Any, Any]:
    """Decode in a process of its own, however small the image is."""
    with ExitStack() as held:
        reply = isolation.run_isolated("decode", data, "photo", SIZED, held)
        assert reply is not None
        assert reply.pixels is not None
        return reply.pixels


@given(
    kind=st.sampled_from(FORMATS),
    mode=st.sampled_from(["RGB", "L"]),
    orientation=st.integers(1, 8),
    size=st.tuples(st.integers(2, 40), st.integers(2, 40)),
)
def test_both_ways_give_the_same_pixels(kind: str, mode: str, orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") else {}
    data = encode(FACE.resize(size).convert(mode), kind, **options)
    here = decode_with_size(data, "photo")
    assert np.array_equal(isolated(data), here.rgb)
    with open_image(data, "photo", isolated="all") as found:
        assert found[1:] == here[1:]


@pytest.mark.parametrize(
    "data",
    [b"", b"text", encode(FACE, "PNG")[:3000], encode(FACE, "JPEG")[:500], b"%!PS-Adobe-3.0 EPSF", bytes(100)],
)
def test_both_ways_raise_the_same_errors(data: bytes) -> None:
    with pytest.raises(ImageError) as here:
        decode_with_size(data, "photo")
    with pytest.raises(ImageError) as there:
        isolated(data)
    assert (here.value.reason, here.value.code) == (there.value.reason, there.value.code)
    assert there.value.source == "photo"


def test_paths_are_read_by_the_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ünï ☹.png").write_bytes(LARGE)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(decode("ünï ☹.png", "a"), load_image(LARGE))
    for path, code in (("gone.jpg", "missing"), (".", "not-a-file"), ("a\0b", "unreadable")):
        with pytest.raises(ImageError) as caught:
            decode(path, "a")
        assert caught.value.code == code
    if hasattr(os, "mkfifo"):
        os.mkfifo("fifo.jpg")
        with pytest.raises(ImageError, match="is not a regular file"):
            decode("fifo.jpg", "a")


def test_a_jpeg_without_its_end_keeps_its_note() -> None:
    data = encode(FACE.resize((600, 600)), "JPEG")[:-2]
    with open_image(data, "a", isolated="all") as found:
        assert found.note == decode_with_size(data, "a").note is not None


def ask(decoders: Decoders, data: bytes, name: str = "photo") -> isolation.Reply:
    with ExitStack() as held:
        return decoders.run("decode", data, name, SIZED, held)


def processes(decoders: Decoders) -> list[int]:
    return [one._process.pid for one in decoders._all]


def test_a_decoder_that_is_killed_once_is_started_again_with_the_same_image() -> None:
    decoders = Decoders(1, BUDGET)
    ask(decoders, LARGE)
    (pid,) = processes(decoders)
    os.kill(pid, signal.SIGKILL)
    assert np.array_equal(ask(decoders, LARGE).pixels, load_image(LARGE))  # type: ignore[arg-type]
    assert processes(decoders) != [pid]
    decoders.close()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("how", "reason"), [("SIGSEGV", "crashes its decoder"), ("SIGXCPU", f"{CPU_SECONDS} s to decode")]
)
def test_a_decoder_that_ends_in_the_middle_costs_one_image(how: str, reason: str) -> None:
    """The decoder waits for memory, which it does not get before it is ended."""
    budget = MemoryBudget(2**30)
    decoders = Decoders(1, budget)
    ask(decoders, LARGE)
    (pid,) = processes(decoders)
    hungry = encode(Image.new("RGB", (3000, 3000)), "PNG")
    found: list[str] = []

    def decode_hungry() -> None:
        try:
            ask(decoders, hungry)
        except ImageError as error:
            found.append(error.reason)

    with budget.reserve(2**30):
        thread = threading.Thread(target=decode_hungry)
        thread.start()
        wait_until(lambda: not any(decoders._idle.values()))
        os.kill(pid, getattr(signal, how))
    thread.join()
    assert reason in found[0]
    assert ask(decoders, LARGE).pixels is not None
    decoders.close()


def run_python(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_decoder_limits_its_memory_and_its_time() -> None:
    code = """
        import sys
        from mien.io.images import decoder
        decoder.CPU_SECONDS = 0
        limits = decoder._Limits()
        limits.set(0)
        try:
            bytearray(limits.allowed + 2**20)
        except MemoryError:
            print("refused", flush=True)
        while sys.argv[1] == "work":
            pass
    """
    assert (run_python(code, "rest").stdout, run_python(code, "rest").returncode) == ("refused\n", 0)
    assert run_python(code, "work").returncode == -signal.SIGXCPU


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_decoders_end_with_their_parent(how: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(encode(FACE, "TIFF"))
    code = """
        import sys, time
        from mien.io.images import examination, isolation
        from mien.io.images.decoding import decode
        decode(sys.argv[1], "a")
        print(*[one._process.pid for one in isolation._Shared.pool._all], flush=True)
        time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "a.tif")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        (pid,) = map(int, parent.stdout.readline().split())
        assert is_running(pid)
        for harmless in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, harmless)
        assert is_running(pid)
        parent.send_signal(how)
    wait_until(lambda: not is_running(pid))


def test_without_processes_images_are_decoded_here_with_one_warning(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(LARGE)
    (tmp_path / "a.tif").write_bytes(encode(FACE, "TIFF"))
    code = """
        import sys
        sys.frozen = True
        from mien.io.images.decoding import decode, load_image
        for _ in range(2):
            for name in sys.argv[1:]:
                print(decode(name, "a").shape, load_image(name).shape)
    """
    done = run_python(code, tmp_path / "a.png", tmp_path / "a.tif")
    assert done.stdout.split("\n")[0] == "(800, 800, 3) (800, 800, 3)"
    assert done.stdout.count("\n") == 4
    assert done.stderr.count("decoder processes cannot be started (this program has no Python interpreter") == 1


def test_a_decoder_prints_nothing(tmp_path: Path) -> None:
    broken = bytearray(encode(FACE, "TIFF", compression="tiff_lzw"))
    broken[200:2000] = bytes(1800)
    (tmp_path / "a.tif").write_bytes(broken)
    code = """
        import sys
        from mien.io.images.decoding import decode
        try:
            decode(sys.argv[1], "a")
        except ValueError as error:
            print(error)
    """
    done = run_python(code, tmp_path / "a.tif")
    assert done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_gets_decoders_of_its_own() -> None:
    before = isolated(LARGE)
    child = os.fork()
    if not child:
        try:
            same = np.array_equal(isolated(LARGE), before)
            isolation._close()
        finally:
            os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(isolated(LARGE), before)


def test_check_judges_the_same_way_in_both(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [LARGE, encode(FACE, "GIF"), encode(FACE, "PNG")[:3000], encode(FACE.convert("CMYK"), "JPEG"), b"text"]
    with monkeypatch.context() as all_isolated:
        all_isolated.setattr(examination, "CHEAP", 0)
        there = [inspect_file("a.jpg", data) for data in files]
    monkeypatch.setattr(isolation._Shared, "works", False)
    monkeypatch.setattr(isolation._Shared, "pool", None)
    for data, facts in zip(files, there, strict=True):
        here = inspect_file("a.jpg", data)
        assert (here.kinds, here.reason, here.width) == (facts.kinds, facts.reason, facts.width)
        assert np.array_equal(here.grey, facts.grey)  # type: ignore[arg-type]


def test_check_starts_no_decoder_for_images_that_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million crops of faces would each wait for a process. The frames of a GIF are counted in one, however many."""
    monkeypatch.setattr(isolation._Shared, "pool", None)
    assert inspect_file("a.png", encode(FACE, "PNG")).usable
    assert not inspect_file("a.png", encode(FACE, "PNG")[:3000]).usable
    assert isolation._Shared.pool is None
    try:
        assert inspect_file("a.gif", encode(FACE, "GIF")).usable
        assert isolation._Shared.pool is not None
    finally:
        isolation._close()
