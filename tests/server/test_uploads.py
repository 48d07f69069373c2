"""What clients send that is too much, damaged, of another kind, slow or hostile: the documented problem, each time."""

import io
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mien.inference.reader import Reader

PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def live(serve: Callable[..., Any], reader: Reader) -> Any:
    return serve(reader, body_bytes=200_000, files=5, pixels=1_000_000, body_seconds=1.5, header_seconds=1.0)


def pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def test_a_body_over_the_limit_is_refused_by_its_announced_length(live: Any, problem: Any) -> None:
    head = (
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 999999999\r\n\r\n"
    )
    problem(live.say(head), "too_large")


def test_a_body_over_the_limit_is_refused_without_a_length(live: Any, problem: Any) -> None:
    """Sent in chunks that never end; the answer comes while it is still being sent."""
    with live.connect() as connection:
        connection.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(60):
            connection.sendall(b"1000\r\n" + bytes(0x1000) + b"\r\n")
        problem(live.read(connection), "too_large")


def test_a_form_over_the_limit_is_refused(live: Any, problem: Any) -> None:
    problem(live.post(files={"file": ("a.png", bytes(300_000))}), "too_large")


def test_chunks_are_read_where_all_is_well(live: Any, face: bytes) -> None:
    answer = live.post("/v1/predict?detect=false", content=pieces(face, 100), headers=PNG)
    assert answer.json()[0]["status"] == "ok"


def test_the_connection_is_still_good_after_a_refusal(live: Any, face: bytes, problem: Any) -> None:
    with httpx.Client(base_url=live.url, timeout=60) as client:
        for _ in range(3):
            problem(
                client.post("/v1/predict", content=face, headers={"Content-Type": "text/plain"}),
                "unsupported_media_type",
            )
            assert client.post("/v1/predict", content=face, headers=PNG).status_code == 200


def test_a_thousand_files_are_too_many(live: Any, problem: Any) -> None:
    files = [("file", (f"{number}.png", b"x")) for number in range(1000)]
    problem(live.post(files=files), "too_many_files")
    problem(live.post(files=files[:6]), "too_many_files")
    assert len(live.post(files=files[:5]).json()) == 5


def test_fields_that_are_no_file_count_too(live: Any, problem: Any) -> None:
    problem(live.post(data={f"name{number}": "x" for number in range(100)}, files={"file": b"x"}), "too_many_files")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json", "application/x-www-form-urlencoded", "multipart/mixed", "imagejpeg"]
)
def test_other_kinds_of_bodies_are_refused(live: Any, face: bytes, kind: str, problem: Any) -> None:
    problem(live.post(content=face, headers={"Content-Type": kind}), "unsupported_media_type")


def test_a_compressed_body_is_refused(live: Any, face: bytes, problem: Any) -> None:
    answer = live.post(content=zlib.compress(face), headers=PNG | {"Content-Encoding": "deflate"})
    assert "Content-Encoding" in problem(answer, "unsupported_media_type")["detail"]


def test_nothing_is_no_file(live: Any, problem: Any) -> None:
    problem(live.post(content=b"", headers=PNG), "no_file")
    problem(live.post(), "no_file")
    problem(live.post(data={"name": "value"}, files={"other": ("a.png", b"x")}), "no_file")
    # A browser sends an empty field so.
    problem(live.post(content=form(b'filename=""', b""), headers=FORM), "no_file")


FORM = {"Content-Type": "multipart/form-data; boundary=edge"}


def form(filename: bytes, data: bytes, name: bytes = b"file") -> bytes:
    head = b'--edge\r\nContent-Disposition: form-data; name="' + name + b'"; ' + filename + b"\r\n\r\n"
    return head + data + b"\r\n--edge--\r\n"


