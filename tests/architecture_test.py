"""The house's layers, read from its imports."""

import ast
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = {
    "errors": 0,
    "spec": 0,
    "integrity": 1,
    "settings": 1,
    "storage": 1,
    "workdir": 1,
    "pictures": 1,
    "nn": 1,
    "losses": 1,
    "metrics": 1,
    "engine": 2,
    "models": 2,
    "data": 2,
    "systems": 3,
    "synthesis": 4,
    "evaluate": 4,
    "samples": 4,
    "snapshots": 4,
    "health": 4,
    "train": 4,
    "jobs": 5,
    "report": 4,
    "experiments": 6,
    "main": 7,
}
FILES = sorted((ROOT / "jaxsyn").rglob("*.py"))
# Where TensorFlow, or what imports it, may be named; elsewhere it need not exist.
TENSORFLOW = {"data/pipeline.py", "data/builders.py", "engine/writers.py"}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> list[str]:
    """Modules that a file imports, wherever in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def upward(path: str, imported: list[str]) -> list[str]:
    """Imports of a file in `jaxsyn/` that its layer does not allow."""
    own = path.split("/")[0].removesuffix(".py")
    wrong = []
    for module in imported:
        if module.startswith("configs"):
            wrong.append(module)
        if not module.startswith("jaxsyn.") or own == "__init__":
            continue
        other = room(module)
        same_layer = other != own and LAYERS[other] == LAYERS[own]
        siblings = same_layer and LAYERS[own] in (2, 3)
        if LAYERS[other] > LAYERS[own] or siblings:
            wrong.append(module)
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_upward_import(path):
    name = str(path.relative_to(ROOT / "jaxsyn"))
    assert not upward(name, imports(path))
    if name.startswith("systems/") and name != "systems/__init__.py":
        others = [
            m
            for m in imports(path)
            if m.startswith("jaxsyn.systems.") and not m.split(".")[2].startswith("_")
        ]
        assert not others, "a system imports another"


def test_the_test_above_can_fail():
    assert upward("engine/loop.py", ["jaxsyn.systems.spade"])
    assert upward("engine/loop.py", ["jaxsyn.data.cache"])
    assert upward("nn/conv.py", ["configs.common"])
    assert not upward("systems/spade.py", ["jaxsyn.engine.system"])


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_three_files_name_tensorflow(path):
    name = str(path.relative_to(ROOT / "jaxsyn"))
    heavy = ("tensorflow", "tensorflow_datasets", "clu")
    named = [m for m in imports(path) if m.split(".")[0] in heavy]
    assert not named or name in TENSORFLOW


def test_training_code_imports_where_tensorflow_is_not_installed():
    code = """
import sys
for name in ("tensorflow", "tensorflow_datasets", "tensorboard"):
    sys.modules[name] = None  # Importing it raises ImportError.
import jaxsyn, jaxsyn.train, jaxsyn.systems, jaxsyn.synthesis.generator
from jaxsyn.evaluate import judge, segment
from jaxsyn.metrics import inception, segmentation
from jaxsyn.systems import borde, spade, unet
from jaxsyn.data import check, device, feed, prepare, prepared, phantom, sampling
from benchmarks import run
jaxsyn.Generator
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_layers_name_every_room():
    rooms = {p.relative_to(ROOT / "jaxsyn").parts[0].removesuffix(".py") for p in FILES}
    assert rooms - {"__init__"} == set(LAYERS)
