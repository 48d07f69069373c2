"""`mien predict video.mp4`: rows, summary, plot and drawn video; who changes when is found; nothing half-written."""

import csv
import io
import json
import math
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from killing import stop_at_row
from peak import peak_mib
from PIL import Image, ImageColor

from mien.arrays import RGB
from mien.cli.predict_camera import live_line
from mien.cli.predict_video import clock_time
from mien.io.video.decoding import open_video
from mien.results import Box, Face, FrameResult
from mien.viz.annotate import answer_colours

Called = tuple[int, str, str]
Call = Callable[..., Called]
WriteVideo = Callable[..., None]
TwoPeople = Callable[..., RGB]

#: When the expressions in the video change, by person (1 is on the left), in seconds.
CHANGES = {"left": [1.37, 3.05], "right": [0.77, 2.43]}
SECONDS = 4


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo, two_people: TwoPeople) -> Path:
    """Two people, both bright at first; each changes at two known times."""
    path = tmp_path_factory.mktemp("video") / "video.mp4"

    def bright(who: str, time: float) -> bool:
        return sum(time >= change for change in CHANGES[who]) % 2 == 0

    times = [number / 30 for number in range(30 * SECONDS)]
    write_video(path, ((t, two_people(t, bright("left", t), bright("right", t))) for t in times))
    return path


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """One second without anybody."""
    path = tmp_path_factory.mktemp("still") / "still.mkv"
    write_video(path, ((number / 10, np.full((96, 128, 3), 90, np.uint8)) for number in range(10)))
    return path


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("fps", [5, 10])
def test_changes_are_found_within_300_ms(call: Call, video: Path, brightness_bundle: Path, fps: int) -> None:
    options = [] if fps == 5 else ["--fps", fps]  # 5 is the default
    status, out, _ = call("predict", video, "--model", brightness_bundle, "--csv", "-", *options)
    assert status == 0
    rows = table(out)
    assert len(rows) == 2 * SECONDS * fps
    assert sorted({row["person"] for row in rows}) == ["1", "2"]
    for person in "12":
        lane = [row for row in rows if row["person"] == person]
        who = "left" if int(lane[0]["x"]) < 300 else "right"
        assert all((int(row["x"]) < 300) == (who == "left") for row in lane)
        found = [float(after["time"]) for before, after in pairwise(lane) if before["answer"] != after["answer"]]
        np.testing.assert_allclose(found, CHANGES[who], atol=0.3)
        assert all(late >= change for late, change in zip(found, CHANGES[who], strict=True))
        assert lane[0]["answer"] == "happy"


def test_the_rows_of_every_format_agree(call: Call, video: Path, brightness_bundle: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    for kind in ("json", "jsonl", "csv", "parquet"):
        status, out, _ = call("predict", video, "--model", brightness_bundle, f"--{kind}", tmp_path / f"rows.{kind}")
        assert status == 0
        assert "person" in out, "the summary is printed beside a file"
    whole = json.loads((tmp_path / "rows.json").read_text())
    assert whole == [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["time"] for row in whole] == pytest.approx(np.arange(5 * SECONDS) / 5, abs=0.002)
    faces = [(row["time"], face["person"], face["box"]["x"], face["answer"]) for row in whole for face in row["faces"]]
    lines = table((tmp_path / "rows.csv").read_text())
    assert [(float(r["time"]), int(r["person"]), int(r["x"]), r["answer"]) for r in lines] == faces
    stored = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [(row["time"], row["person"], row["x"], row["answer"]) for row in stored] == faces
    assert list(lines[0])[:6] == ["source", "time", "frame", "scene", "person", "status"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"rows.{k}" for k in ("json", "jsonl", "csv", "parquet")
    )


def test_the_summary_says_who_was_seen_and_how(call: Call, video: Path, brightness_bundle: Path) -> None:
    status, out, err = call("predict", video, "--model", brightness_bundle)
    assert (status, err) == (0, "")
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line]
    assert [line[0] for line in lines] == ["1", "2"]
    for line in lines:
        assert line[1] == "0:00.0 to 0:03.8"
        assert line[2] == str(5 * SECONDS)
        assert line[4] == "2"
        assert "happy" in line[3]
        assert "sad" in line[3]


