"""The page, in a real browser, before a real service: what a household sees, hears and can reach with the keyboard."""

from __future__ import annotations

import asyncio
import http.client
import http.server
import json
import re
import threading
import urllib.error
import urllib.request
import wave
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser import DESKTOP, NARROW, PHONE, Browser, browser
from tests.house import HANG, NOT_KEPT, service_in_thread, tone
from tests.recordings import RATE, save, speech
from tests.test_register import Cloner
from tests.web import free_port
from wyoming_qwen3tts.engines.base import EngineUnavailableError, LoadStep, UnsupportedTextError
from wyoming_qwen3tts.server.web import page
from wyoming_qwen3tts.speech import CustomVoice, Utterance, Voice
from wyoming_qwen3tts.voices.design import SAMPLE_TEXTS
from wyoming_qwen3tts.voices.store import CustomVoiceStore

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

VIEWS = ("speak", "compare", "voices", "activity", "cache")
INGRESS = "/api/hassio_ingress/Zq8_x-71"
STYLES = '[calm]\ninstruct = "Speak calmly."\nvoices = ["Ryan"]\n'
MARKUP = "<img src=x onerror=\"document.title='hacked'\">"
KEPT: dict[str, Any] = {"cache_memory": 8.0, "cache_disk": 8.0}
LISTEN = "Take your time."
"""A text that is not said to its end until somebody lets it."""


class Actor(Cloner):
    """An engine that clones and designs, lingers on one text, and stumbles over others."""

    supports_design = True

    def __init__(self) -> None:
        super().__init__()
        self.script = self._perform
        self.go = threading.Event()
        self.left = threading.Event()
        self.step: LoadStep | None = None

    def identity(self, voice: Voice) -> str:
        return "1"

    def load_step(self) -> LoadStep | None:
        return self.step

    def clone(self, recorded: CustomVoice) -> Voice:
        return replace(super().clone(recorded), designed=bool(recorded.designed))

    def designer(self) -> str:
        return "Tiny VoiceDesign"

    async def design(
        self, description: str, text: str, language: str, seed: int
    ) -> AsyncGenerator[bytes, None]:
        samples = np.clip(speech(3.0, 3.0) * 32767, -32768, 32767).astype("<i2").tobytes()
        yield samples[:48_000]
        yield samples[48_000:]

    def end_design(self) -> None:
        pass

    async def _perform(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        sound = tone(utterance.text)
        if "unspeakable" in utterance.text:
            raise UnsupportedTextError("nobody can say that")
        if "broken" in utterance.text:
            raise EngineUnavailableError("it is gone")
        if utterance.text != LISTEN:
            yield sound
            return
        yield sound[:7200]
        try:
            while not self.go.is_set():  # noqa: ASYNC110 - it is set in the test's thread
                await asyncio.sleep(0.01)
        finally:
            self.left.set()
        yield sound[7200:]


@dataclass
class Place:
    """A service, and where its page is."""

    url: str
    engine: Actor
    data: Path


@contextmanager
def placed(data: Path, **settings: Any) -> Iterator[Place]:
    data.mkdir(exist_ok=True)
    (data / "styles.toml").write_text(STYLES)
    engine, port = Actor(), free_port()
    with service_in_thread([engine], http_port=port, data_dir=data, **{**KEPT, **settings}):
        yield Place(f"http://127.0.0.1:{port}/", engine, data)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with placed(tmp_path_factory.mktemp("data")) as place:
        yield place


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory, downloads: Path) -> Iterator[Browser]:
    spoken = tmp_path_factory.mktemp("microphone") / "spoken.wav"
    soundfile.write(spoken, speech(2.0, 3.0, 2.5, level=-20.0), RATE, subtype="PCM_16")
    with browser(downloads, spoken) as running:
        yield running


@pytest.fixture
def tab(chromium: Browser, place: Place) -> Iterator[Browser]:
    """The page, as it is when somebody comes to it; nothing it does may be complained about."""
    place.engine.go.clear()
    place.engine.left.clear()
    chromium.open(place.url)
    chromium.reads("#health", "default voice")
    yield chromium
    assert chromium.complaints() == []


def show(tab: Browser, view: str) -> None:
    tab.find(f"nav a[href='#{view}']").click()
    tab.find(f"#{view}-view h1")


def fetched(url: str, **headers: str) -> tuple[int, Any, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=HANG) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


# -- how it is served ---------------------------------------------------------------------------------------


