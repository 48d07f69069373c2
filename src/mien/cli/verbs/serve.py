"""`mien serve`: parse options, open models, run the server. The application itself is in `mien.server`."""

import gc
import os
import sys
import threading
import webbrowser
from ipaddress import ip_address
from pathlib import Path
from signal import SIGINT

import click

from mien.cli.help import verb
from mien.cli.options import Number, device_option, mirror_option, notice_option, threads_option, threshold_option
from mien.cli.output.terminal import say, say_device
from mien.errors import ConfigError
from mien.inference.reader import Reader, load
from mien.inference.thresholds import Threshold
from mien.io.bounded import read_text
from mien.runtime.providers import Device

#: Environment variable that holds the API key if no file is given.
KEY_VARIABLE = "MIEN_API_KEY"
#: Shorter keys are too easy to guess.
MIN_KEY_LENGTH = 16
#: Bytes of a file that holds a key.
_MAX_KEY = 2**16
#: `mien.server.limits.MAX_SECONDS`; importing that room takes seconds.
_DAY = 86_400.0


_HEADINGS = {
    "Start here": ("models", "threshold", "device", "mirror", "open_page", "host", "port"),
    "Consent": ("notice", "no_notice"),
    "Who may connect": ("api_key_file", "no_auth", "origins", "hosts", "root_path"),
    "Limits": ("threads", "max_body", "max_files", "max_pixels", "max_waiting", "timeout"),
}


@verb("serve", _HEADINGS)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="address to listen on")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    metavar="N",
    help="port; 0 takes any free one",
)
@click.option(
    "--model", "models", multiple=True, metavar="[NAME=]NAME|FOLDER",
    help="a shipped model, a bundle or a run folder; repeat for several models, the first is the default",
    show_default="mien, the shipped one",
)  # fmt: skip
@threshold_option
@device_option
@mirror_option
@click.option("--open", "open_page", is_flag=True, help="open the page in a browser")
@notice_option
@click.option(
    "--api-key-file", type=click.Path(path_type=Path), metavar="FILE",
    show_default=f"the key in ${KEY_VARIABLE}", help="file with the key that every request must carry",
)  # fmt: skip
@click.option("--no-auth", is_flag=True, help="accept requests without a key")
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="URL",
    help="accept requests from web pages of this origin, such as https://example.org",
)
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="accept requests to this host name too")
@click.option("--root-path", default="", metavar="PATH", help="path prefix of a reverse proxy, such as /faces",
              show_default="none")  # fmt: skip
@threads_option("images predicted at the same time")
@click.option(
    "--max-body", type=click.IntRange(1), default=32, show_default=True, metavar="MIB", help="largest request body"
)
@click.option(
    "--max-files", type=click.IntRange(1), default=32, show_default=True, metavar="N", help="most files per request"
)
@click.option("--max-pixels", type=Number(0.01), default=50.0, show_default=True, metavar="MILLIONS",
              help="largest image")  # fmt: skip
@click.option("--max-waiting", type=click.IntRange(1), default=256, show_default=True, metavar="N",
              help="most requests that may wait; more are answered 503")  # fmt: skip
@click.option("--timeout", type=Number(0, _DAY, min_open=True), default=30.0, show_default=True, metavar="SECONDS",
              help="longest time for a request, waiting included")  # fmt: skip
def command(
    host: str, port: int, models: tuple[str, ...], threshold: Threshold | None, device: Device,
    mirror: bool | None, open_page: bool, notice: str | None, api_key_file: Path | None, no_auth: bool,
    origins: tuple[str, ...], hosts: tuple[str, ...], root_path: str, threads: int | None,
    max_body: int, max_files: int, max_pixels: float, max_waiting: int, timeout: float,
) -> int:  # fmt: skip
    """Serve an HTTP API and a web page on this machine, until Ctrl-C.

    Uploaded images stay in memory and are never stored. By default only this machine can reach the server. To listen on
    another address, pass --host and an API key (or --no-auth). docs/http.md describes the API.
    """
    from mien.server import Limits, create_app
    from mien.server.runner import listen, run
    from mien.server.security import LOOPBACK

    key = _key(api_key_file, no_auth)
    local = _is_loopback(host)
    if not local and key is None and not no_auth:
        raise ConfigError(
            f"--host {host}: other machines can reach it; give a key (--api-key-file FILE or ${KEY_VARIABLE}), "
            "or --no-auth"
        )
    limits = Limits(
        body_bytes=max_body * 2**20, files=max_files, pixels=round(max_pixels * 1e6), waiting=max_waiting,
        seconds=timeout, held_bytes=max(256, 2 * max_body) * 2**20,
    )  # fmt: skip
    readers = _open_readers(models, threshold, device, mirror)
    names = {*LOOPBACK, host, *hosts} if local or hosts else None
    app = create_app(
        readers, limits, key=key, hosts=names, origins=_check_origins(origins), threads=threads,
        notice=notice,
    )  # fmt: skip
    listener = listen(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"

    def on_start() -> None:
        # Programs that start the server wait for this line.
        say(f"mien serves {', '.join(readers)} at {address}")
        if open_page:  # in a thread: some browsers return only once they are closed
            page = address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
            threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()

    # Let the event loop's thread get the interpreter lock sooner while worker threads compute.
    sys.setswitchinterval(0.001)
    # What exists by now stays. Each full collection would look at all of it, and hold every thread up for 50 ms.
    gc.collect()
    gc.freeze()
    if run(app, limits, [listener], on_start, root_path) == SIGINT:
        say("mien: stopped", err=True)
    return 0


def _open_readers(
    models: tuple[str, ...], threshold: Threshold | None, device: Device, mirror: bool | None
) -> dict[str, Reader]:
    """Open each model; its name is the one given by `NAME=`, else the bundle's own."""
    readers: dict[str, Reader] = {}
    for argument in models or (None,):
        name, place = None, argument
        if argument and "=" in argument and not Path(argument).exists():
            name, _, place = argument.partition("=")
        # One thread each: several requests run at the same time.
        reader = load(place, threads=1, threshold=threshold, device=device, mirror=mirror)
        say_device(reader)
        name = name or reader.config.name
        if name in readers:
            raise ConfigError(f"--model {argument}: the name '{name}' is taken; use --model NAME={argument}")
        readers[name] = reader
    return readers


def _key(file: Path | None, no_auth: bool) -> str | None:
    """Return the API key from the file or the environment; None if there is none."""
    key = os.environ.get(KEY_VARIABLE)
    if no_auth:
        if file is not None:
            raise ConfigError("--no-auth and --api-key-file: give only one of them")
        return None
    if file is not None:
        try:
            key = read_text(file, _MAX_KEY)
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"--api-key-file {file}: cannot be read ({error})") from None
    elif key is None:
        return None
    key, place = key.strip(), f"--api-key-file {file}" if file else f"${KEY_VARIABLE}"
    if len(key) < MIN_KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            f"{place}: a key has at least {MIN_KEY_LENGTH} letters, digits and signs without spaces; make one with "
            "python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return key


def _check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        scheme, _, rest = origin.partition("://")
        if scheme not in ("http", "https") or not rest.rstrip("/") or "/" in rest.rstrip("/") or "*" in rest:
            raise ConfigError(f"--allow-origin {origin}: give scheme, name and port only, like https://example.org")
    return origins


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
