"""The one place that builds the parts, joins them, and takes them down in order."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from . import __version__
from .audio import speed as speed_methods
from .audio.loudness import Levels
from .audio.postprocess import PostprocessingSettings
from .cache.cache import Cache
from .cache.memory import Memory
from .cache.tiers import MEGABYTE, tiers_for
from .config.address import Address
from .config.settings import Settings, SettingsError
from .engines.base import Engine
from .engines.builtin import BuiltinEngine
from .engines.espeak import NONE, EspeakEngine
from .engines.pool import EngineLimits, EnginePool
from .engines.qwen3.configuration import Configuration
from .engines.qwen3.engine import Qwen3Engine
from .engines.remote.engine import RemoteEngine
from .engines.remote.server import RemoteTimeouts
from .pipeline import synthesizer
from .server.request_log import AdmissionControl, RequestHistory
from .server.wyoming import supervisor
from .server.wyoming.connection import WyomingLimits
from .server.wyoming.info import DescribeResponse, fallback_notice
from .server.wyoming.listen import Listener, ListenError
from .server.wyoming.server import WyomingServer
from .speech import Voice
from .text.frontend import Frontend
from .text.language import DetectorNotInstalledError, LanguageFinder, load
from .text.lexicon import Lexicon
from .voices.calibration import Calibration
from .voices.catalog import UnknownVoiceError
from .voices.names import RESERVED
from .voices.registry import VoiceRegistry
from .voices.store import CustomVoiceStore

if TYPE_CHECKING:
    from .server.http.serve import HttpServer
    from .server.wyoming.discovery import Announcement

_LOGGER = logging.getLogger(__name__)


NEEDS = "qwen3 needs --model, remote --remote-uri, espeak a language"
STYLES = "styles.toml"
LEVELS = "levels.json"
REMOTE = "remote.json"
"""The files of the data directory with styles, with what was measured of voices, and with those of others."""
WATCH = 1.0
"""Seconds between looks at the data directory, of a millisecond; what nobody knows is looked for at once."""


class StartupError(Exception):
    """The service cannot start; the message is one line for the one who started it."""


class Service:
    """Engines, synthesizer, doors. ``start``, then ``stop``; or ``run`` for both and the signals."""

    def __init__(self, settings: Settings, engines: Sequence[Engine] | None = None) -> None:
        """``engines``: in the order they are preferred; by default what the settings ask for."""
        self._settings = settings
        self._lost: asyncio.Future[str] | None = None
        """Told why only a new process can speak as it should."""
        self.pool = EnginePool(
            engines_for(settings) if engines is None else engines,
            EngineLimits(
                waiting=settings.limits.max_queue,
                stall=settings.limits.stall_timeout,
                gap=settings.limits.engine_timeout,
                restart=settings.limits.exit_when_hung_for,
                resume=settings.voices.resume,
            ),
            fallback=settings.voices.fallback,
            lost=self._is_lost,
        )
        self._measuring: set[asyncio.Task[None]] = set()
        self._listeners: list[Listener] = []
        self._announcements: list[Announcement] = []
        self._told: supervisor.SupervisorDiscovery | None = None
        self._server: WyomingServer | None = None
        self._registry: VoiceRegistry | None = None
        self._watch: asyncio.Task[None] | None = None
        self._calibration: Calibration | None = None
        self._cache: Cache | None = None
        self._http: HttpServer | None = None
        self._history = RequestHistory()
        self._admission = AdmissionControl(
            settings.limits.max_concurrent_requests, settings.limits.max_concurrent_requests_per_client
        )
        self._connections = 0
        """How many each door may have."""

    @property
    def addresses(self) -> Sequence[Address]:
        """Where the service listens."""
        return [listener.address for listener in self._listeners]

    async def run(self) -> bool:
        """Serve until SIGTERM, SIGINT, or the end of standard input if that is a door. Raises StartupError.

        Returns whether that was all; False where it ended by itself, to be started again.
        """
        stop = asyncio.Event()
        self._lost = lost = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        stopped = asyncio.create_task(stop.wait())
        starting = asyncio.create_task(self.start())
        try:
            # A model takes its time to load and more to download: who stops the service does not wait for it.
            await asyncio.wait({stopped, starting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                ended = [listener.ended for listener in self._listeners if listener.ended is not None]
                await asyncio.wait({stopped, lost, *ended}, return_when=asyncio.FIRST_COMPLETED)
            if lost.done():
                _LOGGER.error("The service ends, to be started again: %s", lost.result())
            return not lost.done()
        finally:
            stopped.cancel()
            starting.cancel()
            await asyncio.wait({starting})
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)  # a second one ends the process at once
            await self.stop()

    async def start(self) -> None:
        """Load and warm the voices, then listen, then announce. Raises StartupError."""
        began = time.monotonic()
        settings = self._settings
        for note in settings.notes:
            _LOGGER.warning("Settings: %s", note)
        has_http = bool(settings.http.http_port or settings.http.http_socket or settings.http.ingress_port)
        self._connections = _affordable(settings.limits.max_connections, doors=1 + has_http)
        if has_http:
            await self._open_http()
        try:
            await asyncio.to_thread(speed_methods.load, settings.audio.tempo)
        except speed_methods.TempoNotInstalledError as error:
            raise StartupError(str(error)) from error
        try:
            frontend = await asyncio.to_thread(frontend_for, settings)
        except DetectorNotInstalledError as error:
            raise StartupError(str(error)) from error
        if not self.pool.members:
            raise StartupError(f"--engine {','.join(settings.voices.engine)}: {NEEDS}")
        await self.pool.start()
        if self.pool and not self.pool.speaking:
            raise StartupError("; ".join(f"{n}: {m.reason}" for n, m in self.pool.members.items()))
        self._cache = cache_for(settings)
        if self._cache is not None:
            await self._cache.start()
        gone = self._cache.forget if self._cache is not None else None
        self._registry = registry = registry_for(settings, self.pool, gone)
        try:
            await registry.start()
        except UnknownVoiceError as error:
            raise StartupError(str(error)) from error
        self._calibration = calibration = Calibration(
            Levels(settings.audio.loudness, settings.voices.directory / LEVELS), self.pool
        )
        road = synthesizer.Synthesizer(
            registry,
            self.pool,
            synthesizer.RequestLimits(
                buffer_seconds=settings.audio.buffer_seconds,
                deadline=settings.limits.first_audio_timeout,
                keepalive_after=settings.audio.keepalive_after,
                live_text=settings.text.live_text,
                first_clause=settings.text.first_clause,
            ),
            finishing=PostprocessingSettings(
                tempo=settings.audio.tempo,
                trim_silence=settings.audio.trim_silence,
                trim_padding=settings.audio.trim_padding,
                sentence_silence=settings.audio.sentence_silence,
            ),
            calibration=calibration,
            speed=settings.audio.speed,
            frontend=frontend,
            language=settings.text.language,
            cache=self._cache,
            cache_live=settings.cache.cache_live,
            cache_exclude_voices=settings.cache.cache_exclude_voices,
        )
        catalog = registry.catalog
        for name in settings.cache.cache_exclude_voices:
            if not catalog.has(name, None):
                _LOGGER.warning("Settings: cache_exclude_voices: there is no voice %r", name)
        await asyncio.to_thread(frontend.load, catalog.default.languages[0])
        await calibration.ready(catalog.default)
        self._server = WyomingServer(
            road,
            DescribeResponse(registry, self.pool, streaming=settings.server.streaming),
            WyomingLimits(
                samples_per_chunk=settings.server.samples_per_chunk,
                streaming=settings.server.streaming,
                max_event_bytes=settings.limits.max_event_bytes,
                max_text=settings.limits.max_text,
                max_requests=settings.limits.max_requests,
                max_connections=self._connections,
                idle_timeout=settings.limits.idle_timeout,
                text_timeout=settings.limits.text_timeout,
                event_timeout=settings.limits.event_timeout,
                send_timeout=settings.limits.send_timeout,
            ),
            refresh=registry.refresh,
            admission=self._admission,
            history=self._history,
            allowed=settings.server.allowed_networks,
        )
        reason = why(catalog.default, self.pool, settings)
        _LOGGER.info("Voice: %s, because %s", catalog.default.description, reason)
        await self._listen(self._server)
        self._serve_http(road, registry)
        _LOGGER.info("Ready in %.1f s (wyoming-qwen3tts %s)", time.monotonic() - began, __version__)
        self._watch = asyncio.create_task(registry.watch(WATCH), name="watch")
        self.pool.watchers.append(self._measure)
        self._measure()
        await self._announce()

    def _measure(self) -> None:
        """Measure the voices of the default voice's model, if that speaks."""
        assert self._calibration is not None
        assert self._registry is not None
        catalog = self._registry.catalog
        default = catalog.default
        if not self._measuring and self.pool.up(default.engine):
            kin = [v for v in catalog.voices if (v.engine, v.model) == (default.engine, default.model)]
            task = asyncio.create_task(self._calibration.measure(kin), name="measuring")
            self._measuring.add(task)
            task.add_done_callback(self._measuring.discard)

    def _is_lost(self, reason: str) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(reason)

    async def stop(self) -> None:
        """Withdraw, accept nobody more, let running requests finish, close the rest, end the engines."""
        if self._told is not None:
            await self._told.stop()
        for announcement in self._announcements:
            await announcement.stop()
        for listener in self._listeners:
            await listener.stop()
        await self._close_doors()
        for task in (self._watch, *self._measuring):
            if task is not None:
                task.cancel()
        if self._calibration is not None:
            await self._calibration.close()
        if self._registry is not None:
            await self._registry.close()
        if self._cache is not None:
            await self._cache.close()
        await self.pool.close()
        _LOGGER.info("Stopped")

    async def _close_doors(self) -> None:
        """Let what is being said be said, within the settings' time, at all doors at once."""
        closing = []
        if self._http is not None:
            closing.append(self._http.stop(self._settings.limits.stop_timeout))
        if self._server is not None:
            if self._server.connections:
                _LOGGER.info("Stopping; %d connections may finish", self._server.connections)
            closing.append(self._server.stop(self._settings.limits.stop_timeout))
        await asyncio.gather(*closing)

    async def _listen(self, server: WyomingServer) -> None:
        for uri in self._settings.server.uri:
            # What is announced has to be reachable, and clients may look for either kind of address.
            announced = self._settings.server.zeroconf is not None
            listener = Listener(Address.parse(uri), server.handle, ipv6_too=announced)
            self._listeners.append(listener)
            try:
                await listener.start()
            except ListenError as error:
                raise StartupError(str(error)) from error
            _LOGGER.info("Listening on %s", listener.address)
        for address in self.addresses:
            if address.scheme != "stdio":
                _LOGGER.info("To hear it: %s", how_to_hear(address))
                break

    async def _open_http(self) -> None:
        """Listen for HTTP, and say there that the service is starting. Raises StartupError."""
        settings = self._settings
        try:
            serve = await asyncio.to_thread(_http)
        except ImportError as error:
            raise StartupError(f"--http-port: {error}; pip install 'wyoming-qwen3tts[http]'") from error
        try:
            self._http = serve.open_http_server(settings, self._connections)
        except (ListenError, SettingsError) as error:
            raise StartupError(str(error)) from error

    def _serve_http(self, road: synthesizer.Synthesizer, registry: VoiceRegistry) -> None:
        """Serve over HTTP what the service does."""
        if self._http is None:
            return
        from .server.http.app import create_app
        from .server.http.context import AppContext

        server = self._server
        self._http.serve(
            create_app(
                AppContext(
                    synthesizer=road,
                    voices=registry,
                    settings=self._settings,
                    admission=self._admission,
                    history=self._history,
                    pool=self.pool,
                    cache=self._cache,
                    store=CustomVoiceStore(self._settings.voices.directory, RESERVED),
                    connections=lambda: server.connections if server is not None else 0,
                )
            )
        )

    def _tell_supervisor(self) -> None:
        """Let Home Assistant know, where this is one of its apps."""
        settings = self._settings
        token = os.environ.get(supervisor.TOKEN)
        if not token:
            return
        uri = supervisor.discovery_uri(
            self.addresses, settings.remote.remote_uri, announce_remote=settings.remote.remote_announce
        )
        if uri is not None:
            self._told = supervisor.SupervisorDiscovery(uri, token)
            self._told.start()

    async def _announce(self) -> None:
        self._tell_supervisor()
        if self._settings.server.zeroconf is None:
            return
        from .server.wyoming.discovery import Announcement

        for listener in self._listeners:
            address = listener.address
            if address.scheme != "tcp":
                continue
            announcement = Announcement(
                port=address.port,
                bound=listener.bound,
                name=self._settings.server.zeroconf,
                host=self._settings.server.zeroconf_host or "",
            )
            self._announcements.append(announcement)  # to be withdrawn even if it does not get to its end
            try:
                await announcement.start()
            except OSError as error:
                _LOGGER.warning("Zeroconf: %s cannot be announced: %s", address, error)


