"""An imported model is TensorFlow's: the same probabilities, from every kind of file, whatever its variables' names."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from generated import refused, run
from reference import FOLDER, NAMES, melodies_of, probabilities_of

import rltuner
from rltuner.errors import InputError
from rltuner.magenta.config import ImportConfig
from rltuner.magenta.importing import import_model
from rltuner.magenta.reading.model_files import read_variables
from rltuner.magenta.writing import write_magenta_js, write_v2
from rltuner.melody import Melodies
from rltuner.networks.inputs.heard import inputs_of
from rltuner.networks.note_rnn import NoteRNN

Imported = Callable[[str], Path]
Array = np.ndarray


def variables_in(name: str) -> dict[str, Array]:
    variables = read_variables(str(FOLDER / f"tiny_{name}"))
    return {one: variables.read(one) for one in variables.shapes if "rnn" in one or "fully" in one}


@pytest.mark.parametrize("name", NAMES)
def test_every_next_event_has_tensorflows_probability(name: str, imported: Imported) -> None:
    policy, melodies, expected = rltuner.load(imported(name)), melodies_of(name), probabilities_of(name)
    with torch.no_grad():
        found = policy(inputs_of(melodies)).exp()
    torch.testing.assert_close(found.double(), expected, atol=2e-6, rtol=0)
    chosen = expected.gather(2, melodies.events[..., None])[..., 0]
    torch.testing.assert_close(policy.log_prob(melodies).double(), chosen.log(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_at_a_time_gives_the_same(name: str, imported: Imported) -> None:
    policy, melodies, expected = rltuner.load(imported(name)), melodies_of(name), probabilities_of(name)
    state = policy.begin(len(melodies), 1, melodies.events.shape[1])
    events = torch.cat([melodies.context, melodies.events], dim=1)
    for t in range(expected.shape[1]):
        with torch.no_grad():
            log_policy, state = policy.step(events[:, t], state)
        torch.testing.assert_close(log_policy.exp().double(), expected[:, t], atol=2e-6, rtol=0)


def test_a_bundle_is_the_checkpoint_that_it_was_made_of_and_knows_its_attention(
    imported: Imported, tmp_path: Path
) -> None:
    assert run("import", FOLDER / "tiny_attention_rnn.mag", "--out", tmp_path / "mag") == 0
    one, other = (folder / "model.safetensors" for folder in (tmp_path / "mag", imported("attention_rnn")))
    assert one.read_bytes() == other.read_bytes()
    config = json.loads((tmp_path / "mag" / "config.json").read_text())
    assert config["attention"] == {"length": 8, "layers": 1}
    assert config["imported"]["attn_length_from"] == "the bundle's graph"


def test_without_a_word_of_it_attention_remembers_40_steps_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("import", FOLDER / "tiny_attention_rnn", "--out", tmp_path / "a") == 0
    assert "taken as 40, Magenta's" in capsys.readouterr().err
    assert json.loads((tmp_path / "a" / "config.json").read_text())["attention"]["length"] == 40


def test_a_graph_beside_a_checkpoint_says_how_far_attention_reaches(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "tiny_attention_rnn", tmp_path / "a")
    content = (FOLDER / "tiny_attention_rnn.mag").read_bytes()
    from note_seq.protobuf import generator_pb2

    bundle = generator_pb2.GeneratorBundle.FromString(content)
    (tmp_path / "a" / "model.ckpt.meta").write_bytes(bundle.metagraph_file)
    assert run("import", tmp_path / "a" / "model.ckpt", "--out", tmp_path / "n") == 0
    assert json.loads((tmp_path / "n" / "config.json").read_text())["attention"]["length"] == 8


OLDER: dict[str, list[tuple[str, str]]] = {
    "TensorFlow 1.1": [(r"lstm_cell/kernel", "lstm_cell/weights"), (r"lstm_cell/bias", "lstm_cell/biases")],
    "BasicLSTMCell of 0.x": [
        (r"rnn/multi_rnn_cell/cell_(\d)/basic_lstm_cell/kernel", r"RNN/MultiRNNCell/Cell\1/BasicLSTMCell/Linear/Matrix"),
        (r"rnn/multi_rnn_cell/cell_(\d)/basic_lstm_cell/bias", r"RNN/MultiRNNCell/Cell\1/BasicLSTMCell/Linear/Bias"),
    ],
    "LSTMCell of 0.x": [
        (r"rnn/multi_rnn_cell/cell_(\d)/basic_lstm_cell/kernel", r"RNN/MultiRNNCell/Cell\1/LSTMCell/W_0"),
        (r"rnn/multi_rnn_cell/cell_(\d)/basic_lstm_cell/bias", r"RNN/MultiRNNCell/Cell\1/LSTMCell/B"),
        (r"fully_connected/biases", "fully_connected/bias"),
    ],
    "RL Tuner": [(r"^", "rnn_model/"), (r"basic_lstm", "lstm")],
    "an older RL Tuner": [
        (r"rnn/multi_rnn_cell/cell_(\d)/basic_lstm_cell/kernel", r"RNN/MultiRNNCell/Cell\1/LSTMCell/W_0"),
        (r"rnn/multi_rnn_cell/cell_(\d)/basic_lstm_cell/bias", r"RNN/MultiRNNCell/Cell\1/LSTMCell/B"),
        (r"^", "rnn_model/"),
    ],
}  # fmt: skip
ATTENTION = [
    (r"(wrapper|attention|attn_output_projection)/kernel$", r"\1/weights"),
    (r"(wrapper|attention|attn_output_projection)/bias$", r"\1/biases"),
]


def renamed(name: str, changes: list[tuple[str, str]], folder: Path) -> Path:
    folder.mkdir()
    variables = variables_in(name)
    for pattern, new in changes:
        variables = {re.sub(pattern, new, one): values for one, values in variables.items()}
    write_v2(folder, variables)
    return folder


@pytest.mark.parametrize("age", OLDER)
@pytest.mark.parametrize("name", ["basic_rnn", "lookback_rnn"])
def test_variables_of_every_generation_are_found(
    age: str, name: str, imported: Imported, tmp_path: Path
) -> None:
    folder = renamed(name, OLDER[age], tmp_path / "old")
    assert run("import", folder, "--out", tmp_path / "n") == 0
    assert (tmp_path / "n/model.safetensors").read_bytes() == (
        imported(name) / "model.safetensors"
    ).read_bytes()


def test_an_older_attention_is_found(imported: Imported, tmp_path: Path) -> None:
    folder = renamed("attention_rnn", ATTENTION, tmp_path / "old")
    assert run("import", folder, "--attn-length", 8, "--out", tmp_path / "n") == 0
    same = imported("attention_rnn") / "model.safetensors"
    assert (tmp_path / "n/model.safetensors").read_bytes() == same.read_bytes()


def test_attention_around_all_layers_asks_by_the_state_of_all_and_gives_to_the_output(tmp_path: Path) -> None:
    """The layout before May 2017, and magenta.js's; against its equations, written out."""
    rng = np.random.default_rng(1)
    sizes, inputs, n = (5, 4), 74, 3
    a = sizes[-1]
    cell = "rnn/attention_cell_wrapper/multi_rnn_cell/cell_{}/basic_lstm_cell/{}"
    shapes = {
        cell.format(0, "kernel"): (inputs + 5, 20), cell.format(0, "bias"): (20,),
        cell.format(1, "kernel"): (5 + 4, 16), cell.format(1, "bias"): (16,),
        "rnn/attention_cell_wrapper/kernel": (inputs + a, inputs), "rnn/attention_cell_wrapper/bias": (inputs,),
        "rnn/attention_cell_wrapper/attention/attn_w": (1, 1, a, a), "rnn/attention_cell_wrapper/attention/attn_v": (a,),
        "rnn/attention_cell_wrapper/attention/kernel": (2 * 9, a), "rnn/attention_cell_wrapper/attention/bias": (a,),
        "rnn/attention_cell_wrapper/attention_output_projection/kernel": (2 * a, a),
        "rnn/attention_cell_wrapper/attention_output_projection/bias": (a,),
        "fully_connected/weights": (a, 40), "fully_connected/biases": (40,),
    }  # fmt: skip
    w = {name: rng.normal(size=shape).astype(np.float32) * 0.5 for name, shape in shapes.items()}
    (tmp_path / "js").mkdir()
    write_magenta_js(tmp_path / "js", w, {"type": "MusicRNN", "attentionLength": n})
    network = NoteRNN.load(import_model(ImportConfig(str(tmp_path / "js"), tmp_path / "n")))
    melody = Melodies([[14, 1, 0, 16, 18, 1, 14, 1]])
    heard = inputs_of(Melodies(melody.events[:, 1:], None, melody.events[:, :1]))
    rows = network.inputs.rows(heard)
    x_all = network.vectors[rows.all()[0]].sum(dim=1).numpy()
    with torch.no_grad():
        found = network.output(network.features(rows.all())[0])[0].numpy()

    def sigmoid(z: Array) -> Array:
        return 1 / (1 + np.exp(-z))

    prefix = "rnn/attention_cell_wrapper/"
    c, h = [np.zeros(s) for s in sizes], [np.zeros(s) for s in sizes]
    attended, memory = np.zeros(a), np.zeros((n, a))
    for t, x in enumerate(x_all):
        y = np.concatenate([x, attended]) @ w[prefix + "kernel"] + w[prefix + "bias"]
        for k in range(2):
            gates = np.concatenate([y, h[k]]) @ w[cell.format(k, "kernel")] + w[cell.format(k, "bias")]
            i, j, f, o = np.split(gates, 4)
            c[k] = sigmoid(f + 1) * c[k] + sigmoid(i) * np.tanh(j)
            h[k] = sigmoid(o) * np.tanh(c[k])
            y = h[k]
        query = np.concatenate([c[0], h[0], c[1], h[1]]) @ w[prefix + "attention/kernel"]
        keys = memory @ w[prefix + "attention/attn_w"][0, 0]
        scores = np.tanh(keys + query + w[prefix + "attention/bias"]) @ w[prefix + "attention/attn_v"]
        shares = np.exp(scores) / np.exp(scores).sum()
        attended = shares @ memory
        out = prefix + "attention_output_projection/"
        y = np.concatenate([h[1], attended]) @ w[out + "kernel"] + w[out + "bias"]
        memory = np.concatenate([memory[1:], y[None]])
        logits = y @ w["fully_connected/weights"] + w["fully_connected/biases"]
        ours = np.concatenate([logits[[37, 36]], logits[:36], logits[38:]])
        np.testing.assert_allclose(found[t], ours, atol=1e-5)


