"""Uploads that are too large, damaged, unsupported, slow or hostile get the documented problem."""

import io
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
from polling import wait_until

from mien.inference.reader import Reader

PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any], reader: Reader) -> Any:
    return run_server(reader, body_bytes=200_000, files=5, pixels=1_000_000)


def pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def test_a_body_over_the_limit_is_refused_by_its_announced_length(server: Any, check_problem: Any) -> None:
    head = (
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 999999999\r\n\r\n"
    )
    check_problem(server.send_raw(head), "too_large")


def test_a_body_over_the_limit_is_refused_without_a_length(server: Any, check_problem: Any) -> None:
    """The chunks never end; the answer comes while the client still sends."""
    with server.connect() as connection:
        connection.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(60):
            connection.sendall(b"1000\r\n" + bytes(0x1000) + b"\r\n")
        check_problem(server.read(connection), "too_large")


def test_a_form_over_the_limit_is_refused(server: Any, check_problem: Any) -> None:
    check_problem(server.post(files={"file": ("a.png", bytes(300_000))}), "too_large")


def test_a_chunked_body_is_accepted(server: Any, face: bytes) -> None:
    answer = server.post("/v1/predict?detect=false", content=pieces(face, 100), headers=PNG)
    assert answer.json()[0]["status"] == "ok"


def test_the_connection_stays_open_after_a_refusal(server: Any, face: bytes, check_problem: Any) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for _ in range(3):
            check_problem(
                client.post("/v1/predict", content=face, headers={"Content-Type": "text/plain"}),
                "unsupported_media_type",
            )
            assert client.post("/v1/predict", content=face, headers=PNG).status_code == 200


def test_a_thousand_files_are_too_many(server: Any, check_problem: Any) -> None:
    files = [("file", (f"{number}.png", b"x")) for number in range(1000)]
    check_problem(server.post(files=files), "too_many_files")
    check_problem(server.post(files=files[:6]), "too_many_files")
    assert len(server.post(files=files[:5]).json()) == 5


def test_other_fields_count_too(server: Any, check_problem: Any) -> None:
    check_problem(
        server.post(data={f"name{number}": "x" for number in range(100)}, files={"file": b"x"}), "too_many_files"
    )


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json", "application/x-www-form-urlencoded", "multipart/mixed", "imagejpeg"]
)
def test_other_kinds_of_bodies_are_refused(server: Any, face: bytes, kind: str, check_problem: Any) -> None:
    check_problem(server.post(content=face, headers={"Content-Type": kind}), "unsupported_media_type")


def test_a_compressed_body_is_refused(server: Any, face: bytes, check_problem: Any) -> None:
    answer = server.post(content=zlib.compress(face), headers=PNG | {"Content-Encoding": "deflate"})
    assert "Content-Encoding" in check_problem(answer, "unsupported_media_type")["detail"]


def test_an_empty_body_has_no_file(server: Any, check_problem: Any) -> None:
    check_problem(server.post(content=b"", headers=PNG), "no_file")
    check_problem(server.post(), "no_file")
    check_problem(server.post(data={"name": "value"}, files={"other": ("a.png", b"x")}), "no_file")
    # Browsers send an empty field like this.
    check_problem(server.post(content=form(b'filename=""', b""), headers=FORM), "no_file")


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
def test_damaged_forms_are_refused(server: Any, body: bytes, check_problem: Any) -> None:
    check_problem(server.post(content=body, headers=FORM), "bad_multipart")


def test_a_form_without_a_boundary_is_refused(server: Any, face: bytes, check_problem: Any) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 999):
        check_problem(
            server.post(content=form(b'filename="a.png"', face), headers={"Content-Type": kind}), "bad_multipart"
        )


def test_a_field_named_file_needs_no_file_name(server: Any, face: bytes) -> None:
    row = server.post("/v1/predict?detect=false", content=form(b"", face), headers=FORM).json()[0]
    assert (row["source"], row["status"]) == ("file", "ok")


def test_nameless_and_empty_files_are_counted_as_they_are_answered(server: Any, check_problem: Any) -> None:
    """Five are allowed: empty ones without a name are none."""
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n'
    sent, end = head % (b"", b"x"), b"--edge--\r\n"
    none, named = head % (b"", b""), head % (b"a.png", b"")
    assert len(server.post(content=3 * sent + 4 * none + 2 * named + end, headers=FORM).json()) == 5
    check_problem(server.post(content=3 * sent + 3 * named + end, headers=FORM), "too_many_files")


