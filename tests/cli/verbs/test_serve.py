"""`mien serve` checks its options before it starts, and refuses bad ones with one line."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graphs import odd_maps

from mien.cli.verbs.serve import KEY_VARIABLE

GOOD = "correct-horse-battery-staple"


def refused(call: Callable[..., Any], *arguments: object) -> str:
    """Return the line with which it refuses."""
    status, out, err = call("serve", *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    return str(err)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_other_machines_need_a_key(call: Callable[..., Any], host: str, monkeypatch: Any) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert "give a key" in refused(call, "--host", host)


def test_a_port_in_use_is_refused(call: Callable[..., Any], make_bundle: Callable[..., Path]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"--port {port}: is in use" in refused(call, "--port", port, "--model", make_bundle())


def test_an_address_of_another_machine_is_refused(call: Callable[..., Any], make_bundle: Callable[..., Path]) -> None:
    model = make_bundle()
    assert "--host 192.0.2.1" in refused(call, "--host", "192.0.2.1", "--port", 0, "--no-auth", "--model", model)


@pytest.mark.parametrize("key", ["", "short", "a key with spaces in it", "schlüssel-schlüssel"])
def test_poor_keys_are_refused(call: Callable[..., Any], tmp_path: Path, monkeypatch: Any, key: str) -> None:
    (tmp_path / "key").write_text(key + "\n")
    assert str(tmp_path / "key") in refused(call, "--api-key-file", tmp_path / "key")
    monkeypatch.setenv(KEY_VARIABLE, key)
    assert KEY_VARIABLE in refused(call)


def test_a_key_is_never_shown(call: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "key").write_text("too-short")
    assert "too-short" not in refused(call, "--api-key-file", tmp_path / "key")


def test_a_key_and_no_auth_exclude_each_other(call: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "key").write_text(GOOD)
    assert "--no-auth" in refused(call, "--api-key-file", tmp_path / "key", "--no-auth")
    assert "cannot be read" in refused(call, "--api-key-file", tmp_path / "none")


@pytest.mark.parametrize(
    "origin", ["*", "example.org", "https://example.org/page", "https://*.example.org", "https://"]
)
def test_an_origin_is_scheme_and_name(call: Callable[..., Any], make_bundle: Callable[..., Path], origin: str) -> None:
    assert f"--allow-origin {origin}" in refused(call, "--allow-origin", origin, "--model", make_bundle())


def test_a_model_that_cannot_answer_is_refused(call: Callable[..., Any], make_bundle: Callable[..., Path]) -> None:
    folder = make_bundle(graph=odd_maps("labels"), maps=True)
    line = refused(call, "--port", 0, "--model", make_bundle(), "--model", f"odd={folder}")
    assert line.startswith(f"mien: {folder}: the graph gives maps (1, 16, 16, 1)")


def test_two_models_of_one_name_are_refused(call: Callable[..., Any], make_bundle: Callable[..., Path]) -> None:
    one, two = make_bundle(), make_bundle()
    assert f"--model NAME={two}" in refused(call, "--model", one, "--model", two)
    assert "no such model" in refused(call, "--model", "nobody")


def test_a_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from mien.cli import main; main(['serve'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "mien: the server needs an optional part of mien: pip install 'mien[serve]'\n"


@pytest.mark.parametrize("count", ["nan", "inf"])
def test_a_limit_is_a_finite_number(call: Callable[..., Any], count: str) -> None:
    assert "--max-pixels" in refused(call, "--port", 0, "--max-pixels", count)


@pytest.mark.skipif(sys.platform == "win32", reason="the browser is a shell script")
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_open_shows_the_page_in_the_browser(
    start_server: Callable[..., Any], make_bundle: Callable[..., Path], tmp_path: Path, host: str
) -> None:
    """A browser cannot open 0.0.0.0 on every system."""
    browser, shown = tmp_path / "browser", tmp_path / "shown"
    browser.write_text(f'#!/bin/sh\necho "$#" "$@" > {shown}.part && mv {shown}.part {shown}\n')
    browser.chmod(0o755)
    options = ["--open", "--host", host, "--model", make_bundle()]
    process, address = start_server(*options, BROWSER=str(browser), **{KEY_VARIABLE: GOOD})
    while not shown.exists():
        assert process.poll() is None
        time.sleep(0.01)
    assert shown.read_text() == f"1 {address.replace('0.0.0.0', '127.0.0.1')}\n"


def test_without_open_no_browser_is_started(
    start_server: Callable[..., Any], make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    browser, shown = tmp_path / "browser", tmp_path / "shown"
    browser.write_text(f"#!/bin/sh\ntouch {shown}\n")
    browser.chmod(0o755)
    process, _ = start_server("--model", make_bundle(), BROWSER=str(browser))
    process.terminate()
    assert process.wait() == 0
    assert not shown.exists()