@pytest.mark.parametrize(
    "body",
    [
        form(b'filename="a.png"', b"data")[:-12],
        form(b'filename="a.png"', b"data")[:-4],
        form(b'filename="a.png"', b"data")[:30],
        b"no boundary at all",
        b"--other\r\n\r\n\r\n--other--\r\n",
        b"--edge\r\nbad header\r\n\r\nx\r\n--edge--\r\n",
        b"--edge\r\n" + b"X-Many: 1\r\n" * 50 + b"\r\nx\r\n--edge--\r\n",
        b"--edge\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\nx\r\n--edge--\r\n",
    ],
    ids="end|half an end|half a head|no boundary|another boundary|bad header|many headers|long".split("|"),
)  # fmt: skip
def test_damaged_forms_are_refused(live: Any, body: bytes, problem: Any) -> None:
    problem(live.post(content=body, headers=FORM), "bad_multipart")


def test_a_form_without_a_boundary_is_refused(live: Any, face: bytes, problem: Any) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 999):
        problem(live.post(content=form(b'filename="a.png"', face), headers={"Content-Type": kind}), "bad_multipart")


def test_a_body_cut_short_is_not_read(live: Any, face: bytes) -> None:
    """The client leaves in the middle: nobody is there to answer, and the server goes on."""
    with live.connect() as connection:
        connection.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 5000\r\n\r\n"
            + face[:50]
        )
    assert live.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ("../../etc/passwd", "passwd"), ("/etc/passwd", "passwd"), (r"C:\Users\me\face.png", "face.png"), ("..", ".."),
        ("a/b/", "b"), ("día.png", "día.png"), ("x" * 1000 + ".png", "x" * 251 + ".png"),
        ("face\u202egnp.exe", "facegnp.exe"),
    ],
)  # fmt: skip
def test_the_name_of_a_file_is_only_its_last_part(live: Any, given: str, source: str) -> None:
    answer = live.post(content=form(f'filename="{given}"'.encode(), b"x"), headers=FORM)
    assert answer.json()[0]["source"] == source


def test_a_path_as_a_file_is_never_opened(live: Any, tmp_path: Any, face: bytes) -> None:
    """What is uploaded is data: a file that holds a path to a picture is no picture."""
    (tmp_path / "face.png").write_bytes(face)
    for text in (f"{tmp_path}/face.png", f"file://{tmp_path}/face.png", "http://localhost/face.png"):
        row = live.post(content=form(b'filename="face.png"', text.encode()), headers=FORM).json()[0]
        assert row["status"] == "unreadable"


