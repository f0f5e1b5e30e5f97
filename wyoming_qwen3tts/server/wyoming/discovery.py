"""Zeroconf (mDNS) announcement of the service, so that Home Assistant discovers it.

The service type is ``_wyoming._tcp.local.``. The announced address has to be reachable for clients: Home
Assistant rejects 0.0.0.0, and a container's own address cannot be reached from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import re
import socket
from collections.abc import Awaitable, Iterable, Iterator, Sequence

import ifaddr
from zeroconf import InterfaceChoice, IPVersion, NonUniqueNameException
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from ...telemetry import quote

_LOGGER = logging.getLogger(__name__)

SERVICE_TYPE = "_wyoming._tcp.local."
REFRESH = 30.0
"""Seconds between checks of the network interfaces: addresses change, and may appear after the start."""

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_VIRTUAL = re.compile(
    r"docker|br-|veth|virbr|vmnet|vboxnet|lxc|lxd|cni|podman|hassio|tun|tap|wg|tailscale|zt", re.I
)
"""Interfaces of this host's containers and virtual machines, and tunnels: mDNS does not go through them."""


def default_name() -> str:
    """Return the default name of the announcement, with the host name to make it unique."""
    return f"Qwen3-TTS on {socket.gethostname().split('.')[0]}"


def reachable_addresses(bound: str) -> list[IPAddress]:
    """Return the addresses at which clients reach a server that listens on the host ``bound``, sorted.

    For 0.0.0.0 these are all IPv4 addresses of this machine, for :: the IPv6 ones too; never loopback or
    link-local ones, and those of containers and tunnels only if there are no others. Which of several a
    client tries first cannot be chosen here: DNS does not keep the order. Raises OSError for an unknown host.
    """
    wildcard = {"0.0.0.0": IPVersion.V4Only, "::": IPVersion.All}.get(bound)  # noqa: S104 - a comparison
    if wildcard is None:
        return _usable(_look_up(bound))
    real: list[IPAddress] = []
    virtual: list[IPAddress] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            if ip.is_IPv4 or wildcard is IPVersion.All:
                text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
                group = virtual if _VIRTUAL.match(adapter.nice_name) else real
                group.append(ipaddress.ip_address(text))
    return _usable(real) or _usable(virtual)


def _usable(addresses: Iterable[IPAddress]) -> list[IPAddress]:
    return _sorted(
        a for a in addresses if not (a.is_loopback or a.is_link_local or a.is_unspecified or a.is_multicast)
    )


def _sorted(addresses: Iterable[IPAddress]) -> list[IPAddress]:
    return sorted(addresses, key=lambda address: (address.version, int(address)))


def _look_up(host: str) -> Iterator[IPAddress]:
    for found in {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}:
        yield ipaddress.ip_address(str(found).partition("%")[0])


class Announcement:
    """The service's mDNS announcement, updated when addresses change."""

    def __init__(
        self,
        *,
        port: int,
        bound: str,
        name: str = "",
        host: str = "",
        interfaces: Sequence[str] = (),
    ) -> None:
        """``host``: announce this address or name instead of those found for ``bound``.

        ``interfaces``: addresses of the interfaces to send mDNS on; by default all with reachable addresses.
        """
        self._port = port
        self._bound = host or bound
        self._overridden = bool(host)
        self._name = name or default_name()
        self._interfaces = list(interfaces)
        self._zeroconf: AsyncZeroconf | None = None
        self._announced: list[IPAddress] = []
        self._info: AsyncServiceInfo | None = None
        self._refresher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Announce the service, now or as soon as there is a network. Raises OSError if mDNS fails."""
        await self._refresh()
        if not self._announced:
            _LOGGER.warning("zeroconf: no address reachable from other machines; waiting for one")
        self._refresher = asyncio.create_task(self._refresh_forever(), name="zeroconf")

    async def stop(self) -> None:
        """Withdraw the announcement."""
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)
        await self._withdraw()

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH)
            try:
                await self._refresh()
            except (OSError, NonUniqueNameException) as error:
                _LOGGER.warning("zeroconf: cannot renew the announcement error=%s", quote(error))

    async def _refresh(self) -> None:
        addresses = await asyncio.to_thread(self._addresses)
        if addresses == self._announced:
            return
        await self._withdraw()
        if not addresses:
            return
        version = IPVersion.All if any(a.version == 6 for a in addresses) else IPVersion.V4Only
        here = reachable_addresses("::" if version is IPVersion.All else "0.0.0.0")  # noqa: S104 - a question
        interfaces = self._interfaces or [str(address) for address in here] or InterfaceChoice.Default
        self._zeroconf = AsyncZeroconf(interfaces=interfaces, ip_version=version)
        label = self._name.encode()[:63].decode(errors="ignore")  # the longest label DNS can hold
        self._info = AsyncServiceInfo(
            SERVICE_TYPE,
            f"{label}.{SERVICE_TYPE}",
            port=self._port,
            addresses=[address.packed for address in addresses],
            server=f"{_host_label()}-{self._port}.local.",
        )
        broadcast = await self._zeroconf.async_register_service(self._info, allow_name_change=True)
        await broadcast
        self._announced = addresses
        listed = ",".join(str(address) for address in addresses)
        _LOGGER.info(
            "zeroconf: announced name=%s addresses=%s port=%d",
            quote(self._info.get_name()),
            listed,
            self._port,
        )

    def _addresses(self) -> list[IPAddress]:
        if self._overridden:
            return _sorted(_look_up(self._bound))
        return reachable_addresses(self._bound)

    async def _withdraw(self) -> None:
        """Send mDNS goodbye packets, and close."""
        if self._zeroconf is None:
            return
        with contextlib.suppress(OSError, KeyError):  # KeyError: not registered yet
            if self._info is not None:
                goodbye: Awaitable[None] = await self._zeroconf.async_unregister_service(self._info)
                await goodbye
        await self._zeroconf.async_close()
        self._zeroconf, self._info, self._announced = None, None, []


def _host_label() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname().split(".")[0])[:50] or "wyoming-qwen3tts"
