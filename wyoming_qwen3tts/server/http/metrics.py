"""Prometheus metrics. Names and units follow its naming practice: seconds, bytes, ``_total``."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ... import __version__
from ...pipeline.outcome import ENGINE, VOICE
from ..request_log import RequestRecord
from .context import AppContext

disable_created_metrics()  # type: ignore[no-untyped-call] # creation times would be half of all lines

PREFIX = "wyoming_tts"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Bucket bounds of times: a cache hit takes 0.5 ms, and from 0.3 s on a delay is noticed."""
FACTORS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0, 1.2, 1.5, 2.0, 5.0)
"""Bucket bounds of real-time factors: over 1 playback underruns."""


class Metrics:
    """All metrics of a service; requests are counted from the creation on."""

    def __init__(self, context: AppContext) -> None:
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        registry.register(_StateCollector(context))

        def histogram(
            name: str, text: str, labels: tuple[str, ...], bounds: tuple[float, ...] = SECONDS
        ) -> Histogram:
            return Histogram(f"{PREFIX}_{name}", text, labels, buckets=bounds, registry=registry)

        def counter(name: str, text: str, labels: tuple[str, ...]) -> Counter:
            return Counter(f"{PREFIX}_{name}", text, labels, registry=registry)

        # Names and labels are those of RequestRecord. ``api`` is the interface: wyoming, http or prerender.
        self._requests = counter("requests", "Finished requests", ("api", "engine", "outcome"))
        self._cached = counter("request_sources", "Where the audio of requests came from", ("api", "cache"))
        self._fallbacks = counter(
            "fallbacks", "Requests spoken by another voice or engine than requested", ("fallback",)
        )
        for reason in (VOICE, ENGINE):  # so that both series exist, with 0, before the first fallback
            self._fallbacks.labels(reason)
        self._characters = counter("characters", "Characters of text", ("api",))
        self._audio = counter("audio_seconds", "Seconds of audio sent", ("api", "engine"))
        self._first = histogram("first_audio_seconds", "Time to first audio of a request", ("api", "cache"))
        self._queue = histogram("queue_seconds", "Wait until the engine began", ("engine",))
        self._synthesis = histogram("synthesis_seconds", "Wait for the audio after that", ("engine",))
        self._encode = histogram("encode_seconds", "Encoding of an answer", ("api",))
        self._send = histogram("send_seconds", "Wait for the client to read", ("api",))
        self._rtf = histogram(
            "real_time_factor", "Seconds of synthesis per second of audio", ("engine",), FACTORS
        )
        context.history.observers.append(self.observe)

    def observe(self, record: RequestRecord) -> None:
        """Count a finished request."""
        api, engine = record.api, record.engine or "none"
        self._requests.labels(api, engine, record.outcome).inc()
        self._cached.labels(api, record.cache).inc()
        if record.fallback:
            self._fallbacks.labels(record.fallback).inc()
        self._characters.labels(api).inc(record.characters)
        self._audio.labels(api, engine).inc(record.audio_seconds)
        if record.first_audio_seconds is not None:
            self._first.labels(api, record.cache).observe(record.first_audio_seconds)
        self._encode.labels(api).observe(record.encode_seconds)
        self._send.labels(api).observe(record.send_seconds)
        if record.real_time_factor is not None:
            self._queue.labels(engine).observe(record.queue_seconds)
            self._synthesis.labels(engine).observe(record.synthesis_seconds)
            self._rtf.labels(engine).observe(record.real_time_factor)


