"""The browser is started with a code that is good once, for this user alone; it is not the secret of the page."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fix_tab import TOKEN, Command, write_data

from mien.server.fix.handover import CODE, user_of

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems hide the arguments of processes")


def fragment_of(served: Any) -> str:
    return str(served.app.state.mien.handover.fragment)


def ask(served: Any, code: str) -> httpx.Response:
    return httpx.post(f"{served.origin}page/handover", json={"code": code}, timeout=60, verify=False)


@ON_LINUX
def test_the_code_gives_the_secret_once(served: Any) -> None:
    code = fragment_of(served).removeprefix(CODE)
    assert TOKEN not in code
    assert ask(served, code[:-1]).status_code == 401
    assert ask(served, "é").status_code == 401
    assert ask(served, code).json() == {"token": TOKEN}
    assert ask(served, code).status_code == 401


@ON_LINUX
@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can be another user")
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_code_is_of_no_use_to_another_user(served: Any) -> None:
    code = fragment_of(served).removeprefix(CODE)
    host, port = served.origin.removeprefix("http://").rstrip("/").split(":")
    request = (
        f"POST /page/handover HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(code) + 11}\r\n"
        f'Connection: close\r\n\r\n{{"code":"{code}"}}'
    )
    steal = 'exec 3<>"/dev/tcp/$0/$1"; printf %s "$2" >&3; cat <&3'
    theirs = subprocess.run(
        ["bash", "-c", steal, host, port, request], user=65534, cwd="/", capture_output=True, text=True, check=True
    )
    assert " 401 " in theirs.stdout.splitlines()[0]
    assert TOKEN not in theirs.stdout
    assert ask(served, code).json() == {"token": TOKEN}, "it is still good for us"


@ON_LINUX
def test_the_kernel_says_whose_a_connection_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        ends = client.getsockname()[1], server.getsockname()[1]
        assert user_of(*ends) == os.getuid()
    assert user_of(1, 2) is None


@ON_LINUX
def test_the_page_takes_the_secret_and_keeps_it(served: Any, browser: Any, visit: Callable[..., Any]) -> None:
    address = f"{served.origin}#{fragment_of(served)}"
    page = visit(browser, address)
    page.tab.locator(".stage[data-state=shown]").wait_for()
    assert page.tab.url == served.url, "the code is gone"
    page.tab.reload()
    page.tab.locator(".stage[data-state=shown]").wait_for()
    again = visit(browser, address)
    again.wait_for("#banner", "is good once. Open the one that mien fix has printed.")
    again.check_accessible()
    again.allow_errors("401")


@ON_LINUX
def test_the_browser_is_started_without_the_secret(
    tmp_path: Path, drawn_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(tmp_path / "data")
    os.mkfifo(tmp_path / "seen")
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" > {tmp_path / "seen"}\n')
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    command = Command(tmp_path / "data", "--model", drawn_bundle, "--detect", "no", browser=True)
    try:
        printed = command.start()
        opened = (tmp_path / "seen").read_text().strip()  # waits until the browser was started
    finally:
        command.close()
    address, token = printed.split("#")
    assert opened.startswith(f"{address}#{CODE}")
    assert token not in opened
