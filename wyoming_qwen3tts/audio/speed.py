"""Change of speed without change of pitch, by one of two methods.

``sonic`` (libsonic) repeats or omits whole pitch periods: made for speech, and it streams.
``rubberband`` (pyrubberband and the ``rubberband`` command) is a phase vocoder: it needs the whole utterance,
two temporary files and a process, so that no audio is ready before the last chunk has arrived.
``benchmarks/tempo.py`` compares them.

Both are filters (``postprocess.Stage``): ``push`` and ``finish``, int16 samples in and out.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..speech import SAMPLE_RATE, SpeechError
from .pcm import FRAME, FULL_SCALE

if TYPE_CHECKING:
    from .pcm import Samples


class TempoNotInstalledError(Exception):
    """A library or command of a method is missing; the message has the command that installs it."""


class TempoError(SpeechError):
    """The speed of an utterance could not be changed."""

    code = "tempo-failed"


class Sonic:
    """libsonic. Its first output comes after 40 ms of input.

    Its output depends on the size of its input blocks (libsonic 0.1.0), so the input is always cut into
    frames of 10 ms, counted from the first sample.
    """

    def __init__(self, speed: float) -> None:
        """``speed``: SLOWEST to FASTEST."""
        import numpy as np
        from libsonic import SonicStream

        self._stream = SonicStream(SAMPLE_RATE, 1)
        self._stream.set_speed(speed)
        self._partial: Samples = np.zeros(0, np.int16)

    def push(self, samples: Samples) -> Samples:
        """Return the samples that are ready."""
        import numpy as np

        samples = np.concatenate((self._partial, samples))
        whole = len(samples) // FRAME * FRAME
        for start in range(0, whole, FRAME):
            self._write(samples[start : start + FRAME])
        self._partial = samples[whole:]
        return self._read()

    def finish(self) -> Samples:
        """Return the rest; the whole output has the input's length divided by the speed, ± a pitch period."""
        self._write(self._partial)
        self._stream.flush()
        return self._read()

    def _write(self, samples: Samples) -> None:
        self._stream.write((samples / FULL_SCALE).tolist())

    def _read(self) -> Samples:
        import numpy as np

        floats = np.asarray(self._stream.read(self._stream.available_frames()), np.float64)
        return np.clip(np.round(floats * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


class Rubberband:
    """pyrubberband: all input is held until ``finish``, then stretched at once."""

    def __init__(self, speed: float) -> None:
        """``speed``: SLOWEST to FASTEST."""
        self._speed = speed
        self._chunks: list[Samples] = []

    def push(self, samples: Samples) -> Samples:
        """Hold ``samples``; return nothing."""
        self._chunks.append(samples)
        return samples[:0]

    def finish(self) -> Samples:
        """Return the whole output, the input's length divided by the speed. Raises TempoError."""
        import numpy as np
        import pyrubberband

        whole = np.concatenate(self._chunks or [np.zeros(0, np.int16)])
        if not len(whole):
            return whole
        try:
            stretched = pyrubberband.time_stretch(whole, SAMPLE_RATE, self._speed)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            raise TempoError(f"rubberband failed: {error}") from error
        return np.atleast_1d(stretched).astype(np.int16)


METHODS: dict[str, Callable[[float], Sonic | Rubberband]] = {"sonic": Sonic, "rubberband": Rubberband}
"""Values of ``--tempo``."""


def load(method: str) -> None:
    """Import the package of ``method``. Raises TempoNotInstalledError where something of it is missing."""
    package = {"sonic": "libsonic", "rubberband": "pyrubberband"}[method]
    try:
        importlib.import_module(package)
    except (ImportError, OSError) as error:  # OSError: soundfile without libsndfile
        raise TempoNotInstalledError(
            f"--tempo {method}: {error}; to install it: pip install {package}"
        ) from error
    if method == "rubberband" and shutil.which("rubberband") is None:
        raise TempoNotInstalledError(
            "--tempo rubberband: its command is missing; to install it: apt-get install rubberband-cli"
        )
