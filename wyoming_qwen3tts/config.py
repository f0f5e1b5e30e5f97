"""Every option, declared once.

The fields of ``Settings`` are the command line's flags, the ``WYOMING_QWEN3TTS_*`` variables, the keys of an
options file, the options of the Home Assistant app, and README's table. The command line wins over the
variables, they win over the file.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import ipaddress
import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from . import __version__
from .redis_url import FORM, check_url
from .speech import FASTEST, LANGUAGES, SLOWEST

ENGINES = ("qwen3", "remote", "builtin", "espeak")
VARIABLE_PREFIX = "WYOMING_QWEN3TTS_"
OPTIONS_FILE = "options_file"
HIDDEN = "what is given (not shown: a password may be in it)"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*")
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_CAPITALS = {"api": "API", "cors": "CORS", "uri": "URI", "redis": "Redis"}
"""Words of options' names that have capitals of their own."""


class SettingsError(Exception):
    """A value that cannot be; the message, one line, names the option, the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed URI: ``tcp://HOST:PORT``, ``unix:///PATH`` or ``stdio://``."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, uri: str) -> Address:
        """Return what ``uri`` says. Raises ValueError for anything else."""
        parts = urlsplit(uri)
        if uri == "stdio://":
            return cls("stdio")
        if parts.scheme == "unix" and not parts.netloc and parts.path:
            return cls("unix", path=parts.path)
        if parts.scheme == "tcp" and parts.hostname and not parts.path and parts.port is not None:
            return cls("tcp", host=parts.hostname, port=parts.port)
        raise ValueError(uri)

    def __str__(self) -> str:
        if self.scheme == "tcp":
            return (
                f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"
            )
        return f"{self.scheme}://{self.path}"


@dataclass(frozen=True, slots=True)
class OptionType:
    """What an option takes: how a value is read and described."""

    read: Callable[[str], Any]
    """Raises ValueError where the text is not allowed."""
    allowed: str
    schema: str
    """The type in the app's ``config.yaml``."""
    metavar: str = ""
    separator: str = ""
    """What stands between the values of an option that takes several: its flag may then be repeated."""
    secret: bool = False
    """A password may be in it: no message shows it."""


def whole(low: int, high: int) -> OptionType:
    """A whole number."""
    return OptionType(
        _between(int, low, high), f"a whole number from {low} to {high}", f"int({low},{high})", "N"
    )


def seconds(low: float, high: float) -> OptionType:
    """A time in seconds."""
    allowed = f"seconds from {low:g} to {high:g}"
    return OptionType(_between(float, low, high), allowed, f"float({low:g},{high:g})", "SECONDS")


def amount(low: float, high: float) -> OptionType:
    """A number that may have a fraction."""
    allowed = f"a number from {low:g} to {high:g}"
    return OptionType(_between(float, low, high), allowed, f"float({low:g},{high:g})", "X")


def level(low: float, high: float) -> OptionType:
    """A level in dBFS; ``off`` for none (read as None)."""
    number = _between(float, low, high)

    def read(text: str) -> float | None:
        return None if text.lower() in _FALSE - {"0"} else float(number(text))

    # The app's schema knows no negative numbers.
    return OptionType(read, f"dBFS from {low:g} to {high:g}, or off", "str", "DBFS")