def test_files_in_other_fields_are_ignored(server: Any, face: bytes) -> None:
    other = form(b'filename="a.png"', face, b"other")[:-10]
    body = 20 * other + form(b'filename="b.png"', face)
    assert [row["source"] for row in server.post(content=body, headers=FORM).json()] == ["b.png"]


@pytest.mark.parametrize("boundary", [b"a b", b'"', b"a\\b", b"a=b", b"'()+_,-./:=?", b"x" * 200, b"\xe9"])
@pytest.mark.parametrize("charset", [b"", b"; charset=punycode", b"; charset=nothing", b"; charset=base64"])
def test_any_boundary_and_charset_are_read(server: Any, face: bytes, boundary: bytes, charset: bytes) -> None:
    """A charset is ignored: some of Python's decoders take minutes for a megabyte."""
    quoted = boundary.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    kind = b'multipart/form-data; boundary="%s"%s' % (quoted, charset)
    body = form(b'filename="d\xc3\xada.png"', face).replace(b"edge", boundary)
    answer = server.post("/v1/predict?detect=false", content=body, headers=[(b"Content-Type", kind)])
    assert [(row["source"], row["status"]) for row in answer.json()] == [("día.png", "ok")]


def test_a_client_that_leaves_early_does_no_harm(server: Any, face: bytes) -> None:
    """It closes the connection in the middle of a body."""
    with server.connect() as connection:
        connection.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 5000\r\n\r\n"
            + face[:50]
        )
    assert server.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ("../../etc/passwd", "passwd"), ("/etc/passwd", "passwd"), (r"C:\Users\me\face.png", "face.png"), ("..", ".."),
        ("a/b/", "b"), ("día.png", "día.png"), ("x" * 1000 + ".png", "x" * 251 + ".png"),
        ("face\u202egnp.exe", "facegnp.exe"),
    ],
)  # fmt: skip
def test_the_source_is_the_base_name_of_the_file(server: Any, given: str, source: str) -> None:
    answer = server.post(content=form(f'filename="{given}"'.encode(), b"x"), headers=FORM)
    assert answer.json()[0]["source"] == source


def test_a_path_as_a_file_is_never_opened(server: Any, tmp_path: Any, face: bytes) -> None:
    """A file that contains the path of an image is not an image."""
    (tmp_path / "face.png").write_bytes(face)
    for text in (f"{tmp_path}/face.png", f"file://{tmp_path}/face.png", "http://localhost/face.png"):
        row = server.post(content=form(b'filename="face.png"', text.encode()), headers=FORM).json()[0]
        assert row["status"] == "unreadable"