@pytest.mark.parametrize("name", ["lookback_rnn", "attention_rnn"])
def test_nothing_is_not_counted(name: str, imported: Imported) -> None:
    """Steps count from the first event heard, whatever its place, and from there alone does anything look back."""
    network = NoteRNN.load(imported(name))
    events = torch.randint(0, 38, (3, 60), generator=torch.Generator().manual_seed(1))
    for silent in (1, 7):
        rows = network.inputs.rows(inputs_of(Melodies(events)))
        late = Melodies(events, None, torch.full((3, silent), -1))
        assert torch.equal(network.inputs.rows(inputs_of(late)).all()[:, silent:], rows.all()[:, 1:])
    heard = network.vectors[rows.all()[:, 0]].sum(dim=1)
    assert not heard.any()  # the zero input vector
    counted = inputs_of(Melodies(events[:, 1:], None, events[:, :1]))
    assert torch.equal(network.inputs.rows(counted).all(), rows.all()[:, 1:])


def test_a_checkpoint_of_several_shards_is_read(imported: Imported, tmp_path: Path) -> None:
    from rltuner.magenta.reading.tables import Table
    from rltuner.magenta.reading.wire import fields
    from rltuner.magenta.writing import field, table, varint

    write_v2(tmp_path, variables_in("basic_rnn"))
    whole = (tmp_path / "model.ckpt.data-00000-of-00001").read_bytes()
    entries, shards = {}, [b"", b""]
    for number, (key, value) in enumerate(Table(memoryview((tmp_path / "model.ckpt.index").read_bytes()))):
        found = dict(fields(value))
        if not key:
            entries[key] = field(1, 2)
            continue
        shard, at, size = number % 2, int(found.get(4, 0)), int(found[5])  # type: ignore[arg-type]
        entries[key] = b"".join(
            field(n, v if isinstance(v, int) else bytes(v)) if n != 6 else varint(6 << 3 | 5) + bytes(v)
            for n, v in (found | {3: shard, 4: len(shards[shard])}).items()
        )
        shards[shard] += whole[at : at + size]
    (tmp_path / "model.ckpt.data-00000-of-00001").unlink()
    (tmp_path / "model.ckpt.index").write_bytes(table(entries))
    for number, shard_content in enumerate(shards):
        (tmp_path / f"model.ckpt.data-{number:05}-of-00002").write_bytes(shard_content)
    network = NoteRNN.load(import_model(ImportConfig(str(tmp_path), tmp_path / "n")))
    same = NoteRNN.load(imported("basic_rnn"))
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), same.parameters(), strict=True))
    (tmp_path / "model.ckpt.data-00001-of-00002").unlink()
    with pytest.raises(InputError, match=r"data-00001-of-00002: missing"):
        import_model(ImportConfig(str(tmp_path), tmp_path / "again"))


