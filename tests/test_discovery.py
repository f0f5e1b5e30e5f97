"""Announced on a real mDNS, found by a real peer, withdrawn at the end."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import ifaddr
import pytest
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from tests.house import HANG
from tests.test_doors import SCRIPTED
from wyoming_qwen3tts.server.wyoming import discovery
from wyoming_qwen3tts.server.wyoming.discovery import SERVICE_TYPE, Announcement, reachable_addresses

# All mDNS speakers of a machine share a port: two tests at a time would take each other's answers.
pytestmark = pytest.mark.xdist_group("mdns")

LOOPBACK = ["127.0.0.1"]


class Browser:
    """What Home Assistant sees."""

    def __init__(self, zeroconf: AsyncZeroconf) -> None:
        self.found: dict[str, bool] = {}
        self._zeroconf = zeroconf
        self._changed = asyncio.Event()

    def on_change(self, zeroconf: object, service_type: str, name: str, state_change: object) -> None:
        self.found[name] = str(state_change) != "ServiceStateChange.Removed"
        self._changed.set()

    async def wait_for(self, name: str, *, there: bool) -> None:
        async with asyncio.timeout(HANG):
            while self.found.get(name, False) != there:
                self._changed.clear()
                await self._changed.wait()

    async def info(self, name: str) -> AsyncServiceInfo:
        info = AsyncServiceInfo(SERVICE_TYPE, name)
        async with asyncio.timeout(HANG):
            while not await info.async_request(self._zeroconf.zeroconf, 3000):
                pass
        return info


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    zeroconf = AsyncZeroconf(interfaces=LOOPBACK, ip_version=IPVersion.V4Only)
    watching = Browser(zeroconf)
    browsing = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE_TYPE, handlers=[watching.on_change])
    try:
        yield watching
    finally:
        await browsing.async_cancel()
        await zeroconf.async_close()


@pytest.mark.usefixtures("hasty")
async def test_the_service_is_found_and_withdrawn() -> None:
    announcement = Announcement(
        port=10200, bound="127.0.0.1", name="Küche. Nr. 1", host="192.0.2.7", interfaces=LOOPBACK
    )
    name = f"Küche. Nr. 1.{SERVICE_TYPE}"
    async with browser() as watching:
        await announcement.start()
        await watching.wait_for(name, there=True)
        info = await watching.info(name)
        assert (info.port, info.parsed_addresses()) == (10200, ["192.0.2.7"])
        await announcement.stop()
        await watching.wait_for(name, there=False)


def adapters(*named: tuple[str, str]) -> list[SimpleNamespace]:
    made = []
    for name, text in named:
        version = ipaddress.ip_address(text).version
        ip = SimpleNamespace(ip=text if version == 4 else (text, 0, 0), is_IPv4=version == 4)
        made.append(SimpleNamespace(nice_name=name, ips=[ip]))
    return made


HOST = (
    ("lo", "127.0.0.1"),
    ("lo", "::1"),
    ("docker0", "172.17.0.1"),
    ("tailscale0", "100.64.0.2"),
    ("wlan0", "192.168.1.9"),
    ("eth0", "10.0.0.5"),
    ("eth0", "fd00::5"),
    ("eth0", "fe80::1"),
    ("eth1", "169.254.3.4"),
)


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ("0.0.0.0", ["10.0.0.5", "192.168.1.9"]),
        ("::", ["10.0.0.5", "192.168.1.9", "fd00::5"]),
        ("10.0.0.5", ["10.0.0.5"]),
        ("127.0.0.1", []),
    ],
)
def test_what_is_announced_is_what_clients_can_reach(
    bound: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters(*HOST))
    assert [str(address) for address in reachable_addresses(bound)] == expected


def test_a_machine_of_containers_only_is_announced_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ifaddr, "get_adapters", lambda: adapters(("docker0", "172.17.0.1"), ("lo", "127.0.0.1"))
    )
    assert [str(address) for address in reachable_addresses("0.0.0.0")] == ["172.17.0.1"]


@pytest.mark.usefixtures("hasty")
async def test_an_address_that_comes_later_is_announced_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "REFRESH", 0.1)
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters(*found))
    async with browser() as watching:
        announcement = Announcement(port=10200, bound="0.0.0.0", name="Late", interfaces=LOOPBACK)
        await announcement.start()
        found.append(("eth0", "192.0.2.8"))
        await watching.wait_for(f"Late.{SERVICE_TYPE}", there=True)
        found[0] = ("eth0", "192.0.2.9")
        async with asyncio.timeout(HANG):
            while (  # noqa: ASYNC110 - another machine's memory
                await watching.info(f"Late.{SERVICE_TYPE}")
            ).parsed_addresses() != ["192.0.2.9"]:
                await asyncio.sleep(0.1)
        await announcement.stop()
        await watching.wait_for(f"Late.{SERVICE_TYPE}", there=False)
        assert f"Late.{SERVICE_TYPE}" in watching.found


@pytest.mark.slow
async def test_the_process_announces_itself_and_says_goodbye() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *SCRIPTED, "--uri", "tcp://127.0.0.1:0"),
        *("--zeroconf", "Process", "--zeroconf-host", "192.0.2.10"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with browser() as watching:
        try:
            await watching.wait_for(f"Process.{SERVICE_TYPE}", there=True)
            assert (await watching.info(f"Process.{SERVICE_TYPE}")).parsed_addresses() == ["192.0.2.10"]
            process.send_signal(signal.SIGTERM)
            await watching.wait_for(f"Process.{SERVICE_TYPE}", there=False)
            assert await asyncio.wait_for(process.wait(), HANG) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
