"""`mien fix`: parse options, audit the dataset, open the page. The page itself is in `mien.server.fix`."""

import sys
from pathlib import Path
from signal import SIGINT

import click

from mien.cli.help import verb
from mien.cli.options import (
    BY_SAMPLE,
    class_options,
    detect_option,
    device_option,
    mirror_option,
    model_option,
    parse_data_options,
)
from mien.cli.output.fix_tables import JSONL_BEGINS, merge_fixes, print_queue, say_decided, to_jsonl
from mien.cli.output.progress import progress_bar
from mien.cli.output.terminal import say, say_to_stderr
from mien.data.fixes.opening import open_session
from mien.data.fixes.store import fixes_path
from mien.io.targets import require_output, write_output
from mien.runtime.memory import keep_freed_memory
from mien.runtime.providers import Device


@verb("fix")
@click.argument("data", type=click.Path(path_type=Path))
@class_options
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.csv", show_default="mien-fixes.csv in DATA",
              help="file of decisions; one that exists goes on")  # fmt: skip
@click.option("--who", default="", metavar="NAME", help="your name, if several people decide", show_default="none")
@click.option("--merge", multiple=True, type=click.Path(path_type=Path), metavar="OTHER.csv",
              help="add the decisions of other people, and end")  # fmt: skip
@click.option("--list", "listing", is_flag=True, help="print the first images to look at, and end")
@click.option("--jsonl", metavar="FILE|-", help="write all images in that order, one per line, and end")
@detect_option(BY_SAMPLE)
@model_option
@device_option
@mirror_option
@click.option("--port", type=click.IntRange(0, 65535), show_default="any free one", metavar="N",
              help="port of the page on this machine")  # fmt: skip
@click.option("--no-browser", is_flag=True, help="print the address, and open no browser")
def command(
    data: Path, classes: str | None, rename: tuple[str, ...], out: Path | None, who: str, merge: tuple[Path, ...],
    listing: bool, jsonl: str | None, detect: bool | None, model: str | None, device: Device, mirror: bool | None,
    port: int | None, no_browser: bool,
) -> int:  # fmt: skip
    """Look at the images of DATA and decide: keep, relabel or leave out, until Ctrl-C.

    DATA is labelled as for mien check, or a folder of images that nobody sorted, with --classes happy,sad. A page opens
    in the browser and shows first what is probably wrong. Only this machine can reach it.

    Your files are never changed. Each decision is a row of mien-fixes.csv, which check, show, train and evaluate use.
    """
    if merge:
        return merge_fixes(out or fixes_path(data), merge)
    if jsonl:
        require_output(jsonl, JSONL_BEGINS, data)
    only_list = listing or jsonl is not None
    if not only_list:
        from mien.server.fix import serve_fixes  # before the audit: it may not be installed
    wanted, renamed = parse_data_options(classes, rename)
    with progress_bar("reading the images", lines=True) as report:
        session = open_session(
            data, classes=wanted, rename=renamed, out=out, who=who, detect=detect, model=model, device=device,
            mirror=mirror, on_message=say_to_stderr, on_progress=report,
        )  # fmt: skip

    if jsonl:
        write_output(to_jsonl(session), jsonl)
    if listing and jsonl != "-":
        print_queue(session)
    if only_list:
        return 0

    def on_start(address: str) -> None:
        # Programs that start the page wait for this line.
        say(f"mien fix: open {address}")

    # Let the event loop's thread get the interpreter lock sooner while others shrink images.
    sys.setswitchinterval(0.001)
    keep_freed_memory()
    ended = serve_fixes(
        session, port=port or 0, open_page=not no_browser, on_start=on_start,
        on_end=lambda sentence: say(f"mien: {sentence}", err=True),
    )  # fmt: skip
    say_decided(session, detect)
    if ended == SIGINT:
        say("mien: stopped", err=True)
    return 0