def test_it_is_a_few_fixed_files_that_need_nothing_from_elsewhere(place: Place) -> None:
    for path in page.paths():
        status, headers, content = fetched(place.url + path[1:])
        assert status == 200
        assert headers["Cache-Control"] == "no-cache"
        addresses = re.findall(rb"https?://[^\s\"'`]+", content)
        assert set(addresses) <= {b"http://www.w3.org/2000/svg"}, path
    kinds = {
        path: fetched(place.url + path)[1]["Content-Type"] for path in ("", "page.css", "page.js", "icon.svg")
    }
    assert kinds == {
        "": "text/html; charset=utf-8",
        "page.css": "text/css; charset=utf-8",
        "page.js": "text/javascript; charset=utf-8",
        "icon.svg": "image/svg+xml",
    }
    for path in ("page.py", "page/index.html", "..%2fpage.py", "%2e%2e/page.py", "page.js/../faults.py"):
        assert fetched(place.url + path)[0] == 404


def test_a_browser_that_has_it_is_told_so_and_sees_a_new_one_at_once(place: Place) -> None:
    _, headers, _ = fetched(place.url)
    tag = headers["ETag"]
    status, _, content = fetched(place.url, **{"If-None-Match": f'"other", W/{tag}'})
    assert (status, content) == (304, b"")
    assert fetched(place.url, **{"If-None-Match": '"other"'})[0] == 200
    _, there, _ = fetched(place.url, **{"X-Ingress-Path": INGRESS})
    assert there["ETag"] != tag
    assert there["Vary"] == "X-Ingress-Path"


@pytest.mark.parametrize("ingress", [INGRESS, INGRESS + "/", "/a"])
def test_behind_ingress_it_knows_its_base(ingress: str) -> None:
    assert (
        page.with_base("<head><title>", ingress) == f'<head>\n  <base href="{ingress.rstrip("/")}/"><title>'
    )


@pytest.mark.parametrize(
    "ingress",
    [
        "",
        "/",
        "//evil.example",
        "/a//b",
        "https://evil.example/",
        '/"><script>',
        "/ä",
        "/a b",
        "/" + "a" * 300,
    ],
)
def test_what_is_no_path_is_no_base(ingress: str) -> None:
    assert page.with_base("<head><title>", ingress) == "<head><title>"


DRAWN = """
const canvas = document.querySelector("#speak-view canvas");
const copy = new OffscreenCanvas(canvas.width, 1).getContext("2d", { willReadFrequently: true });
copy.drawImage(canvas, 0, -(canvas.height >> 1));
const pixels = copy.getImageData(0, 0, canvas.width, 1).data;
return [...Array(canvas.width).keys()].filter((x) => pixels[4 * x + 3]).length / canvas.width;
"""
"""How much of its width the waveform covers, 0 to 1."""

# -- speaking -----------------------------------------------------------------------------------------------


def test_with_the_keyboard_alone_a_text_is_typed_and_heard(tab: Browser, place: Place) -> None:
    tab.find("#speak-text")
    tab.button("Speak")
    for _ in range(20):
        tab.press(Keys.TAB)
        if tab.run("return document.activeElement.id") == "speak-text":
            break
    else:
        pytest.fail("no Tab reaches the text")
    tab.press(Keys.CONTROL, "a")
    tab.press("The soup is hot.", Keys.CONTROL, Keys.ENTER)
    said = tab.reads("#speak-view .status", "of audio")
    assert re.fullmatch(r"0\.3 s of audio; first audio after [\d,]+ ms\.", said)
    assert place.engine.said[-1] == "The soup is hot."
    assert tab.run("return document.querySelector('#speak-view .status').role") == "status"


def test_every_language_of_a_voice_has_an_example_one_click_away(tab: Browser, place: Place) -> None:
    tab.find("#examples button")
    offered = tab.run(
        "return [...document.querySelectorAll('#examples button')].map((b) => [b.lang, b.textContent])"
    )
    spoken = {language for voice in place.engine.voices() for language in voice.languages}
    assert {language for language, _ in offered} == {
        tag.split("-")[0] for tag in spoken
    } & SAMPLE_TEXTS.keys()
    assert dict(offered)["de"] == "Deutsch"
    tab.button("Deutsch").click()
    tab.reads("#speak-view .status", "of audio")
    assert tab.run("return document.querySelector('#speak-text').value") == SAMPLE_TEXTS["de"]
    assert place.engine.told[-1].language.startswith("de")


