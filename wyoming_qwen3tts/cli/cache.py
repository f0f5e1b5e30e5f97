"""``cache``: statistics, deletion, export and verification of the cache on disk and in Redis.

Servers that use the cache may keep running.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import dataclasses
import json
import re
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..cache.entry import CacheCounts, Tier, TierError
from ..cache.sqlite import FILE_NAME, DiskTier
from ..cache.tiers import MEGABYTE, tiers_for
from ..client import ReceivedAudio
from ..config.settings import Settings
from ..config.sources import Parser, load_options
from ..progress import Status, clear_line
from ..speech import BYTES_PER_SECOND, CHANNELS, SAMPLE_RATE, SAMPLE_WIDTH
from ..voices.names import name_key
from . import playback

CACHE_OPTIONS = ("data_dir", "cache_disk", "cache_redis", "cache_days")
"""The server's options that locate the cache."""
TIER_ORDER = ("memory", "disk", "redis")
INDEX = "index.csv"
MAX_NAME_LENGTH = 40
"""Characters of a text that its file's name contains."""


def add_arguments(parser: Parser) -> None:
    """Add the subcommands and their options."""
    commands = parser.add_subparsers(
        title="subcommands", dest="subcommand", required=True, metavar="SUBCOMMAND", prog=parser.prog
    )
    stats = commands.add_parser("stats", help="show size and hit rates (the default)")
    stats.add_argument("--json", action="store_true", help="print JSON")
    clear = commands.add_parser("clear", help="delete all entries, pinned or not")
    export = commands.add_parser("export", help="write all entries as WAV files, with a CSV list of them")
    export.add_argument("directory", type=Path, metavar="DIR")
    for some in (clear, export):
        some.add_argument("--voice", metavar="NAME", help="only entries of this voice")
    verify = commands.add_parser(
        "verify", help="read all entries and delete damaged ones; exit status 1 if there were any"
    )
    for command in (stats, clear, export, verify):
        command.add_settings(CACHE_OPTIONS)


