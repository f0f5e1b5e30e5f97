"""The service: builds the parts, joins them, and stops them in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .audio import speed as speed_methods
from .audio.loudness import Levels
from .cache.cache import Cache
from .cache.memory import MemoryCache
from .cache.tiers import MEGABYTE, tiers_for
from .config.address import Address
from .config.settings import Settings, SettingsError
from .engines.base import Engine
from .engines.builtin import BuiltinEngine
from .engines.espeak import NONE, EspeakEngine
from .engines.pool import EnginePool
from .engines.qwen3.engine import Qwen3Engine
from .engines.remote.engine import RemoteEngine
from .hints import reason_for_default, say_command
from .pipeline.synthesizer import Synthesizer
from .server.open_files import affordable_connections
from .server.request_log import AdmissionControl, RequestHistory
from .server.wyoming.announcements import Announcements
from .server.wyoming.info import DescribeResponse
from .server.wyoming.listen import Listener, ListenError
from .server.wyoming.server import WyomingServer
from .telemetry import quote
from .text.frontend import Frontend
from .text.language import DetectorNotInstalledError, LanguageDetector, load_scorer
from .text.lexicon import Lexicon
from .voices.calibration import Calibration
from .voices.catalog import UnknownVoiceError
from .voices.names import RESERVED_NAMES
from .voices.registry import CustomVoiceSource, VoiceRegistry
from .voices.store import CustomVoiceStore

if TYPE_CHECKING:
    from .server.http.serve import HttpServer

_LOGGER = logging.getLogger(__name__)

NEEDS = "qwen3 needs --model, remote --remote-uri, espeak a language"
STYLES = "styles.toml"
"""File of the data directory with the styles."""
LEVELS = "levels.json"
"""File of the data directory with the measured levels of voices."""
REMOTE = "remote.json"
"""File of the data directory with the voices of other servers."""
WATCH_INTERVAL = 1.0
"""Seconds between looks at the data directory, which take a millisecond."""


class StartupError(Exception):
    """The service cannot start; the message is one line for its user."""


class Service:
    """Engines, synthesizer and servers. ``start``, then ``stop``; or ``run`` for both and the signals."""

    def __init__(
        self,
        settings: Settings,
        engines: Sequence[Engine] | None = None,
        *,
        store: CustomVoiceSource | None = None,
        styles: Path | None = None,
    ) -> None:
        """``engines``: in order of preference; by default those of the settings.

        ``store``: custom voices, and ``styles``: file of styles; by default those of the data directory.
        """
        self._settings = settings
        self._store = store if store is not None else CustomVoiceStore(settings.voices.directory)
        self._styles = styles if styles is not None else settings.voices.directory / STYLES
        self._lost: asyncio.Future[str] | None = None
        """Its result is why only a new process can help."""
        self.pool = EnginePool(
            engines_for(settings) if engines is None else engines,
            settings.limits,
            fallback=settings.voices.fallback,
            resume=settings.voices.resume,
            on_lost=self._on_lost,
        )
        self._admission = AdmissionControl(
            settings.limits.max_concurrent_requests, settings.limits.max_concurrent_requests_per_client
        )
        self._history = RequestHistory()
        self._measuring: set[asyncio.Task[None]] = set()
        self._listeners: list[Listener] = []
        self._announcements = Announcements(settings.server, settings.remote)
        self._server: WyomingServer | None = None
        self._http: HttpServer | None = None
        self._registry: VoiceRegistry | None = None
        self._watch: asyncio.Task[None] | None = None
        self._calibration: Calibration | None = None
        self._cache: Cache | None = None

    @property
    def addresses(self) -> Sequence[Address]:
        """Where the Wyoming server listens."""
        return [listener.address for listener in self._listeners]

    async def run(self) -> bool:
        """Serve until SIGTERM, SIGINT, or the end of standard input with ``stdio://``. Raises StartupError.

        Returns False where it ends by itself, to be started again.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._lost = lost = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        stopped = asyncio.create_task(stop.wait())
        starting = asyncio.create_task(self.start())
        try:
            # A model takes long to load and longer to download: a signal does not wait for it.
            await asyncio.wait({stopped, starting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                ended = [listener.ended for listener in self._listeners if listener.ended is not None]
                await asyncio.wait({stopped, lost, *ended}, return_when=asyncio.FIRST_COMPLETED)
            if lost.done():
                _LOGGER.error("service: exits to be restarted reason=%s", quote(lost.result()))
            return not lost.done()
        finally:
            stopped.cancel()
            starting.cancel()
            await asyncio.wait({starting})
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)  # a second signal ends the process at once
            await self.stop()

    # -- start ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything; return when speech is ready. Raises StartupError."""
        began = time.monotonic()
        for note in self._settings.notes:
            _LOGGER.warning("settings: %s", note)
        await self._open_http()
        frontend = await self._load_text()
        await self._start_engines()
        registry = await self._start_voices()
        levels = Levels(self._settings.audio.loudness, self._settings.voices.directory / LEVELS)
        self._calibration = Calibration(levels, self.pool)
        synthesizer = Synthesizer(
            registry,
            self.pool,
            self._settings,
            calibration=self._calibration,
            frontend=frontend,
            cache=self._cache,
        )
        default = registry.catalog.default
        await asyncio.to_thread(frontend.load, default.languages[0])
        await self._calibration.wait_measured(default)
        reason = reason_for_default(default, self.pool, self._settings)
        _LOGGER.info("voice: default=%s reason=%s", quote(default.description), quote(reason))
        self._server = await self._listen(synthesizer, registry)
        self._serve_http(synthesizer, registry)
        _LOGGER.info("service: ready seconds=%.1f version=%s", time.monotonic() - began, __version__)
        self._watch = asyncio.create_task(registry.watch(WATCH_INTERVAL), name="watch")
        self.pool.watchers.append(self._measure)
        self._measure()
        await self._announcements.start(self._listeners)

    async def _open_http(self) -> None:
        """Listen for HTTP, and answer there that the service is starting. Raises StartupError."""
        http = self._settings.http
        has_http = bool(http.http_port or http.http_socket or http.ingress_port)
        connections = affordable_connections(self._settings.limits.max_connections, servers=1 + has_http)
        self._settings = self._settings.changed(max_connections=connections)
        if not has_http:
            return
        try:
            # It takes half a second to import.
            serve = await asyncio.to_thread(_import_http)
            self._http = serve(self._settings)
        except ImportError as error:
            raise StartupError(f"--http-port: {error}; pip install 'wyoming-qwen3tts[http]'") from error
        except (ListenError, SettingsError) as error:
            raise StartupError(str(error)) from error

    async def _load_text(self) -> Frontend:
        """Load what prepares text and changes its speed. Raises StartupError."""
        try:
            await asyncio.to_thread(speed_methods.load, self._settings.audio.tempo)
            return await asyncio.to_thread(frontend_for, self._settings)
        except (speed_methods.TempoNotInstalledError, DetectorNotInstalledError) as error:
            raise StartupError(str(error)) from error

    async def _start_engines(self) -> None:
        """Start the engines and the cache. Raises StartupError where no engine speaks."""
        if not self.pool.members:
            raise StartupError(f"--engine {','.join(self._settings.voices.engine)}: {NEEDS}")
        await self.pool.start()
        if self.pool and not self.pool.speaking:
            raise StartupError("; ".join(f"{n}: {m.reason}" for n, m in self.pool.members.items()))
        self._cache = cache_for(self._settings)
        if self._cache is not None:
            await self._cache.start()

    async def _start_voices(self) -> VoiceRegistry:
        """Find the voices. Raises StartupError where there is none, or not the configured one."""
        self._registry = registry = VoiceRegistry(
            self.pool,
            self._store,
            self._styles,
            self._settings.voices.voice,
            self._settings.text.language,
            self._cache.forget if self._cache is not None else None,
        )
        try:
            await registry.start()
        except UnknownVoiceError as error:
            raise StartupError(str(error)) from error
        for name in self._settings.cache.cache_exclude_voices:
            if not registry.catalog.has_voice(name, None):
                _LOGGER.warning("settings: unknown voice option=cache_exclude_voices voice=%s", quote(name))
        return registry

    def _measure(self) -> None:
        """Measure the levels of the voices of the default voice's model, if that speaks."""
        assert self._calibration is not None
        assert self._registry is not None
        catalog = self._registry.catalog
        default = catalog.default
        if not self._measuring and self.pool.up(default.engine):
            same_model = [v for v in catalog.voices if (v.engine, v.model) == (default.engine, default.model)]
            task = asyncio.create_task(self._calibration.measure(same_model), name="calibration")
            self._measuring.add(task)
            task.add_done_callback(self._measuring.discard)

    async def _listen(self, synthesizer: Synthesizer, registry: VoiceRegistry) -> WyomingServer:
        """Start the Wyoming server. Raises StartupError."""
        settings = self._settings.server
        server = WyomingServer(
            synthesizer,
            DescribeResponse(registry, self.pool, streaming=settings.streaming),
            settings,
            self._settings.limits,
            refresh=registry.refresh,
            admission=self._admission,
            history=self._history,
        )
        for uri in settings.uri:
            # What is announced has to be reachable, and clients may look for either kind of address.
            listener = Listener(Address.parse(uri), server.handle, ipv6_too=settings.zeroconf is not None)
            self._listeners.append(listener)
            try:
                await listener.start()
            except ListenError as error:
                raise StartupError(str(error)) from error
            _LOGGER.info("wyoming: listening uri=%s", listener.address)
        for address in self.addresses:
            if address.scheme != "stdio":
                _LOGGER.info("service: to hear it, run: %s", say_command(address))
                break
        return server

    def _serve_http(self, synthesizer: Synthesizer, registry: VoiceRegistry) -> None:
        """Serve the API over HTTP, where it listens."""
        if self._http is None:
            return
        from .server.http.app import create_app
        from .server.http.context import AppContext

        server = self._server
        context = AppContext(
            synthesizer=synthesizer,
            voices=registry,
            settings=self._settings,
            admission=self._admission,
            history=self._history,
            pool=self.pool,
            cache=self._cache,
            store=CustomVoiceStore(self._settings.voices.directory, RESERVED_NAMES),
            connections=lambda: server.connections if server is not None else 0,
        )
        self._http.serve(create_app(context))

    def _on_lost(self, reason: str) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(reason)

    # -- stop -----------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Withdraw announcements, refuse new requests, let running ones finish, then stop all parts."""
        await self._announcements.stop()
        for listener in self._listeners:
            await listener.stop()
        await self._stop_servers()
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
        _LOGGER.info("service: stopped")

    async def _stop_servers(self) -> None:
        """Let running requests finish within the settings' time, on both servers at once."""
        timeout = self._settings.limits.stop_timeout
        stopping = []
        if self._http is not None:
            stopping.append(self._http.stop(timeout))
        if self._server is not None:
            if self._server.connections:
                _LOGGER.info("service: stopping connections=%d", self._server.connections)
            stopping.append(self._server.stop(timeout))
        await asyncio.gather(*stopping)


def _import_http() -> Callable[[Settings], HttpServer]:
    from .server.http.serve import open_http_server

    return open_http_server


def frontend_for(settings: Settings) -> Frontend:
    """Return what prepares text. Raises DetectorNotInstalledError; takes a while where a detector loads."""
    text = settings.text
    lexicon = Lexicon(text.lexicon) if text.lexicon is not None else None
    if lexicon is not None:
        lexicon.refresh()
    return Frontend(
        normalization=text.normalize == "auto",
        emoji=text.emoji,
        language_detector=LanguageDetector(load_scorer(text.language_detector), text.languages),
        lexicon=lexicon,
    )


def engines_for(settings: Settings) -> list[Engine]:
    """Return the engines of the settings, in order of preference."""
    makers: dict[str, Callable[[], Engine]] = {}
    makers["builtin"] = lambda: BuiltinEngine(settings.voices.builtin_threads)
    if settings.model.model:
        makers["qwen3"] = lambda: Qwen3Engine(settings.model, settings.voices.prompts)
    if settings.remote.remote_uri:
        makers["remote"] = lambda: RemoteEngine(settings.remote, settings.voices.directory / REMOTE)
    if settings.voices.espeak_languages != NONE:
        makers["espeak"] = lambda: EspeakEngine(settings.voices.espeak_languages)
    return [makers[name]() for name in settings.voices.engine if name in makers]


def cache_for(settings: Settings) -> Cache | None:
    """Return the cache; None where nothing is cached."""
    tiers = tiers_for(settings)
    if not settings.cache.cache_memory and not tiers:
        return None
    return Cache(MemoryCache(int(settings.cache.cache_memory * MEGABYTE)), tiers)