def test_the_summary_names_the_video_where_images_were_read_too(
    call: Call, video: Path, brightness_bundle: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (64, 64)).save(photo)
    _, out, _ = call("predict", photo, video, "--model", brightness_bundle, "--csv", tmp_path / "rows.csv")
    assert video.name in out


def test_a_model_of_crops_says_that_it_reads_whole_frames(
    call: Call, make_bundle: Callable[..., Path], tmp_path: Path, write_video: WriteVideo, two_people: TwoPeople
) -> None:
    video = tmp_path / "video.mkv"
    write_video(video, [(0.0, two_people(0))])
    bundle = make_bundle()
    assert call("predict", video, "--model", bundle)[2] == (
        "mien: this model was trained on whole images and classifies them whole; --detect yes finds the faces first "
        "(mien train --detect yes trains for that)\n"
    )
    for told in ("--detect=yes", "--no-detect"):
        assert "classifies them whole" not in call("predict", video, "--model", bundle, told)[2]


def test_rows_on_stdout_are_alone_there(call: Call, video: Path, brightness_bundle: Path) -> None:
    _, out, err = call("predict", video, "--model", brightness_bundle, "--jsonl", "-")
    assert all(json.loads(line)["source"] == str(video) for line in out.splitlines())
    assert "person" in err


def test_video_and_timeline_are_drawn(call: Call, video: Path, brightness_bundle: Path, tmp_path: Path) -> None:
    drawn, plot = tmp_path / "out.mp4", tmp_path / "plot.png"
    status, _, _ = call("predict", video, "--model", brightness_bundle, "--draw", drawn, "--timeline", plot)
    assert status == 0
    assert sorted(tmp_path.iterdir()) == [drawn, plot]
    with open_video(drawn) as opened:
        frames = [(frame.time, frame.rgb) for frame in opened.frames(1000)]
    assert opened.problem is None
    assert [time for time, _ in frames] == pytest.approx(np.arange(5 * SECONDS) / 5, abs=0.002)
    colours = {name: np.array(ImageColor.getrgb(value)) for name, value in answer_colours(("happy", "sad")).items()}

    def amount(frame: RGB, name: str) -> int:
        return int((np.abs(frame.astype(int) - colours[name]).max(axis=2) < 40).sum())

    first, middle = frames[1][1], frames[10][1]  # both happy; at 2.0 s both sad
    assert amount(first, "happy") > 1000
    assert amount(first, "sad") < 100
    assert amount(middle, "sad") > 1000
    assert amount(middle, "happy") < 100
    with Image.open(plot) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert image.width == 1200
    assert all((pixels == colour).all(axis=2).sum() > 10_000 for colour in colours.values())


def test_nobody_in_it(call: Call, still: Path, brightness_bundle: Path, tmp_path: Path) -> None:
    drawn, plot = tmp_path / "out.mp4", tmp_path / "plot.png"
    status, out, err = call(
        "predict", still, "--model", brightness_bundle, "--csv", "-", "--draw", drawn, "--timeline", plot
    )
    assert status == 0
    rows = table(out)
    assert [row["status"] for row in rows] == ["no_face"] * 5
    assert {row["person"] for row in rows} == {""}
    assert err == "mien: no face was found in 5 of 5 frames\n"
    assert drawn.stat().st_size > 0
    assert plot.stat().st_size > 0


