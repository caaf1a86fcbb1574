"""What the README shows works as it stands there."""

import importlib.util
from pathlib import Path
import re

from jaxsyn import systems, train

README = (Path(__file__).parent.parent / "README.md").read_text()


def block(title: str, after: str) -> str:
    """The first Python block after some words in a section."""
    section = README.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.search(r"```python\n(.*?)```", section.split(after)[1], re.DOTALL)[1]


def test_the_example_of_a_new_method_trains(tmp_path, monkeypatch):
    (tmp_path / "systems").mkdir()
    name = "painter"
    code = block("Add your own", f"`jaxsyn/systems/{name}.py`")
    (tmp_path / "systems" / f"{name}.py").write_text(code)
    monkeypatch.setattr(
        systems, "__path__", [*systems.__path__, str(tmp_path / "systems")]
    )
    path = tmp_path / f"config_of_{name}.py"
    path.write_text(block("Add your own", f"`configs/{name}.py`"))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config("runlocal")
    config.system.width = 8
    config.train.steps = 30
    config.train.log_every = 1
    train.run(config, tmp_path / "run")
    assert list((tmp_path / "run/samples").glob("*.png"))
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    first, last = (
        float(re.search(r'"generator/l1": ([0-9.e-]+)', line)[1])
        for line in (lines[0], lines[-1])
    )
    assert last < 0.9 * first


def test_the_metrics_of_the_readme_run():
    import numpy as np

    label = np.zeros((4, 6, 6), np.uint8)
    label[1:3, 2:4, 2:4] = 4
    names = {"prediction": label, "reference": label, "print": lambda table: None}
    code = block("Does it help?", "The same metrics from Python")
    exec(compile(code, "README.md", "exec"), names)
    (unit,) = names["units"]
    assert unit.values["WT"]["dice"] == 1.0
