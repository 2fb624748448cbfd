"""`noesis`: every command of the platform under one name. This module joins the commands and turns errors into exit codes.

Exit codes: 0 done, 1 refused or failed (one sentence on stderr says why and what to do), 2 the command line itself is wrong,
130 interrupted. Invariant: bad input never shows a traceback.
"""

import os
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from api.cli.commands import join
from api.cli.terminal import Terminal
from kg.errors import NoesisError

app = typer.Typer(
    name="noesis",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="One governed graph that agents share: it senses changes, decides by rules, acts once and can explain everything.",
    epilog="Start with `noesis demo`, or `noesis init` in a folder with a noesis.toml. NOESIS_PROJECT names that folder.",
)
join(app)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code."""
    terminal = Terminal()
    try:
        outcome = app(args=list(arguments) if arguments is not None else None, standalone_mode=False)
    except NoesisError as error:
        terminal.err.print(f"noesis: {error}", markup=False, style="red", soft_wrap=True)
        return 1
    except typer.Exit as stop:
        return stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        terminal.err.print("noesis: interrupted", markup=False)
        return 130
    except TyperException as error:
        terminal.err.print(f"noesis: {error.format_message()} (see `noesis --help`)", markup=False, soft_wrap=True)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return outcome if isinstance(outcome, int) else 0


def main() -> None:
    """The console script."""
    sys.exit(run())


if __name__ == "__main__":
    main()