def test_a_video_cut_short_is_read_as_far_as_it_goes(
    call: Call, video: Path, brightness_bundle: Path, tmp_path: Path, write_video: WriteVideo, two_people: TwoPeople
) -> None:
    path = tmp_path / "short.mkv"
    write_video(path, ((number / 10, two_people(number / 10)) for number in range(40)))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    status, out, err = call("predict", path, "--model", brightness_bundle, "--csv", tmp_path / "rows.csv")
    assert status == 1
    assert "2" in out
    assert err.startswith(f"mien: {path}: ")
    assert "the file is cut short; what could be decoded was read" in err
    assert err.count("\n") == 1
    assert 10 < len(table((tmp_path / "rows.csv").read_text())) < 35


def assert_refused(called: Called, *words: str) -> None:
    """A bad call is exit status 2 and exactly one line on stderr."""
    status, out, err = called
    assert (status, out) == (2, "")
    assert err.startswith("mien: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fps", "5"], ["--fps", "needs a video"]),
        (["--timeline", "t.png"], ["--timeline", "needs a video"]),
        (["--camera", "0"], ["--camera 0 and", "give only one"]),
    ],
)
def test_what_does_not_go_together(call: Call, tmp_path: Path, options: list[str], words: list[str]) -> None:
    image = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(image)
    assert_refused(call("predict", image, *options), *words)


def test_a_call_that_names_nothing(call: Call) -> None:
    assert_refused(call("predict"), "nothing to read")


@pytest.mark.parametrize("option", ["--draw", "--timeline", "--csv"])
def test_the_video_itself_is_never_written_over(call: Call, video: Path, brightness_bundle: Path, option: str) -> None:
    before = video.read_bytes()
    assert_refused(call("predict", video, "--model", brightness_bundle, option, video), str(video), "give another file")
    assert video.read_bytes() == before


