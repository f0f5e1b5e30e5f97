"""Voice design: a VoiceDesign checkpoint speaks a text as described, and a Base checkpoint clones that voice.

A description gives another voice with every random seed; the clone of one recording stays the same.
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
from .details import SEEDS, check_details, default_seed
from .recording_error import InvalidRecordingError
from .store import CustomVoiceStore

ATTEMPTS = 20
"""Random seeds that are tried. A trained model fails to end about 0.5 % of its utterances; with an unusual
description its audio may be much too short or too long."""

SAMPLE_TEXTS = {
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
"""Language → text of the recording of a designed voice: 7 to 12 s, a statement, a pause and a question."""


def check_design(
    store: CustomVoiceStore,
    name: str,
    description: str,
    *,
    language: str = "en",
    text: str = "",
    seed: int | None = None,
) -> str:
    """Return the text that ``create_designed_voice`` would use. Raises its errors that need no generation."""
    store.check_free(name)
    given = {"description": description, "language": language, "seed": 0 if seed is None else seed}
    if not check_details(given).description:
        raise SpeechError('the description is empty: try "a warm, slow grandmother"', "bad-voice")
    text = text or SAMPLE_TEXTS.get(base_language(language), "")
    if not text:
        raise SpeechError(f"there is no sample text in {language}: give one with --text", "no-text")
    store.check_writable()
    return text


async def create_designed_voice(
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
    """Add a voice with this description to the store and return it.

    ``language``: BCP 47, of ``text``; an empty text is one of SAMPLE_TEXTS. Raises the errors of
    ``check_design`` before any work, those of the engine, and InvalidRecordingError if no attempt gave a
    usable recording.
    """
    text = check_design(store, name, description, language=language, text=text, seed=seed)
    try:
        return await _design(engine, store, name, description, language, text, seed, progress)
    finally:
        engine.end_design()


async def _design(
    engine: Engine,
    store: CustomVoiceStore,
    name: str,
    description: str,
    language: str,
    text: str,
    seed: int | None,
    progress: Callable[[str], object],
) -> CustomVoice:
    """Try one random seed after the other, until one gives a usable recording."""
    first = default_seed(name) if seed is None else seed
    reason: Exception | None = None
    for attempt in range(ATTEMPTS):
        attempt_seed = (first + attempt) % SEEDS
        progress("designing" if not attempt else f"designing, attempt {attempt + 1}, because {reason}")
        try:
            with tempfile.TemporaryDirectory(prefix="design-") as directory:
                path = Path(directory) / f"{name}.wav"
                await _record(engine.design(description, text, language, attempt_seed), path, progress)
                return store.add(
                    name,
                    path,
                    transcript=text,
                    language=language,
                    description=description,
                    seed=attempt_seed,
                    designed=description,
                    progress=progress,
                )
        except (UnsupportedTextError, TruncatedAudioError, InvalidRecordingError) as error:
            reason = error
    raise InvalidRecordingError(
        f"none of {ATTEMPTS} attempts gave a usable recording, the last one: {reason}"
    )


async def _record(audio: AsyncGenerator[bytes, None], path: Path, progress: Callable[[str], object]) -> None:
    """Write PCM to a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setparams((CHANNELS, SAMPLE_WIDTH, SAMPLE_RATE, 0, "NONE", ""))
        seconds = 0.0
        async with aclosing(audio):
            async for chunk in audio:
                file.writeframes(chunk)
                seconds += len(chunk) / BYTES_PER_SECOND
                progress(f"designing: {seconds:.1f} s of audio")
