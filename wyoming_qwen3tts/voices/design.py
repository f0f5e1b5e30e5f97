"""Voices from a description: a VoiceDesign checkpoint speaks once, and a Base checkpoint clones what it said.

What a description sounds like is up to chance, every time anew; a clone of it stays the same for ever.
"""

from __future__ import annotations

import tempfile
import wave
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

from ..engines.base import Engine, TruncatedAudioError, UnsupportedTextError
from ..speech import (
    BYTES_PER_SECOND,
    CHANNELS,
    SAMPLE_RATE,
    SAMPLE_WIDTH,
    CustomVoice,
    SpeechError,
    base_language,
)
from .recording import InvalidRecordingError
from .store import SEEDS, CustomVoiceStore, check_details, seed_of

ATTEMPTS = 20
"""Seeds tried before giving up. A trained model loses itself in some 0.5 % of what it says; of an odd
description it may make something that is much too short or too long."""

TEXTS = {
    "en": "Good evening, and welcome home. The kitchen light is still on, and the washing machine "
    "has just finished its work. Shall I read you what is new today?",
    "de": "Guten Abend und willkommen zu Hause. In der Küche brennt noch Licht, und die "
    "Waschmaschine ist gerade fertig geworden. Soll ich vorlesen, was es heute Neues gibt?",
    "fr": "Bonsoir et bienvenue à la maison. La lumière de la cuisine est encore allumée, et la "
    "machine à laver vient de finir. Voulez-vous que je vous lise les nouvelles du jour ?",
    "es": "Buenas noches y bienvenidos a casa. La luz de la cocina sigue encendida, y la lavadora "
    "acaba de terminar. ¿Quieren que les lea lo que hay de nuevo hoy?",
    "pt": "Boa noite e bem-vindos a casa. A luz da cozinha ainda está acesa, e a máquina de lavar "
    "acabou agora. Querem que eu leia o que há de novo hoje?",
    "it": "Buonasera e bentornati a casa. La luce della cucina è ancora accesa, e la lavatrice ha "
    "appena finito. Volete che vi legga le novità di oggi?",
    "ru": "Добрый вечер, с возвращением домой. На кухне ещё горит свет, а стиральная машина только "
    "что закончила работу. Прочитать вам, что сегодня нового?",
    "zh": "晚上好，欢迎回家。厨房的灯还亮着，洗衣机刚刚洗完了衣服。要不要我给你们读一读今天的新消息？",
    "ja": "こんばんは、おかえりなさい。台所の明かりがまだついていて、洗濯機もちょうど終わったところで"
    "す。今日のニュースを読みましょうか。",
    "ko": "안녕하세요, 잘 다녀오셨어요? 부엌 불이 아직 켜져 있고, 세탁기는 방금 다 돌아갔어요. 오늘 "
    "새로운 소식을 읽어 드릴까요?",
}
"""What a designed voice says for its reference: 7 to 12 s, a statement, a pause and a question."""


def check(
    store: CustomVoiceStore,
    name: str,
    description: str,
    *,
    language: str = "en",
    text: str = "",
    seed: int | None = None,
) -> str:
    """Return the text that ``design`` lets the voice read; raise what it would raise after a lot of work."""
    store.check_free(name)
    given = {"description": description, "language": language, "seed": 0 if seed is None else seed}
    if not check_details(given).description:
        raise SpeechError('the description says nothing: try "a warm, slow grandmother"', "bad-voice")
    text = text or TEXTS.get(base_language(language), "")
    if not text:
        raise SpeechError(f"there is no text to read in {language}: give one with --text", "no-text")
    store.check_writable()
    return text


async def design(
    engine: Engine,
    store: CustomVoiceStore,
    name: str,
    description: str,
    *,
    language: str = "en",
    text: str = "",
    seed: int | None = None,
    progress: Callable[[str], object] = lambda step: None,
) -> CustomVoice:
    """Make a voice of ``description`` and return it.

    ``language``: BCP 47, of ``text``, which is one of TEXTS if empty. Raises what ``check`` raises before any
    work, what the engine raises, and InvalidRecordingError where no attempt gave a recording that is any
    good.
    """
    text = check(store, name, description, language=language, text=text, seed=seed)
    try:
        return await _attempt(engine, store, name, description, language, text, seed, progress)
    finally:
        engine.end_design()


async def _attempt(
    engine: Engine,
    store: CustomVoiceStore,
    name: str,
    description: str,
    language: str,
    text: str,
    seed: int | None,
    progress: Callable[[str], object],
) -> CustomVoice:
    """Make a voice with one seed after the other until one is any good; the model stays loaded meanwhile."""
    first = seed_of(name) if seed is None else seed
    fault: Exception | None = None
    for attempt in range(ATTEMPTS):
        chance = (first + attempt) % SEEDS
        progress("designing" if not attempt else f"designing, attempt {attempt + 1}, because {fault}")
        try:
            with tempfile.TemporaryDirectory(prefix="design-") as place:
                path = Path(place) / f"{name}.wav"
                await _record(engine.design(description, text, language, chance), path, progress)
                return store.add(
                    name,
                    path,
                    transcript=text,
                    language=language,
                    description=description,
                    seed=chance,
                    designed=description,
                    progress=progress,
                )
        except (UnsupportedTextError, TruncatedAudioError, InvalidRecordingError) as error:
            fault = error
    raise InvalidRecordingError(f"after {ATTEMPTS} attempts there is no recording that is any good: {fault}")


async def _record(sounds: AsyncGenerator[bytes, None], path: Path, progress: Callable[[str], object]) -> None:
    """Write what is heard to a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setparams((CHANNELS, SAMPLE_WIDTH, SAMPLE_RATE, 0, "NONE", ""))
        seconds = 0.0
        async with aclosing(sounds):
            async for sound in sounds:
                file.writeframes(sound)
                seconds += len(sound) / BYTES_PER_SECOND
                progress(f"designing: {seconds:.1f} s of sound")