def png_of(width: int, height: int, depth: int = 1) -> bytes:
    """Return a black PNG of this size in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = bytes(1 + (width * depth + 7) // 8)
    packer = zlib.compressobj(9)
    packed = b"".join([packer.compress(row * 100) for _ in range(height // 100)] + [packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [1100, 5000, 30_000])
def test_a_bomb_is_refused_by_its_header(server: Any, side: int, check_problem: Any) -> None:
    """30 000 x 30 000 pixels of one bit are 900 MB decoded and 130 kB as a file."""
    bomb = png_of(side, side)
    assert len(bomb) < 200_000
    for route in ("/v1/predict", "/v1/explain"):
        detail = check_problem(server.post(route, content=bomb, headers=PNG), "too_many_pixels")["detail"]
        assert "at most 1000000" in detail


def test_one_bomb_refuses_all_files_before_decoding(server: Any, face: bytes, check_problem: Any) -> None:
    files = [("file", ("a.png", face)), ("file", ("bomb.png", png_of(1100, 1100)))]
    assert check_problem(server.post(files=files), "too_many_pixels")["detail"].startswith("bomb.png")


def test_formats_beyond_the_supported_ones_are_refused(server: Any, encode: Callable[..., bytes]) -> None:
    import numpy as np

    pixels = np.zeros((30, 30, 3), np.uint8)
    kinds = {"JPEG": True, "PNG": True, "WEBP": True, "GIF": True, "BMP": True, "TIFF": True}
    kinds |= {"EPS": False, "PCX": False, "TGA": False}
    for kind, read in kinds.items():
        row = server.post("/v1/predict?detect=false", content=encode(pixels, kind), headers=PNG).json()[0]
        assert (row["status"] == "ok") == read, kind


def test_explain_answers_422_if_the_image_is_unreadable(server: Any, face: bytes, check_problem: Any) -> None:
    check_problem(server.post("/v1/explain", content=b"not an image", headers=PNG), "unreadable_image")
    check_problem(server.post("/v1/explain", content=face[:-40], headers=PNG), "unreadable_image")
    check_problem(server.post("/v1/explain", files=[("file", ("a", face)), ("file", ("b", face))]), "too_many_files")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/predict?model=nobody", "unknown_model"), ("/v1/predict?detect=perhaps", "bad_parameter"),
        ("/v1/predict?threshold=nan", "bad_parameter"), ("/v1/predict?threshold=%1b=2", "bad_parameter"),
        ("/v1/predict?faces=some", "bad_parameter"), ("/v1/predict?detcet=false", "bad_parameter"),
        ("/v1/explain?label=nobody", "bad_parameter"), ("/v1/explain?method=magic", "bad_parameter"),
        ("/v1/explain?method=grad-cam", "bad_parameter"), ("/v1/explain?view=upside-down", "bad_parameter"),
        ("/v1/predict?model=../../etc/passwd", "unknown_model"), ("/v1/nothing", "not_found"),
        ("/metrics", "method_not_allowed"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_named(server: Any, face: bytes, path: str, code: str, check_problem: Any) -> None:
    check_problem(server.post(path, content=face, headers=PNG), code)


def test_invalid_http_is_answered(server: Any, check_problem: Any) -> None:
    for data in (
        b"HELLO\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    ):
        check_problem(server.send_raw(data + b"\r\n\r\n"), "bad_request")


HALF_A_HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 5000\r\n"


@contextmanager
def slow_clients(server: Any, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Let clients send some data, and then a byte now and then."""
    slow = [server.connect() for _ in range(count)]
    over = threading.Event()

    def send_slowly(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(sent)
            while not over.wait(0.1):
                connection.sendall(b"X")

    threads = [threading.Thread(target=send_slowly, args=(one,)) for one in slow]
    for thread in threads:
        thread.start()
    try:
        yield slow
    finally:
        over.set()
        for thread in threads:
            thread.join()
        for one in slow:
            one.close()


def test_slow_clients_delay_nobody(server: Any, face: bytes) -> None:
    with slow_clients(server, 10, HALF_A_HEAD), slow_clients(server, 10, HALF_A_HEAD + b"\r\n"):
        wait_until(lambda: server.app.state.mien.state.active == 10)
        for _ in range(3):
            assert server.post("/v1/predict?detect=false", content=face, headers=PNG).status_code == 200
        assert server.app.state.mien.state.active >= 10, "they were answered while the others sent"


def test_clients_that_send_a_head_slowly_are_cut_off(run_server: Callable[..., Any], reader: Reader) -> None:
    server = run_server(reader, header_seconds=0.5)
    with slow_clients(server, 10, HALF_A_HEAD) as slow:
        assert [received(one) for one in slow] == [b""] * 10
    with server.connect() as idle:
        assert received(idle) == b""


def test_clients_that_send_a_body_slowly_are_told_so(run_server: Callable[..., Any], reader: Reader) -> None:
    server = run_server(reader, body_seconds=0.5)
    with slow_clients(server, 10, HALF_A_HEAD + b"\r\n") as slow:
        answers = [received(one) for one in slow]
    assert all(b" 408 " in answer and b"slow_request" in answer for answer in answers)


def received(connection: socket.socket) -> bytes:
    """Return all data until the connection closes."""
    found = io.BytesIO()
    try:
        while chunk := connection.recv(65536):
            found.write(chunk)
    except ConnectionResetError:
        pass
    return found.getvalue()


def test_no_image_is_written_to_disk(run_server: Callable[..., Any], reader: Reader, photo: bytes) -> None:
    """An audit hook notes every file that the process opens for writing while large uploads arrive."""
    import sys

    written = []

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            written.append(arguments[0])

    server, large = run_server(reader), photo + bytes(3_000_000)
    server.post(content=large, headers={"Content-Type": "image/jpeg"})  # starts a decoder, which opens pipes
    sys.addaudithook(listen)
    with open("/dev/null", "wb"):  # noqa: PTH123
        pass
    assert written == ["/dev/null"]
    assert server.post(files={"file": ("large.jpg", large)}).json()[0]["status"] == "ok"
    assert server.post(content=large, headers={"Content-Type": "image/jpeg"}).json()[0]["status"] == "ok"
    assert written == ["/dev/null"]