def _http() -> ModuleType:
    """Return what serves HTTP; it takes half a second to import."""
    from .server.http import serve

    return serve


def frontend_for(settings: Settings) -> Frontend:
    """Return what prepares text. Raises DetectorNotInstalledError; takes a while where a detector loads."""
    lexicon = Lexicon(settings.text.lexicon) if settings.text.lexicon is not None else None
    if lexicon is not None:
        lexicon.refresh()
    return Frontend(
        normalize=settings.text.normalize == "auto",
        emoji=settings.text.emoji,
        finder=LanguageFinder(load(settings.text.language_detector), settings.text.languages),
        lexicon=lexicon,
    )


def engines_for(settings: Settings) -> list[Engine]:
    """Return the engines that may speak, in the order they are preferred."""
    makers: dict[str, Callable[[], Engine]] = {
        "builtin": lambda: BuiltinEngine(settings.voices.builtin_threads)
    }
    if settings.model.model:
        makers["qwen3"] = lambda: Qwen3Engine(Configuration.of(settings))
    if settings.remote.remote_uri:
        makers["remote"] = lambda: remote_engine(settings)
    if settings.voices.espeak_languages != NONE:
        makers["espeak"] = lambda: EspeakEngine(settings.voices.espeak_languages)
    return [makers[name]() for name in settings.voices.engine if name in makers]