def one_of(*choices: str) -> OptionType:
    """One of some words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return OptionType(read, " or ".join(choices), f"list({'|'.join(choices)})", "|".join(choices))


def switch() -> OptionType:
    """On or off."""

    def read(text: str) -> bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ValueError(text)

    return OptionType(read, "true or false", "bool")


def words(allowed: str, metavar: str) -> OptionType:
    """Any text that is not empty."""

    def read(text: str) -> str:
        if not text.strip() or not text.isprintable():
            raise ValueError(text)
        return text.strip()

    return OptionType(read, allowed, "str", metavar)


def uris() -> OptionType:
    """Addresses to listen on, with spaces between them."""

    def read(text: str) -> tuple[str, ...]:
        found = tuple(text.split())
        if not found:
            raise ValueError(text)
        for uri in found:
            Address.parse(uri)
        return found

    return OptionType(read, "tcp://HOST:PORT, unix:///PATH or stdio://", "str", "URI", " ")


def remotes() -> OptionType:
    """Addresses of servers that speak, with spaces between them."""
    allowed = "tcp://HOST:PORT, unix:///PATH, http://HOST:PORT or https://HOST:PORT"

    def read(text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(text.split()))
        if not found:
            raise ValueError(text)
        for uri in found:
            parts = urlsplit(uri)
            if parts.scheme in {"http", "https"}:
                wrong = not parts.hostname or bool(parts.query or parts.fragment)
            else:
                wrong = Address.parse(uri).scheme == "stdio"
            if wrong or parts.port == 0:
                raise ValueError(uri)
        return found

    return OptionType(read, allowed, "str", "URI", " ")


def models() -> OptionType:
    """Directories, or names on the hub with a revision or without, with commas between them."""
    allowed = "directories, or models' names on the hub, with commas between them"
    return replace(names(), allowed=allowed, metavar="MODEL")


def names() -> OptionType:
    """Names with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        found = tuple(name.strip() for name in text.split(","))
        if not all(found) or not text.isprintable():
            raise ValueError(text)
        return tuple(dict.fromkeys(found))

    return OptionType(read, "names, with commas between them", "str", "NAMES", ",")


def some_of(*choices: str) -> OptionType:
    """Some of these words, in an order, with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        found: tuple[str, ...] = names().read(text)
        if set(found) - set(choices):
            raise ValueError(text)
        return found

    return replace(names(), read=read, allowed=f"{', '.join(choices)}, in any order")


def keys() -> OptionType:
    """Secrets with commas between them."""
    return replace(
        names(), allowed="keys, with commas between them", metavar="KEYS", schema="password", secret=True
    )


def networks() -> OptionType:
    """Networks with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_network(each)) for each in names().read(text))

    return OptionType(
        read, "networks such as 192.168.1.0/24, with commas between them", "str", "NETWORKS", ","
    )


def origins() -> OptionType:
    """Origins of web pages and apps, of any scheme, with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(_origin, names().read(text))))

    allowed = "SCHEME://HOST[:PORT] of pages and apps, with commas between them, or *"
    return OptionType(read, allowed, "str", "ORIGINS", ",")


def _origin(text: str) -> str:
    """Return an origin as browsers send it (RFC 6454): lower case, no default port, no slash at its end."""
    if text == "*":
        return text
    parts = urlsplit(text.lower())
    if not parts.scheme or not parts.hostname or parts.path not in {"", "/"} or "@" in parts.netloc:
        raise ValueError(text)
    if parts.query or parts.fragment:
        raise ValueError(text)
    return f"{parts.scheme}://{parts.netloc.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ''))}"


def redis() -> OptionType:
    """Where a Redis is."""

    def read(text: str) -> str:
        check_url(text.strip())
        return text.strip()

    return OptionType(read, FORM, "str", "URL", secret=True)


def name_or_off() -> OptionType:
    """A name; ``true`` for the default one (read as ""), ``false`` for none (read as None)."""

    def read(text: str) -> str | None:
        if text.lower() in _TRUE:
            return ""
        if text.lower() in _FALSE:
            return None
        if not text.isprintable():
            raise ValueError(text)
        return text

    return OptionType(read, "a name, true or false", "str", "NAME")


def languages() -> OptionType:
    """BCP 47 tags with commas or spaces between them."""

    def read(text: str) -> tuple[str, ...]:
        found = tuple(text.replace(",", " ").split())
        if not found or not all(_TAG.fullmatch(tag) for tag in found):
            raise ValueError(text)
        return found

    return OptionType(read, "language codes with commas, such as en,de", "str", "CODES")


def language() -> OptionType:
    """A BCP 47 tag."""

    def read(text: str) -> str:
        if not _TAG.fullmatch(text.strip()):
            raise ValueError(text)
        return text.strip()

    return OptionType(read, "a language code, such as de or pt-BR", "str", "CODE")


def file() -> OptionType:
    """A file's path; it need not exist."""
    return replace(folder(), allowed="a file's path", metavar="FILE")


