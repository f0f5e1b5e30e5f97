"""Conversations by chance: several connections at once, everything a client may do, in every order.

A model knows what each connection is owed. What was once odd is kept in ``corpus``, and said again.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from wyoming.event import Event

from tests.faults import Heard, audible, deaf, hear, reset, wire
from tests.house import AS_IT_IS, HANG, NOT_KEPT, ScriptedEngine, tone, types
from wyoming_qwen3tts.app import Service
from wyoming_qwen3tts.config.settings import Settings
from wyoming_qwen3tts.speech import Utterance

CORPUS = Path(__file__).parent / "corpus"
MOST = 4
"""Connections at once."""

WORDS = (
    "Good morning.",
    "The soup is hot.",
    "Close the window now.",
    "He went home.",
    "Nobody is here.",
    "All is well with us.",
)
MANY = "Come to the table now, all of you."
FIELDS: tuple[dict[str, Any], ...] = (
    {},
    {"voice": {"name": "tone"}},
    {"voice": {"name": "Klang Zwei"}},
    {"voice": {"language": "en"}},
    {"voice": {"name": "nobody", "language": "xx"}},
    {"context": {"cache": False, "mine": 1}},
)
"""What may be said beside a text, and changes no sample of it."""
HARMLESS = {
    "audio": wire(Event("audio-start", {"rate": 16_000, "width": 2, "channels": 1})),
    "chunk": wire(Event("synthesize-chunk", {"text": "Lost."})),
    "stop": wire(Event("synthesize-stop")),
}
"""What makes no sense, is answered with an error, and ends nothing. Inside a stream the last two do make sense."""
ODD = "unexpected-event"
"""The code of what is said about them."""
IGNORED = {
    "unknown": wire(Event("run-satellite", {"name": "x"})),
    "blank": b"\r\n\n",
    "program": wire(Event("select-program", {"name": "x"})),
}
FATAL = {
    "garbage": b"GET / HTTP/1.1\r\n",
    "too large": b'{"type": "ping", "data_length": 99999999}\n',
    "no text": b'{"type": "synthesize"}\n',
    "odd text": b'{"type": "synthesize", "data": {"text": 5}}\n',
    "odd voice": b'{"type": "synthesize", "data": {"text": "a", "voice": [1]}}\n',
    "odd cache": b'{"type": "synthesize", "data": {"text": "a", "context": {"cache": "x"}}}\n',
    "NUL": b'{"type": "synthesize", "data": {"text": "a\\u0000"}}\n',
}
"""What ends a connection, after what was asked for before. Inside a stream a plain synthesize is not looked at."""


class Place:
    """A service in a thread, whose connections and tasks can be counted."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine(self._say)
        self.loop = asyncio.new_event_loop()
        self.speaking = 0
        self.faults: list[str] = []
        """What nobody has caught."""
        self.loop.set_exception_handler(lambda _, what: self.faults.append(str(what)))
        made: dict[str, Any] = {"uri": ("tcp://127.0.0.1:0",), "stop_timeout": 1.0, **AS_IT_IS, **NOT_KEPT}
        made |= {"language_detector": "off", "max_requests": 200, "max_event_bytes": 1 << 16}
        self.service = Service(Settings.of(**made), [self.engine])
        self._thread = threading.Thread(target=self.loop.run_forever)

    async def _say(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        self.speaking += 1
        try:
            sound = tone(utterance.text)
            for at in range(0, len(sound), 3000):
                yield sound[at : at + 3000]
                await asyncio.sleep(0)
        finally:
            self.speaking -= 1

    def start(self) -> str:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.service.start(), self.loop).result(HANG)
        return str(self.service.addresses[0])

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.service.stop(), self.loop).result(HANG)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(HANG)
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    async def go_on(self) -> None:
        """Wait for some hundred rounds of its loop: it has sent what the network takes, and waits."""

        async def rounds() -> None:
            for _ in range(300):
                await asyncio.sleep(0)

        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(rounds(), self.loop))

    async def left(self) -> list[str]:
        """Return the names of the tasks that serve somebody, when they have had time to end."""

        async def peers() -> list[str]:
            serving = {"peer", "reader", "speaker", "maker", "flight", "pump"}
            return [name for task in asyncio.all_tasks() if (name := task.get_name()) in serving]

        found = ["?"]
        for _ in range(200):
            found = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(peers(), self.loop))
            if not found and not self.speaking:
                break
            await asyncio.sleep(0.01)
        else:
            found.append(f"{self.speaking} voices")
        faults, self.faults = self.faults, []
        return [*found, *faults]


