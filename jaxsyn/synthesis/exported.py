"""The export job: a trained generator as a folder that runs without jaxsyn.

The folder holds a program for each platform, StableHLO written by `jax.export` for
batches of any size; the parameters; what the arrays mean; the module that runs it; and
SHA-256 of them all. It does not hold whom the generator was trained on, nor anything
that it does not need to make what it makes, such as discriminators and optimisers.
"""

from collections.abc import Mapping, Sequence
import contextlib
import dataclasses
import importlib.util
import io
import json
import logging
from pathlib import Path
import shutil
import tempfile
from typing import Any

import jax
from jax import export
from jax.extend.core import Var
import jax.numpy as jnp
import numpy as np

from jaxsyn import settings, storage
from jaxsyn import workdir as workdir_lib
from jaxsyn.errors import UsageError
from jaxsyn.nn import target
from jaxsyn.synthesis import standalone
from jaxsyn.synthesis.generator import Generator

_LOG = logging.getLogger(__name__)
PLATFORMS = ("cpu", "cuda", "tpu")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What is exported.

    Attributes:
      job: `export_generator`.
      generator: The workdir of a training.
      folder: Which of its checkpoints: `checkpoints`, or `best`.
      options: Of the system, where they differ from the training's.
      platforms: Where it is to run: some of `PLATFORMS`.
    """

    job: str
    generator: str
    folder: str = "checkpoints"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    platforms: tuple[str, ...] = PLATFORMS

    def __post_init__(self):
        if not self.generator:
            raise UsageError(
                "No config.generator is given.",
                hint="Name the workdir of a training: --config.generator=runs/mine",
            )
        for name in self.platforms:
            if name not in PLATFORMS:
                what = f"config.platforms={name!r}"
                raise settings.unknown(what, name, list(PLATFORMS))


def run(config: Any, workdir: Path) -> None:
    """Exports a generator to the folder `generator` in `workdir`.

    Args:
      config: A `ConfigDict` as in configs/export.py.
      workdir: Where to; an earlier export in it is replaced.

    Raises:
      JaxsynError: One of its kinds, for all that a user can mend.
    """
    config = config.to_dict()
    job = settings.build(ExportConfig, config, "config")
    generator = Generator.load(job.generator, folder=job.folder, options=job.options)
    workdir_lib.claim(workdir, config)
    folder = write(generator, workdir / "generator", job.platforms)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{size / 1e6:.1f} MB, to be run by {folder / standalone.MODULE}")


def write(
    generator: Generator, folder: Path, platforms: Sequence[str] = PLATFORMS
) -> Path:
    """Exports a generator to `folder`, whole or not at all; returns it.

    Args:
      generator: Of images or label maps. What `extra` can give it, it is not given.
      folder: Replaced if it is there.
      platforms: Some of `PLATFORMS`. One that the generator cannot be lowered for is
        left out, and said.

    Raises:
      UsageError: It can be lowered for none of them.
      ResourceError: There is no room, or no permission.
    """
    programs, parameters = _lower_all(generator, platforms)
    about = _about(generator, list(programs))
    files = {
        standalone.MODULE: Path(standalone.__file__).read_bytes(),
        standalone.SPEC: json.dumps(about, indent=1).encode(),
        standalone.PARAMETERS: _npz(parameters),
        **{standalone.program_file(name): text for name, text in programs.items()},
        **_vendored(),
    }
    hashes = {name: standalone.sha256(data) for name, data in files.items()}
    files[standalone.MANIFEST] = standalone.manifest_of(hashes)
    with storage.writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
            made = Path(partial) / folder.name
            for name, data in files.items():
                path = made / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            if folder.exists():
                shutil.rmtree(folder)
            made.rename(folder)
    return folder


def _lower_all(generator, platforms):
    """Serialised programs by platform, and the arrays that they are given, by name."""
    paths, structure = jax.tree_util.tree_flatten_with_path(generator.state)
    arrays = {
        jax.tree_util.keystr(path, simple=True, separator="/"): array
        for path, array in paths
    }

    def make(parameters, label, index, seed):
        # Arrays that it does not use are nothing in the program, but `state` has them.
        leaves = [
            parameters[name] if name in parameters else jnp.zeros_like(array)
            for name, array in arrays.items()
        ]
        state = jax.tree.unflatten(structure, leaves)
        return generator.make(state, {"label": label}, index, seed)

    (count,) = export.symbolic_shape("b")
    rest = (
        jax.ShapeDtypeStruct((count, *generator.label_shape), np.uint8),
        jax.ShapeDtypeStruct((count,), np.int32),
        jax.ShapeDtypeStruct((), np.int32),
    )
    used = _used(make, arrays, *rest)
    programs = {}
    for platform in platforms:
        try:
            programs[platform] = _lower(make, platform, used, *rest)
        except NotImplementedError as error:
            _LOG.warning("It cannot be lowered for %s: %s", platform, error)
    if not programs:
        raise UsageError(
            f"The generator can be lowered for none of {', '.join(platforms)}.",
            hint="The reasons are above; use `Generator` where jaxsyn is installed.",
        )
    return programs, jax.device_get(used)


def _used(make, arrays, *rest):
    """Those of the arrays, by name, that what is made depends on."""
    jaxpr = jax.make_jaxpr(make)(arrays, *rest).jaxpr
    needed = set(jaxpr.outvars)
    for equation in reversed(jaxpr.eqns):
        if not needed.isdisjoint(equation.outvars):
            needed.update(v for v in equation.invars if isinstance(v, Var))
    # As JAX flattens them, by name.
    return {
        k: arrays[k]
        for k, v in zip(sorted(arrays), jaxpr.invars, strict=False)
        if v in needed
    }


def _lower(make, platform, arrays, *rest):
    """The program for a platform, serialised."""
    shapes = {k: jax.ShapeDtypeStruct(v.shape, v.dtype) for k, v in arrays.items()}

    def anew(*arguments):  # What was traced for one platform is not for another.
        return make(*arguments)

    with target.traced_for(platform), _without_paths():
        lowered = export.export(jax.jit(anew), platforms=[platform])(shapes, *rest)
    return bytes(lowered.serialize())


@contextlib.contextmanager
def _without_paths():
    """Keeps folders of this machine out of the programs, which name source files."""
    option = "jax_hlo_source_file_canonicalization_regex"
    before = getattr(jax.config, option)
    jax.config.update(option, ".*/")
    try:
        yield
    finally:
        jax.config.update(option, before)


def _about(generator, platforms):
    """What spec.json holds."""
    packages = workdir_lib.environment()["packages"]
    return {
        "format": standalone.FORMAT,
        "jaxsyn": packages["jaxsyn"],
        "jax": packages["jax"],
        "platforms": platforms,
        "system": generator.meta["config"]["system"]["name"],
        "step": generator.step,
        "makes_labels": generator.makes_labels,
        "makes_images": generator.makes_images,
        "label_shape": generator.label_shape,
        **generator.spec.to_json(),
    }


def _npz(arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _vendored():
    """The one package beside numpy that `jax.export` needs and JAX does not bring."""
    found = importlib.util.find_spec("flatbuffers")
    if found is None:
        raise UsageError(
            "JAX needs the package flatbuffers to export.",
            hint="pip install flatbuffers",
        )
    root = Path(found.origin).parent
    return {
        f"{standalone.VENDOR}/{path.relative_to(root.parent)}": path.read_bytes()
        for path in sorted(root.glob("*.py"))
    }
