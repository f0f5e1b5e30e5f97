"""Markdown, HTML and other markup → plain text."""

from .remove import remove_markup

__all__ = ["remove_markup"]