def test_sound_is_drawn_and_timed_while_it_is_made_and_kept_as_a_file(
    tab: Browser, place: Place, downloads: Path
) -> None:
    tab.write("#speak-text", LISTEN)
    tab.button("Speak").click()
    tab.reads("#speak-view dl", "First audio")
    drawn = tab.until(lambda: tab.run(DRAWN), "a waveform")
    assert not tab.driver.find_element(By.CSS_SELECTOR, "#speak-view a[download]").is_displayed()
    place.engine.go.set()
    tab.reads("#speak-view .status", "of audio")
    assert tab.until(lambda: (now := tab.run(DRAWN)) > drawn and now, "more of the waveform") > drawn
    facts = tab.read("#speak-view dl")
    assert re.search(r"First audio[\d,]+ ms [\d,]+ ms in the serviceAudio0\.3 sCachenot cached", facts)
    tab.button("Download WAV").click()
    file = tab.until(lambda: next(downloads.glob("*.wav"), None), "the file")
    with wave.open(str(file)) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (24_000, 1)
        assert sound.readframes(sound.getnframes()) == tone(LISTEN)


def test_stop_ends_the_work_and_what_came_is_not_offered_as_whole(tab: Browser, place: Place) -> None:
    tab.write("#speak-text", LISTEN)
    tab.choose("#speak-voice", "Vivian")
    tab.button("Speak").click()
    tab.reads("#speak-view .status", "First audio after")
    tab.find("#speak-view form [name=stop]").click()
    tab.reads("#speak-view .status", "Stopped.")
    assert place.engine.left.wait(HANG)
    assert "stopped" in tab.read("#speak-view dl")
    assert not tab.driver.find_elements(By.CSS_SELECTOR, "#speak-view a[href^=blob]")


def test_a_second_text_takes_the_place_of_the_first(tab: Browser, place: Place) -> None:
    tab.write("#speak-text", LISTEN)
    tab.choose("#speak-voice", "Ryan")
    tab.choose("#speak-style", "calm")  # nobody has said it so before: it is made, and that takes its time
    tab.button("Speak").click()
    tab.reads("#speak-view .status", "First audio after")
    tab.write("#speak-text", "Never mind.")
    tab.button("Speak").click()
    assert place.engine.left.wait(HANG)
    tab.until(lambda: not tab.find("#speak-view form [name=stop]").is_enabled(), "the end")
    assert "0.2 s of audio" in tab.read("#speak-view .status")
    assert place.engine.said[-1] == "Never mind."


def test_a_reply_that_breaks_off_is_said_to_be_broken_off(tab: Browser) -> None:
    tab.write("#speak-text", "The first is fine. The second is broken.")
    tab.button("Speak").click()
    assert "it ended after" in tab.reads("#speak-view .status", "The audio is incomplete")
    assert not tab.driver.find_elements(By.CSS_SELECTOR, "#speak-view a[href^=blob]")


def test_what_the_service_refuses_is_told_in_its_words(tab: Browser) -> None:
    tab.write("#speak-text", "This is unspeakable.")
    tab.button("Speak").click()
    tab.reads("#speak-view .status", "nobody can say that")


def test_style_and_instructions_are_offered_where_the_voice_has_them_and_reach_it(
    tab: Browser, place: Place
) -> None:
    tab.choose("#speak-voice", "Vivian")
    assert str(tab.find("#speak-text").get_property("value")).startswith("晚上好")
    assert not tab.driver.find_element(By.ID, "speak-style").is_displayed()
    tab.choose("#speak-voice", "Ryan")
    tab.choose("#speak-style", "calm")
    tab.choose("#speak-language", "de-DE")
    tab.write("#speak-instructions", "As a secret.")
    tab.write("#speak-text", "Das Essen ist fertig.")
    tab.button("Speak").click()
    tab.reads("#speak-view .status", "of audio")
    told = place.engine.told[-1]
    assert told.voice.style is not None
    assert (told.voice.style.name, told.voice.style.instruct) == ("calm", "As a secret.")
    assert (told.voice.speaker, told.language) == ("Ryan", "de-DE")


def test_pieces_cut_anywhere_are_played_without_a_gap_to_the_last_sample(tab: Browser) -> None:
    heard = tab.run(
        """
        const { Player, SampleBuffer, RATE } = await import("./audio.js");
        const samples = Int16Array.from({ length: 9001 }, (_, i) => 20000 * Math.sin(i / 7));
        const bytes = new Uint8Array(samples.buffer);
        const context = new OfflineAudioContext(1, 3 * samples.length, RATE);
        const player = new Player(context);
        const sound = new SampleBuffer();
        for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7) % 1013 + 1)
          player.push(sound.push(bytes.slice(at, at + size)));
        const finished = player.end();
        const played = (await context.startRendering()).getChannelData(0);
        await finished;
        const begin = played.findIndex((value) => Math.abs(value) > 1e-4) - 1;
        const off = samples.reduce((most, sample, i) => Math.max(most, Math.abs(sample / 32768 - played[begin + i])), 0);
        const after = played.slice(begin + samples.length).some((value) => value !== 0);
        const file = new Uint8Array(await sound.wav().arrayBuffer());
        return [off, after, sound.length, player.position, bytes.every((byte, i) => byte === file[44 + i])];
        """
    )
    off, after, length, position, same = heard
    assert off < 1 / 32768
    assert (after, length, same) == (False, 9001, True)
    assert position == pytest.approx(9001 / 24_000)


