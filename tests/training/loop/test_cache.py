"""The cache of crops holds what predictions crop, in little memory however large the images are."""

import io
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.dataset import read_manifest
from mien.data.synthetic.faces import draw_face, write_dataset
from mien.faces.crop import Region, crop
from mien.training.loop.cache import cached_crops


def test_a_region_is_found_again_in_an_image_that_is_shrunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path / "data", 2, seed=1, size=48)
    large = Image.fromarray(draw_face("happy", 3, 200)).resize((400, 300))
    large.save(tmp_path / "data/happy/large.png")
    region = Region(150, 120, side=160)
    monkeypatch.setattr("mien.training.loop.cache.MAX_READ_PIXELS", 200 * 150)
    manifest = read_manifest(tmp_path / "data")
    crops = cached_crops(manifest, 48, 3, tmp_path / "cache", regions={"happy/large.png": region})
    place = [sample.name for sample in manifest.samples].index("happy/large.png")
    wanted = crop(np.asarray(large), 48, 3, region)
    assert np.abs(crops[place].astype(int) - wanted).mean() < 3


def png(side: int) -> bytes:
    """A black square of one bit per pixel."""
    buffer, packer = io.BytesIO(), zlib.compressobj(1)
    pixels = b"".join(packer.compress(bytes(1 + side // 8)) for _ in range(side)) + packer.flush()
    buffer.write(b"\x89PNG\r\n\x1a\n")
    for name, data in ((b"IHDR", side.to_bytes(4) * 2 + b"\1\0\0\0\0"), (b"IDAT", pixels), (b"IEND", b"")):
        buffer.write(len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4))
    return buffer.getvalue()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(
    "what",
    [
        "from mien.training.loop.cache import cached_crops; cached_crops(data, 48, 1, folder / 'cache')",
        "from mien.data.dataset import sample_images; list(sample_images(data, ['happy/huge.png'], 1, 0))",
    ],
)
def test_an_image_of_144_megapixels_takes_little_memory(what: str, tmp_path: Path) -> None:
    """In full it would take 432 MB; it is shrunk to 16 megapixels, 48 MB, in a process of its own."""
    write_dataset(tmp_path / "data", 2, seed=1, size=48)
    (tmp_path / "data/happy/huge.png").write_bytes(png(12_000))
    code = f"""
        import sys, warnings
        from pathlib import Path
        from mien.data.dataset import read_manifest
        warnings.simplefilter("ignore")
        folder = Path(sys.argv[1])
        data = read_manifest(folder / "data")
        def peak():
            return int(next(line for line in open("/proc/self/status") if "VmHWM" in line).split()[1]) / 1024
        before = peak()
        {what}
        print(peak() - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 150
