"""`reader.watch`: people in Chromium's fake webcam are tracked, and their answers follow their faces."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drawn import write_clip
from static_site import StaticSite
from web_library import Browser


@pytest.fixture(scope="module")
def camera(start_browser: Callable[..., Any], two_people: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A browser whose webcam shows two people: the left one bright, then dark; the right one bright, for a while."""
    clip = tmp_path_factory.mktemp("clip") / "two.y4m"
    frames = [two_people(n / 10, n < 30, True if n % 60 < 40 else None) for n in range(60)]
    write_clip(clip, frames, fps=10)
    return start_browser("--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={clip}")


@pytest.fixture
def tab(
    camera: Any, open_tab: Callable[..., Browser], site: StaticSite, site_folder: Path, brightness_bundle: Path
) -> Browser:  # fmt: skip
    if not (site_folder / "bright").exists():
        (site_folder / "bright").symlink_to(brightness_bundle)
    found: Browser = open_tab(camera, site.url)
    assert found.load("bright/")["answers"] == ["happy", "sad"]
    return found


def test_people_keep_their_numbers_and_their_answers_follow(tab: Browser) -> None:
    rows = tab.run("() => page.watch(60)")
    assert [row["frame"] for row in rows] == list(range(1, 61))
    times = [row["time"] for row in rows]
    assert times[0] == 0
    assert times == sorted(times)
    assert list(rows[0]) == [
        "source", "status", "reason", "width", "height", "model", "detect", "faces", "time", "frame", "scene"
    ]  # fmt: skip
    assert {(row["source"], row["scene"], row["width"], row["height"]) for row in rows} == {("stream", 1, 640, 360)}
    seen = [face for row in rows for face in row["faces"]]
    assert {face["person"] for face in seen} >= {1, 2}
    left = [face for face in seen if face["box"]["x"] < 320]
    assert {face["answer"] for face in left} == {"happy", "sad"}
    shares = [face["probabilities"]["happy"] for face in left]
    assert min(shares) < 0.2
    assert max(shares) > 0.8
    # A person is one side of the image, unless the clip has begun again.
    for person in (1, 2):
        assert len({face["box"]["x"] < 320 for face in seen if face["person"] == person}) == 1


def test_a_signal_ends_it(tab: Browser) -> None:
    assert tab.run("() => page.watchUntilAborted()") == 2