def test_where_sound_runs_dry_it_fades_and_goes_on_without_a_click(tab: Browser) -> None:
    steepest, heard, silent = tab.run(
        """
        const { Player, RATE } = await import("./audio.js");
        const wave = Int16Array.from({ length: 3 * 4810 }, (_, i) => 16000 * Math.cos(i / 40));
        const context = new OfflineAudioContext(1, 2 * RATE, RATE);
        const player = new Player(context);
        player.push(wave.slice(0, 4810));
        const late = context.suspend(0.5).then(() => {
          player.push(wave.slice(4810, 9620));
          player.push(wave.slice(9620));
          player.end();
          return context.resume();
        });
        const played = (await context.startRendering()).getChannelData(0);
        await late;
        const begin = played.findIndex((value) => value !== 0);
        const inside = played.slice(begin + 1, played.findLastIndex((value) => value !== 0));
        const steepest = inside.reduce((most, value, i) => Math.max(most, i ? Math.abs(value - inside[i - 1]) : 0), 0);
        return [steepest, played.filter((value) => Math.abs(value) > 0.001).length, inside.filter((value) => value === 0).length];
        """
    )
    assert steepest < 0.03
    assert heard > 3 * 4810 * 0.95
    assert silent > 0.3 * 24_000


# -- comparing ----------------------------------------------------------------------------------------------


def test_two_voices_say_the_same_one_after_the_other(tab: Browser, place: Place) -> None:
    show(tab, "compare")
    tab.choose("#compare-a", "Vivian")
    tab.choose("#compare-b", "Ryan")
    tab.write("#compare-text", "Which of us is it?")
    before = len(place.engine.told)
    tab.button("Play both").click()
    assert re.match(
        r"First audio after [\d,]+ ms and after [\d,]+ ms\.",
        tab.reads("#compare-view .status", "First audio"),
    )
    assert [each.voice.name for each in place.engine.told[before:]] == ["Vivian", "Ryan"]
    figures = tab.driver.find_elements(By.CSS_SELECTOR, "#compare-view figure")
    assert ["First audio" in figure.text for figure in figures] == [True, True]
    assert [figure.find_element(By.TAG_NAME, "figcaption").text for figure in figures] == ["Vivian", "Ryan"]


def test_blind_nobody_is_named_until_it_is_asked_for(tab: Browser) -> None:
    show(tab, "compare")
    tab.choose("#compare-b", "Vivian")
    tab.write("#compare-text", "Guess who.")
    tab.find("#compare-view [name=blind]").click()
    tab.button("Play both").click()
    tab.reads("#compare-view .status", "First audio")
    captions = [each.text for each in tab.driver.find_elements(By.CSS_SELECTOR, "#compare-view figcaption")]
    assert captions == ["Voice 1", "Voice 2"]
    tab.button("Reveal").click()
    tab.reads("#compare-view .status", "The first is")
    captions = [each.text for each in tab.driver.find_elements(By.CSS_SELECTOR, "#compare-view figcaption")]
    assert set(captions) == {"Ryan", "Vivian"}


# -- voices -------------------------------------------------------------------------------------------------