def folder() -> OptionType:
    """A directory's path; it need not exist."""

    def read(text: str) -> Path:
        if not text.strip() or not text.isprintable():
            raise ValueError(text)
        return Path(text.strip()).expanduser()

    return OptionType(read, "a directory's path", "str", "DIR")


def device() -> OptionType:
    """Where a model runs."""

    def read(text: str) -> str:
        kind, _, index = text.partition(":")
        if text not in {"auto", "cpu", "mps", "cuda"} and not (kind == "cuda" and index.isdecimal()):
            raise ValueError(text)
        return text

    return OptionType(read, "auto, cuda, cuda:N, mps or cpu", "str", "DEVICE")


def _between(number: Callable[[str], Any], low: float, high: float) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = number(text)
        if not low <= value <= high:  # NaN is not either
            raise ValueError(text)
        return value

    return read


def option(default: Any, kind: OptionType, help_text: str, *, app: bool = True) -> Any:
    """Declare an option. ``app``: it makes sense in the Home Assistant app."""
    return field(
        default=default, repr=not kind.secret, metadata={"kind": kind, "help": help_text, "app": app}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Times are in seconds."""

    uri: tuple[str, ...] = option(
        ("tcp://0.0.0.0:10200",), uris(), "where to listen; several with spaces between them", app=False
    )
    engine: tuple[str, ...] = option(
        ENGINES,
        some_of(*ENGINES),
        "what speaks, in the order of preference: what one cannot say, the next one says",
    )
    fallback: bool = option(True, switch(), "let the next engine speak while one cannot")
    resume: bool = option(
        True,
        switch(),
        "finish, with the same engine, a sentence that broke off; without it such a sentence is an error",
        app=False,
    )
    voice: str | None = option(
        None, words("a voice's name", "NAME"), "default voice; the first one if absent"
    )
    model: tuple[str, ...] = option(
        (),
        models(),
        "Qwen3-TTS to speak with: directories, or OWNER/NAME[@REVISION] on the Hugging Face hub, "
        "with commas between them",
    )
    revision: str | None = option(
        None,
        words("a branch, tag or commit", "REVISION"),
        "branch, tag or commit of the models on the hub that name none",
    )
    data_dir: Path | None = option(
        None,
        folder(),
        "where your own voices and styles are; ~/.local/share/wyoming-qwen3tts if absent",
        app=False,
    )
    memory_budget: float = option(
        0.0,
        amount(0, 10_000),
        "gigabytes that loaded models may take together; the least recently used leaves first; "
        "0 is what there is",
    )
    download_dir: Path | None = option(
        None, folder(), "where downloaded models are kept; the hub's own cache if absent", app=False
    )
    local_files_only: bool = option(False, switch(), "download nothing")
    device: str = option("auto", device(), "where the model runs: auto, cuda, cuda:N, mps or cpu")
    dtype: str = option(
        "auto",
        one_of("auto", "float32", "bfloat16", "float16"),
        "the model's number format; auto is bfloat16 where a GPU computes in it, else float32",
    )
    quantize: str = option(
        "none",
        one_of("none", "int8"),
        "int8 makes the model about three times as fast on a CPU; what it does to the sound is unproven",
    )
    instruct: str | None = option(
        None,
        words("a sentence", "TEXT"),
        "how the model's voices speak, in words; the 0.6B CustomVoice model does not listen",
    )
    max_batch_size: int = option(8, whole(1, 64), "utterances the model speaks at a time", app=False)
    remote_uri: tuple[str, ...] = option(
        (),
        remotes(),
        "other machines that speak: tcp://HOST:PORT or unix:///PATH of a Wyoming server, http://HOST:PORT of "
        "vllm-omni; several with spaces between them",
    )
    remote_key: str | None = option(
        None, replace(words("a key", "KEY"), schema="password", secret=True), "key for those that speak HTTP"
    )
    remote_announce: bool = option(
        False,
        switch(),
        "as a Home Assistant app, announce the first tcp:// address of these machines instead of the app's "
        "own",
    )
    remote_max_concurrent_requests: int = option(
        16, whole(1, 10_000), "utterances that other machines together are asked for at a time", app=False
    )
    remote_connect_timeout: float = option(
        2.0, seconds(0.05, 60), "longest wait for another machine to answer", app=False
    )
    remote_first_timeout: float = option(
        10.0, seconds(0.1, 600), "longest wait for its first sound; then the next one is asked", app=False
    )
    remote_gap_timeout: float = option(
        5.0, seconds(0.1, 600), "longest wait for more of its sound", app=False
    )
    max_queue: int = option(
        1000, whole(1, 100_000), "sentences that wait for an engine; more are refused", app=False
    )
    max_seq_len: int = option(
        2048, whole(256, 8192), "longest utterance: tokens and frames (12.5 a second) together", app=False
    )
    frames_per_token: float = option(
        12.0,
        amount(1, 1000),
        "longest sound of an utterance: 4 s and so many frames (80 ms) for each token of its text",
        app=False,
    )
    live_text: bool = option(
        False,
        switch(),
        "speak a sentence while it is being written, where the voice can; unproven",
        app=False,
    )
    idle_unload: float = option(
        0.0, seconds(0, 604800), "free the model's memory when nobody has spoken for so long; 0 never does"
    )
    language: str | None = option(
        None,
        language(),
        "language that text is in unless it looks otherwise; without it the voice's own",
    )
    languages: tuple[str, ...] = option(
        LANGUAGES,
        languages(),
        "languages to choose from when a text says nothing about its own",
    )
    language_detector: str = option(
        "eld",
        one_of("eld", "fasttext", "off"),
        "what tells the language of a sentence; off goes by its script alone",
    )
    normalize: str = option(
        "auto",
        one_of("auto", "off"),
        "say numbers, units, dates and signs in words; off leaves them to the voice",
    )
    lexicon: Path | None = option(
        None, file(), "a file with how to say words of your own; read again when it changes"
    )
    emoji: str = option("drop", one_of("drop", "name"), "leave emoji out, or say what they show")
    cache_memory: float = option(
        64.0, amount(0, 100_000), "megabytes of memory for what was said before; 0 keeps nothing in memory"
    )
    cache_disk: float = option(
        1000.0, amount(0, 100_000), "megabytes of disk for what was said before; 0 keeps nothing on disk"
    )
    cache_redis: str | None = option(
        None, redis(), "a Redis in which several servers share what was said before"
    )
    cache_days: float = option(
        0.0, amount(0, 100_000), "days after which what is kept is made again; 0 is never"
    )
    cache_live: bool = option(
        False, switch(), "keep sentences of a text that is still being written, too; they rarely return"
    )
    cache_exclude_voices: tuple[str, ...] = option(
        (), names(), "voices of whose speech nothing is kept, with commas between them"
    )
    first_clause: bool = option(
        True, switch(), "begin a reply with the first clause of a long sentence, before the rest is known"
    )
    speed: float = option(
        1.0, amount(SLOWEST, FASTEST), "how fast voices speak; 2 is twice their own pace, the pitch stays"
    )
    tempo: str = option(
        "sonic",
        one_of("sonic", "rubberband"),
        "how speed is changed; rubberband needs the whole sentence, pyrubberband and its command",
    )
    loudness: float | None = option(
        -20.0, level(-40, -10), "level that every voice is brought to; off leaves them as they are"
    )
    trim_silence: float | None = option(
        -50.0,
        level(-90, -20),
        "what is softer than this is silence, taken off a sentence's ends; off keeps it",
    )
    trim_padding: float = option(
        0.05, seconds(0, 1), "silence that stays at a sentence's ends, for soft sounds"
    )
    sentence_silence: float = option(0.3, seconds(0, 10), "pause between sentences, padding included")
    espeak_languages: str = option(
        "all",
        words("all, none, or language codes with commas", "CODES"),
        "languages to list eSpeak NG voices for: all, none, or codes such as de,fr",
    )
    streaming: bool = option(True, switch(), "take text while it is still being written")
    keepalive_after: float = option(
        1.0, seconds(0, 60), "send silence when text stalls this long after sound began; 0 never does"
    )
    samples_per_chunk: int = option(1024, whole(64, 65536), "samples in an audio-chunk event", app=False)
    http_port: int = option(
        0, whole(0, 65535), "port for HTTP: OpenAI's clients, the page, metrics; 0 is none", app=False
    )
    http_host: str | None = option(
        None,
        words("an address or host name", "HOST"),
        "where that port is; all of this machine's addresses where there are keys, else this machine alone",
        app=False,
    )
    http_socket: Path | None = option(
        None, file(), "a Unix socket for HTTP; whoever may open it needs no key", app=False
    )
    ingress_port: int = option(
        0, whole(0, 65535), "port for HTTP that Home Assistant's ingress alone may use; 0 is none", app=False
    )
    api_keys: tuple[str, ...] = option(
        (), keys(), "keys that clients of HTTP on other machines need, with commas between them"
    )
    api_key_file: Path | None = option(None, file(), "a file with such keys, one a line")
    rate_limit: int = option(600, whole(0, 1_000_000), "requests a minute with one key; 0 is no limit")
    cors_origins: tuple[str, ...] = option(
        (),
        origins(),
        "web pages and apps elsewhere that may ask, such as https://example.org or app://name; * is any",
    )
    max_upload: float = option(25.0, amount(0.1, 100), "megabytes of a recording that is uploaded")
    allowed_networks: tuple[str, ...] = option(
        (), networks(), "networks whose clients may use the Wyoming door; this machine always may"
    )
    zeroconf: str | None = option(
        None, name_or_off(), "announce the service on the local network, as NAME", app=False
    )
    zeroconf_host: str | None = option(
        None,
        words("an address or host name", "HOST"),
        "announce this address instead of this machine's",
        app=False,
    )
    builtin_threads: int = option(2, whole(1, 64), "CPU threads the built-in voice uses for a sentence")
    buffer_seconds: float = option(
        15.0, seconds(0.1, 3600), "sound made ahead of what a client has taken", app=False
    )
    engine_timeout: float = option(
        60.0, seconds(0.1, 3600), "longest wait for a voice's next piece of sound", app=False
    )
    stall_timeout: float = option(
        10.0, seconds(0.1, 3600), "time without a sign of life after which an engine has hung", app=False
    )
    exit_when_hung_for: float = option(
        60.0,
        seconds(0, 86400),
        "time that an engine may hang until the service ends itself with status 75, to be started again; "
        "0 never does",
    )
    first_audio_timeout: float = option(
        120.0, seconds(0, 86400), "longest time from a request's words to its first sound; 0 is no limit"
    )
    max_concurrent_requests: int = option(
        1000, whole(1, 100_000), "requests that are answered at a time; more are refused as busy", app=False
    )
    max_concurrent_requests_per_client: int = option(
        256, whole(1, 100_000), "the same of one client: an address, or a key of HTTP", app=False
    )
    max_text: int = option(100_000, whole(1, 10_000_000), "characters in one request")
    max_event_bytes: int = option(1 << 20, whole(1024, 1 << 30), "bytes in one event", app=False)
    max_requests: int = option(
        8, whole(1, 10_000), "requests that wait on one connection or WebSocket", app=False
    )
    max_connections: int = option(
        1000,
        whole(1, 1_000_000),
        "connections at a time, of either door; Wyoming's longest idle one makes room for a new one",
        app=False,
    )
    idle_timeout: float = option(
        600.0, seconds(0.1, 86400), "longest silence of a client that owes us an event"
    )
    text_timeout: float = option(
        120.0,
        seconds(0.1, 86400),
        "longest pause in a text that is still being written: who wrote it has died",
        app=False,
    )
    event_timeout: float = option(
        30.0, seconds(0.1, 3600), "longest time from the first to the last byte of an event", app=False
    )
    send_timeout: float = option(
        120.0, seconds(0.1, 86400), "longest time a client may read nothing", app=False
    )
    stop_timeout: float = option(
        8.0, seconds(0, 3600), "time for running requests to finish at stop", app=False
    )
    log_format: str = option("text", one_of("text", "json"), "how log lines look")
    debug: bool = option(False, switch(), "log everything")

    notes: tuple[str, ...] = field(default=(), repr=False)
    """Remarks on what was read, for the log."""

    @property
    def data(self) -> Path:
        """The data directory: ``data_dir``, or where the XDG base directories say a user's data is."""
        if self.data_dir is not None:
            return self.data_dir
        users = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")  # noqa: PTH111 - never raises
        return Path(users) / "wyoming-qwen3tts"

    @classmethod
    def load(cls, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> Settings:
        """Return the settings of this command line, these variables and the file they may name.

        Raises SettingsError; ``--help`` and ``--version`` print and raise SystemExit.
        """
        return cls.of(vars(parser().parse_args(arguments)), variables)

    @classmethod
    def of(cls, flags: Mapping[str, Any], variables: Mapping[str, str] | None = None) -> Settings:
        """Return the settings of these flags (as ``add_options`` reads them), these variables and their file.

        Other flags are left alone. Raises SettingsError.
        """
        variables = os.environ if variables is None else variables
        flags = {key: flags[key] for key in _ALL_KEYS if flags.get(key) is not None}
        found = dict(_variables(variables))
        notes = tuple(f"no option has the variable {_variable(key)}" for key in found if key not in _ALL_KEYS)
        in_variable = found.pop(OPTIONS_FILE, None)
        path = flags.pop(OPTIONS_FILE, in_variable)
        values: dict[str, Any] = {}
        if path:
            for key, value in _file(Path(path)).items():
                values[key] = _read(f"{path}: {key}", key, value)
        for key, text in found.items():
            if key in OPTIONS:
                values[key] = _read(_variable(key), key, text)
        for key, text in flags.items():
            values[key] = _read(f"--{key.replace('_', '-')}", key, text)
        return cls(**values, notes=notes)


OPTIONS: dict[str, dataclasses.Field[Any]] = {
    f.name: f for f in dataclasses.fields(Settings) if "kind" in f.metadata
}
_ALL_KEYS = {*OPTIONS, OPTIONS_FILE}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line: raises SettingsError."""

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError."""
        raise SettingsError(f"{message} (--help lists the options)")


def parser() -> argparse.ArgumentParser:
    """Return a parser that leaves every value as the text it was."""
    built = Parser(
        prog="wyoming-qwen3tts",
        description="Text-to-speech for Home Assistant and other Wyoming clients.",
        epilog="Commands: say, voices, prerender, cache and health (each with --help); verify, with the "
        "options here, compares the engine with the official package. "
        f"Every option is also a variable ({_variable('voice')}, …) and a key of the options file.",
        allow_abbrev=False,
    )
    add_options(built)
    built.add_argument("--version", action="version", version=__version__)
    return built


def add_options(built: argparse._ActionsContainer, only: Collection[str] | None = None) -> None:
    """Let a parser take every option, or ``only`` these, and the options file."""
    for key, declared in OPTIONS.items():
        if only is not None and key not in only:
            continue
        kind: OptionType = declared.metadata["kind"]
        flag = f"--{key.replace('_', '-')}"
        described = f"{declared.metadata['help']} (default: {shown_default(declared)})".replace("%", "%%")
        if kind.schema == "bool":
            flag = f"--no-{key.replace('_', '-')}" if declared.default else flag
            described = described if not declared.default else f"do not {declared.metadata['help']}"
            built.add_argument(
                flag, dest=key, action="store_const", const=str(not declared.default), help=described
            )
        elif kind.separator:
            built.add_argument(
                flag, action=_Joined, const=kind.separator, metavar=kind.metavar, help=described
            )
        elif kind.metavar == "NAME" and "true" in kind.allowed:
            built.add_argument(flag, nargs="?", const="true", metavar=kind.metavar, help=described)
        else:
            built.add_argument(flag, metavar=kind.metavar, help=described)
    built.add_argument(f"--{OPTIONS_FILE.replace('_', '-')}", metavar="FILE", help="a JSON file with options")


class _Joined(argparse.Action):
    """Collects a repeated flag as one text, its separator between the values."""

    def __call__(self, _: Any, namespace: argparse.Namespace, values: Any, __: Any = None) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, values if before is None else f"{before}{self.const}{values}")


def shown_default(declared: dataclasses.Field[Any]) -> str:
    """Return an option's default as a person would type it."""
    value = declared.default
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return (
        (declared.metadata["kind"].separator or " ").join(value)
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def markdown_table() -> str:
    """Return README's table of options."""
    rows = ["| option | variable | default | |", "|---|---|---|---|"]
    for key, declared in OPTIONS.items():
        kind: OptionType = declared.metadata["kind"]
        flag = f"--{key.replace('_', '-')}"
        if kind.schema == "bool":
            flag = f"--no-{key.replace('_', '-')}" if declared.default else flag
        elif "true" in kind.allowed:
            flag = f"{flag} [{kind.metavar}]"
        else:
            flag = f"{flag} {kind.metavar}"
        flag = flag.replace("|", "\\|")
        rows.append(
            f"| `{flag}` | `{_variable(key)}` | {shown_default(declared)} | {declared.metadata['help']} |"
        )
    return "\n".join(rows) + "\n"


def app_schema() -> dict[str, str]:
    """Return the ``schema`` of the Home Assistant app: every option that makes sense there, all optional."""
    return {key: f"{f.metadata['kind'].schema}?" for key, f in OPTIONS.items() if f.metadata["app"]}


def app_texts() -> dict[str, dict[str, str]]:
    """Return the English name and description of each of these options, as the app's form shows them."""
    texts = {}
    for key, declared in OPTIONS.items():
        if declared.metadata["app"]:
            kind: OptionType = declared.metadata["kind"]
            described = f"{declared.metadata['help']}."
            if kind.metavar in {"N", "X", "SECONDS", "DBFS"}:
                described += f" Allowed: {kind.allowed}."
            if declared.default not in {None, ()}:
                described += f" Default: {shown_default(declared)}."
            name = " ".join(_CAPITALS.get(word, word) for word in key.split("_"))
            texts[key] = {"name": _sentence(name), "description": _sentence(described)}
    return texts


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _variable(key: str) -> str:
    return VARIABLE_PREFIX + key.upper()


def _variables(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in variables.items():
        if name.startswith(VARIABLE_PREFIX) and value.strip():  # an empty one is not set, as in compose files
            yield name.removeprefix(VARIABLE_PREFIX).lower(), value


def _file(path: Path) -> dict[str, Any]:
    try:
        options = json.loads(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"options file {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"options file {path} is not JSON: {error}") from error
    if not isinstance(options, dict):
        raise SettingsError(f"options file {path}: an object of options was expected")
    for key in options:
        if key not in OPTIONS:
            near = difflib.get_close_matches(str(key), OPTIONS, 1)
            hint = f"; is {near[0]!r} meant?" if near else ""
            raise SettingsError(f"options file {path}: there is no option {key!r}{hint}")
    # An option left empty in a form is one that was not set.
    return {key: value for key, value in options.items() if value is not None and value != ""}


def _read(origin: str, key: str, value: Any) -> Any:
    """Return ``value`` (text, or what JSON had) as the option ``key`` takes it."""
    kind: OptionType = OPTIONS[key].metadata["kind"]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = (kind.separator or " ").join(value)
    elif isinstance(value, bool | int | float | str):
        text = str(value)
    else:
        shown = HIDDEN if kind.secret else json.dumps(value)
        raise SettingsError(f"{origin}: {shown} is not allowed; allowed: {kind.allowed}")
    try:
        return kind.read(text)
    except ValueError:
        shown = HIDDEN if kind.secret else repr(text)
        raise SettingsError(f"{origin}: {shown} is not allowed; allowed: {kind.allowed}") from None
