"""Products by tiles are products, and the functions between them are those of mathematics."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from rltuner.networks.kernels.compiled import tiles
from rltuner.networks.kernels.compiled.tiles import (
    ROWS,
    WIDTH,
    Array,
    add_transposed_product,
    compiled,
    multiply,
    packed,
    padded,
)

# One less than a tile, a tile, one more, and several.
every_count_of_rows = pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS + 2])
every_count_of_columns = pytest.mark.parametrize("columns", [1, WIDTH - 1, WIDTH, WIDTH + 1, 3 * WIDTH])
UNTOUCHED = np.float32(7.0)


def whole_numbers(*shape: int) -> Array:
    """Their products and sums are exact, in any order."""
    return np.random.default_rng(sum(shape)).integers(-9, 10, shape).astype(np.float32)


@every_count_of_rows
@every_count_of_columns
@pytest.mark.parametrize("inner", [1, 5, 33])
def test_a_product_by_tiles_is_the_product_and_nothing_beyond_it(rows: int, columns: int, inner: int) -> None:
    a, b = whole_numbers(rows, inner + 2), whole_numbers(inner, columns)
    by_tiles = packed(b)
    c = np.full((rows + 1, by_tiles.shape[0] * WIDTH + 3), UNTOUCHED)
    multiply(a, by_tiles, c[:rows])
    np.testing.assert_array_equal(c[:rows, :columns], a[:, :inner] @ b)
    assert (c[:rows, columns:-3] == 0).all()
    assert (c[:, -3:] == UNTOUCHED).all()
    assert (c[rows:] == UNTOUCHED).all()


@every_count_of_rows
@every_count_of_columns
def test_a_transposed_product_is_added(rows: int, columns: int) -> None:
    inner = 13
    a, b = whole_numbers(inner, rows), np.full((inner, padded(columns)), np.float32(0))
    b[:, :columns] = whole_numbers(inner, columns)
    c = np.full((rows + 1, padded(columns)), UNTOUCHED)
    add_transposed_product(a, b, c[:rows], columns)
    np.testing.assert_array_equal(c[:rows, :columns], a.T @ b[:, :columns] + UNTOUCHED)
    assert (c[rows:] == UNTOUCHED).all()


def test_rows_have_room_for_whole_tiles_and_lie_an_odd_number_of_them_apart() -> None:
    assert [padded(n) for n in (1, 16, 17, 32, 48, 400, 2048)] == [16, 16, 48, 48, 48, 400, 2064]


@numba.njit(error_model="numpy")  # not kept on disk, where a changed tanh would not be noticed
def all_tanh(x: Array) -> None:
    for i in range(len(x)):
        x[i] = tiles.tanh(x[i])


def test_tanh_to_the_last_bits_of_a_float32() -> None:
    x = np.concatenate([np.linspace(-20, 20, 400_001), [0.0, 1e-30, np.inf, -np.inf, np.nan]])
    x = x.astype(np.float32)
    expected = np.tanh(x.astype(np.float64))
    all_tanh(x)
    np.testing.assert_allclose(x, expected, rtol=5e-7, atol=0)
    assert np.isnan(x[-1])


@numba.njit(error_model="numpy")
def all_exp(x: Array) -> None:
    for i in range(len(x)):
        x[i] = tiles.exp(x[i])


def test_exp_to_the_last_bits_of_a_float32() -> None:
    x = np.concatenate([np.linspace(-86.9, 0, 400_001), [-1e-30, -87.5, -1e30, -np.inf, np.nan]])
    x = x.astype(np.float32)
    expected = np.exp(np.maximum(x.astype(np.float64), -87))
    all_exp(x)
    np.testing.assert_allclose(x, expected, rtol=3e-7, atol=0)
    assert x[400_000] == 1
    assert np.isnan(x[-1])


@pytest.mark.long
def test_a_damaged_kernel_on_disk_is_compiled_anew(tmp_path: Path) -> None:
    """As a cut of power may leave it: an index of no bytes. Runs go on, also where nothing can be written."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    code = (
        "from rltuner.networks.note_rnn import NoteRNN; import torch; from rltuner.melody import Melodies; "
    )
    code += "from rltuner.networks.inputs.heard import inputs_of; "
    code += "torch.set_grad_enabled(False); NoteRNN().unrolled(inputs_of(Melodies([[1]])))"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
    subprocess.run([sys.executable, "-c", limit + code], env=environment, check=True)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    indices = list((tmp_path / "kernels").rglob("*.nbi"))
    assert indices
    for index in indices:
        index.write_bytes(b"")
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_kernels_compile_where_nothing_can_be_kept_on_disk() -> None:
    """Code without a file has no folder to keep the result in, like one that cannot be written to."""
    namespace: dict[str, object] = {}
    exec("def double(x):\n    for i in range(len(x)):\n        x[i] *= 2\n", namespace)
    values = np.ones(3)
    compiled("float64[::1]")(namespace["double"])(values)  # type: ignore[type-var]
    assert values.tolist() == [2, 2, 2]


@pytest.mark.long
def test_a_kernel_for_several_types_is_kept_under_several_names(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    code = "from rltuner.networks.kernels.compiled.learning import gradients_of; gradients_of(1, 1); gradients_of(1, 2)"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    names = [index.name for index in (tmp_path / "kernels").rglob("*.nbi")]
    assert (
        sum("gradients_1_1" in name for name in names) == sum("gradients_1_2" in name for name in names) == 1
    )
