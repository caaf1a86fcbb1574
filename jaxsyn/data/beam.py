"""The same work on many cases, on an Apache Beam runner; it is in the extra `beam`."""

from collections.abc import Callable, Iterator, Sequence
import json
from pathlib import Path
import tempfile
from typing import Any, TypeVar

from jaxsyn import storage
from jaxsyn.errors import ResourceError, UsageError

Item = TypeVar("Item")


def in_parallel(
    work: Callable[[Item], Any], items: Sequence[Item], *, folder: Path, options: str
) -> Iterator[tuple[Item, Any]]:
    """Yields each item and what `work` made of it, in their order, after all of it.

    Args:
      work: Picklable; what it returns must be JSON.
      items: What to work on.
      folder: Results are written here and read again: workers must reach it.
      options: Of the runner, as on a command line.

    Raises:
      UsageError: Apache Beam is not installed, or has no such runner.
      ResourceError: The pipeline failed.
    """
    beam = _load()
    with tempfile.TemporaryDirectory(prefix=".beam-", dir=folder) as results:
        try:
            with beam.Pipeline(options=_options(options)) as pipeline:
                _ = (
                    pipeline
                    | beam.Create(list(enumerate(items)))
                    | beam.Reshuffle()  # Else one worker gets all of them.
                    | beam.Map(_work, work, results)
                )
        except RuntimeError as error:
            raise ResourceError(
                f"The Beam pipeline failed: {str(error).splitlines()[0]}",
                hint="Its log says more. Without config.data.beam this machine works.",
            ) from error
        for index, item in enumerate(items):
            yield item, json.loads(_result(results, index).read_text())


def for_tfds(options: str) -> dict[str, Any]:
    """What TFDS's DownloadConfig needs to use the runner."""
    runners, chosen = _load().runners, _options(options)
    # Without one TFDS would write by itself, one shard after another.
    return {
        "beam_runner": runners.create_runner(_runner(chosen)),
        "beam_options": chosen,
    }


def _work(numbered, work, results):
    """Runs on a worker."""
    index, item = numbered
    storage.write_json(_result(results, index), work(item))


def _result(results, index):
    return Path(results) / f"{index}.json"


def _runner(options):
    from apache_beam.options import pipeline_options

    return options.view_as(pipeline_options.StandardOptions).runner or "DirectRunner"


def _options(options):
    from apache_beam.options import pipeline_options

    return pipeline_options.PipelineOptions(options.split())


def _load():
    try:
        import apache_beam
    except ImportError as error:
        raise UsageError(
            "Apache Beam is not installed.", hint="pip install 'jaxsyn[beam]'"
        ) from error
    return apache_beam