def test_one_of_several_networks_is_named_by_its_scope(imported: Imported, tmp_path: Path) -> None:
    variables = variables_in("default")
    tuned = {f"q_network/{name.removeprefix('rnn_model/')}": v + 1 for name, v in variables.items()}
    write_v2(tmp_path, variables | tuned)
    with pytest.raises(
        InputError, match=r"several networks, 'q_network', 'rnn_model'; name one with --scope"
    ):
        import_model(ImportConfig(str(tmp_path), tmp_path / "n"))
    import_model(ImportConfig(str(tmp_path), tmp_path / "n", scope="rnn_model"))
    same = imported("default") / "model.safetensors"
    assert (tmp_path / "n/model.safetensors").read_bytes() == same.read_bytes()


def test_what_training_keeps_besides_is_left_alone(imported: Imported, tmp_path: Path) -> None:
    variables = variables_in("basic_rnn")
    slots = {f"{name}/Adam{k}": values + 1 for name, values in variables.items() for k in ("", "_1")}
    counters = {name: np.float32(3) for name in ("global_step", "beta1_power", "train/rate")}
    write_v2(tmp_path, variables | slots | {name: np.asarray(value) for name, value in counters.items()})
    import_model(ImportConfig(str(tmp_path), tmp_path / "n"))
    same = imported("basic_rnn") / "model.safetensors"
    assert (tmp_path / "n/model.safetensors").read_bytes() == same.read_bytes()


