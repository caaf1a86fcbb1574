"""What the host sees of a running training: how it goes, how fast, when to stop."""

from collections.abc import Iterator, Mapping
import contextlib
import logging
import math
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from jaxsyn import errors
from jaxsyn.engine.interrupt import StopRequest
from jaxsyn.engine.mesh import Layout

_LOG = logging.getLogger(__name__)
_STOP = "stop"  # Among the scalars: how many processes were asked to.
_LONG_WAIT = 0.05  # Share of the time from which waiting for data is worth a word.

_sum = jax.jit(jnp.sum)


class DivergedError(errors.JaxsynError):
    """A loss is no longer a number."""


class Pace:
    """How fast images go by, and for how long the accelerator had nothing to do.

    The clock starts when the first step is done: compiling is left out.
    """

    def __init__(self):
        self._began = None
        self._images = 0
        self._waited = 0.0

    def begin(self) -> None:
        """Starts the clock, if it is not running."""
        if self._began is None:
            self._began = time.perf_counter()

    def waited(self, seconds: float) -> None:
        """Data came that long after they were asked for, and nothing was left to do."""
        if self._began is not None:
            self._waited += seconds

    def did(self, images: int) -> None:
        """A step with so many images is done."""
        if self._began is not None:
            self._images += images

    @property
    def images_per_second(self) -> float:
        """Since the first step."""
        return self._images / max(self._seconds(), 1e-9)

    @property
    def data_wait(self) -> float:
        """The share of the time that the accelerator waited for data; at most this."""
        return self._waited / max(self._seconds(), 1e-9)

    def _seconds(self):
        return 0.0 if self._began is None else time.perf_counter() - self._began


class Watch:
    """Checks, logs and shows finished steps.

    Attributes:
      stopping: Whether the run is to end after the step that was dispatched last. All
        processes see it at the same step.
      pace: Of this run since it began or went on.
    """

    def __init__(
        self, writer: Any, log_every: int, stop: StopRequest, progress: tqdm
    ) -> None:
        """Takes what is told of the steps.

        Args:
          writer: Takes `write_scalars(step, scalars)` and `flush()`.
          log_every: Steps between lines of metrics.
          stop: Notices signals.
          progress: Shows a bar.
        """
        self.pace = Pace()
        self._writer, self._log_every = writer, log_every
        self._stop, self._progress = stop, progress
        self._asked = False

    @property
    def stopping(self) -> bool:
        return self._asked if jax.process_count() > 1 else bool(self._stop)

    def ask(self, layout: Layout) -> dict[str, jax.Array]:
        """Asks all processes whether one is to stop; `look_at` takes the answer.

        A program of its own: within that of the step it could run beside another
        exchange between devices, and emulated devices have too few threads for two.
        """
        if jax.process_count() == 1:
            return {}
        devices = len(layout.mesh.local_devices)
        own = np.full(devices, bool(self._stop), np.float32)
        return {_STOP: _sum(layout.put_batch(own))}

    @contextlib.contextmanager
    def waiting_for_data(self, pending: tuple[int, Any] | None) -> Iterator[None]:
        """Times what comes between; as a wait, if `pending` steps are then done."""
        began = time.perf_counter()
        yield
        if pending is not None and _are_ready(pending[1]):
            self.pace.waited(time.perf_counter() - began)

    def look_at(self, pending: tuple[int, Any] | None, batch_size: int) -> None:
        """Reads the scalars of finished steps, which waits for them.

        Args:
          pending: The last of these steps, with scalars [K] of K steps and what `ask`
            gave; or nothing.
          batch_size: Images of a step.

        Raises:
          DivergedError: One is not finite.
        """
        if pending is None:
            return
        last, scalars = pending
        scalars = {name: np.asarray(v) for name, v in jax.device_get(scalars).items()}
        self._asked |= bool(scalars.pop(_STOP, False))
        count = len(next(iter(scalars.values())))
        for index in range(count):
            step = last - count + 1 + index
            self._check_and_log(step, {k: float(v[index]) for k, v in scalars.items()})
        self.pace.did(count * batch_size)
        self.pace.begin()
        self._progress.update(count)
        self._show({name: float(v[-1]) for name, v in scalars.items()})

    def summarise(self) -> None:
        """Says how fast it went, and what may be done if data were slow."""
        pace = self.pace
        if not pace.images_per_second:
            return
        _LOG.info(
            "%.3g images a second; %.1f %% of the time waiting for data.",
            pace.images_per_second,
            100 * pace.data_wait,
        )
        if pace.data_wait > _LONG_WAIT:
            _LOG.warning(
                "Data were too slow for the accelerator. A set that fits on it can stay"
                " there: --config.data.cache=device."
            )

    def _check_and_log(self, step: int, scalars: Mapping[str, float]):
        for name, value in scalars.items():
            if not math.isfinite(value):
                self._writer.write_scalars(step, scalars)
                self._writer.flush()
                raise DivergedError(
                    f"{name} is {value} at step {step}: training has diverged.",
                    hint="Lower the learning rate or change config.seed; the last good"
                    " checkpoint is kept.",
                )
        if step % self._log_every == 0:
            self._writer.write_scalars(step, scalars)
            self._writer.flush()

    def _show(self, scalars: Mapping[str, float]):
        progress = self._progress
        if progress.disable:
            return
        if time.monotonic() - progress.last_print_t < progress.mininterval:
            return
        shown = {k: f"{v:.3g}" for k, v in scalars.items() if "grad_norm" not in k}
        shown["waits"] = f"{self.pace.data_wait:.0%}"
        progress.set_postfix(shown, refresh=False)


def _are_ready(scalars):
    return all(array.is_ready() for array in scalars.values())
