"""The command `rltuner`: reads the arguments, calls the library, prints. No logic of its own.

A mistake of the user's (`InputError`) is one line on standard error and exit code 2; Ctrl-C is exit code 130.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro

from rltuner import config as configs
from rltuner.errors import InputError


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        tyro.extras.subcommand_cli_from_dict(
            _commands(words), prog="rltuner", description=_DESCRIPTION, args=words, config=_SETTINGS
        )
    except InputError as error:
        print(f"rltuner: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("rltuner: stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: nothing to say, and nobody to say it to
        sys.exit(0)


_DESCRIPTION = "Tune melody RNNs so that they obey music theory and still sound like their data."
_SETTINGS = (tyro.conf.OmitArgPrefixes,)


def _commands(words: list[str]) -> dict[str, Callable[..., Any]]:
    """The commands by name. finetune's defaults depend on --preset, --config and --resume in `words`."""
    default = configs.finetune_defaults(words[1:]) if words[:1] == ["finetune"] else configs.FinetuneConfig()

    def finetune(config: configs.FinetuneConfig = default) -> None:
        """Tune a Note RNN by Q, Psi or G learning."""
        from rltuner.tuner import finetune as run

        run(config)

    return {
        "finetune": finetune,
        "generate": generate,
        "evaluate": evaluate,
        "pretrain": pretrain,
        "rules": rules,
        "info": info,
    }


def pretrain(config: configs.PretrainConfig) -> None:
    """Train a Note RNN on real tunes."""
    from rltuner.pretrain import pretrain as run

    run(config)


def generate(config: configs.GenerateConfig) -> None:
    """Write melodies of a checkpoint as MIDI files."""
    from rltuner.generate import generate as run

    run(config)


def evaluate(config: configs.EvaluateConfig) -> None:
    """Print the paper's rows for checkpoints, MIDI files and human tunes."""
    from rltuner.eval.command import run

    run(config)


def rules(book: Annotated[str, tyro.conf.Positional] = "magenta") -> None:
    """Show a rule book: its rules, their weights and parameters.

    Args:
        book: A shipped name or a .toml file.
    """
    from rltuner.rules.show import show

    show(book)


def info(source: Annotated[str, tyro.conf.Positional]) -> None:
    """Print a checkpoint's card, shapes and hashes.

    Args:
        source: A shipped name, a checkpoint folder or a run folder.
    """
    from rltuner.info import show

    show(source)


if __name__ == "__main__":
    main()