def png_of(width: int, height: int, depth: int = 1) -> bytes:
    """A PNG that announces so many pixels, and holds them, all black, in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = bytes(1 + (width * depth + 7) // 8)
    packer = zlib.compressobj(9)
    packed = b"".join([packer.compress(row * 100) for _ in range(height // 100)] + [packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [1100, 5000, 30_000])
def test_a_bomb_is_refused_by_its_header(live: Any, side: int, problem: Any) -> None:
    """30 000 x 30 000 pixels of one bit take 900 MB once decoded, and 130 kB as a file."""
    bomb = png_of(side, side)
    assert len(bomb) < 200_000
    for route in ("/v1/predict", "/v1/explain"):
        detail = problem(live.post(route, content=bomb, headers=PNG), "too_many_pixels")["detail"]
        assert "at most 1000000" in detail


def test_one_bomb_among_files_refuses_them_before_any_is_read(live: Any, face: bytes, problem: Any) -> None:
    files = [("file", ("a.png", face)), ("file", ("bomb.png", png_of(1100, 1100)))]
    assert problem(live.post(files=files), "too_many_pixels")["detail"].startswith("bomb.png")


def test_formats_that_pillow_alone_would_open_are_not_read(live: Any, encode: Callable[..., bytes]) -> None:
    import numpy as np

    pixels = np.zeros((30, 30, 3), np.uint8)
    kinds = {"JPEG": True, "PNG": True, "WEBP": True, "GIF": True, "BMP": True, "TIFF": True}
    kinds |= {"EPS": False, "PCX": False, "TGA": False}
    for kind, read in kinds.items():
        row = live.post("/v1/predict?detect=false", content=encode(pixels, kind), headers=PNG).json()[0]
        assert (row["status"] == "ok") == read, kind


def test_explain_answers_422_for_what_is_no_picture(live: Any, face: bytes, problem: Any) -> None:
    problem(live.post("/v1/explain", content=b"not a picture", headers=PNG), "unreadable_image")
    problem(live.post("/v1/explain", content=face[:-40], headers=PNG), "unreadable_image")
    problem(live.post("/v1/explain", files=[("file", ("a", face)), ("file", ("b", face))]), "too_many_files")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/predict?model=nobody", "unknown_model"), ("/v1/predict?detect=perhaps", "bad_parameter"),
        ("/v1/predict?faces=some", "bad_parameter"), ("/v1/predict?detcet=false", "bad_parameter"),
        ("/v1/explain?label=nobody", "bad_parameter"), ("/v1/explain?method=magic", "bad_parameter"),
        ("/v1/explain?method=grad-cam", "bad_parameter"), ("/v1/explain?view=upside-down", "bad_parameter"),
        ("/v1/predict?model=../../etc/passwd", "unknown_model"), ("/v1/nothing", "not_found"),
        ("/metrics", "method_not_allowed"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_named(live: Any, face: bytes, path: str, code: str, problem: Any) -> None:
    problem(live.post(path, content=face, headers=PNG), code)


def test_what_is_no_http_is_answered(live: Any, problem: Any) -> None:
    for data in (
        b"HELLO\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    ):
        problem(live.say(data + b"\r\n\r\n"), "bad_request")


def test_a_client_that_dawdles_is_cut_off_and_holds_nobody_up(live: Any, face: bytes, problem: Any) -> None:
    """Twenty send a byte now and then, half of them in the head of a request and half in a body."""
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 5000\r\n"
    slow = [live.connect() for _ in range(20)]
    over = threading.Event()

    def dawdle(connection: socket.socket, in_body: bool) -> None:
        with_body = head + b"\r\n" if in_body else head
        connection.sendall(with_body)
        try:
            while not over.wait(0.1):
                connection.sendall(b"X")
        except OSError:
            return

    threads = [threading.Thread(target=dawdle, args=(one, number < 10)) for number, one in enumerate(slow)]
    for thread in threads:
        thread.start()
    begin = time.monotonic()
    try:
        served = 0
        while time.monotonic() - begin < 2.0:
            assert live.post("/v1/predict?detect=false", content=face, headers=PNG).status_code == 200
            served += 1
        assert served >= 3
        answers = [received(one) for one in slow]
    finally:
        over.set()
        for thread in threads:
            thread.join()
        for one in slow:
            one.close()
    assert all(b" 408 " in answer and b"slow_request" in answer for answer in answers[:10])
    assert all(answer == b"" for answer in answers[10:])


def received(connection: socket.socket) -> bytes:
    """All that comes until the connection is closed."""
    found = io.BytesIO()
    try:
        while chunk := connection.recv(65536):
            found.write(chunk)
    except ConnectionResetError:
        pass
    return found.getvalue()


def test_an_idle_connection_is_closed(live: Any) -> None:
    with live.connect() as connection:
        assert received(connection) == b""


def test_no_picture_is_written_to_disk(serve: Callable[..., Any], reader: Reader, photo: bytes) -> None:
    """Every file that the process opens for writing is noted while large uploads are read."""
    import sys

    written = []

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            written.append(arguments[0])

    sys.addaudithook(listen)
    live = serve(reader)
    with open("/dev/null", "wb"):  # noqa: PTH123
        pass
    assert written == ["/dev/null"]
    large = photo + bytes(3_000_000)
    assert live.post(files={"file": ("large.jpg", large)}).json()[0]["status"] == "ok"
    assert live.post(content=large, headers={"Content-Type": "image/jpeg"}).json()[0]["status"] == "ok"
    assert written == ["/dev/null"]
