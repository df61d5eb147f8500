"""Which variable of a TensorFlow checkpoint is which weight of a Melody RNN, whatever its version called it.

The cells were renamed again and again: ``RNN/MultiRNNCell/Cell0/LSTMCell/W_0``, ``…/BasicLSTMCell/Linear/Matrix``,
``rnn/multi_rnn_cell/cell_0/basic_lstm_cell/weights``, ``…/kernel``; all of it may lie in a scope such as ``rnn_model/``.

Source: tensorflow/contrib/rnn/python/tools/checkpoint_convert.py (Apache-2.0), which lists the renamings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rltuner.errors import InputError, suggest

_OF_TRAINING = re.compile(
    r"(^|/)(global_step|beta[12]_power|learning_rate|Adam(_\d+)?|RMSProp(_\d+)?|Momentum|Adagrad|Adadelta(_\d+)?"
    r"|Ftrl(_\d+)?)$"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ENDS = {"matrix": "kernel", "w_0": "kernel", "weights": "kernel", "b": "bias", "biases": "bias"}
_SCOPE = r"^(?P<scope>(?:.+/)?)"
_LAYER = re.compile(
    _SCOPE + r"rnn/(?P<all>attention_cell_wrapper/)?(?:multi_rnn_cell/cell_(?P<cell>\d{1,3})/)?"
    r"(?P<first>attention_cell_wrapper/)?(?:basic_)?lstm_cell/(?P<part>kernel|bias)$"
)
_ATTENTION = re.compile(
    _SCOPE + r"rnn/(?:multi_rnn_cell/cell_0/)?attention_cell_wrapper/"
    r"(?P<part>kernel|bias|attention/(?:attn_w|attn_v|kernel|bias)|attn_output_projection/(?:kernel|bias))$"
)
_OUTPUT = re.compile(_SCOPE + r"fully_connected/(?P<part>kernel|bias)$")
ATTENTION_PARTS = (
    *("kernel", "bias", "attention/attn_w", "attention/attn_v", "attention/kernel", "attention/bias"),
    *("attn_output_projection/kernel", "attn_output_projection/bias"),
)
MOST_SHOWN = 12  # names in an error


@dataclass(frozen=True)
class Layout:
    """The names of the variables of one network."""

    scope: str
    """What stands before all of them, such as "rnn_model"; "" for nothing."""
    layers: list[tuple[str, str]]
    """Kernel and bias of each LSTM layer."""
    output: tuple[str, str]
    """Weights and biases of the output layer."""
    attention: dict[str, str]
    """The attention's variables by `ATTENTION_PARTS`; empty where there is none."""
    attended: int
    """How many of the first layers attention is around."""

    @property
    def names(self) -> list[str]:
        """All of them."""
        return [*(name for pair in self.layers for name in pair), *self.attention.values(), *self.output]


def canonical(name: str) -> str:
    """A variable's name as TensorFlow 1.2 and later have it."""
    parts = [re.sub(r"^cell(\d+)$", r"cell_\1", _CAMEL.sub("_", part).lower()) for part in name.split("/")]
    parts = [part for part in parts if part != "linear"]
    parts = ["attn_output_projection" if part == "attention_output_projection" else part for part in parts]
    return "/".join([*parts[:-1], _ENDS.get(parts[-1], parts[-1])]) if parts else ""


def is_of_training(name: str) -> bool:
    """Whether a variable is an optimiser's or a counter, not the model's."""
    return _OF_TRAINING.search(name) is not None


def layout_of(names: Iterable[str], where: object, scope: str | None = None) -> Layout:
    """The network that variables of these names make up.

    Args:
      names: of all variables.
      where: names the checkpoint in an error.
      scope: of several networks the one whose names begin with it.

    Raises InputError, with the names found, where they are not those of a Melody RNN, or of several.
    """
    found = [name for name in sorted(names) if not is_of_training(name)]
    scopes: dict[str, dict[str, str]] = {}
    unknown = []
    for name in found:
        known = canonical(name)
        match = next((m for pattern in (_LAYER, _ATTENTION, _OUTPUT) if (m := pattern.match(known))), None)
        if match is None:
            unknown.append(name)
            continue
        inside = scopes.setdefault(match["scope"].rstrip("/"), {})
        if (short := known.removeprefix(match["scope"])) in inside:
            raise InputError(f"{where}: two variables for one weight, {inside[short]} and {name}")
        inside[short] = name
    if scope is None:
        if unknown or not scopes:
            raise InputError(f"{where}: not the variables of a Melody RNN; {_listed(unknown or found)}")
        if len(scopes) > 1:
            raise InputError(
                f"{where}: holds several networks, {', '.join(repr(one) for one in scopes)}; name one with --scope"
            )
        scope = next(iter(scopes))
    if scope not in scopes:
        raise InputError(f"{where}: no network in the scope {scope!r}; {suggest(scope, [*scopes])}")
    return _layout(scope, scopes[scope], where)


def _layout(scope: str, inside: dict[str, str], where: object) -> Layout:
    layers: dict[int, dict[str, str]] = {}
    attention: dict[str, str] = {}
    output: dict[str, str] = {}
    around_all = False
    for known, name in inside.items():
        if match := _LAYER.match(known):
            layers.setdefault(int(match["cell"] or 0), {})[match["part"]] = name
            around_all |= match["all"] is not None
        elif match := _ATTENTION.match(known):
            attention[match["part"]] = name
        elif match := _OUTPUT.match(known):
            output[match["part"]] = name
    missing = [
        f"{part} of layer {number}"
        for number in range(max(layers, default=0) + 1)
        for part in ("kernel", "bias")
        if part not in layers.get(number, {})
    ]
    missing += [f"{part} of fully_connected" for part in ("kernel", "bias") if part not in output]
    missing += [f"attention's {part}" for part in ATTENTION_PARTS if attention and part not in attention]
    if missing:
        raise InputError(
            f"{where}: not the variables of a Melody RNN, without {missing[0]}; {_listed([*inside.values()])}"
        )
    return Layout(
        scope,
        [(layers[number]["kernel"], layers[number]["bias"]) for number in sorted(layers)],
        (output["kernel"], output["bias"]),
        attention,
        0 if not attention else len(layers) if around_all else 1,
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(name[:100] for name in names[:MOST_SHOWN])
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return f"found {shown}{more}" if names else "it has none"
