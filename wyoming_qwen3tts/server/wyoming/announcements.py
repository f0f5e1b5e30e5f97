"""How clients find the Wyoming server: by mDNS, and through Home Assistant's Supervisor."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...config.settings import RemoteSettings, ServerSettings
from ...telemetry import quote
from . import supervisor
from .listen import Listener

if TYPE_CHECKING:
    from .discovery import Announcement

_LOGGER = logging.getLogger(__name__)


class Announcements:
    """All announcements of a server: ``start`` after it listens, ``stop`` before it stops."""

    def __init__(self, settings: ServerSettings, remote: RemoteSettings) -> None:
        self._settings = settings
        self._remote = remote
        self._mdns: list[Announcement] = []
        self._supervisor: supervisor.SupervisorDiscovery | None = None

    async def start(self, listeners: Sequence[Listener]) -> None:
        """Announce the addresses of ``listeners``; what fails is logged."""
        self._announce_to_supervisor(listeners)
        if self._settings.zeroconf is None:
            return
        from .discovery import Announcement

        for listener in listeners:
            address = listener.address
            if address.scheme != "tcp":
                continue
            announcement = Announcement(
                port=address.port,
                bound=listener.bound,
                name=self._settings.zeroconf,
                host=self._settings.zeroconf_host or "",
            )
            self._mdns.append(announcement)  # withdrawn even where the start fails
            try:
                await announcement.start()
            except OSError as error:
                _LOGGER.warning("zeroconf: cannot announce uri=%s reason=%s", address, quote(error))

    def _announce_to_supervisor(self, listeners: Sequence[Listener]) -> None:
        token = os.environ.get(supervisor.TOKEN)
        if not token:
            return
        addresses = [listener.address for listener in listeners]
        announce_remote = self._remote.remote_announce
        uri = supervisor.discovery_uri(addresses, self._remote.remote_uri, announce_remote=announce_remote)
        if uri is not None:
            self._supervisor = supervisor.SupervisorDiscovery(uri, token)
            self._supervisor.start()

    async def stop(self) -> None:
        """Withdraw all announcements."""
        if self._supervisor is not None:
            await self._supervisor.stop()
        for announcement in self._mdns:
            await announcement.stop()