def test_what_computes_it_is_said(imported: Imported, capsys: pytest.CaptureFixture[str]) -> None:
    for name, engine in (("basic_rnn", "the compiled kernels"), ("lookback_rnn", "torch")):
        assert run("info", imported(name)) == 0
        assert re.search(rf"computed by +│ {engine}", capsys.readouterr().out)


def damaged(folder: Path, name: str, change: Callable[[bytearray], object]) -> Path:
    shutil.copytree(FOLDER / f"tiny_{name}", folder)
    (shard,) = folder.glob("*.data-*")
    content = bytearray(shard.read_bytes())
    change(content)
    shard.write_bytes(content)
    return folder


def test_bad_files_end_in_one_line_and_leave_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tune.mid").write_bytes(b"MThd\0\0\0\6\0\1\0\1\1\340MTrk\0\0\0\4\0\377/\0")
    from note_seq.protobuf import generator_pb2

    bundle = generator_pb2.GeneratorBundle.FromString((FOLDER / "tiny_attention_rnn.mag").read_bytes())
    for model in ("performance_with_dynamics", "polyphony"):
        bundle.generator_details.id = model
        (tmp_path / f"{model}.mag").write_bytes(bundle.SerializeToString())
    (tmp_path / "gru").mkdir()
    write_v2(tmp_path / "gru", {"rnn/gru_cell/gates/kernel": np.zeros((3, 4), np.float32)})
    (tmp_path / "odd").mkdir()
    wrong = variables_in("basic_rnn")
    wrong["fully_connected/weights"] = wrong["fully_connected/weights"][:-1]
    write_v2(tmp_path / "odd", wrong)
    cases = {
        tmp_path / "tune.mid": "neither a bundle (.mag) nor a checkpoint",
        tmp_path / "nowhere": "no bundle, no checkpoint",
        tmp_path / "performance_with_dynamics.mag": "'performance_with_dynamics' model, which plays many voices in time",
        tmp_path / "polyphony.mag": "'polyphony' model, which plays many voices at once",
        damaged(tmp_path / "cut", "mono_rnn", lambda data: data.pop()): "truncated: rnn/multi_rnn_cell/cell_1",
        damaged(tmp_path / "bit", "mono_rnn", lambda data: data.__setitem__(9, 255)): "the CRC of fully_connected/biases",
        tmp_path / "gru": "found rnn/gru_cell/gates/kernel",
        tmp_path / "odd": "fully_connected/weights is [11, 38], the others want [12, 38]",
    }  # fmt: skip
    for source, said in cases.items():
        line = refused(capsys, "import", source, "--out", tmp_path / "n")
        assert said in line, line
        assert source.name in line
        assert not (tmp_path / "n").exists()


def test_a_damaged_block_says_which_tensors_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray((FOLDER / "tiny_attention_rnn.mag").read_bytes())
    content[content.index(b"attn_v") + 400] ^= 1
    (tmp_path / "bit.mag").write_bytes(content)
    line = refused(capsys, "import", tmp_path / "bit.mag", "--out", tmp_path / "n")
    assert re.search(r"the CRC of its block at byte \d+ does not match \(it holds .*fully_connected", line)
