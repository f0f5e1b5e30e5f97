"""Types of the commands' arguments."""

from __future__ import annotations

import argparse

from ..text.language_tags import requested


def language(text: str) -> str | None:
    """Return the BCP 47 tag of a code or a name. Raises ArgumentTypeError."""
    try:
        return requested(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