class Owed:
    """An answer that is owed: the sound of a request, or one event."""

    def __init__(self, kind: str, *, sound: bytes = b"", data: dict[str, Any] | None = None) -> None:
        self.kind = kind
        self.sound = sound
        self.data = data or {}


class Line:
    """A connection, what was sent on it, and what it is owed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.heard = Heard()
        self.at_once: list[Owed] = []
        """Answers that do not wait for speech, in their order."""
        self.spoken: list[Owed] = []
        """Requests, in their order."""
        self.stream: list[str] | None = None
        self.over = ""
        """Why nothing more can be sent: ``fatal``, ``left``, ``left inside``."""
        self.reading: asyncio.Task[Heard] | None = None

    def send(self, sent: bytes) -> None:
        self.writer.write(sent)

    def read(self) -> None:
        """Read from now on all that comes."""
        if self.reading is None:
            self.reading = asyncio.create_task(hear(self.reader, self.heard))

    def say(self, text: str, fields: dict[str, Any]) -> None:
        self.send(wire(Event("synthesize", {"text": text, **fields})))
        if self.stream is None:
            self.spoken.append(Owed("plain", sound=sound(text)))

    def start(self, fields: dict[str, Any]) -> None:
        self.send(wire(Event("synthesize-start", fields)))
        if self.stream is not None:
            self.fails()
        else:
            self.stream = []

    def chunk(self, text: str) -> None:
        self.send(wire(Event("synthesize-chunk", {"text": text})))
        if self.stream is None:
            self.at_once.append(Owed("error", data={"code": ODD}))
        else:
            self.stream.append(text)

    def stop(self) -> None:
        self.send(wire(Event("synthesize-stop")))
        if self.stream is None:
            self.at_once.append(Owed("error", data={"code": ODD}))
        else:
            self.spoken.append(Owed("streamed", sound=sound("".join(self.stream))))
            self.stream = None

    def fails(self) -> None:
        self.over = "fatal"
        if self.stream is not None:
            self.spoken.append(Owed("torso", sound=sound("".join(self.stream))))
            self.stream = None

    def leave(self) -> None:
        """End our side."""
        self.writer.write_eof()
        if self.stream is not None:
            self.over = "left inside"
            self.spoken.append(Owed("torso", sound=sound("".join(self.stream))))
            self.stream = None
        elif not self.over:
            self.over = "left"

    async def settle(self) -> None:
        """Take leave, hear all that is owed, and compare."""
        if not self.over:
            self.leave()
        elif self.over == "fatal":
            self.writer.write_eof()
        self.read()
        assert self.reading is not None
        await self.reading
        self.check()
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    def check(self) -> None:
        """Compare what was heard with what is owed."""
        events = list(self.heard.events)
        last = events[-1] if events else None
        if self.over == "fatal":
            assert last is not None
            assert last.type == "error", f"what ends a connection is named, not {types(events)}"
            assert last.data["code"] != "internal-error"
            events.pop()
        elif self.over == "left inside" and last is not None and last.data.get("code") not in {None, ODD}:
            events.pop()  # a word about what is missing
        speech = {"audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"}
        direct = [event for event in events if event.type not in speech]
        answers = [event for event in events if event.type in speech]
        broken = self.over == "left inside"
        assert broken or not self.heard.broken, self.heard.broken
        assert [event.type for event in direct] == [owed.kind for owed in self.at_once][
            : len(direct) if broken else None
        ]
        for event, owed in zip(direct, self.at_once, strict=not broken):
            assert owed.data.items() <= event.data.items()
        for owed in self.spoken:
            # Who leaves in the middle of a request is taken for gone, whatever was asked for before.
            if broken and "audio-stop" not in [event.type for event in answers]:
                owed.kind = "torso"
            answers = self._check_spoken(owed, answers)
            if owed.kind == "torso":
                break
        assert not answers, f"nobody asked for {types(answers)}"

    @staticmethod
    def _check_spoken(owed: Owed, answers: list[Event]) -> list[Event]:
        """Take one answer off the front of those heard; return the rest."""
        kinds = [event.type for event in answers]
        if owed.kind == "torso":
            one = Heard()
            one.events = answers
            assert not {"audio-stop", "synthesize-stopped"} & set(kinds), "a torso ends as if it were whole"
            assert owed.sound.startswith(audible(one.sound))
            return []
        assert "audio-stop" in kinds, f"an answer without an end: {types(answers)}"
        end = kinds.index("audio-stop") + 1
        one = Heard()
        one.events = answers[:end]
        assert types(one.events) == ["audio-start", "audio-chunk", "audio-stop"]
        assert audible(one.sound) == owed.sound, "another sound than what was asked for"
        if owed.kind == "streamed":
            assert kinds[end : end + 1] == ["synthesize-stopped"]
            end += 1
        return answers[end:]


def sound(text: str) -> bytes:
    """Return the sound that a text of WORDS is owed."""
    whole = b""
    while text := text.strip():
        known = next(each for each in (*WORDS, MANY) if text.startswith(each[: len(text)]))
        whole += tone(text[: len(known)])
        text = text[len(known) :]
    return whole


Step = tuple[str, int, Any]


class Talk:
    """A conversation of several connections with one service, step by step."""

    def __init__(self, place: Place, uri: str) -> None:
        self._place = place
        self._uri = uri
        self.lines: list[Line] = []
        self.steps: list[Step] = []

    async def do(self, step: Step) -> None:
        """Do what a step says, where it can be done at all."""
        self.steps.append(step)
        what, which, more = step
        if what == "connect":
            if len(self.lines) < MOST:
                self.lines.append(Line(*await deaf(self._uri)))
            return
        if which >= len(self.lines):
            return
        line = self.lines[which]
        if what == "read":
            line.read()
        elif what == "pause":
            await self._place.go_on()
        elif what == "reset":
            self.lines.remove(line)
            reset(line.writer)
            if line.reading is not None:
                await line.reading
        elif what == "settle":
            self.lines.remove(line)
            await line.settle()
        elif not line.over:
            self._say(line, what, more)

    def _say(self, line: Line, what: str, more: Any) -> None:
        if what == "describe":
            line.send(wire(Event("describe")))
            line.at_once.append(Owed("info"))
        elif what == "ping":
            line.send(wire(Event("ping", {"text": more})))
            line.at_once.append(Owed("pong", data={"text": more}))
        elif what == "say":
            line.say(" ".join(WORDS[each] for each in more[0]), FIELDS[more[1]])
        elif what == "say much":
            line.say(" ".join([MANY] * 12), {})
        elif what == "start":
            line.start(FIELDS[more])
        elif what == "chunk":
            line.chunk(f"{WORDS[more]} ")
        elif what == "stop":
            line.stop()
        elif what == "harmless":
            self._harmless(line, more)
        elif what == "ignored":
            line.send(IGNORED[more])
        elif what == "fatal":
            line.send(FATAL[more])
            if line.stream is None or more in {"garbage", "too large"}:
                line.fails()
        else:
            assert what == "leave", what
            line.leave()

    def _harmless(self, line: Line, what: str) -> None:
        if what == "chunk" and line.stream is None:
            line.chunk("Lost.")
        elif what == "stop" and line.stream is None:
            line.stop()
        else:
            line.send(HARMLESS["audio"])
            line.at_once.append(Owed("error", data={"code": ODD}))

    async def end(self) -> None:
        """Hear all that is owed; nothing is left then."""
        lines, self.lines = self.lines, []
        await asyncio.gather(*(line.settle() for line in lines))
        left = await self._place.left()
        assert not left, f"left over: {left}"

    async def drop(self) -> None:
        """End everything, whatever is owed."""
        for line in self.lines:
            reset(line.writer)
            if line.reading is not None:
                line.reading.cancel()
        await asyncio.sleep(0)


@contextmanager
def placed() -> Iterator[tuple[Place, str]]:
    place = Place()
    uri = place.start()
    try:
        yield place, uri
    finally:
        place.stop()


@pytest.fixture(scope="module")
def open_house() -> Iterator[tuple[Place, str]]:
    """A service that all conversations are with."""
    with placed() as found:
        yield found


LINES = st.integers(0, MOST - 1)
TEXTS = st.lists(st.integers(0, len(WORDS) - 1), min_size=1, max_size=4)


class Conversations(RuleBasedStateMachine):
    """Conversations by chance. What fails is written down as a step for the corpus."""

    house: tuple[Place, str]
    count = 0

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._talk = Talk(*self.house)
        self._do("connect", 0)
        self._failed = False

    def _do(self, what: str, which: int, more: Any = None) -> None:
        type(self).count += 1
        try:
            self._loop.run_until_complete(self._talk.do((what, which, more)))
        except BaseException:
            self._fail()
            raise

    def _fail(self) -> None:
        self._failed = True
        print("steps for the corpus:", json.dumps(self._talk.steps))

    @precondition(lambda self: len(self._talk.lines) < MOST)
    @rule()
    def connect(self) -> None:
        self._do("connect", 0)

    @rule(line=LINES)
    def describe(self, line: int) -> None:
        self._do("describe", line)

    @rule(line=LINES, text=st.sampled_from(["a", "ß", "long " * 50]))
    def ping(self, line: int, text: str) -> None:
        self._do("ping", line, text)

    @rule(line=LINES, text=TEXTS, fields=st.integers(0, len(FIELDS) - 1))
    def say(self, line: int, text: list[int], fields: int) -> None:
        self._do("say", line, [text, fields])

    @rule(line=LINES)
    def say_much(self, line: int) -> None:
        self._do("say much", line)

    @rule(line=LINES, fields=st.integers(0, len(FIELDS) - 1))
    def start(self, line: int, fields: int) -> None:
        self._do("start", line, fields)

    @rule(line=LINES, text=st.integers(0, len(WORDS) - 1))
    def chunk(self, line: int, text: int) -> None:
        self._do("chunk", line, text)

    @rule(line=LINES)
    def stop(self, line: int) -> None:
        self._do("stop", line)

    @rule(line=LINES, fields=st.integers(0, len(FIELDS) - 1), texts=TEXTS)
    def stream(self, line: int, fields: int, texts: list[int]) -> None:
        """A stream as Home Assistant sends it."""
        self._do("start", line, fields)
        for text in texts:
            self._do("chunk", line, text)
        self._do("say", line, [texts, fields])
        self._do("stop", line)

    @rule(line=LINES, which=st.sampled_from(sorted(HARMLESS)))
    def harmless(self, line: int, which: str) -> None:
        self._do("harmless", line, which)

    @rule(line=LINES, which=st.sampled_from(sorted(IGNORED)))
    def ignored(self, line: int, which: str) -> None:
        self._do("ignored", line, which)

    @rule(line=LINES, which=st.sampled_from(sorted(FATAL)))
    def fatal(self, line: int, which: str) -> None:
        self._do("fatal", line, which)

    @rule(line=LINES, what=st.sampled_from(["read", "read", "pause", "leave", "reset", "settle"]))
    def other(self, line: int, what: str) -> None:
        self._do(what, line)

    def teardown(self) -> None:
        try:
            if not self._failed:
                try:
                    self._loop.run_until_complete(self._talk.end())
                except BaseException:
                    self._fail()
                    raise
        finally:
            self._loop.run_until_complete(self._talk.drop())
            self._loop.close()


@pytest.mark.parametrize(
    ("examples", "steps"), [(300, 30), pytest.param(4500, 50, marks=pytest.mark.long)], ids=["some", "many"]
)
@pytest.mark.slow
def test_what_is_owed_arrives_and_nothing_else_does(
    open_house: tuple[Place, str], examples: int, steps: int
) -> None:
    class Machine(Conversations):
        house = open_house

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=examples < 1000,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Machine.count > examples, "next to nothing was said"
    print(f"{Machine.count} steps")


@pytest.mark.parametrize("name", sorted(path.stem for path in CORPUS.glob("*.json")))
def test_what_was_odd_once_is_not_odd_any_more(open_house: tuple[Place, str], name: str) -> None:
    async def again() -> None:
        talk = Talk(*open_house)
        try:
            for what, which, more in json.loads((CORPUS / f"{name}.json").read_text())["steps"]:
                await talk.do((what, which, more))
            await talk.end()
        finally:
            await talk.drop()

    asyncio.run(again())


def test_there_is_a_corpus() -> None:
    assert list(CORPUS.glob("*.json"))
