"""Written text → spoken form, sentence by sentence. Imports nothing of the package except ``speech``."""

from .frontend import to_spoken_form
from .sentences import split_sentences

__all__ = ["split_sentences", "to_spoken_form"]
