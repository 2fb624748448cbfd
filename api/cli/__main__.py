"""Where a command of `noesis` starts: nothing is imported yet, and Ctrl-C ends it at any moment in one line.

Invariant: what is imported while a command starts never turns Ctrl-C into a traceback or an error of its own. Where whoever
started the process has it ignore Ctrl-C, it goes on doing so.
"""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

#: As `api.cli.main` says of a command that had begun.
INTERRUPTED = 130


def _interrupted(number: int, frame: FrameType | None) -> None:
    """End at once: an exception in the midst of an import may be taken for a package that is missing."""
    del number, frame
    if sys.stderr is not None:
        os.write(2, b"noesis: interrupted\n")
    os._exit(INTERRUPTED)


def main() -> None:
    """The console script."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heard:
        signal.signal(signal.SIGINT, _interrupted)
    from api.cli.main import main as command

    if not heard:
        return command()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        command()
    except KeyboardInterrupt:
        _interrupted(signal.SIGINT, None)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            # Python ends itself by the signal where Ctrl-C met the making of a dataclass, whatever became of it.
            with suppress(OSError):
                sys.stdout.flush()
            os._exit(INTERRUPTED)
        raise
    finally:
        signal.signal(signal.SIGINT, _interrupted)


if __name__ == "__main__":
    main()