def test_a_voice_is_recorded_in_the_browser_heard_and_removed(tab: Browser, place: Place) -> None:
    show(tab, "voices")
    tab.write("#clone-name", "Aunt May")
    tab.choose("#clone-language", "zh")
    tab.button("Record").click()
    tab.until(lambda: float(tab.read("#level output").split()[0]) >= 3.5, "some seconds")
    assert tab.run("return document.querySelector('#level meter').value") > 0.01
    tab.button("Stop recording").click()
    tab.find("#recording audio")
    assert re.fullmatch(r"[34]\.\d s: rather short, 5 to 15 s are best\.", tab.read("#recording p"))
    read = tab.read("#reading blockquote")
    assert tab.find("#clone-transcript").get_property("value") == read
    tab.write("#clone-description", "a short description")
    tab.button("Clone").click()
    tab.reads("#clone .status", "Aunt May can speak now.")
    (kept,) = CustomVoiceStore(place.data).read().voices
    assert (kept.name, kept.reference.transcript, kept.language) == ("Aunt May", read, "zh")
    with wave.open(str(kept.reference.path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert 3 < len(samples) / 24_000 < 6
    assert np.abs(samples).max() > 3000
    assert "a short description" in tab.find("#voice-list").text
    tab.button("Play a sample of Aunt May").click()
    tab.until(lambda: read.startswith(place.engine.said[-1]) or place.engine.said[-1] in read, "the sample")
    tab.button("Remove Aunt May").click()
    tab.keep("dialog-light")
    tab.button("Cancel", "dialog").click()
    assert len(CustomVoiceStore(place.data).read().voices) == 1
    tab.button("Remove Aunt May").click()
    tab.button("Remove", "dialog").click()
    tab.reads("#voices-status", "Aunt May is removed.")
    assert CustomVoiceStore(place.data).read().voices == ()
    assert "Aunt May" not in tab.read("#voice-list")


def test_what_is_wrong_with_a_file_is_told_in_the_service_s_words(tab: Browser, tmp_path: Path) -> None:
    show(tab, "voices")
    tab.button("Clone").click()
    assert "needs a name" in tab.find("#clone .fault").text
    name = tab.find("#clone-name")
    assert name.get_attribute("aria-invalid") == "true"
    assert name.get_attribute("aria-describedby") == tab.find("#clone .fault").get_attribute("id")
    name.send_keys("Bob")
    tab.button("Clone").click()
    tab.reads("#clone .status", "There is no recording yet")
    assert (name.get_attribute("aria-invalid"), name.get_attribute("aria-describedby")) == (None, "")
    tab.driver.find_element(By.NAME, "file").send_keys(str(save(tmp_path / "short.flac", speech(1.2))))
    tab.button("Clone").click()
    tab.reads("#clone .fault", "at least 3 s are needed")


def test_without_a_microphone_the_page_says_why_and_takes_files(tab: Browser) -> None:
    tab.run("Object.defineProperty(window, 'isSecureContext', { value: false })")
    why = tab.run("const { whyNot } = await import('./recorder.js'); return whyNot()")
    assert "https" in why
    assert why.endswith("Choose a file instead.")


def test_a_voice_is_designed_by_description_and_its_making_is_followed(tab: Browser, place: Place) -> None:
    show(tab, "voices")
    tab.write("#design-name", "Grandmother")
    tab.write("#design-description", "a warm, slow grandmother")
    tab.run(
        """window.steps = [];
        const line = document.querySelector("#design .status");
        new MutationObserver((changes) => steps.push(...changes.flatMap(({ addedNodes }) => [...addedNodes].map((n) => n.data))))
          .observe(line, { childList: true })"""
    )
    tab.button("Design").click()
    tab.reads("#design .status", "Grandmother can speak now.")
    assert "designing: 1.0 s of audio" in tab.run("return steps")
    assert "designed" in tab.find("#voice-list").text
    (kept,) = CustomVoiceStore(place.data).read().voices
    assert kept.designed == "a warm, slow grandmother"
    CustomVoiceStore(place.data).remove("Grandmother")


def test_voices_are_found_by_language_and_problems_are_shown(tab: Browser, place: Place) -> None:
    (place.data / "voices" / "Uncle Bob").mkdir(parents=True)
    tab.driver.refresh()
    show(tab, "voices")
    tab.reads("#problems", "Uncle Bob")
    (place.data / "voices" / "Uncle Bob").rmdir()
    tab.write("#voices-search", "chinese vivian")
    tab.reads("#voices-status", "1 of ")
    card = tab.find("#voice-list").text
    assert "Vivian" in card
    assert "Engine: scripted" in card
    assert "Licence: Apache-2.0" in card
    assert "Ryan" not in tab.find("#voice-list").text


def test_where_nobody_clones_the_form_says_why(chromium: Browser, tmp_path: Path) -> None:
    with placed(tmp_path / "data", **NOT_KEPT) as place:
        place.engine.refuses = "no Base checkpoint is set up"
        chromium.open(place.url + "#voices")
        chromium.reads("#clone .reason", "no Base checkpoint is set up")
        assert not chromium.find("#clone-name").is_enabled()
        assert not chromium.find("#design-name").is_enabled()
        show(chromium, "cache")
        chromium.reads("#tiers", "The cache is off")
        assert chromium.complaints() == []


# -- activity and cache -------------------------------------------------------------------------------------


def test_the_last_requests_are_listed_and_drawn_and_told_in_words(tab: Browser) -> None:
    tab.run(
        """const { Speech } = await import("./speech.js");
        for (const input of ["Once.", "Once.", "Only unspeakable."]) await new Speech({ input, voice: "Ryan" }).speak()"""
    )
    show(tab, "activity")
    tab.reads("#activity-view tbody", "Ryan")
    rows = [row.text for row in tab.driver.find_elements(By.CSS_SELECTOR, "#activity-view tbody tr")]
    assert "cannot-speak" in rows[0]
    assert "memory" in rows[1]
    assert "miss" in rows[2]
    text = tab.read("#plot-text")
    dots = tab.driver.find_elements(By.CSS_SELECTOR, "#plot circle")
    assert text.startswith(f"{len(dots)} answers: median ")
    assert [dot.get_attribute("class") for dot in dots[-2:]] == ["made", "kept"]
    drawing = tab.find("#plot svg")
    assert (drawing.get_attribute("role"), drawing.accessible_name) == ("img", text)


def test_phrases_are_said_in_advance_found_played_and_forgotten(tab: Browser, place: Place) -> None:
    show(tab, "cache")
    tab.write(
        "#prerender-text",
        "The {front,back} door is open.\nIt is unspeakable.",
    )
    tab.choose("#prerender-voice", "Ryan")
    tab.button("Synthesize").click()
    said = tab.reads("#prerender .status", "stored,")
    assert said.startswith("2 phrases are stored,")
    assert "“It is unspeakable.”: nobody can say that" in said
    tab.write("#phrase-search", "FRONT")
    tab.until(lambda: len(tab.driver.find_elements(By.CSS_SELECTOR, "#phrases li")) == 1, "one phrase")
    assert "pinned" in tab.find("#phrases").text
    before = len(place.engine.said)
    tab.button("Play “The front door is open.”").click()
    newest = place.url + "v1/requests?limit=1"
    tab.until(lambda: json.loads(fetched(newest)[2])["requests"][0]["api"] == "http", "its end")
    tab.button("Delete “The front door is open.”").click()
    tab.reads("#phrases-status", "is deleted")
    assert tab.driver.find_elements(By.CSS_SELECTOR, "#phrases li") == []
    assert place.engine.said[before:] == [], "it was played from the cache"
    _, _, listed = fetched(place.url + "v1/cache/phrases?search=door")
    assert [each["text"] for each in json.loads(listed)["phrases"]] == ["The back door is open."]
    assert "Memory" in tab.find("#tiers").text
    tab.find("#clear").click()
    tab.choose("#confirm-choice", "Ryan")
    tab.button("Clear", "dialog").click()
    tab.reads("#phrases-status", "deleted.")
    _, _, listed = fetched(place.url + "v1/cache/phrases?voice=Ryan")
    assert json.loads(listed)["total"] == 0


def test_nothing_that_the_service_says_is_taken_for_markup(tab: Browser) -> None:
    """Whatever a text is: not every one of them can be brought into a service from outside."""
    tab.run(
        """const [markup] = given;
        const told = (value, name) => typeof value === "string" && name !== "cache" ? markup : value && typeof value === "object"
          ? Array.isArray(value) ? value.map((each) => told(each)) : Object.fromEntries(Object.entries(value).map(([k, v]) => [k, told(v, k)]))
          : value;
        const ask = window.fetch;
        window.fetch = async (...asked) => {
          const answer = await ask(...asked);
          return answer.headers.get("Content-Type") === "application/json" ? Response.json(told(await answer.json()), answer) : answer;
        };
        document.querySelector("#notice button").click()""",
        MARKUP,
    )
    tab.reads("#health", MARKUP)
    for view, place in {
        "voices": "#voice-list",
        "activity": "#activity-view tbody",
        "cache": "#phrases",
    }.items():
        show(tab, view)
        tab.reads(place, MARKUP)
    assert tab.driver.find_elements(By.CSS_SELECTOR, "img:not([src='icon.svg'])") == []
    assert tab.driver.title == "Qwen3-TTS voices"


# -- who may, and when --------------------------------------------------------------------------------------


def test_who_needs_a_key_is_asked_for_it_once(chromium: Browser, tmp_path: Path) -> None:
    key = "0123456789abcdef-key"
    with placed(tmp_path / "data", api_keys=(key,)) as place:
        chromium.open(place.url, **{"X-Forwarded-For": "203.0.113.7"})
        chromium.reads("#key-reason", "an API key is needed")
        chromium.write("#key-value", "not-this-one-0000")
        chromium.button("Use it", "dialog").click()
        chromium.reads("#key-reason", "the API key is not valid")
        chromium.keep("key-light")
        chromium.write("#key-value", key)
        chromium.button("Use it", "dialog").click()
        chromium.reads("#health", "default voice")
        chromium.driver.refresh()
        chromium.reads("#health", "default voice")
        assert not chromium.find("main").find_elements(By.XPATH, "//dialog[@open]")
        assert chromium.run("return [localStorage.length, sessionStorage.length]") == [0, 1]
        assert chromium.complaints() == []


class Ingress(http.server.BaseHTTPRequestHandler):
    """What stands before the page in Home Assistant: it takes the prefix off, and says what it was."""

    port = 0
    starting = False

    def do_GET(self) -> None:
        path = self.path.removeprefix(INGRESS) or "/"
        if self.starting and path.startswith("/v1/"):
            self._answer(503, {}, b'{"error": {"message": "the service is starting", "code": "starting"}}')
            return
        service = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG)
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        service.request(self.command, path, content, {**self.headers, "X-Ingress-Path": INGRESS})
        answer = service.getresponse()
        self._answer(answer.status, dict(answer.headers), answer.read())
        service.close()

    do_POST = do_GET  # noqa: N815

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"transfer-encoding", "connection", "date", "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def ingress(place: Place) -> Iterator[tuple[str, type[Ingress]]]:
    handler = type("Bound", (Ingress,), {"port": int(place.url.rstrip("/").rpartition(":")[2])})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}{INGRESS}", handler
        server.shutdown()
        thread.join()


