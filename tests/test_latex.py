"""LaTeX is normalized as mathematics; prices, variables and paths stay."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_qwen3tts.speech import TextFeed
from wyoming_qwen3tts.text import segmentation
from wyoming_qwen3tts.text.frontend import Frontend, to_spoken_form
from wyoming_qwen3tts.text.latex import FormulaFilter, convert_to_unicode, remove_invisible_operators
from wyoming_qwen3tts.text.markup import remove_markup

SPLITS = [1, 3, 7, 1000]
ENGLISH = {
    r"So $n^2$ grows.": "So n squared grows.",
    r"$x^3$": "x cubed",
    r"$2^{10} = 1024$": "two to the power of ten equals one thousand and twenty four",
    r"$x^{n+1}$": "x to the power of n plus one",
    r"$e^{-x}$": "e to the power of minus x",
    r"$10^{-6}$": "ten to the power of minus six",
    r"The area is \(\pi r^2\).": "The area is pi r squared.",
    r"\[ a^2 + b^2 = c^2 \]": "a squared plus b squared equals c squared",
    "We know:\n\n$$\nE = mc^2\n$$\n\nThat is it.": "We know: E equals m c squared That is it.",
    "\\[\n\\frac{1}{2}\n\\]": "one half",
    r"$\frac{3}{4}$ of it": "three quarters of it",
    r"$\frac{a + b}{c}$": "(a plus b) over c",
    r"$\dfrac{22}{7}$": "twenty two over seven",
    r"$1\frac{1}{2}$": "one and a half",
    r"$\sqrt{16} = 4$": "the square root of sixteen equals four",
    r"$\sqrt[3]{8}$": "the cube root of eight",
    r"$\sqrt{x + 1}$": "the square root of (x plus one)",
    r"$\sqrt[n]{x}$": "the nth root of x",
    r"$x_1$ and $x_n$": "x one and x n",
    r"$a_{ij}$": "a i j",
    r"$a \neq b$": "a is not equal to b",
    r"$a \leq b \geq c$": "a is less than or equal to b is greater than or equal to c",
    r"$\pi \approx 3.14$": "pi about three point one four",
    r"$x \in A \cup B$": "x in A union B",
    r"$A \subset B$": "A is a subset of B",
    r"$x \to \infty$": "x to infinity",
    r"$A \Rightarrow B$": "A implies B",
    r"$A \iff B$": "A if and only if B",
    r"$3 \times 4 = 12$": "three times four equals twelve",
    r"$6 \div 2$": "six divided by two",
    r"$3 \cdot 4$": "three times four",
    r"$5 \pm 1$": "five plus or minus one",
    r"$\sum_{i=1}^{n} i^2$": "the sum from i equals one to n of i squared",
    r"$\int_0^1 x \, dx$": "the integral from zero to one of x d x",
    r"$\int f(x) \, dx$": "the integral of f of (x) d x",
    r"$\lim_{x \to 0} f(x)$": "the limit as x approaches zero of f of (x)",
    r"$\prod_{k=1}^{m} k$": "the product from k equals one to m of k",
    r"$\alpha + \beta = \Gamma$": "alpha plus beta equals gamma",
    r"$\theta = 90^\circ$": "theta equals ninety degrees",
    r"$45^{\circ}$": "forty five degrees",
    r"$20^\circ\text{C}$": "twenty degrees Celsius",
    r"$v = 5 \text{ km/h}$": "v equals five kilometers per hour",
    r"$5\,\mathrm{kg}$": "five kilograms",
    r"$25\%$": "twenty five percent",
    r"$\sin(x)$": "sine of (x)",
    r"$\cos^2 \theta$": "cosine squared of theta",
    r"$\log_{10} x$": "log base ten of x",
    r"$\ln 2$": "the natural log of two",
    r"$\left( x + 1 \right)^2$": "(x plus one) squared",
    r"$\boxed{42}$": "forty two",
    r"The answer is \boxed{x = 7}.": "The answer is x equals seven.",
    r"$5! = 120$": "five factorial equals one hundred and twenty",
    r"$n!$ is large": "n factorial is large",
    r"$|x| < 3$": "the absolute value of (x) is less than three",
    r"$f'(x) = 2x$": "f prime of (x) equals two x",
    r"$2x + 3 = 7$": "two x plus three equals seven",
    r"$3m - 2s$": "three m minus two s",
    r"$y = mx + b$": "y equals m x plus b",
    r"$x = -5$": "x equals minus five",
    r"$\{1, 2, 3\}$": "one, two, three",
    r"\begin{align*} a &= 1 \\ b &= 2 \end{align*}": "a equals one, b equals two",
    r"\begin{equation} x = 1 \end{equation}": "x equals one",
    r"$\text{speed} = \frac{\text{distance}}{\text{time}}$": "speed equals distance over time",
    r"$\vec{F} = m\vec{a}$": "F equals m a",
    r"$O(n \log n)$": "O of (n log of n)",
    r"CO$_2$ and H$_2$O": "C O two and H two O",
    r"10$^{-3}$": "ten to the power of minus three",
    r"x = \frac{1}{3} \times 6": "x equals one third times six",
    r"Settings \rightarrow Devices": "Settings to Devices",
    r"Open Settings $\rightarrow$ Devices.": "Open Settings to Devices.",
    r"It is 5 \times 3.": "It is five times three.",
    r"The angle \alpha is small.": "The angle alpha is small.",
    r"\text{Area} = \pi r^{2}": "Area equals pi r squared",
    r"$x$-axis and the $y$-axis": "x-axis and the y-axis",
    r"$1{,}000{,}000$": "one million",
    r"\(x\), \(y\) and \(z\)": "x, y and z",
    r"$P(A|B)$": "P of (A given B)",
    r"$\frac{dy}{dx}$": "(d y) over (d x)",
    r"$a/b$": "a over b",
    r"$F = G \frac{m_1 m_2}{r^2}$": "F equals G (m one m two) over r squared",
    r"$\tan^{-1}(x)$": "arc tangent of (x)",
    r"$x \equiv 1 \pmod{3}$": "x is equivalent to one modulo three",
    r"$(f \circ g)(x)$": "(f composed with g) (x)",
    r"$\alpha$-decay": "alpha-decay",
    r"50^\circ": "fifty degrees",
    r"\section{Intro}": "Intro",
    r"So $ x = 5 $ here.": "So x equals five here.",
    "It is 5 $ = 4 € and 6 $.": "It is five dollars equals four euros and six dollars.",
    r"\begin{itemize}\item One \item Two\end{itemize}": "One Two",
    r"It costs \$5.": "It costs five dollars.",
    r"$x^2$ costs $5": "x squared costs five dollars",
    r"It is \SI{5}{km} away.": "It is five kilometers away.",
    r"$\SI{9.81}{m/s^2}$": "nine point eight one meters per second squared",
    r"\SI{20}{\celsius} or \qty{68}{\degree F}": "twenty degrees Celsius or sixty eight degrees Fahrenheit",
    r"\SI{50}{\kilo\meter\per\hour}": "fifty kilometers per hour",
    r"\SI{3}{\square\meter}": "three square meters",
    r"\SI{20}{\percent} of \num{12345}": "twenty percent of twelve thousand three hundred and forty five",
    r"\num{3e8}": "three times ten to the power of eight",
    r"\ang{45}": "forty five degrees",
    r"$50\,\frac{\mathrm{km}}{\mathrm{h}}$": "fifty kilometers per hour",
    r"$9.8\,\frac{\text{m}}{\text{s}^2}$": "nine point eight meters per second squared",
    r"$5\,\mathrm{m}/\mathrm{s}$": "five meters per second",
    r"$10\,\mu\mathrm{m}$ and $5~\mu s$": "ten micrometers and five microseconds",
    r"$50~\Omega$": "fifty ohms",
    r"$10\,\mathrm{k}\Omega$": "ten kiloohms",
    r"$0.30\ \$/\mathrm{kWh}$": "thirty cents per kilowatt hour",
    r"$x_{1,2} = 3$": "x one, two equals three",
    r"$a \overset{!}{=} 5$": "a equals five",
    r"It is $3:00$.": "It is three o'clock.",
    r"Bake at $350^\circ$F.": "Bake at three hundred and fifty degrees Fahrenheit.",
    "the $n$th term": "the nth term",
    r"$\text{Cl}^-$ and $x$": "Cl minus and x",
    r"$g = 9.81\,\text{m/s}^2$": "g equals nine point eight one meters per second squared",
    r"$n^{th}$": "nth",
    r"$x^* = 3$": "x equals three",
    r"$5\;\mathrm{m\,s^{-1}}$": "five meters per second",
    r"$3 \times \$0.12/\text{kWh}$": "three times twelve cents per kilowatt hour",
    # What stays money, a variable or a path
    "It is $5 and $7.": "It is five dollars and seven dollars.",
    "It costs $5-$10.": "It costs five to ten dollars.",
    "I have $20, you have $30.": "I have twenty dollars, you have thirty dollars.",
    "$1 + $2 = $3": "one dollar plus two dollars equals three dollars",
    "US$5 or $7": "five dollars or seven dollars",
    "$5,000 and $7": "five thousand dollars and seven dollars",
    r"$2.5x = 5$": "two point five x equals five",
    "Pay $5 (or 5$)": "Pay five dollars (or five dollars)",
    "Pay $10 or 20$ now.": "Pay ten dollars or twenty dollars now.",
    "It's $5-$10, or 3$.": "It's five to ten dollars, or three dollars.",
    "$3.50 or $4": "three dollars and fifty cents or four dollars",
}
OTHERS = {
    "de": {
        r"$x^2 + 1$": "x hoch zwei plus eins",
        r"$\frac{a}{b}$": "a durch b",
        r"$\sqrt{9} = 3$": "Wurzel aus neun gleich drei",
        r"$\alpha$": "Alpha",
        r"Also ist $x = 3.5$.": "Also ist x gleich drei Komma fünf.",
        r"$3{,}14$": "drei Komma eins vier",
        r"$\sum_{i=1}^{n} i$": "Summe von i gleich eins bis n von i",
    },
    "fr": {r"$x^2$": "x au carré", r"$\frac{a}{b}$": "a sur b", r"$\sqrt{9}$": "racine carrée de neuf"},
    "es": {r"$x^3$": "x al cubo", r"$\frac{a}{b}$": "a sobre b", r"$x \neq 2$": "x distinto de dos"},
    "it": {r"$x^2$": "x al quadrato", r"$\frac{a}{b}$": "a fratto b", r"$\pi$": "pi greco"},
    "pt": {r"$x^2$": "x ao quadrado", r"$\frac{a}{b}$": "a sobre b", r"$\infty$": "infinito"},
    "ru": {r"$x^2$": "x в квадрате", r"$\frac{a}{b}$": "a делить на b", r"$\lambda$": "лямбда"},
    "zh": {
        r"$x^2$": "x的平方",
        r"$\frac{a}{b}$": "b分之a",
        r"$\frac{1}{2}$": "二分之一",
        r"$10^{-3}$": "十的负三次方",
    },
    "ja": {r"$x^2$": "xの二乗", r"$\frac{a}{b}$": "b分のa", r"$\sqrt{9}$": "ルート九"},
    "ko": {r"$x^2$": "x의 제곱", r"$\frac{a}{b}$": "b분의 a", r"$\beta$": "베타", r"$x$는": "x는"},
}
UNTOUCHED = [
    "$HOME and $PATH",
    "It is $5 and $7, US$5, A$3 or $4.50.",
    "costs $5-$10",
    "$5k to $10k",
    "between 5$ and 10$",
    "It is $5 and 5$this",
    "$a $b$c",
    "I paid $20 (you paid 30$).",
    r"C:\new_dir\temp and C:\times",
    r"\n and \t and \d+",
    "a_b and x_1 and 2^10",
    r"a regular expression such as \S+\d",
    "$var is set and $other is not",
    "the $ sign and the $ again",
    "Win $100 or $200 today",
    "$USER@$HOST",
    "花了$5，又花了$。",
]


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


async def sentences(parts: list[str]) -> list[str]:
    feed = TextFeed()
    for piece in parts:
        feed.push(piece)
    feed.end()
    stream = segmentation.split_segments(feed, markup=None, language="en", first_clause=False, live=False)
    return [part.text async for part in stream]


async def streamed(text: str, size: int, language: str) -> str:
    """Return the spoken form of a text that arrives in chunks."""
    found = FormulaFilter()
    formed = [piece for part in pieces(text, size) if (piece := found.push(part))]
    said = [to_spoken_form(each, language) for each in await sentences([*formed, found.finish()])]
    return " ".join(" ".join(said).split())


@pytest.mark.parametrize(("text", "wanted"), ENGLISH.items())
async def test_formulas_are_said_in_english(text: str, wanted: str) -> None:
    assert " ".join(to_spoken_form(text, "en").split()) == wanted
    for size in SPLITS:
        assert await streamed(text, size, "en") == wanted


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [(language, *case) for language, cases in OTHERS.items() for case in cases.items()],
)
def test_formulas_are_said_in_other_languages(language: str, text: str, wanted: str) -> None:
    assert to_spoken_form(text, language) == wanted


@pytest.mark.parametrize("language", ["en", *OTHERS])
@pytest.mark.parametrize("text", [text for text in ENGLISH if "costs" not in text and "\n" not in text])
def test_no_part_of_the_notation_is_said(text: str, language: str) -> None:
    got = to_spoken_form(text, language)
    assert not re.search(r"[\\{}$⁽⁾₍₎\u2061\u2062^_ꜝʹ]", got)
    assert to_spoken_form(got, language) == got


@pytest.mark.parametrize("text", UNTOUCHED)
def test_text_with_dollars_and_backslashes_that_is_no_formula_stays(text: str) -> None:
    assert convert_to_unicode(text) == text
    for size in SPLITS:
        found = FormulaFilter()
        assert "".join(map(found.push, pieces(text, size))) + found.finish() == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("So $n! = n(n-1)!$ holds. Fine.", ["So nꜝ = n (n − 1)ꜝ holds.", "Fine."]),
        (r"Then $a. b$ is it. Done.", ["Then a. b is it.", "Done."]),
        ("We get\n\\[\nx = 1\n\\]\nNow go on.", ["We get x = 1 Now go on."]),
        ("It is $x = 3.5$. Good.", ["It is x = 3.5.", "Good."]),
    ],
)
async def test_no_sentence_ends_inside_a_formula(text: str, wanted: list[str]) -> None:
    for size in SPLITS:
        got = await sentences(pieces(text, size))
        assert remove_invisible_operators(" ".join(got)) == " ".join(wanted)


@pytest.mark.parametrize(
    "text", ["It costs $5. ", "It is $5,", "Take $HOME is", "pay $20 to", "a $ b", "\\alpha", "\\n"]
)
def test_text_that_is_no_formula_is_not_held_back(text: str) -> None:
    found = FormulaFilter()
    assert "".join(map(found.push, text)) == text


@pytest.mark.parametrize("frontend", [Frontend(), Frontend(normalization=False)])
def test_no_invisible_operator_reaches_a_voice(frontend: Frontend) -> None:
    text = frontend.remove_markup(r"$f(x) = 2x$, $\sin x = 3.5$.", "nl")
    assert frontend.normalize(text, "nl") == "f(x) = 2x, sin x = 3.5."


def test_a_formula_that_never_ends_is_released() -> None:
    found = FormulaFilter()
    assert "x = 1" in found.push("\\[ x = 1 \n\nand so it goes on.")
    assert found.push("$$" + "x" * 5000)


PIECES = st.sampled_from(
    [*"ab xy12 $+-=^_{}()\\!.,|&~\n'", "$$", "\\(", "\\)", "\\[", "\\]", "\\frac", "{1}", "\\sqrt", "\\sum_{i}^{n}", "\\begin{align}", "\\end{align}",
     "$x^2$", "\\text{a}", "\\alpha", "\\left", "\\times"]
)  # fmt: skip
LATEX = st.lists(PIECES, max_size=15).map("".join)


@given(LATEX)
def test_plain_formulas_are_plain(text: str) -> None:
    once = remove_markup(text)
    assert remove_markup(once) == once


@given(LATEX, st.integers(1, 9))
def test_formulas_do_not_depend_on_the_pieces(text: str, size: int) -> None:
    whole, parts = FormulaFilter(), FormulaFilter()
    assert "".join(map(parts.push, pieces(text, size))) + parts.finish() == whole.push(text) + whole.finish()


@pytest.mark.parametrize(
    "unit",
    [
        "$",
        "$x",
        "$$",
        "\\(",
        "\\[",
        "\\frac{",
        "{",
        "\\begin{a}",
        "\\sqrt",
        "^{",
        "_{1}",
        "$x$",
        "\\",
        "x|",
        "(",
        "\\alpha ",
        "$1 + ",
        "\\text{",
    ],
)
def test_time_for_formulas_grows_linearly(unit: str) -> None:
    began = time.process_time()
    convert_to_unicode(unit * (20_000 // len(unit)))
    convert_to_unicode("$$" + unit * (1500 // len(unit)) + "$$")
    found = FormulaFilter()
    for piece in pieces(unit * (8_000 // len(unit)), 4):
        found.push(piece)
    assert time.process_time() - began < 2.0
