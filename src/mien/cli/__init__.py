"""The `mien` command: one module per verb, imported only when its verb is used."""

import io
import os
import sys
import warnings
from importlib import import_module

import click

from mien.cli.terminal import one_line
from mien.errors import MienError
from mien.version import __version__

#: Each verb and its module; the one-line help is shown without importing it.
VERBS = {
    "check": "list everything that is wrong with a dataset",
    "show": "draw labelled (or augmented) samples of a dataset",
    "train": "train on labelled folders; evaluate and export",
    "tune": "search for better settings within a budget",
    "experiment": "compare settings over several seeds: what matters, what is noise",
    "runs": "list runs with their figures",
    "evaluate": "measure a model on labelled data",
    "compare": "set evaluations side by side: is a difference more than luck?",
    "predict": "read the expression in pictures",
    "explain": "show what in a picture speaks for an answer",
    "export": "turn a Keras model into a bundle",
    "serve": "an HTTP API and a page with a camera, on this machine",
    "demo": "run the whole job on drawn faces",
    "doctor": "say what is installed, what works and why not",
}


class _Verbs(click.Group):
    """A group that imports a verb's module on first use, so that every start is quick."""

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


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="mien %(version)s")
def cli() -> None:
    """Read the expression on a face, and train, check and export the classifier that does it."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command; errors are one line on stderr and exit status 2, Ctrl-C is 130."""
    warnings.filterwarnings("ignore", module="PIL")  # what Pillow warns of, mien reports on the picture's row
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that does not know a letter is no error
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
    except BrokenPipeError:  # the reader of our output has closed it, as `head` does
        status = 1
    except OSError as error:  # standard output cannot be written, say
        status = _fail(str(error))
    _let_go_of_stdout()
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> int:
    click.echo(f"mien: {one_line(message)}", err=True)
    return 2


def _let_go_of_stdout() -> None:
    """Where standard output cannot be written any more, keep Python from complaining of it at exit."""
    if sys.stdout is None:  # it was closed before we began
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
