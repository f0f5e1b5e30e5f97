"""Which tiers the settings ask for."""

from __future__ import annotations

from ..config.settings import Settings
from .entry import Tier
from .sqlite import FILE, Disk

MEGABYTE = 1_000_000
DAY = 86_400.0


def tiers_for(settings: Settings, *, left: bool = False) -> list[Tier]:
    """Return the tiers outside of the process, the fastest first; nothing is opened yet.

    ``left``: the disk is one even where nothing new is kept there, for what is left of earlier times.
    """
    tiers: list[Tier] = []
    longest = settings.cache.cache_days * DAY
    if settings.cache.cache_disk or left:
        tiers.append(
            Disk(settings.voices.directory / FILE, int(settings.cache.cache_disk * MEGABYTE), longest)
        )
    if settings.cache.cache_redis is not None:
        from .redis import Redis

        tiers.append(Redis(settings.cache.cache_redis, longest))
    return tiers