class _StateCollector(Collector):
    """Metrics read from the parts of the service at each scrape."""

    def __init__(self, context: AppContext) -> None:
        self._context = context

    def describe(self) -> Iterator[Metric]:
        """Return nothing, so that registering does not collect."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        context = self._context
        about = GaugeMetricFamily(f"{PREFIX}_info", "The service", labels=["version", "default_voice"])
        about.add_metric([__version__, context.voices.catalog.default.name], 1)
        yield about
        yield GaugeMetricFamily(f"{PREFIX}_requests_active", "Requests in progress", context.admission.active)
        yield GaugeMetricFamily(f"{PREFIX}_connections", "Open Wyoming connections", context.connections())
        yield GaugeMetricFamily(f"{PREFIX}_voices", "Available voices", len(context.voices.catalog.voices))
        ready = GaugeMetricFamily(f"{PREFIX}_engine_ready", "Whether an engine is ready", labels=["engine"])
        waiting = GaugeMetricFamily(
            f"{PREFIX}_engine_waiting", "Utterances waiting for an engine", labels=["engine"]
        )
        failures = CounterMetricFamily(
            f"{PREFIX}_engine_failures", "Utterances an engine failed at", labels=["engine"]
        )
        restarts = CounterMetricFamily(
            f"{PREFIX}_engine_restarts", "Restarts of an engine", labels=["engine"]
        )
        for name, member in context.pool.members.items():
            ready.add_metric([name], float(context.pool.up(name)))
            waiting.add_metric([name], member.waiting)
            failures.add_metric([name], member.failures)
            restarts.add_metric([name], member.restarts)
        yield from (ready, waiting, failures, restarts)
        yield from self._models()
        yield from self._servers()
        yield from self._cache()

    def _models(self) -> Iterator[Metric]:
        label = ["model"]
        gauges = {
            "loaded": GaugeMetricFamily(
                f"{PREFIX}_model_loaded", "Whether a model is in memory", labels=label
            ),
            "bytes": GaugeMetricFamily(f"{PREFIX}_model_bytes", "Memory of a loaded model", labels=label),
            "slots": GaugeMetricFamily(f"{PREFIX}_model_slots", "Largest batch of the model", labels=label),
            "running": GaugeMetricFamily(
                f"{PREFIX}_model_running", "Utterances in the current batch", labels=label
            ),
            "waiting": GaugeMetricFamily(
                f"{PREFIX}_model_waiting", "Utterances waiting for the model", labels=label
            ),
        }
        counters = {
            "frames": CounterMetricFamily(
                f"{PREFIX}_model_frames", "Generated frames of 80 ms", labels=label
            ),
            "steps": CounterMetricFamily(f"{PREFIX}_model_steps", "Steps of the model", labels=label),
            "generations": CounterMetricFamily(
                f"{PREFIX}_model_utterances", "Finished utterances", labels=label
            ),
        }
        guards = CounterMetricFamily(
            f"{PREFIX}_guards", "Utterances ended by a guard", labels=["model", "guard"]
        )
        clones = CounterMetricFamily(
            f"{PREFIX}_prompts", "Where prompts of cloned voices came from", labels=["model", "source"]
        )
        device = GaugeMetricFamily(f"{PREFIX}_device_bytes", "Memory of the GPU in use", labels=["engine"])
        for name, engine in self._context.pool.items():
            if not (models := engine.status()):
                continue
            device.add_metric([name], engine.device_bytes())
            for model, status in models.items():
                for key, gauge in gauges.items():
                    gauge.add_metric([model], float(status.get(key, 0)))
                work = status.get("work", {})
                for key, counter in counters.items():
                    counter.add_metric([model], work.get(key, 0))
                for guard, fired in work.get("faults", {}).items():
                    guards.add_metric([model, guard], fired)
                for source, count in status.get("clones", {}).items():
                    clones.add_metric([model, source], count)
        yield from (*gauges.values(), *counters.values(), guards, clones, device)

    def _servers(self) -> Iterator[Metric]:
        label = ["server"]
        up = GaugeMetricFamily(f"{PREFIX}_remote_up", "Whether a remote server is used", labels=label)
        asked = GaugeMetricFamily(f"{PREFIX}_remote_requests", "Utterances in progress there", labels=label)
        spoken = CounterMetricFamily(f"{PREFIX}_remote_spoken", "Utterances it has spoken", labels=label)
        failed = CounterMetricFamily(f"{PREFIX}_remote_failures", "Utterances it failed at", labels=label)
        for engine in self._context.pool.values():
            for uri, server in engine.servers().items():
                for family, key in ((up, "up"), (asked, "asked"), (spoken, "spoken"), (failed, "failed")):
                    family.add_metric([uri], float(server[key]))
        yield from (up, asked, spoken, failed)

    def _cache(self) -> Iterator[Metric]:
        label = ["tier"]
        families = {
            "hits": CounterMetricFamily(f"{PREFIX}_cache_hits", "Utterances found", labels=label),
            "misses": CounterMetricFamily(f"{PREFIX}_cache_misses", "Utterances not found", labels=label),
            "stored": CounterMetricFamily(f"{PREFIX}_cache_stored", "Utterances stored", labels=label),
            "evicted": CounterMetricFamily(f"{PREFIX}_cache_evicted", "Utterances evicted", labels=label),
            "damaged": CounterMetricFamily(f"{PREFIX}_cache_damaged", "Damaged entries found", labels=label),
            "failures": CounterMetricFamily(f"{PREFIX}_cache_failures", "Failed operations", labels=label),
            "saved": CounterMetricFamily(
                f"{PREFIX}_cache_saved_seconds", "Seconds of synthesis saved by hits", labels=label
            ),
        }
        cache = self._context.cache
        if cache is not None:
            for tier, counts in cache.counts.items():
                for key, family in families.items():
                    family.add_metric([tier], getattr(counts, key))
            yield GaugeMetricFamily(
                f"{PREFIX}_cache_memory_bytes", "Bytes of audio cached in memory", cache.memory.bytes
            )
            yield GaugeMetricFamily(
                f"{PREFIX}_cache_memory_entries", "Utterances cached in memory", len(cache.memory)
            )
        yield from families.values()
