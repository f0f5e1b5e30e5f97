"""From what is written to what is said. Knows nothing of sound or clients."""

from .frontend import to_spoken_form
from .sentences import split_sentences

__all__ = ["split_sentences", "to_spoken_form"]
