"""Nothing that is loaded is run, and nobody is called."""

import ast
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "jaxsyn").rglob("*.py"))
RUNS_CODE = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "shelve.open"),
    *("marshal.loads", "torch.load", "joblib.load", "yaml.load", "yaml.unsafe_load"),
    *("runpy.run_path", "runpy.run_module", "shutil.unpack_archive", "dill.load"),
}
UNPACKS = {"extract", "extractall"}
CALLS_OUT = {"socket", "http", "urllib", "requests", "httpx", "ftplib", "smtplib"}
# What may be there, and why.
ALLOWED = {
    # Lets in only the names that rebuild tensors.
    "metrics/torch_archive.py": {"pickle.Unpickler"},
    # Downloads when its command says so, and checks the SHA-256.
    "metrics/inception.py": {"import urllib"},
    "metrics/inception_weights.py": {"import urllib"},
    # Features of images.
    "evaluate/audit_features.py": {"extract"},
    # The name of the machine.
    "workdir.py": {"import socket"},
}
WATCHED = """
import os, runpy, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        place = arguments[-1] if event == "socket.connect" else arguments[0]
        if not isinstance(place, (str, bytes)) or event == "socket.getaddrinfo":
            os.write(2, f"called out: {event} {arguments}".encode())
            os._exit(99)

sys.addaudithook(watch)
sys.argv = ["jaxsyn.main", *sys.argv[1:]]
runpy.run_module("jaxsyn.main", run_name="__main__")
"""


def dotted(node: ast.AST) -> str:
    """A name such as `os.system`, as it is written; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def dangers(source: str) -> set[str]:
    """What of a file's code could run what it loads, or call somebody."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name | ast.Attribute) and dotted(node) in RUNS_CODE:
            found.add(dotted(node))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found |= {node.func.attr} & UNPACKS
        if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "shell"):
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                found.add(f"{node.arg}=")
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        names = [name for name in names if not name.startswith("urllib.parse")]
        found |= {
            f"import {top}" for n in names if (top := n.split(".")[0]) in CALLS_OUT
        }
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_runs_what_it_loads_or_calls_out(path):
    name = path.relative_to(ROOT / "jaxsyn").as_posix()
    assert dangers(path.read_text()) <= ALLOWED.get(name, set())


@pytest.mark.parametrize(
    ("source", "danger"),
    [
        ("import pickle\npickle.loads(x)", "pickle.loads"),
        ("class A(pickle.Unpickler): pass", "pickle.Unpickler"),
        ("numpy.load(x, allow_pickle=True)", "allow_pickle="),
        ("numpy.load(x, allow_pickle=flag)", "allow_pickle="),
        ("subprocess.run(x, shell=True)", "shell="),
        ("archive.extractall(folder)", "extractall"),
        ("from urllib.request import urlopen", "import urllib"),
        ("eval(x)", "eval"),
    ],
)
def test_the_test_above_can_fail(source, danger):
    assert danger in dangers(source)


def run_watched(*options, code=WATCHED):
    return subprocess.run(
        [sys.executable, "-c", code, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_a_training_calls_nobody(tmp_path):
    found = run_watched(
        "--config=configs/quickstart.py:runlocal", f"--workdir={tmp_path / 'run'}"
    )
    assert found.returncode == 0, found.stderr[-2000:]


def test_who_calls_out_is_noticed():
    calling = WATCHED.split("sys.argv")[0] + (
        "import socket\nsocket.create_connection(('127.0.0.1', 9))"
    )
    assert run_watched(code=calling).returncode == 99
