"""`mien serve`: an HTTP API for applications and a page for people, on this machine."""

import os
import sys
import threading
import webbrowser
from ipaddress import ip_address
from math import isfinite
from pathlib import Path
from signal import SIGINT

import click

from mien.errors import ConfigError
from mien.inference.reader import Reader, load
from mien.runtime import available_cores

#: Where the API key is read from if no file is named.
KEY_VARIABLE = "MIEN_API_KEY"
#: Shorter keys are too easily guessed.
SHORTEST_KEY = 16


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="address to listen at")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    metavar="N",
    help="port, 0 is any free one",
)
@click.option(
    "--model", "models", multiple=True, metavar="[NAME=]NAME|FOLDER",
    help="a shipped model, a bundle or a run folder; several times for several, the first is the default"
    "  [mien, the shipped one]",
)  # fmt: skip
@click.option("--open", "open_page", is_flag=True, help="open the page in a browser")
@click.option(
    "--api-key-file", type=click.Path(path_type=Path), metavar="FILE",
    help=f"file that holds the key every request must carry  [${KEY_VARIABLE}]",
)  # fmt: skip
@click.option("--no-auth", is_flag=True, help="let everyone in who reaches the address, without a key")
@click.option(
    "--allow-origin", "origins", multiple=True, metavar="URL", help="let pages of https://example.org ask too"
)
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="another name that this server is called by")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="pictures read side by side  [one per core]")
@click.option(
    "--max-body", type=click.IntRange(1), default=32, show_default=True, metavar="MIB", help="largest request"
)
@click.option(
    "--max-files", type=click.IntRange(1), default=32, show_default=True, metavar="N", help="files per request"
)
@click.option("--max-pixels", type=click.FloatRange(0.01), default=50.0, show_default=True, metavar="MILLIONS",
              help="largest picture")  # fmt: skip
@click.option("--max-waiting", type=click.IntRange(1), default=256, show_default=True, metavar="N",
              help="requests that may wait; more are answered 503")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=30.0, show_default=True, metavar="SECONDS",
              help="longest that a request may wait and be worked on")  # fmt: skip
def command(
    host: str, port: int, models: tuple[str, ...], open_page: bool, api_key_file: Path | None, no_auth: bool,
    origins: tuple[str, ...], hosts: tuple[str, ...], threads: int | None, max_body: int, max_files: int,
    max_pixels: float, max_waiting: int, timeout: float,
) -> int:  # fmt: skip
    """Serve an HTTP API and a page on this machine, until Ctrl-C.

    Pictures are uploaded, read in memory and forgotten. Only this machine can reach the server, unless --host names
    another address: then an API key is needed, or --no-auth. docs/http.md describes the API.
    """
    from mien.server import Limits, create_app
    from mien.server.runner import listen, run
    from mien.server.security import LOOPBACK

    key = _key(api_key_file, no_auth)
    own = _is_loopback(host)
    if not own and key is None and not no_auth:
        raise ConfigError(
            f"--host {host}: others can reach that; give a key (--api-key-file FILE or ${KEY_VARIABLE}), or --no-auth"
        )
    if not isfinite(max_pixels):
        raise ConfigError(f"--max-pixels {max_pixels}: give a finite number above 0")
    limits = Limits(
        body_bytes=max_body * 2**20, files=max_files, pixels=round(max_pixels * 1e6), waiting=max_waiting,
        seconds=timeout, held_bytes=max(256, 2 * max_body) * 2**20,
    )  # fmt: skip
    count = threads or available_cores()
    readers = _readers(models)
    names = {*LOOPBACK, host, *hosts} if own or hosts else None
    app = create_app(readers, limits, key=key, hosts=names, origins=_checked(origins), threads=count)
    listening = listen(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"

    def started() -> None:
        # Whoever started it may wait for this line.
        click.echo(f"mien serves {', '.join(readers)} at {address}")
        if open_page:  # some browsers return only when they are closed
            page = address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
            threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()

    # The thread that answers waits for its turn in the interpreter: let it come round sooner.
    sys.setswitchinterval(0.001)
    if run(app, limits, [listening], started) == SIGINT:
        click.echo("mien: stopped", err=True)
    return 0


def _readers(models: tuple[str, ...]) -> dict[str, Reader]:
    """Open each model, named as it is said or by its own name."""
    readers: dict[str, Reader] = {}
    for given in models or (None,):
        name, place = None, given
        if given and "=" in given and not Path(given).exists():
            name, _, place = given.partition("=")
        # Several requests are read side by side, so each takes one thread.
        reader = load(place, threads=1)
        name = name or reader.config.name
        if name in readers:
            raise ConfigError(f"--model {given}: there is a '{name}' already; name it: --model NAME={given}")
        readers[name] = reader
    return readers


def _key(file: Path | None, no_auth: bool) -> str | None:
    given = os.environ.get(KEY_VARIABLE)
    if no_auth:
        if file is not None:
            raise ConfigError("--no-auth and --api-key-file: give only one of them")
        return None
    if file is not None:
        try:
            given = file.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"--api-key-file {file}: cannot be read ({error})") from None
    elif given is None:
        return None
    key, where = given.strip(), f"--api-key-file {file}" if file else f"${KEY_VARIABLE}"
    if len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            f"{where}: a key has at least {SHORTEST_KEY} letters, digits and signs without spaces; make one with "
            "python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return key


def _checked(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        scheme, _, rest = origin.partition("://")
        if scheme not in ("http", "https") or not rest.rstrip("/") or "/" in rest.rstrip("/") or "*" in rest:
            raise ConfigError(f"--allow-origin {origin}: give scheme, name and port alone, like https://example.org")
    return origins


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
