"""``verify``: compares the Qwen3-TTS engine with the official package, on a model of the user's."""

from __future__ import annotations

import argparse

from .. import telemetry
from ..config.settings import SettingsError
from ..config.sources import Parser, load_options
from ..engines.base import EngineUnavailableError
from ..engines.qwen3 import download
from .arguments import MODEL_OPTIONS


def add_arguments(parser: Parser) -> None:
    """Add the options of the model."""
    parser.add_settings(MODEL_OPTIONS)


async def run(options: argparse.Namespace) -> int:
    """Print a table of the checks; return 1 if any failed.

    Raises SettingsError, EngineUnavailableError.
    """
    settings = load_options(options)
    telemetry.configure(debug=settings.logging.debug, log_format=settings.logging.log_format)
    if len(settings.model.model) != 1:
        raise SettingsError(f"verify needs one --model, not {len(settings.model.model)}")
    try:
        from ..engines.qwen3 import checkpoint
        from ..engines.qwen3.verify import Verification
    except ImportError as error:
        raise EngineUnavailableError(f"torch cannot be used ({error}); {download.INSTALL_HINT}") from error
    source = download.Source.parse(
        settings.model.model[0],
        settings.model.revision,
        settings.model.download_dir,
        settings.model.local_files_only,
    )
    device, _ = checkpoint.choose_device(settings.model.device)
    dtype, _ = checkpoint.choose_dtype(settings.model.dtype, device)
    found = checkpoint.load(download.find(source), device, dtype)
    print(f"{found.name} on {device}, {str(dtype).removeprefix('torch.')}, against the official package")
    good = True
    for result in Verification(found).run_checks():
        print(f"  {'ok ' if result.passed else 'BAD'}  {result.check:30}  {result.result}", flush=True)
        good = good and result.passed
    return 0 if good else 1
