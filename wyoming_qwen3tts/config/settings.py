"""Every option, declared once, in groups. A part of the service takes the group that it needs.

The fields of the groups are the command line's flags, the ``WYOMING_QWEN3TTS_*`` variables, the keys of an
options file and of the Home Assistant app, and the manual's page of options. Times are in seconds.
"""

from __future__ import annotations

import os
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..speech import FASTEST, LANGUAGES, SLOWEST
from .option_types import (
    OptionType,
    amount,
    device,
    file,
    folder,
    keys,
    language,
    languages,
    level,
    models,
    name_or_off,
    names,
    networks,
    one_of,
    origins,
    redis_address,
    remotes,
    seconds,
    some_of,
    switch,
    uris,
    whole,
    words,
)

ENGINES = ("qwen3", "remote", "builtin", "espeak")


class SettingsError(Exception):
    """An invalid value; the message, one line, names the option, the value and what is allowed."""


def option(default: Any, kind: OptionType, help_text: str, when: str) -> Any:
    """Declare an option. ``when``: when to change it, for the manual."""
    metadata = {"kind": kind, "help": help_text, "when": when}
    return field(default=default, repr=not kind.secret, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The Wyoming server and how it is announced."""

    uri: tuple[str, ...] = option(
        ("tcp://0.0.0.0:10200",),
        uris(),
        "addresses to listen on; several separated by spaces",
        "to use another port, one network only, or a Unix socket",
    )
    streaming: bool = option(
        True,
        switch(),
        "accept text that is still being written",
        "switch it off for a client that sends streamed text incorrectly",
    )
    samples_per_chunk: int = option(
        1024,
        whole(64, 65536),
        "samples in an audio-chunk event",
        "lower it for smaller events; raise it for fewer of them",
    )
    allowed_networks: tuple[str, ...] = option(
        (),
        networks(),
        "networks whose clients may use the Wyoming server; this machine always may",
        "limit who may connect where the port is reachable from outside",
    )
    zeroconf: str | None = option(
        None,
        name_or_off(),
        "announce the service on the local network, as NAME",
        "switch it on so that Home Assistant finds the server by itself",
    )
    zeroconf_host: str | None = option(
        None,
        words("an address or host name", "HOST"),
        "announce this address instead of this machine's",
        "in a container or behind NAT, where the machine's own address is not reachable",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """The HTTP and WebSocket server."""

    http_port: int = option(
        0,
        whole(0, 65535),
        "HTTP port: OpenAI-compatible API, web page, metrics; 0 is none",
        "set it for the web page, OpenAI clients, WebSockets or metrics",
    )
    http_host: str | None = option(
        None,
        words("an address or host name", "HOST"),
        "address of that port; by default all addresses with API keys, else loopback only",
        "to listen on one network only",
    )
    http_socket: Path | None = option(
        None,
        file(),
        "Unix socket for HTTP; its file permissions replace API keys",
        "behind a reverse proxy on the same machine",
    )
    ingress_port: int = option(
        0,
        whole(0, 65535),
        "HTTP port for Home Assistant ingress only; 0 is none",
        "the Home Assistant app sets it",
    )
    api_keys: tuple[str, ...] = option(
        (),
        keys(),
        "API keys for HTTP clients on other machines, separated by commas",
        "set them to let other machines use the HTTP port",
    )
    api_key_file: Path | None = option(
        None,
        file(),
        "file with API keys, one a line",
        "keep the keys out of the command line and the environment",
    )
    rate_limit: int = option(
        600,
        whole(0, 1_000_000),
        "HTTP requests a minute for each key; 0 is no limit",
        "lower it to stop one client from using everything; 0 behind a proxy that limits",
    )
    cors_origins: tuple[str, ...] = option(
        (),
        origins(),
        "origins of web pages and apps that may use the API, such as https://example.org or app://name; "
        "* is any",
        "set it to call the API from a web page of your own",
    )
    max_upload: float = option(
        25.0,
        amount(0.1, 100),
        "megabytes of an uploaded recording",
        "raise it where long recordings are refused",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceSettings:
    """Which engines and voices there are."""

    engine: tuple[str, ...] = option(
        ENGINES,
        some_of(*ENGINES),
        "engines in order of preference",
        "leave one out, or change which one is preferred",
    )
    fallback: bool = option(
        True,
        switch(),
        "let the next engine speak while one cannot",
        "switch it off where another voice is worse than an error or a wait",
    )
    resume: bool = option(
        True,
        switch(),
        "finish a sentence whose engine failed in the middle, where it is cached; otherwise it is an error",
        "switch it off where a sentence may not change its voice in the middle",
    )
    voice: str | None = option(
        None,
        words("a voice's name", "NAME"),
        "default voice; the first voice if absent",
        "choose the voice of requests that name none",
    )
    data_dir: Path | None = option(
        None,
        folder(),
        "directory of custom voices, styles and the disk cache; ~/.local/share/wyoming-qwen3tts if absent",
        "keep the data on another disk, or run several servers on one machine",
    )
    espeak_languages: str = option(
        "all",
        words("all, none, or language codes with commas", "CODES"),
        "languages to list eSpeak NG voices for: all, none, or codes such as de,fr",
        "limit the list of voices to the languages you use, or leave eSpeak NG out",
    )
    builtin_threads: int = option(
        2,
        whole(1, 64),
        "CPU threads of the built-in voice for a sentence",
        "raise it for earlier audio on a machine with idle CPUs; lower it beside other work",
    )

    @property
    def directory(self) -> Path:
        """The data directory: ``data_dir``, or that of the XDG base directory specification."""
        if self.data_dir is not None:
            return self.data_dir
        users = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")  # noqa: PTH111 - never raises
        return Path(users) / "wyoming-qwen3tts"

    @property
    def prompts(self) -> Path:
        """The directory of clones that the Qwen3-TTS engine has prepared."""
        return self.directory / "prompts"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSettings:
    """How text is cut into sentences and prepared."""

    language: str | None = option(
        None,
        language(),
        "language of text that does not look otherwise; by default the voice's own",
        "set it where short texts are spoken in the wrong language",
    )
    languages: tuple[str, ...] = option(
        LANGUAGES,
        languages(),
        "languages to choose from when the language of a text is detected",
        "limit it to the languages you use: fewer texts are mistaken for another one",
    )
    language_detector: str = option(
        "eld",
        one_of("eld", "fasttext", "off"),
        "language detector; off uses the script only",
        "fasttext where eld is wrong; off saves its memory where there is one language",
    )
    normalize: str = option(
        "auto",
        one_of("auto", "off"),
        "write numbers, units, dates and symbols as words; off leaves them to the voice",
        "switch it off where the text is prepared already",
    )
    lexicon: Path | None = option(
        None,
        file(),
        "file with pronunciations of your own words; read again when it changes",
        "set it where names or abbreviations are pronounced wrongly",
    )
    emoji: str = option(
        "drop", one_of("drop", "name"), "drop emoji, or speak their names", "name to hear what an emoji shows"
    )
    first_clause: bool = option(
        True,
        switch(),
        "begin a reply with the first clause of a long sentence, before the rest is known",
        "switch it off where the pause after the first clause is heard",
    )
    live_text: bool = option(
        False,
        switch(),
        "speak a sentence while it is being written, where the engine supports it; experimental",
        "try it where a language model writes slowly",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSettings:
    """What is done to the audio of an utterance, and how far ahead it is made."""

    speed: float = option(
        1.0,
        amount(SLOWEST, FASTEST),
        "speaking rate; 2 is twice the voice's own, at the same pitch",
        "to hear speech faster or slower",
    )
    tempo: str = option(
        "sonic",
        one_of("sonic", "rubberband"),
        "how speed is changed; rubberband needs whole sentences, pyrubberband and its command",
        "rubberband for speeds far from 1, if the delay of a whole sentence is acceptable",
    )
    loudness: float | None = option(
        -20.0,
        level(-40, -10),
        "level that every voice is brought to; off leaves voices as they are",
        "raise or lower it to match other sounds of the speaker; off to keep the model's level",
    )
    trim_silence: float | None = option(
        -50.0,
        level(-90, -20),
        "level below which audio at a sentence's ends is silence; off keeps it",
        "off where soft sounds at the ends are cut off",
    )
    trim_padding: float = option(
        0.05,
        seconds(0, 1),
        "silence that stays at a sentence's ends, for soft sounds",
        "raise it where the first or last sound is cut off",
    )
    sentence_silence: float = option(
        0.3,
        seconds(0, 10),
        "pause between sentences, padding included",
        "longer for calm reading, shorter for quick replies",
    )
    buffer_seconds: float = option(
        15.0,
        seconds(0.1, 3600),
        "audio made ahead of what a client has taken",
        "lower it to compute less for clients that stop early; raise it for unsteady networks",
    )
    keepalive_after: float = option(
        1.0,
        seconds(0, 60),
        "send silence when text stalls this long after audio began; 0 never does",
        "0 for clients that must not receive silence",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """What is cached, and where."""

    cache_memory: float = option(
        64.0,
        amount(0, 100_000),
        "megabytes of the cache in memory; 0 is none",
        "raise it for more repeated phrases without a disk access; 0 on a small machine",
    )
    cache_disk: float = option(
        1000.0,
        amount(0, 100_000),
        "megabytes of the cache on disk; 0 is none",
        "raise it for many phrases; 0 to store no speech on disk",
    )
    cache_redis: str | None = option(
        None,
        redis_address(),
        "Redis whose cache several servers share",
        "set it so that several servers share what was synthesized",
    )
    cache_days: float = option(
        0.0,
        amount(0, 100_000),
        "days after which an entry expires; 0 is never",
        "set it where stored speech must be deleted after a time",
    )
    cache_live: bool = option(
        False,
        switch(),
        "cache sentences of text that is still being written, too; they rarely return",
        "switch it on where assistants often write the same sentences",
    )
    cache_exclude_voices: tuple[str, ...] = option(
        (),
        names(),
        "voices whose speech is not cached, separated by commas",
        "name voices whose speech must not be stored",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """The Qwen3-TTS engine."""

    model: tuple[str, ...] = option(
        (),
        models(),
        "Qwen3-TTS models: directories, or OWNER/NAME[@REVISION] on the Hugging Face hub, separated by "
        "commas",
        "set it to speak with Qwen3-TTS; needs a GPU or patience",
    )
    revision: str | None = option(
        None,
        words("a branch, tag or commit", "REVISION"),
        "branch, tag or commit of models on the hub that name none",
        "pin a revision so that an update of the hub changes nothing",
    )
    download_dir: Path | None = option(
        None,
        folder(),
        "directory of downloaded models; the hub's own cache if absent",
        "keep the downloads on another disk",
    )
    local_files_only: bool = option(
        False,
        switch(),
        "download nothing",
        "switch it on for a machine without internet, after the first download",
    )
    device: str = option(
        "auto",
        device(),
        "where the model runs: auto, cuda, cuda:N, mps or cpu",
        "choose one of several GPUs, or the CPU",
    )
    dtype: str = option(
        "auto",
        one_of("auto", "float32", "bfloat16", "float16"),
        "number format of the model; auto is bfloat16 where a GPU computes in it, else float32",
        "float32 to compare with the official package; float16 only for experiments",
    )
    quantize: str = option(
        "none",
        one_of("none", "int8"),
        "int8 makes the model about three times as fast on a CPU; its effect on the audio is not measured",
        "int8 on a machine without a GPU",
    )
    memory_budget: float = option(
        0.0,
        amount(0, 10_000),
        "gigabytes for all loaded models; the least recently used is unloaded first; 0 is all there is",
        "set it where other programs share the GPU, or several models do not fit together",
    )
    idle_unload: float = option(
        0.0,
        seconds(0, 604800),
        "unload models that have not spoken for so long; 0 never does",
        "set it to free the GPU between uses; the next request waits for the model",
    )
    instruct: str | None = option(
        None,
        words("a sentence", "TEXT"),
        "how the model's voices speak, in words; the 0.6B CustomVoice model ignores it",
        "set it to give all voices one manner, such as calm",
    )
    max_batch_size: int = option(
        8,
        whole(1, 64),
        "utterances that the model speaks at a time",
        "raise it for more simultaneous speech; lower it where GPU memory is short",
    )
    max_seq_len: int = option(
        2048,
        whole(256, 8192),
        "longest utterance: tokens and frames (12.5 a second) together",
        "raise it where long sentences are cut; lower it to save GPU memory",
    )
    frames_per_token: float = option(
        12.0,
        amount(1, 1000),
        "longest audio of an utterance: 4 s and so many frames (80 ms) for each token of its text",
        "raise it where slow speech is cut; lower it to end runaway speech earlier",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """Engines on other machines."""

    remote_uri: tuple[str, ...] = option(
        (),
        remotes(),
        "other servers that speak: tcp://HOST:PORT or unix:///PATH of a Wyoming server, http://HOST:PORT of "
        "vllm-omni; several separated by spaces",
        "set it to use a server on a machine with a GPU, or several",
    )
    remote_key: str | None = option(
        None,
        replace(words("a key", "KEY"), schema="password", secret=True),
        "API key of HTTP servers",
        "set it where an HTTP server asks for a key",
    )
    remote_announce: bool = option(
        False,
        switch(),
        "as a Home Assistant app, announce the first tcp:// address of these servers instead of the app's "
        "own",
        "switch it on to connect Home Assistant directly to the other server",
    )
    remote_max_concurrent_requests: int = option(
        16,
        whole(1, 10_000),
        "utterances that all these servers together speak at a time",
        "raise it to what the servers speak together; lower it to queue here",
    )
    remote_connect_timeout: float = option(
        2.0,
        seconds(0.05, 60),
        "longest wait for a server to answer",
        "raise it for a slow network; lower it to change to the next server earlier",
    )
    remote_first_timeout: float = option(
        10.0,
        seconds(0.1, 600),
        "longest wait for a server's first audio; then the next is tried",
        "raise it for slow servers; lower it to change to the next server earlier",
    )
    remote_gap_timeout: float = option(
        5.0,
        seconds(0.1, 600),
        "longest wait for a server's next audio",
        "raise it for a network with long pauses",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Bounds on requests, connections and waits."""

    max_text: int = option(
        100_000,
        whole(1, 10_000_000),
        "characters in one request",
        "raise it to send whole books; lower it to refuse them",
    )
    max_queue: int = option(
        1000,
        whole(1, 100_000),
        "utterances that wait for an engine; more are refused",
        "lower it to refuse early instead of queueing",
    )
    max_concurrent_requests: int = option(
        1000,
        whole(1, 100_000),
        "requests answered at a time; more are refused as busy",
        "lower it to protect a small machine",
    )
    max_concurrent_requests_per_client: int = option(
        256,
        whole(1, 100_000),
        "requests answered at a time for one client, an address or an API key",
        "lower it so that one client cannot take all places",
    )
    max_requests: int = option(
        8,
        whole(1, 10_000),
        "requests that wait on one connection or WebSocket",
        "raise it for clients that send many requests ahead",
    )
    max_connections: int = option(
        1000,
        whole(1, 1_000_000),
        "connections at a time, for Wyoming and HTTP each; the longest idle Wyoming connection makes room",
        "raise it for a large installation; lower it to save file descriptors",
    )
    max_event_bytes: int = option(
        1 << 20,
        whole(1024, 1 << 30),
        "bytes in one event",
        "raise it where a client sends its text in one large event",
    )
    first_audio_timeout: float = option(
        120.0,
        seconds(0, 86400),
        "longest time from a request's text to its first audio; 0 is no limit",
        "lower it where late speech is useless",
    )
    engine_timeout: float = option(
        60.0, seconds(0.1, 3600), "longest wait for an engine's next audio", "raise it for a slow CPU"
    )
    stall_timeout: float = option(
        10.0,
        seconds(0.1, 3600),
        "time without progress after which an engine counts as hung",
        "raise it where a slow machine is mistaken for a hung one",
    )
    exit_when_hung_for: float = option(
        60.0,
        seconds(0, 86400),
        "time an engine may hang until the service exits with status 75, to be restarted; 0 never does",
        "0 where nothing restarts the service",
    )
    idle_timeout: float = option(
        600.0,
        seconds(0.1, 86400),
        "longest silence of a client whose next event is due",
        "lower it to close abandoned connections earlier",
    )
    text_timeout: float = option(
        120.0,
        seconds(0.1, 86400),
        "longest pause in a text that is still being written, before the request fails",
        "raise it for a writer that pauses long",
    )
    event_timeout: float = option(
        30.0,
        seconds(0.1, 3600),
        "longest time from the first to the last byte of an event",
        "raise it for a very slow network",
    )
    send_timeout: float = option(
        120.0,
        seconds(0.1, 86400),
        "longest time a client may read nothing",
        "lower it to drop stuck clients earlier; raise it for clients that pause playback",
    )
    stop_timeout: float = option(
        8.0,
        seconds(0, 3600),
        "time for running requests to finish at shutdown",
        "raise it to let long replies finish; the service manager has to wait as long",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Logging."""

    log_format: str = option(
        "text", one_of("text", "json"), "format of log lines", "json for a log collector"
    )
    debug: bool = option(False, switch(), "log debug messages", "switch it on to look for a fault")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All options, in their groups."""

    server: ServerSettings = field(default_factory=ServerSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    voices: VoiceSettings = field(default_factory=VoiceSettings)
    text: TextSettings = field(default_factory=TextSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    remote: RemoteSettings = field(default_factory=RemoteSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    logging: LogSettings = field(default_factory=LogSettings)
    notes: tuple[str, ...] = field(default=(), repr=False)
    """Warnings about what was read, for the log."""

    @classmethod
    def of(cls, notes: tuple[str, ...] = (), **values: Any) -> Settings:
        """Return the settings with these options' values, whatever their group; the others are defaults.

        Raises TypeError for a name that is no option.
        """
        return cls(notes=notes).changed(**values)

    def changed(self, **values: Any) -> Settings:
        """Return a copy with these options' values. Raises TypeError for a name that is no option."""
        groups: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            if name not in GROUP_OF:
                raise TypeError(f"there is no option {name!r}")
            groups.setdefault(GROUP_OF[name], {})[name] = value
        return replace(self, **{name: replace(getattr(self, name), **new) for name, new in groups.items()})


GROUPS: dict[str, type[Any]] = {
    "server": ServerSettings,
    "http": HttpSettings,
    "voices": VoiceSettings,
    "text": TextSettings,
    "audio": AudioSettings,
    "cache": CacheSettings,
    "model": ModelSettings,
    "remote": RemoteSettings,
    "limits": LimitSettings,
    "logging": LogSettings,
}
OPTIONS: dict[str, Field[Any]] = {each.name: each for group in GROUPS.values() for each in fields(group)}
GROUP_OF: dict[str, str] = {each.name: name for name, group in GROUPS.items() for each in fields(group)}
