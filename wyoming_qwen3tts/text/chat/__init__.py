"""Output of a language model with its chat template → the reply."""

from .filter import CANCEL, ChatFilter, begins_with_header, extract_reply, replace_tags_with_names

__all__ = ["CANCEL", "ChatFilter", "begins_with_header", "extract_reply", "replace_tags_with_names"]
