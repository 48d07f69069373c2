"""The `mien` command: one module per verb in `verbs/`, imported when its verb is used; what they print in `output/`.

A verb parses its options, makes one call and prints; what it calls is below, for Python callers too.
"""

import io
import os
import signal
import sys
import warnings
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from mien.arguments import to_flags
from mien.cli.bad_calls import describe, refuse_verb
from mien.cli.output.terminal import print_help, say, say_warnings
from mien.errors import MienError
from mien.version import __version__

#: Each verb by what it is for; a verb is also a module. `mien --help` shows these lines and imports no verb.
PURPOSES = {
    "Read expressions": {
        "predict": "classify the expression in images, videos or a webcam",
        "explain": "draw a heatmap of the evidence for an answer",
        "serve": "run an HTTP API and a webcam page on this machine",
    },
    "Prepare your own images": {
        "check": "list the issues of a dataset; write a clean copy",
        "fix": "look at images one by one, and keep, relabel or leave out",
        "show": "draw samples of a dataset, also augmented",
    },
    "Train your own model": {
        "train": "train on labelled images; evaluate and export",
        "tune": "search for better settings within a budget",
        "experiment": "compare settings over several seeds",
        "runs": "list runs with their metrics",
    },
    "Measure and pass on a model": {
        "evaluate": "measure a model on labelled images; write a report",
        "compare": "test whether evaluations on the same images differ",
        "export": "turn a Keras model into a bundle, a bundle into a web page",
    },
    "Try and repair mien": {
        "demo": "check, train, evaluate and predict on drawn faces",
        "doctor": "check the installation and say how to repair it",
    },
}
VERBS = {name: summary for verbs in PURPOSES.values() for name, summary in verbs.items()}


_EPILOG = """Begin with: mien predict photo.jpg, or mien check FOLDER and then mien train FOLDER.

mien VERB --help shows the options of a verb. For tab completion in bash, add to ~/.bashrc the line
eval "$(_MIEN_COMPLETE=bash_source mien)"; in zsh and fish it is zsh_source and fish_source.
"""


class _Verbs(click.Group):
    """Import a verb's module on first use, so that every start is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"mien.cli.verbs.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in VERBS and not args[0].startswith("-") and not ctx.resilient_parsing:
            refuse_verb(args[0], list(VERBS), ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        verbs = [CompletionItem(name, help=text) for name, text in VERBS.items() if name.startswith(incomplete)]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:  # click itself would print an empty line first
            raise click.Abort(*stop.args) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, VERBS))
        for purpose, verbs in PURPOSES.items():
            with formatter.section(purpose):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in verbs.items()])


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="VERB ...",
    epilog=_EPILOG,
)
@click.version_option(__version__, message="mien %(version)s")
def cli() -> None:
    """Classify the expression on faces; train, evaluate and export your own classifier."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command. An error is one line on stderr and exit status 2; Ctrl-C is 130."""
    say_warnings()
    warnings.filterwarnings("ignore", module="PIL")  # mien reports it in the row of the image
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a letter that a terminal cannot show is no error
    try:
        status = cli.main(arguments, prog_name="mien", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        print_help(error.format_message())
        status = 2
    except click.ClickException as error:
        status = _fail(describe(error))
    except MienError as error:
        status = _fail(to_flags(str(error)))
    except (KeyboardInterrupt, click.Abort) as stop:
        if arguments is None:  # this process ends now; a second Ctrl-C must not add a traceback
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        say(f"mien: {str(stop) or 'interrupted'}", err=True)
        status = 130
    except BrokenPipeError:  # whoever reads our output closed it, as `head` does
        status = 1
    except OSError as error:  # such as a full disk behind standard output, or a folder that may not be looked into
        name = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        status = _fail(f"{name}{error.strerror or error}")
    _release_stdout()
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> int:
    say(f"mien: {message}", err=True)
    return 2


def _release_stdout() -> None:
    """Keep Python silent at exit if standard output can no longer be written."""
    if sys.stdout is None:  # it was closed before we began
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
