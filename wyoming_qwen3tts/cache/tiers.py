"""The tiers that the settings enable."""

from __future__ import annotations

from ..config.settings import Settings
from .entry import Tier
from .sqlite import FILE_NAME, DiskTier

MEGABYTE = 1_000_000
DAY = 86_400.0


def tiers_for(settings: Settings, *, unused_disk: bool = False) -> list[Tier]:
    """Return the tiers outside of the process, the fastest first; none is opened yet.

    ``unused_disk``: include the disk tier even if it is disabled, for entries that were stored earlier.
    """
    tiers: list[Tier] = []
    max_age = settings.cache.cache_days * DAY
    if settings.cache.cache_disk or unused_disk:
        path = settings.voices.directory / FILE_NAME
        tiers.append(DiskTier(path, int(settings.cache.cache_disk * MEGABYTE), max_age))
    if settings.cache.cache_redis is not None:
        from .redis import RedisTier

        tiers.append(RedisTier(settings.cache.cache_redis, max_age))
    return tiers