def test_behind_ingress_it_works_even_without_a_slash(
    chromium: Browser, ingress: tuple[str, type[Ingress]]
) -> None:
    url, _ = ingress
    chromium.open(url)
    chromium.reads("#health", "default voice")
    chromium.write("#speak-text", "Through the front door.")
    chromium.button("Speak").click()
    chromium.reads("#speak-view .status", "of audio")
    show(chromium, "voices")
    assert chromium.driver.current_url == f"{url}#voices"
    asked = chromium.run("return performance.getEntriesByType('resource').map(({ name }) => name)")
    assert len(asked) > 10
    assert [each for each in asked if not each.startswith((f"{url}/", "blob:"))] == []
    assert chromium.complaints() == []


def test_while_a_model_loads_a_bar_shows_what_and_how_long(tab: Browser, place: Place) -> None:
    assert not tab.run("return document.querySelector('#loading').checkVisibility()")
    try:
        place.engine.step = LoadStep("downloading", "Tiny/Model", 0.25, 170.0)
        tab.driver.refresh()
        shown = tab.reads("#loading p", "Downloading Tiny/Model, 25 %, about 3 min left.")
        assert "Until then, other voices speak (engine: scripted)." in shown
        assert tab.run("return document.querySelector('#loading progress').value") == 0.25
        place.engine.step = LoadStep("reading", "Tiny/Model", None, None)
        tab.reads("#loading p", "Reading Tiny/Model. ")
        assert tab.run("return document.querySelector('#loading progress').position") == -1
    finally:
        place.engine.step = None
    tab.until(lambda: tab.run("return document.querySelector('#loading').hidden"), "the end of loading")


