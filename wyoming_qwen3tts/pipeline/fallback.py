"""Which voice of another engine replaces one that cannot speak."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..engines.pool import EnginePool
from ..speech import Caching, SpeechError, Utterance
from ..telemetry import quote
from ..voices.registry import Voices
from .plan import Planner
from .reply import Reply

_LOGGER = logging.getLogger(__name__)


class Fallback:
    """Chooses replacements."""

    def __init__(self, voices: Voices, pool: EnginePool, planner: Planner) -> None:
        self._voices = voices
        self._pool = pool
        self._planner = planner

    def replace(
        self,
        utterance: Utterance,
        language: str,
        reply: Reply,
        failed: Sequence[str],
        error: SpeechError | None = None,
    ) -> Utterance | None:
        """Return the utterance for another engine's voice; None where none may speak it.

        ``language``: of the text, BCP 47. ``failed``: engines that cannot speak it. ``error``: why not, None
        where they are down. A pinned utterance is its own voice's to speak; so is the rest of a sentence
        whose beginning was heard.
        """
        is_bound = reply.plan.caching == Caching.PIN or not reply.plan.allows_fallback
        if is_bound or reply.sentence_voice is not None:
            return None
        voice = self._voices.catalog.fallback(
            utterance.voice, language, utterance.text, self._pool.fallbacks(failed)
        )
        if voice is None:
            return None
        reply.outcome.record_engine_fallback()
        level = logging.DEBUG if error is None else logging.INFO
        reason = error or "the engine is down"
        facts = quote(voice.name), quote(utterance.voice.name), quote(reason)
        _LOGGER.log(level, "fallback: another voice speaks voice=%s requested=%s reason=%s", *facts)
        return self._planner.with_voice(voice, utterance, language)
