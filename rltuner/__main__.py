"""Where the command begins and ends, so that Ctrl-C means the same while Python loads and leaves as in between."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """The command line; Ctrl-C is exit code 130 from the first import on, and nothing after the end."""
    try:
        from rltuner.interrupts import importing

        with importing():
            from rltuner.commands import main as cli
        cli.main()
    except KeyboardInterrupt:
        print("rltuner: stopped", file=sys.stderr)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done or said: the exit code stands


if __name__ == "__main__":
    main()