async def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return its exit status. Raises SettingsError, OSError."""
    options.settings = load_options(options)
    tiers = tiers_for(options.settings, unused_disk=True)
    try:
        return await SUBCOMMANDS[options.subcommand](options, tiers)
    except TierError as error:
        raise OSError(f"the cache: {error}") from error
    finally:
        for tier in tiers:
            await tier.close()


async def _stats(options: argparse.Namespace, tiers: Sequence[Tier]) -> int:
    """Print the content and the counts of each tier."""
    found = {}
    for tier in tiers:
        stock, totals = await tier.contents(), await tier.total_counts()
        found[tier.name] = {
            **dataclasses.asdict(stock),
            "voices": {name: {"entries": n, "bytes": size} for name, (n, size) in stock.voices.items()},
            "counted": {name: dataclasses.asdict(counts) for name, counts in totals.items()},
        }
        if options.json:
            continue
        print(
            f"{tier.name}, {_where(tier, options.settings)}: {_sentences(stock.entries)}, "
            f"{_megabytes(stock.bytes)}; {stock.pinned:,} pinned, {_megabytes(stock.pinned_bytes)}"
        )
        width = max(map(len, stock.voices), default=0)
        for name, (number, size) in stock.voices.items():
            print(f"  {name:{width}}  {number:8,}  {_megabytes(size):>10}")
        if totals:
            print(f"  counted by all servers that share this {tier.name}:")
            print(_table(totals))
    if options.json:
        print(json.dumps(found, indent=2))
    return 0


async def _clear(options: argparse.Namespace, tiers: Sequence[Tier]) -> int:
    """Delete all entries, or those of a voice."""
    for tier in reversed(tiers):  # the lowest first: servers copy entries they find there to those above
        if options.voice is None:
            dropped = await tier.forget()
        else:
            names = [
                name for name in (await tier.contents()).voices if name_key(name) == name_key(options.voice)
            ]
            dropped = sum([await tier.forget(name) for name in names])
            if not names:
                print(f"{tier.name}: no entries of the voice {options.voice!r}")
                continue
        print(f"{tier.name}: {_sentences(dropped)} deleted")
    return 0


async def _export(options: argparse.Namespace, tiers: Sequence[Tier]) -> int:
    """Write all entries as WAV files, and a CSV list of them. Files are named when they are complete."""
    directory: Path = options.directory
    directory.mkdir(parents=True, exist_ok=True)
    rows: dict[bytes, tuple[str, str, str, float, int]] = {}
    damaged = 0
    with Status() as status:
        for tier in tiers:
            async with aclosing(tier.entries()) as entries:
                async for each, entry in entries:
                    damaged += entry is None
                    if entry is None or each in rows:
                        continue
                    if options.voice is not None and name_key(entry.voice) != name_key(options.voice):
                        continue
                    path = directory / _file_name(each, entry.text)
                    await asyncio.to_thread(_write_wav, path, entry.pcm)
                    seconds = round(len(entry.pcm) / BYTES_PER_SECOND, 2)
                    rows[each] = (path.name, entry.text, entry.voice, seconds, int(entry.pinned))
                    status.show(f"{len(rows):,} sentences")
    listed = sorted(rows.values(), key=lambda row: (row[2], row[1]))
    part = directory / f".{INDEX}.part"
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "text", "voice", "seconds", "pinned"))
        writer.writerows(listed)
    part.replace(directory / INDEX)
    print(f"{_sentences(len(rows))} in {directory}, listed in {INDEX}")
    if damaged:
        print(f"{_sentences(damaged)} damaged and not exported: cache verify deletes them", file=sys.stderr)
    return 1 if damaged else 0


async def _verify(options: argparse.Namespace, tiers: Sequence[Tier]) -> int:
    """Read everything, and drop what is not what was written."""
    bad = False
    with Status() as status:
        for tier in tiers:
            number = 0
            damaged = []
            if isinstance(tier, DiskTier) and (fault := await tier.check()):
                raise OSError(
                    f"{tier.path} is damaged; the next server that opens it will rename it: {fault}"
                )
            async with aclosing(tier.entries()) as entries:
                async for each, entry in entries:
                    number += 1
                    if entry is None:
                        damaged.append(each)
                    status.show(f"{tier.name}: {number:,} sentences")
            for each in damaged:
                await tier.drop(each)
            bad = bad or bool(damaged)
            if isinstance(tier, DiskTier) and tier.counts.damaged:
                bad, result = True, f"the file was damaged and renamed to {FILE_NAME}.damaged"
            elif damaged:
                result = f"{len(damaged):,} damaged and deleted"
            else:
                result = "none damaged"
            clear_line()
            print(f"{tier.name}: {_sentences(number)}, {result}")
    return 1 if bad else 0


def _write_wav(path: Path, pcm: bytes) -> None:
    with playback.wav_file(path) as write:
        write(ReceivedAudio(pcm, SAMPLE_RATE, SAMPLE_WIDTH, CHANNELS))


def _file_name(each: bytes, text: str) -> str:
    """Return a file name: the text's first words, and the beginning of the entry's key."""
    words = re.sub(r"\W+", "-", text)[:MAX_NAME_LENGTH].strip("-")
    return f"{words or 'sound'}-{each.hex()[:8]}.wav"


def _where(tier: Tier, settings: Settings) -> str:
    """Return a tier's path and limit, or its URL without the password."""
    if isinstance(tier, DiskTier):
        return f"{tier.path}, at most {_megabytes(settings.cache.cache_disk * MEGABYTE)}"
    url = urlsplit(settings.cache.cache_redis or "")
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()


def _sentences(number: int) -> str:
    return f"{number:,} sentence{'' if number == 1 else 's'}"


def _megabytes(size: float) -> str:
    return f"{size / MEGABYTE:,.1f} MB"


def _table(totals: Mapping[str, CacheCounts]) -> str:
    """Return a table of the counts of all servers since the tier's creation."""
    head: Sequence[str] = (
        "",
        "hits",
        "misses",
        "hit rate",
        "stored",
        "evicted",
        "damaged",
        "failures",
        "saved",
    )
    rows = [head]
    for name in sorted(totals, key=TIER_ORDER.index):
        each = totals[name]
        asked = each.hits + each.misses
        rate = f"{each.hits / asked:.0%}" if asked else "-"
        numbers = (each.stored, each.evicted, each.damaged, each.failures)
        rows.append(
            (
                name,
                f"{each.hits:,}",
                f"{each.misses:,}",
                rate,
                *(f"{n:,}" for n in numbers),
                f"{each.saved:,.1f} s",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  "
        + "  ".join(f"{cell:{'<' if not column else '>'}{widths[column]}}" for column, cell in enumerate(row))
        for row in rows
    )


SUBCOMMANDS: dict[str, Callable[[argparse.Namespace, Sequence[Tier]], Coroutine[Any, Any, int]]] = {
    "stats": _stats,
    "clear": _clear,
    "export": _export,
    "verify": _verify,
}