def remote_engine(settings: Settings) -> Engine:
    """Return what speaks on other machines."""
    limits = RemoteTimeouts(
        connect=settings.remote.remote_connect_timeout,
        first=settings.remote.remote_first_timeout,
        gap=settings.remote.remote_gap_timeout,
    )
    remembered = settings.voices.directory / REMOTE
    return RemoteEngine.of(
        settings.remote.remote_uri,
        limits,
        settings.remote.remote_max_concurrent_requests,
        settings.remote.remote_key,
        remembered,
    )


def cache_for(settings: Settings) -> Cache | None:
    """Return what keeps what was said; None where nothing is to be kept."""
    tiers = tiers_for(settings)
    if not settings.cache.cache_memory and not tiers:
        return None
    return Cache(Memory(int(settings.cache.cache_memory * MEGABYTE)), tiers)


def registry_for(
    settings: Settings,
    engines: Mapping[str, Engine],
    gone: Callable[[str], Awaitable[object]] | None = None,
) -> VoiceRegistry:
    """Return what knows the voices of the engines that have started, and of the data directory.

    ``gone`` is told which recorded voices go.
    """
    store = CustomVoiceStore(settings.voices.directory)
    return VoiceRegistry(
        engines,
        store,
        settings.voices.directory / STYLES,
        settings.voices.voice,
        settings.text.language,
        gone,
    )