@pytest.mark.parametrize("asked", [True, False], ids=["asked again", "by itself"])
def test_while_the_service_starts_the_page_waits_calmly(
    chromium: Browser, ingress: tuple[str, type[Ingress]], asked: bool
) -> None:
    url, handler = ingress
    handler.starting = True
    chromium.open(url)
    chromium.reads("#notice", "the service is starting")
    assert chromium.find("#notice").get_attribute("role") == "status"
    if asked:
        chromium.run("for (let timer = 0; timer < 1000; timer++) clearTimeout(timer)")
    handler.starting = False
    if asked:
        chromium.button("Try again").click()
    chromium.reads("#health", "default voice")
    assert not chromium.driver.find_element(By.ID, "notice").is_displayed()


# -- how it looks, and for whom -----------------------------------------------------------------------------

CONTRAST = """
const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgba = (color) => {
  paint.clearRect(0, 0, 1, 1);
  paint.fillStyle = color;
  paint.fillRect(0, 0, 1, 1);
  return [...paint.getImageData(0, 0, 1, 1).data];
};
const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const color = rgba(getComputedStyle(e).backgroundColor);
    if (color[3] === 255) return color;
  }
};
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!(own || element.matches("select, textarea, input:not([type=checkbox], [type=range], [type=file])")) || !element.checkVisibility() || element.matches(":disabled, :disabled *")) continue;
  const [one, other] = [light(rgba(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
  found.push([(one + 0.05) / (other + 0.05), element.tagName + " " + element.className + " " + element.textContent.trim().slice(0, 30)]);
}
return found;
"""

