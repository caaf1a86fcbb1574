"""Prepared slices as a TFDS data set of checksummed array records.

`tfds.builder_from_directory` reads it, with or without jaxsyn, in its own order:
parts, then cases, then slices from below upwards. TFDS is imported here alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import functools
import io
import json
from pathlib import Path
import shutil
from typing import Any

from absl import logging
from array_record.python import array_record_module
import numpy as np
import tensorflow_datasets as tfds

from jaxsyn.data import beam as beam_lib
from jaxsyn.data.preprocess import CaseInfo
from jaxsyn.errors import DataError

Shards = Mapping[str, Sequence[tuple[Path, Sequence[int]]]]
_NAME = "prepared"
# Against the default (brotli) at the same size: written 3 times, read 10 times as fast.
_COMPRESSION = "group_size:1,zstd:1"


@dataclasses.dataclass(kw_only=True)
class SlicesConfig(tfds.core.BuilderConfig):
    """What one prepared set holds.

    Attributes:
      image_size: Side of its slices.
      channels: Modalities.
      shards: For each part the staged cases (files that `prepare` wrote) and which
        rows of each belong to that part.
      on_case: Called after each shard, unless None.
    """

    image_size: int = 0
    channels: int = 0
    shards: Shards | None = None
    on_case: Callable[[], Any] | None = None


class Slices(tfds.core.ShardBasedBuilder):
    """Writes staged cases, one shard each: it needs memory for one case only."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        size, channels = self.builder_config.image_size, self.builder_config.channels
        # Without `encoding`, TFDS writes each pixel as a 64-bit integer.
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Tensor(
                    shape=(size, size, channels), dtype=np.uint16, encoding="bytes"
                ),
                "label": tfds.features.Tensor(
                    shape=(size, size), dtype=np.uint8, encoding="bytes"
                ),
                "case": tfds.features.Text(),
                "patient": tfds.features.Text(),
                "slice": tfds.features.Scalar(dtype=np.int32),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self, features=features, disable_shuffling=True
        )

    def _shard_iterators_per_split(self, dl_manager):
        del dl_manager  # Nothing is downloaded.
        return {
            part: [functools.partial(self._examples, *shard) for shard in shards]
            for part, shards in self.builder_config.shards.items()
            if shards
        }

    def _examples(self, path, rows):
        """Yields the examples of one shard."""
        with np.load(path) as staged:
            image, label = staged["image"], staged["label"]
            info = CaseInfo.from_json(json.loads(str(staged["info"])))
        for row in rows:
            yield (
                row,
                {
                    "image": image[row],
                    "label": label[row],
                    "case": info.case,
                    "patient": info.patient,
                    "slice": info.kept[row],
                },
            )
        if self.builder_config.on_case:
            self.builder_config.on_case()

    def _example_writer(self):
        return _Writer()


def write(
    folder: Path,
    shards: Shards,
    *,
    image_size: int,
    channels: int,
    on_case: Callable[[], Any] | None = None,
    beam: str = "",
) -> None:
    """Writes the data set `folder`/slices/prepared/1.0.0.

    Args:
      folder: Where to; a kill leaves an `incomplete` folder in it.
      shards: See `SlicesConfig`.
      image_size: Side of the slices.
      channels: Modalities.
      on_case: Called after each shard.
      beam: Options of the Apache Beam runner that writes; empty for none.
    """
    config = SlicesConfig(
        name=_NAME,
        image_size=image_size,
        channels=channels,
        shards=shards,
        on_case=on_case,
    )
    with _quiet():
        builder = Slices(
            data_dir=str(folder), config=config, file_format="array_record"
        )
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                **(beam_lib.for_tfds(beam) if beam else {})
            )
        )
    shutil.rmtree(folder / "downloads", ignore_errors=True)


def read(folder: Path, part: str) -> Iterator[dict[str, Any]]:
    """Yields a part's examples in the order they were written.

    Raises:
      DataError: A record is damaged.
    """
    directory = folder / "slices" / _NAME / str(Slices.VERSION)
    try:
        with _quiet():
            source = tfds.builder_from_directory(str(directory)).as_data_source(part)
        for index in range(len(source)):
            yield source[index]
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(
            f"The records in {directory} cannot be read: {error}",
            hint="Delete the prepared set; it will be prepared again.",
        ) from error


class _Writer:
    """Writes records compressed for speed."""

    def write(self, path, examples):
        """Writes pairs of key and serialised example."""
        writer = array_record_module.ArrayRecordWriter(str(path), _COMPRESSION)
        for _, example in examples:
            writer.write(example)
        writer.close()


@contextlib.contextmanager
def _quiet():
    """Keeps TFDS from talking of downloads and printing its configuration."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(verbosity)