def why(voice: Voice, pool: EnginePool, settings: Settings) -> str:
    """Return the reason that ``voice`` speaks by default, as the end of a sentence."""
    engine = pool.get(voice.engine)
    if engine is not None and engine.name == Qwen3Engine.name:
        return engine.about if pool.up(engine.name) else f"--model asks for it ({fallback_notice(pool)})"
    if not settings.model.model:
        return f"no Qwen3-TTS model is set up ({gpu()})"
    if settings.voices.voice is not None:
        return "the settings say so"
    return f"{' and '.join(settings.model.model)} gives no voice (the lines above say why)"


def gpu() -> str:
    """Return what GPU this machine seems to have, found without loading anything."""
    if Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        return "an NVIDIA GPU is there"
    if sys.platform == "darwin":
        return "an Apple GPU may be there"
    return "and no GPU was found"


def _affordable(connections: int, doors: int) -> int:
    """Raise the limit of open files as far as allowed; return how many connections a door may then have."""
    spare = 128  # for libraries and processes, and for peers that are about to be refused
    wanted = connections * doors + spare
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        connections = max(allowed // 4, allowed - spare) // doors
        _LOGGER.warning(
            "This process may open %d files, so at most %d connections%s",
            allowed,
            connections,
            " at each door" if doors > 1 else "",
        )
    return connections


def how_to_hear(address: Address) -> str:
    """Return the command that lets a person on this machine hear the service."""
    from .cli import default_uri
    from .cli.playback import find_player
    from .client import client_uri

    program = shutil.which("wyoming-qwen3tts") and "wyoming-qwen3tts"
    if program is None:
        own = Path(sys.executable).with_name("wyoming-qwen3tts")
        program = str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)
    uri = "" if client_uri(str(address)) == default_uri() else f" --uri {client_uri(str(address))}"
    output = "" if find_player() else " --output hello.wav"
    return f'{program} say "Hello"{uri}{output}'
