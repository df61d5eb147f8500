"""The rooms of docs/architecture.md: the contracts catch the imports that they are there for, and rooms stay small."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = "Rooms use what lies below them"
INSTALLED = {
    "rltuner": "rltuner",
    "rules": "rltuner/rules",
    "eval": "rltuner/eval",
    "checkpoints": "rltuner/checkpoints",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The sources where they lie when they are installed, without what is no code."""
    for source, target in INSTALLED.items():
        for file in (ROOT / source).rglob("*.py"):
            copy = tmp_path / target / file.relative_to(ROOT / source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    return tmp_path


def checked(package: Path) -> subprocess.CompletedProcess[str]:
    command = [
        Path(sys.executable).with_name("lint-imports"),
        "--no-logo",
        "--no-cache",
        ROOT / "pyproject.toml",
    ]
    return subprocess.run(command, cwd=package, capture_output=True, text=True, env={"PYTHONPATH": "."})


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        # Upward, also where it is imported late.
        ("melody/key.py", "from rltuner.networks.note_rnn import NoteRNN", LAYERS),
        ("rules/motif.py", "def late():\n    from rltuner.eval.paper import evaluate", LAYERS),
        ("eval/paper.py", "def late():\n    from rltuner.tuning.learner import Learner", LAYERS),
        # Beside it.
        ("tuning/learner.py", "from rltuner.generating.manifest import manifest", LAYERS),
        # Between two files of a room.
        ("storing/atomic.py", "from rltuner.storing.state import save_state", "No circles"),
        ("rules/rule.py", "def late():\n    from rltuner.rules.plugins import load_installed", "No circles"),
        ("eval/counts.py", "from rltuner.eval.judge import judge", "No circles"),
        # Through doors.
        ("melody/key.py", "from rltuner import finetune", "No file goes through the door of the whole house"),
        ("rules/motif.py", "def late():\n    import rltuner", "No file goes through the door of the whole house"),
        ("eval/paper.py", "from rltuner import load", "No file goes through the door of the whole house"),
        ("tuning/learner.py", "from rltuner.networks.kernel_engine import KernelEngine", "Only networks knows"),
        ("networks/kernels/composing.py", "from rltuner.networks.primers import PRIMERS", "The floors of networks"),
        ("tuning/round.py", "from rltuner.networks.kernels.recurrence import cell", "Only networks knows"),
        ("networks/engine.py", "from rltuner.networks.kernels.compiled.tiles import pack", "Only their torch side"),
        ("rules/key.py", "from rltuner.rules import load_rulebook", "No file of rules goes through"),
    ],
)  # fmt: skip
@pytest.mark.long
def test_a_circle_or_an_upward_import_is_found(file: str, line: str, broken: str, package: Path) -> None:
    with (package / "rltuner" / file).open("a") as code:
        code.write(f"\n{line}\n")
    found = checked(package)
    assert found.returncode == 1
    assert any(row.startswith(broken) and row.endswith("BROKEN") for row in found.stdout.splitlines()), (
        found.stdout
    )


@pytest.mark.long
def test_a_room_that_is_declared_nowhere_is_found(package: Path) -> None:
    (package / "rltuner" / "attic.py").write_text("")
    assert "attic" in checked(package).stdout
    (package / "rltuner" / "attic.py").unlink()
    assert checked(package).returncode == 0


def test_no_room_is_crowded_and_no_module_long() -> None:
    """rules and eval have a module a rule and a module a metric."""
    files = [
        *(ROOT / "rltuner").rglob("*.py"),
        *(ROOT / "rules").rglob("*.py"),
        *(ROOT / "eval").rglob("*.py"),
    ]
    assert max((len(file.read_text(encoding="utf-8").splitlines()), file) for file in files)[0] <= 300
    rooms = {
        file.parent for file in files if file.parent not in (ROOT / "rules", ROOT / "eval", ROOT / "rltuner")
    }
    assert max(len(list(room.glob("*.py"))) for room in rooms) <= 15
    assert len(list((ROOT / "rltuner").glob("*.py"))) <= 10