@pytest.mark.parametrize("option", ["--draw", "--timeline", "--csv"])
@pytest.mark.parametrize("place", ["here/../video.mp4", "link/video.mp4"])
def test_nor_is_it_by_another_name(
    call: Call, video: Path, brightness_bundle: Path, tmp_path: Path, option: str, place: str
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    mine = tmp_path / "video.mp4"
    mine.write_bytes(video.read_bytes())
    refused = call("predict", mine, "--model", brightness_bundle, option, tmp_path / place)
    assert_refused(refused, place, "give another file")
    assert mine.read_bytes() == video.read_bytes()


def test_rows_that_are_there_are_never_replaced(
    call: Call, video: Path, brightness_bundle: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("mine")
    refused = call("predict", video, "--model", brightness_bundle, "--csv", rows)
    assert_refused(refused, f"{rows}: already exists; choose another name, or remove it first")
    (tmp_path / "rows.csv.part").write_text("of another program")
    refused = call("predict", video, "--model", brightness_bundle, "--csv", rows)
    assert_refused(refused, f"{rows}.part: exists and was not written by mien")
    assert rows.read_text() == "mine"


@pytest.mark.parametrize(
    "options",
    [("--draw", "o.mp4", "--csv", "./o.mp4"), ("--timeline", "o.png", "--json", "o.png")],
    ids=["draw", "timeline"],
)
def test_two_things_are_not_written_to_one_file(
    call: Call,
    video: Path,
    brightness_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(call("predict", video, "--model", brightness_bundle, *options), options[0], "another output")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        ("--timeline", "out.pdf", "ends in .png"),
        ("--draw", "out.gif", "drawn into a folder"),
        ("--draw", "out.webm", "ends so"),
        ("--draw", "..", "is not empty"),
        ("--timeline", "..", "is not empty"),
        ("--timeline", "out.mp4", "written as PNG"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_work(
    call: Call, video: Path, brightness_bundle: Path, tmp_path: Path, option: str, name: str, words: str
) -> None:
    assert_refused(call("predict", video, "--model", brightness_bundle, option, tmp_path / name), words)


def test_what_is_no_video_is_a_row_and_leaves_no_drawing(call: Call, brightness_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("not a video")
    out = tmp_path / "out"
    targets = ["--draw", out / "a.mp4", "--csv", out / "a.csv"]
    status, _, err = call("predict", tmp_path / "a.mp4", "--model", brightness_bundle, *targets)
    assert (status, err) == (1, "mien: 1 of 1 files could not be read; see their rows\n")
    (row,) = table((out / "a.csv").read_text())
    assert row["status"] == "unreadable"
    assert row["reason"].startswith("is text, not a video")
    assert [path.name for path in out.iterdir()] == ["a.csv"]
    targets[-1] = out / "b.csv"
    assert_refused(call("predict", tmp_path / "absent.mp4", "--model", brightness_bundle, *targets), "no such file")
    assert [path.name for path in out.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("camera", ["97", "no such camera"])
def test_no_camera_is_one_line(call: Call, brightness_bundle: Path, tmp_path: Path, camera: str) -> None:
    rows = tmp_path / "rows.csv"
    called = call("predict", "--camera", camera, "--model", brightness_bundle, "--csv", rows)
    assert_refused(called, f"camera {camera}: ")
    assert not rows.exists()


#: A stand-in for a camera, which this machine may not have: PyAV's own test image, at the pace of a clock.
CAMERA = """
    import sys
    import mien.io.video.camera
    from mien.cli import main
    mien.io.video.camera._camera = lambda camera: ("testsrc=size=64x48:rate=10,realtime", "lavfi", {})
    main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("streamed", [True, False])
def test_ctrl_c_ends_a_camera_and_keeps_its_rows(brightness_bundle: Path, tmp_path: Path, streamed: bool) -> None:
    rows = tmp_path / "rows.jsonl"
    target = "-" if streamed else str(rows)
    arguments = ["predict", "--camera", "0", "--model", str(brightness_bundle), "--jsonl", target]
    command = [sys.executable, "-c", textwrap.dedent(CAMERA), *arguments]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    lines = [running.stderr.readline() for _ in range(3)]
    running.send_signal(signal.SIGINT)
    out, err = running.communicate()
    assert running.returncode == 0
    assert lines[0] == "mien: reading the webcam; Ctrl-C ends it\n"
    lines += err.splitlines(keepends=True)  # it may have seen more before it was interrupted
    assert {line.split("  ")[1] for line in lines[1:]} == {"no face\n"}
    found = [json.loads(line) for line in (out if streamed else rows.read_text()).splitlines()]
    assert len(found) >= 2
    assert {(row["source"], row["status"]) for row in found} == {("camera 0", "no_face")}
    assert sorted(tmp_path.iterdir()) == ([] if streamed else [rows])


def test_what_is_not_for_a_camera(call: Call, tmp_path: Path) -> None:
    assert_refused(
        call("predict", "--camera", "0", "--draw", tmp_path / "a.mp4"), "--draw: does not work with --camera"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_video_goes_on_to_the_same_rows(
    brightness_bundle: Path, tmp_path: Path, write_video: WriteVideo, two_people: TwoPeople, how: signal.Signals
) -> None:
    """Images stand before and behind it; its drawing is made anew from the rows that were kept."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.png", "z.png"):
        Image.fromarray(two_people(0)).save(folder / name)
    times = [number / 10 for number in range(80)]
    write_video(folder / "m.mkv", ((t, two_people(t, t % 1 < 0.5, t % 3 < 1.5)) for t in times))

    def arguments(name: str) -> list[object]:
        targets = ["--jsonl", out / f"{name}.jsonl", "--csv", out / f"{name}.csv", "--draw", out / name]
        return ["predict", folder, "--model", brightness_bundle, "--fps", "10", *targets]

    def command(name: str) -> list[str]:
        return [sys.executable, "-m", "mien", *map(str, arguments(name))]

    subprocess.run(command("whole"), check=True, capture_output=True)
    ended = stop_at_row(arguments("cut"), 40, how)
    part = out / "cut.jsonl.part"
    assert ended.status == (130 if how == signal.SIGINT else -how)
    assert how != signal.SIGINT or "the same command continues" in ended.stderr
    noted = [json.loads(line[:-9]) for line in part.read_bytes().splitlines()[1:] if b'"note"' in line]
    assert [note["frames"] for note in noted] == [25], "it goes on inside the video"
    done = subprocess.run(command("cut"), check=True, capture_output=True, text=True)
    assert f"wrote {out / 'cut.csv'}: 164 rows, one per face: 164 faces in 2 images and 80 frames\n" in done.stdout
    for end in (".jsonl", ".csv"):
        assert (out / f"cut{end}").read_bytes() == (out / f"whole{end}").read_bytes()
    drawn = sorted(path.name for path in (out / "cut").iterdir())
    assert drawn == ["a.jpg", "m.mp4", "z.jpg"]
    assert all((out / "cut" / name).read_bytes() == (out / "whole" / name).read_bytes() for name in drawn)
    assert not part.exists()


def person(number: int) -> RGB:
    """One of three people, 240x240: two are made of the first."""
    face = skimage.data.astronaut()[0:300, 80:380]  # type: ignore[no-untyped-call]
    if number == 1:
        face = face[20:280, 260:0:-1, ::-1]
    if number == 2:
        face = (face * 0.45).astype(np.uint8)
    return np.asarray(Image.fromarray(np.ascontiguousarray(face)).resize((240, 240)))


def shot(number: int, time: float) -> RGB:
    """A frame of a person who moves and is zoomed, always before the same grey."""
    frame = np.full((360, 640, 3), 90, np.uint8)
    side = round(220 * (1 + 0.15 * math.sin(2 * time + number)))
    x, y = round(200 + 60 * math.sin(1.3 * time + number)), round(60 + 30 * math.cos(time))
    frame[y : y + side, x : x + side] = np.asarray(Image.fromarray(person(number)).resize((side, side)))
    return frame


@pytest.mark.parametrize("rate", [5, 30])
def test_three_people_in_three_scenes(
    call: Call, brightness_bundle: Path, tmp_path: Path, write_video: WriteVideo, rate: int
) -> None:
    path = tmp_path / "video.mp4"
    cuts = (1.4, 2.6)
    times = [number / rate for number in range(4 * rate)]
    write_video(path, ((time, shot(sum(time >= cut for cut in cuts), time)) for time in times))
    plot = tmp_path / "plot.png"
    status, out, _ = call(
        "predict", path, "--model", brightness_bundle, "--jsonl", tmp_path / "rows.jsonl", "--timeline", plot
    )
    assert status == 0
    assert f"{path}: 2 cuts, at 0:01.4, 0:02.6" in out
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["time"] for row in rows] == pytest.approx(np.arange(20) / 5, abs=0.002)
    assert [row["scene"] for row in rows] == [1] * 7 + [2] * 6 + [3] * 7
    assert all([face["person"] for face in row["faces"]] == [row["scene"]] for row in rows)
    assert [row["frame"] for row in rows] == list(range(1, 4 * rate + 1, rate // 5))
    assert plot.stat().st_size > 0


def test_videos_among_images_are_read_wherever_they_are(
    call: Call, brightness_bundle: Path, tmp_path: Path, write_video: WriteVideo, two_people: TwoPeople
) -> None:
    """By name or by content, in a folder, a list and an archive; TypeScript and music are neither."""
    folder = tmp_path / "in"
    folder.mkdir()
    clip = tmp_path / "clip.mp4"
    write_video(clip, ((number / 5, two_people(0)) for number in range(3)))
    for name in ("b.mp4", "noname", "wrong.jpg", "upper.MOV", "song.m4a"):
        (folder / name).write_bytes(clip.read_bytes())
    Image.fromarray(two_people(0)).save(folder / "a.png")
    Image.fromarray(two_people(0)).save(folder / "c.mp4", "PNG")
    (folder / "code.ts").write_text("const x: number = 1;")
    (folder / "empty.webm").touch()
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.write(clip, "in/inner.mp4")
    (tmp_path / "list.txt").write_text(f"{clip}\n{folder / 'a.png'}\n")
    inputs = (folder, tmp_path / "some.zip", tmp_path / "list.txt")
    status, out, err = call("predict", *inputs, "--model", brightness_bundle, "--csv", "-")
    found = [(row["source"].removeprefix(f"{tmp_path}/"), row["frame"], row["status"]) for row in table(out)]
    names = dict.fromkeys(name for name, _, _ in found)
    assert list(names) == [
        *(f"in/{name}" for name in ("a.png", "b.mp4", "c.mp4", "empty.webm", "noname", "upper.MOV", "wrong.jpg")),
        *("some.zip/in/inner.mp4", "clip.mp4"),
    ]
    for name in names:
        frames = {frame for source, frame, _ in found if source == name}
        assert frames == ({""} if name in ("in/a.png", "in/c.mp4", "in/empty.webm") else {"1", "2", "3"}), name
    assert [name for name, _, state in found if state == "unreadable"] == ["in/empty.webm"]
    assert (status, "1 of 10 files could not be read" in err) == (1, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--draw", "drawn.mp4"], "images are drawn into a folder, and so are several videos"),
        (["--timeline", "plot.png"], "there is more than one video; give the name of a folder"),
    ],
)
def test_one_drawing_is_of_one_video(
    call: Call, brightness_bundle: Path, still: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    option, name = options
    assert_refused(call("predict", still, still, "--model", brightness_bundle, option, tmp_path / name), words)
    assert list(tmp_path.iterdir()) == []


def test_several_videos_are_drawn_and_plotted_into_folders(
    call: Call, brightness_bundle: Path, still: Path, video: Path, tmp_path: Path
) -> None:
    folders = ("--draw", tmp_path / "drawn", "--timeline", tmp_path / "plots", "--fps", "1")
    status, out, _ = call("predict", still, video, still, "--model", brightness_bundle, *folders)
    assert status == 0
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["still-2.mp4", "still.mp4", "video.mp4"]
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["still-2.png", "still.png", "video.png"]
    assert out.count("video.mp4") >= 2, "the table names the video of each person"


def test_the_live_line() -> None:
    face = Face(Box(0, 0, 9, 9), 0.9, "happy", 0.976, None, {"happy": 0.976}, person=2)
    seen = FrameResult("camera 0", "ok", None, 9, 9, "mien", (face, face), 62.44)
    nobody = FrameResult("camera 0", "no_face", None, 9, 9, "mien", (), 0.0)
    assert live_line(seen) == "1:02.4  2: happy 98%   2: happy 98%"
    assert live_line(nobody) == "0:00.0  no face"
    assert [clock_time(seconds) for seconds in (59.96, 3600)] == ["1:00.0", "60:00.0"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_length(
    brightness_bundle: Path, tmp_path: Path, write_video: WriteVideo, two_people: TwoPeople
) -> None:
    peaks = []
    for seconds in (300, 900):  # what decoders and allocators keep for themselves is there after some minutes
        video, rows, drawn = (tmp_path / f"{seconds}{end}" for end in (".mkv", ".csv", ".mp4"))
        frame = two_people(0)
        write_video(video, ((number / 10, frame) for number in range(10 * seconds)))
        arguments = ["predict", video, "--model", brightness_bundle, "--csv", rows, "--draw", drawn, "--timeline"]
        peaks.append(peak_mib(*arguments, tmp_path / f"{seconds}.png"))
        assert len(table(rows.read_text())) == 2 * 5 * seconds
    assert peaks[1] < 1.1 * peaks[0], f"{peaks} MiB"
