"""The webcam on the page: Chromium's fake webcam shows a drawn face that is happy, then sad."""

import csv
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import PATIENCE, sync_api
from drawn import write_clip
from PIL import Image
from polling import wait_until

import mien
from mien.data.synthetic.faces import draw_face

PERSON = 1000  # a seed that the bundle was not trained on


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a happy face, two of the same person sad, in a loop."""
    path = tmp_path_factory.mktemp("clip") / "face.y4m"
    frames = [np.asarray(Image.fromarray(draw_face(name, PERSON, 240)).resize((320, 240))) for name in ("happy", "sad")]
    write_clip(path, [frames[0]] * 20 + [frames[1]] * 20, fps=10)
    return path


@pytest.fixture
def server(start_page_server: Callable[..., Any], drawn_bundle: Path) -> Any:
    return start_page_server("--model", drawn_bundle)


@pytest.fixture(scope="module")
def browser(start_browser: Callable[..., Any], clip: Path) -> Any:
    return start_browser("--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={clip}")


def test_the_bundle_tells_happy_from_sad(drawn_bundle: Path) -> None:
    reader = mien.load(drawn_bundle, threads=1)
    names = [name for _ in range(25) for name in ("happy", "sad")]
    faces = [draw_face(name, PERSON + number // 2, 48) for number, name in enumerate(names)]
    right = [result.answer == name for result, name in zip(reader.predict_many(faces), names, strict=True)]
    assert np.mean(right) > 0.85


def test_the_page_shows_both_answers_in_turn(page: Any) -> None:
    page.open_webcam()
    page.wait_for(".face .answer", "happy")
    page.wait_for(".face .answer", "sad")
    page.wait_for(".face .answer", "happy")
    # On a machine so slow that two seconds pass between two frames, a person is a new one, with a lane of its own.
    page.wait_for(".lanes", "sad")
    page.wait_for(".lanes", "happy")
    drawn = """() => {
      const found = new Set();
      for (const canvas of document.querySelectorAll(".curve")) {
        // A copy: the browser warns of a canvas that is read more than once.
        const context = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
        context.drawImage(canvas, 0, 0);
        const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
        const half = Math.floor(canvas.height / 2);
        const look = (red, green, blue, from, to) => {
          for (let n = 4 * canvas.width * from; n < 4 * canvas.width * to; n += 4)
            if (data[n] === red && data[n + 1] === green && data[n + 2] === blue) found.add(red);
        };
        look(230, 159, 0, 0, half - 4);
        look(86, 180, 233, half + 4, canvas.height);
      }
      return found.size === 2;
    }"""
    # Orange above the middle, blue below it. Only answers that come fast one after the other are joined by a line.
    wait_until(lambda: page.tab.evaluate(drawn), 180)
    assert page.tab.get_attribute("#csv", "title") == "The latest 36,000 frames"
    for name in ("#fps", "#latency", "#inference"):
        sync_api.expect(page.tab.locator(name)).to_have_text(re.compile(r"^\d+$"), timeout=PATIENCE)
    assert page.tab.evaluate("document.getElementById('video').classList.contains('mirror')")
    rows = saved_rows(page)
    assert list(rows[0])[:3] == ["source", "time", "frame"]
    times = [float(row["time"]) for row in rows]
    assert times == sorted(times)
    assert {row["answer"] for row in rows} == {"happy", "sad"}
    assert "1" in {row["person"] for row in rows}, "one more after each gap of two seconds, if the machine is so slow"


def saved_rows(page: Any) -> list[dict[str, str]]:
    with page.tab.expect_download() as waiting:
        page.tab.click("#csv")
    return list(csv.DictReader(Path(waiting.value.path()).read_text().splitlines()))


def test_few_frames_are_unanswered_and_few_answers_are_announced(page: Any) -> None:
    """At most two frames at a time; an answer is announced when it has lasted, not at every frame."""
    page.tab.evaluate(
        """() => {
          Object.assign(window, { unanswered: [], announced: [] });
          const announcer = document.getElementById("announcer");
          new MutationObserver(() => window.announced.push(performance.now())).observe(announcer, { childList: true });
          const send = WebSocket.prototype.send;
          WebSocket.prototype.send = function (data) {
            if (this.sent === undefined) {
              Object.assign(this, { sent: 0, answered: 0 });
              this.addEventListener("message", (event) => { this.answered = JSON.parse(event.data).frame; });
            }
            this.sent += 1;
            window.unanswered.push(this.sent - this.answered);
            return send.call(this, data);
          };
        }"""
    )
    page.open_webcam()
    page.wait_for("#announcer", "happy")
    page.wait_for("#announcer", "sad")
    unanswered, announced = page.tab.evaluate("[window.unanswered, window.announced]")
    assert set(unanswered) <= {1, 2}
    assert len(announced) < len(unanswered)
    assert all(later - sooner > 2000 for sooner, later in pairwise(announced))


def test_a_frame_becomes_a_photo(page: Any) -> None:
    page.open_webcam()
    page.tab.locator(".face .answer").wait_for()
    page.tab.click("#snapshot")
    page.wait_for("#title", "webcam ")
    page.tab.locator(".face .answer").wait_for()
    assert page.tab.get_attribute("body", "data-mode") == "photos"
    assert page.tab.evaluate("document.getElementById('photo').naturalWidth") == 320
    assert page.tab.evaluate("document.getElementById('video').srcObject") is None, "the camera is off"


def test_the_user_closes_the_webcam(page: Any) -> None:
    page.open_webcam()
    page.tab.locator(".face .answer").wait_for()
    page.tab.click("#webcam")
    assert page.tab.get_attribute("body", "data-mode") == "empty"
    assert page.tab.text_content("#webcam") == "Open the webcam"


def test_the_stream_comes_back_with_the_server(page: Any, server: Any) -> None:
    page.open_webcam()
    page.tab.locator(".face .answer").wait_for()
    server.stop()
    page.wait_for("#banner", "The server does not answer. Next try in")
    page.wait_for("#announcer", "Trying again until it does")
    server.start()
    page.tab.locator("#banner").wait_for(state="hidden")
    page.wait_for(".face .answer", "happy")
    page.wait_for(".face .answer", "sad")
    page.allow_errors("503", "ERR_", "WebSocket")
