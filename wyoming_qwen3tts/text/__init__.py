"""From what is written to what is said. Knows nothing of sound or clients."""

from .frontend import speakable
from .sentences import split_sentences

__all__ = ["speakable", "split_sentences"]
