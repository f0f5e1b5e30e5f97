"""Programs of this machine that play audio."""

from __future__ import annotations

import shutil

PLAYERS = (
    "aplay -q -t raw -f S16_LE -r {rate} -c {channels}",
    "paplay --raw --format=s16le --rate={rate} --channels={channels}",
    "play -q -t raw -e signed -b 16 -r {rate} -c {channels} -",
    "ffplay -loglevel error -nodisp -autoexit -f s16le -ar {rate} -ch_layout mono -i -",
)
"""Commands that play raw PCM from standard input; the first one that is installed is used."""


def find_player() -> str | None:
    """Return the first of PLAYERS that is installed."""
    return next((template for template in PLAYERS if shutil.which(template.split()[0])), None)
