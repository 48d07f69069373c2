"""The `mien` command: one module per verb, imported when its verb is used. Helpers are named after their verb.

A verb parses its options, makes one call and prints; what it calls is below, for Python callers too.
"""

import io
import os
import sys
import warnings
from importlib import import_module

import click

from mien.cli.terminal import one_line
from mien.errors import MienError
from mien.version import __version__

#: Each verb, which is also its module, and its summary for `mien --help`, which imports none of them.
VERBS = {
    "check": "list the issues of a dataset; write a clean copy",
    "show": "draw samples of a dataset, also augmented",
    "train": "train on labelled images; evaluate and export",
    "tune": "search for better settings within a budget",
    "experiment": "compare settings over several seeds; test which differences are significant",
    "runs": "list runs with their metrics",
    "evaluate": "measure a model on labelled images; write a report",
    "compare": "compare evaluations on the same images; test whether the difference is significant",
    "predict": "classify the expression in images, videos or a webcam",
    "explain": "draw a heatmap of the evidence for an answer",
    "export": "turn a Keras model into a bundle",
    "serve": "run an HTTP API and a webcam page on this machine",
    "demo": "check, train, evaluate and predict on drawn faces",
    "doctor": "check the installation and say how to repair it",
}


class _Verbs(click.Group):
    """Import a verb's module on first use, so that every start is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"mien.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:  # click itself would print an empty line first
            raise click.Abort(*stop.args) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="VERB ...",
    epilog="mien VERB --help shows the options of a verb.",
)
@click.version_option(__version__, message="mien %(version)s")
def cli() -> None:
    """Classify the expression on faces; train, evaluate and export your own classifier."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command. An error is one line on stderr and exit status 2; Ctrl-C is 130."""
    warnings.filterwarnings("ignore", module="PIL")  # mien reports it in the row of the image
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a letter that a terminal cannot show is no error
    try:
        status = cli.main(arguments, prog_name="mien", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        status = 2
    except click.ClickException as error:
        status = _fail(" ".join(error.format_message().split()))
    except MienError as error:
        status = _fail(str(error))
    except (KeyboardInterrupt, click.Abort) as stop:
        click.echo(f"mien: {one_line(str(stop) or 'interrupted')}", err=True)
        status = 130
    except BrokenPipeError:  # whoever reads our output closed it, as `head` does
        status = 1
    except OSError as error:  # such as a full disk behind standard output
        status = _fail(str(error))
    _release_stdout()
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> int:
    click.echo(f"mien: {one_line(message)}", err=True)
    return 2


def _release_stdout() -> None:
    """Keep Python silent at exit if standard output can no longer be written."""
    if sys.stdout is None:  # it was closed before we began
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
