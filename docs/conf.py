"""Sphinx configuration of the manual; ``script/docs`` builds it."""

from wyoming_qwen3tts import __version__

project = "wyoming-qwen3tts"
author = "the authors of wyoming-qwen3tts"
project_copyright = "the authors of wyoming-qwen3tts, Apache-2.0"
release = __version__
root_doc = "index"
extensions = ["myst_parser"]
myst_heading_anchors = 3  # so that links to headings work, and are checked
html_theme = "furo"
html_title = "wyoming-qwen3tts"
html_logo = "art/icon.svg"
html_favicon = "art/icon.svg"
html_copy_source = False
html_show_sphinx = False
html_extra_path = ["grafana-dashboard.json"]
