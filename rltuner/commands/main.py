"""The command `rltuner`: reads the arguments, calls the library, prints. No logic of its own.

A mistake of the user's (`InputError`) is one line on standard error and exit code 2; Ctrl-C is exit code 130.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence

import tyro

from rltuner.commands import launchpad as below_launchpad
from rltuner.commands import listeners as below_listeners
from rltuner.commands import rules as below_rules
from rltuner.commands import study as below_study
from rltuner.commands.evaluate import evaluate
from rltuner.commands.export import export
from rltuner.commands.finetune import finetune_command
from rltuner.commands.generate import generate
from rltuner.commands.import_model import import_command
from rltuner.commands.info import info
from rltuner.commands.options import REGISTRY, SETTINGS, Command
from rltuner.commands.pretrain import pretrain_command
from rltuner.errors import InputError


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Ψ or → gets a question mark
    # Threads that wait for each other sleep instead of spinning: where another program wants the same cores, spinning
    # makes tuning twenty times slower. OpenMP reads this when torch is imported, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if words[:1] == ["--version"]:
        from rltuner.version import __version__

        print(f"rltuner {__version__}")
        return
    try:
        _parse(words)()
    except InputError as error:
        print(f"rltuner: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("rltuner: stopped", file=sys.stderr)
        sys.exit(130)
    except (MemoryError, RuntimeError) as error:
        if not _is_of_memory(error):
            raise
        reason = f" ({' '.join(str(error).split())[:160]})" if str(error) else ""
        fields = _TAKE_MEMORY.get(words[0], "--length or the number of melodies")
        print(
            f"rltuner: there is not enough memory{reason}; lower {fields}. What was saved before is kept",
            file=sys.stderr,
        )
        sys.exit(2)
    except BrokenPipeError:
        # The reader of our output has gone. What is still in the buffer goes nowhere, so that Python's own flush at the
        # end has nothing to complain about.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        sys.exit(0)
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        named = f"{error.filename}: " if error.filename else ""
        print(f"rltuner: {named}{error.strerror}; what was saved before is kept", file=sys.stderr)
        sys.exit(2)


def _parse(words: list[str]) -> Command:
    """What the words ask for, ready to run.

    Raises InputError, in one line, for options that cannot be parsed: tyro prints a box, from which the sentence is
    taken, and exits. A value that a configuration refuses reaches tyro as a ValueError, so it is looked for behind the
    exit. --help goes to standard output and ends here.
    """
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            if words and not words[0].startswith("-") and words[0] not in _commands([]):
                raise InputError(_unknown(words[0]))
            if words[:1] == ["rules"]:
                return _parse_below("rules", below_rules.COMMANDS, rules.__doc__, words[1:])
            if words[:1] == ["launchpad"]:
                below = below_launchpad.commands(words[1:])
                return _parse_below("launchpad", below, launchpad.__doc__, words[1:])
            if words[:1] == ["study"]:
                return _parse_below("study", below_study.COMMANDS, study.__doc__, words[1:])
            if words[:1] == ["listeners"]:
                return _parse_below("listeners", below_listeners.COMMANDS, listeners.__doc__, words[1:])
            command: Command = tyro.extras.subcommand_cli_from_dict(
                _commands(words),
                prog="rltuner",
                description=_DESCRIPTION,
                args=words,
                config=SETTINGS,
                registry=REGISTRY,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        cause = stop.__context__
        while cause is not None:
            if isinstance(cause, InputError):
                raise cause from None
            cause = cause.__context__
        raise InputError(_sentence(box.getvalue(), words)) from None
    return command


def _unknown(command: str) -> str:
    near = difflib.get_close_matches(command, _commands([]), n=1)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(_commands([]))}"
    return f"no command is called {command[:40]!r}; {hint}; see: rltuner --help"


def _is_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(part in str(error) for part in _OUT_OF_MEMORY)


def _sentence(box: str, words: list[str]) -> str:
    """The first paragraph of a message that tyro drew as a box, the option it suggests, and where to read on.

    The box has a title line, then paragraphs between rules; how its lines are drawn depends on the terminal.
    """
    paragraphs: list[list[str]] = [[]]
    for line in box.splitlines()[1:]:
        text = line.strip("│|╰╯╭╮ ")
        if text.strip("─-"):
            paragraphs[-1].append(text)
        else:
            paragraphs.append([])
    filled = [paragraph for paragraph in paragraphs if paragraph] or [["the options cannot be parsed"]]
    sentence = " ".join(filled[0]).rstrip(".")
    if missing := re.fullmatch(r"Missing from rltuner ([\w ]+): (\S+) (.+?)\.? \(required\)", sentence):
        name, argument, meaning = missing.groups()
        sentence = f"{name} needs {argument}: {meaning[0].lower()}{meaning[1:]}"
    if len(filled) > 1 and filled[1][0] == "Perhaps you meant:":
        sentence += f"; did you mean {filled[1][1].split()[0]}?"
    command = words[0] if words and words[0] in _commands([]) else ""
    below: dict[str, Iterable[str]] = {
        "rules": below_rules.COMMANDS,
        "study": below_study.COMMANDS,
        "launchpad": below_launchpad.NAMES,
        "listeners": below_listeners.COMMANDS,
    }
    if len(words) > 1 and words[1] in below.get(command, {}):
        command = f"{command} {words[1]}"
    return f"{sentence}; see: {' '.join(filter(None, ['rltuner', command, '--help']))}"


def _parse_below(
    name: str, commands: dict[str, Callable[..., Command]], description: str | None, words: list[str]
) -> Command:
    command: Command = tyro.extras.subcommand_cli_from_dict(
        commands,
        prog=f"rltuner {name}",
        description=description,
        args=words,
        config=SETTINGS,
        registry=REGISTRY,
    )
    return command


_DESCRIPTION = (
    "Tune melody RNNs so that they obey music theory and still sound like their data. Each command has a --help of its "
    "own, such as: rltuner generate --help. The version: rltuner --version."
)
# A disk that is full or broken, a limit on files, a folder without permission: nothing that we could mend.
_OF_THE_MACHINE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS),
    *(errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOLCK),
)
# What torch, on every device, says where memory cannot be had or counted.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "Storage size calculation")
_TAKE_MEMORY = {
    "finetune": "--batch-size, --length, --replay, --value-units, --smc, --smc-systems, --smc-replay or --evaluate",
    "generate": "--count, --length, --bars, --best-of or --smc",
    "evaluate": "--count or --length",
    "launchpad": "--replay, --boards, --batch-size or the size of the corpus",
    "pretrain": "--batch-size, --window or --hidden-sizes",
}


def _commands(words: list[str]) -> dict[str, Callable[..., Command]]:
    """The commands by name. What some options default to depends on the words that follow."""
    return {
        "finetune": finetune_command(words[1:] if words[:1] == ["finetune"] else []),
        "generate": generate,
        "evaluate": evaluate,
        "pretrain": pretrain_command(words[1:] if words[:1] == ["pretrain"] else []),
        "rules": rules,
        "study": study,
        "launchpad": launchpad,
        "listeners": listeners,
        "info": info,
        "import": import_command,
        "export": export,
    }


def rules() -> Command:
    """List, show and check rules, and explain what they make of a melody of yours: rltuner rules --help."""
    raise AssertionError("the words that follow are parsed by _parse_below")


def study() -> Command:
    """Make, serve, simulate and analyze a listening study: rltuner study --help."""
    raise AssertionError("the words that follow are parsed by _parse_below")


def launchpad() -> Command:
    """Compose bar by bar with a learner on one grid of buttons; train it: rltuner launchpad --help."""
    raise AssertionError("the words that follow are parsed by _parse_below")


def listeners() -> Command:
    """Listeners whose taste is found by reinforcement learning: tables, training, maps, playlists: rltuner listeners
    --help."""
    raise AssertionError("the words that follow are parsed by _parse_below")