UNNAMED = """
return [...document.querySelectorAll("input, select, textarea, button, a, meter, progress, canvas, audio, dialog")].filter((e) =>
  !(e.hidden || e.labels?.length || e.textContent.trim() && e.matches("button, a") || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")))
  .map((e) => e.outerHTML)
"""

SMALL = """
return [...document.querySelectorAll("button, select, textarea, input, nav a, summary, a.upload, label.upload")]
  .filter((e) => e.checkVisibility() && !e.matches(".hidden, [type=checkbox]"))
  .map((e) => [e.getBoundingClientRect(), e.outerHTML.slice(0, 80)])
  .filter(([box]) => box.height < 44 || box.width < 44).map(([box, html]) => `${box.width}x${box.height} ${html}`)
"""


@pytest.fixture(scope="class")
def furnished(chromium: Browser, place: Place) -> Browser:
    """The page with something to see in every view."""
    tab = chromium
    tab.open(place.url)
    tab.reads("#health", "default voice")
    tab.run(
        """const { Speech } = await import("./speech.js");
        const texts = ["Hello.", "Good night.", "Hello.", "Only unspeakable.", "Dinner!"];
        for (const input of texts) await new Speech({ input, voice: "Vivian" }).speak()"""
    )
    tab.write("#speak-text", "The kettle boils.")
    tab.button("Speak").click()
    tab.reads("#speak-view .status", "of audio")
    show(tab, "compare")
    tab.write("#compare-text", "Who is it?")
    tab.button("Play both").click()
    tab.reads("#compare-view .status", "First audio")
    return tab


def each_view(tab: Browser) -> Iterator[str]:
    for view in VIEWS:
        show(tab, view)
        if view == "activity":
            tab.find("#plot svg")
        if view == "cache":
            tab.find("#phrases li")
        yield view


class TestEveryView:
    def test_every_text_is_readable_in_light_and_in_dark(self, furnished: Browser) -> None:
        papers = []
        for dark in (False, True):
            furnished.look(DESKTOP, dark=dark)
            papers.append(furnished.run("return getComputedStyle(document.body).backgroundColor"))
            for view in each_view(furnished):
                found = furnished.run(CONTRAST)
                assert len(found) > 15
                assert [each for each in found if each[0] < 4.5] == []
                furnished.keep(f"{view}-{'dark' if dark else 'light'}")
                furnished.look(DESKTOP, dark=dark)
        assert papers[0] != papers[1]

    @pytest.mark.parametrize("size", [PHONE, NARROW], ids=["phone", "narrow"])
    def test_it_fits_a_telephone_and_a_thumb(self, furnished: Browser, size: tuple[int, int]) -> None:
        furnished.look(size)
        for view in each_view(furnished):
            widths = "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
            scroll, client = furnished.run(widths)
            assert scroll <= client == size[0], view
            assert furnished.run(SMALL) == []
            if size == PHONE:
                furnished.keep(f"{view}-phone")
                furnished.look(size)

    def test_a_screen_reader_finds_landmarks_headings_and_names(self, furnished: Browser) -> None:
        for view in each_view(furnished):
            seen = [h.text for h in furnished.driver.find_elements(By.TAG_NAME, "h1") if h.is_displayed()]
            assert len(seen) == 1
            (section,) = (
                s
                for s in furnished.driver.find_elements(By.CSS_SELECTOR, "main > section")
                if s.is_displayed()
            )
            assert (section.aria_role, section.accessible_name) == ("region", seen[0])
            current = furnished.driver.find_elements(By.CSS_SELECTOR, "nav [aria-current=page]")
            assert [link.get_property("hash") for link in current] == [f"#{view}"]
            assert furnished.run(UNNAMED) == []
            assert furnished.driver.find_elements(By.CSS_SELECTOR, f"#{view}-view [role=status]")
        roles = {
            e.aria_role
            for e in furnished.driver.find_elements(By.CSS_SELECTOR, "body > *")
            if e.is_displayed()
        }
        assert {"banner", "main", "contentinfo"} <= roles


def test_focus_is_seen_wherever_it_goes(tab: Browser) -> None:
    seen = []
    for _ in range(20):
        tab.press(Keys.TAB)
        seen.append(
            tab.run(
                "const e = document.activeElement, s = getComputedStyle(e);"
                "return [e.id || e.textContent, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 || e === document.body]"
            )
        )
    assert [name for name, visible in seen if not visible] == []
    assert seen[0][0] == "Skip to the content"
    assert {"Speak", "Cache", "speak-text", "speak-voice", "speak-speed"} <= {name for name, _ in seen}
