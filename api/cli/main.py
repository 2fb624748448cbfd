"""`noesis`: every command of the platform under one name. This module joins the commands and turns errors into exit codes.

Exit codes: 0 done, 1 refused or failed (one sentence on stderr says why and what to do), 2 the command line itself is wrong,
130 interrupted. Invariant: bad input never shows a traceback.
"""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

import typer
from typer.exceptions import TyperException

from api.cli.commands import Commands, root
from api.cli.terminal import Terminal, clean
from kg.errors import NoesisError

app = typer.Typer(
    name="noesis",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="One governed graph that agents share: it senses changes, decides by rules, acts once and can explain everything.",
    epilog="Start with `noesis demo`, or `noesis init` in a folder with a noesis.toml. NOESIS_PROJECT names that folder.",
)
app.callback()(root)


#: Exit code after Ctrl-C.
INTERRUPTED = 130


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code."""
    terminal = Terminal()

    def refuse(sentence: str, code: int) -> int:
        terminal.err.print(clean(f"noesis: {sentence}"), markup=False, style="red", soft_wrap=True)
        return code

    given = list(sys.argv[1:] if arguments is None else arguments)
    if any("\ud800" <= letter <= "\udfff" for argument in given for letter in argument):
        return refuse("an argument is not UTF-8; write it in UTF-8, or rename the file", 2)
    try:
        outcome = app(args=given, standalone_mode=False)
    except NoesisError as error:
        outcome = refuse(str(error), 1)
    except typer.Exit as stop:
        outcome = stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        outcome = INTERRUPTED
    except TyperException as error:
        # A group without a command has printed its help and says nothing more.
        said = error.format_message() or "name one of the commands above"
        outcome = refuse(f"{said} (see `noesis --help`)", error.exit_code)
    except (BrokenPipeError, SystemExit) as stop:
        outcome = _left(stop)
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        outcome = refuse(f"{where}{error.strerror or error}; check the path and its permissions", 1)
    if outcome == INTERRUPTED:
        refuse("interrupted", INTERRUPTED)
    return outcome if isinstance(outcome, int) else 0


def _left(stop: BrokenPipeError | SystemExit) -> int | str | None:
    """The exit code where the reader of stdout may have left early.

    Rich makes of that an exit with 1, which would say of `doctor | head` that something is wrong.
    """
    if isinstance(stop, SystemExit) and not isinstance(stop.__context__, BrokenPipeError):
        return stop.code
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def streams() -> None:
    """Make the standard streams safe to use: one that is closed leads nowhere, and no letter is too much for one.

    A closed stream would leave its number to the next file that is opened, which may be the graph's.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """The console script."""
    streams()
    sys.exit(run())


if __name__ == "__main__":
    main()
