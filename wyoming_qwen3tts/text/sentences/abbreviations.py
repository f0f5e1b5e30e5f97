"""Words before a full stop that does not end a sentence: abbreviations, initials, ordinals, in ten languages.

The tables are the same for every language, because a German text contains "e.g." and an English one "Str.". A
language that is known adds words that mean something else in other languages ("mind." is German for "at
least").
"""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import cache


class WordKind(Enum):
    """The meaning of a full stop after a word: it tells which following words begin a new sentence."""

    WORD = auto()
    """An ordinary word: its full stop always ends a sentence."""
    TITLE = auto()
    """Never ends a sentence: Dr., e.g., z. B."""
    WEAK = auto()
    """Ends a sentence only before a word that commonly begins one: U.S., ca., Mio."""
    NUMERIC = auto()
    """An abbreviation only before a number: No. 5, Art. 3."""
    DATE = auto()
    """An abbreviation before a number or a small letter: Dec. 3, Dez. war."""
    LAST = auto()
    """Ends a sentence unless a small letter follows: etc., p.m., usw."""


# A word in lower case matches any case, a capitalized one only itself.
_TITLES = """
    mr mrs ms messrs dr drs prof Hon Gen Rev Col Capt Cpl Sgt Maj Lt Cmdr Adm Gov Sen Rep Pres Amb Insp Supt
    e.g i.e eg viz par.ex per.es ad.es por.ej Mt Ft
    z.b d.h bzw bspw vgl sog
    dr.med dr.phil dr.rer dr.jur dr.ing rer.nat med.dent
    evtl ggf ggfs insb zzgl abzgl inkl exkl einschl entspr ehem jew geb bsp hr
    hrn fr
    frl dipl ing Mag z.t z.zt z.hd i.d.r u.u m.e o.g u.g v.a s.o s.u i.a i.v d.i lt betr wg zw
    M MM mme mmes mlle mlles Mgr p.ex c.-à-d c.à.d càd env av.j.-c p.-ê
    srs sra sras srta srtas dn dña d.ª dª ud uds vd vds pág págs p.ej lic arq excmo excma avda
    dra drª dras profª exmo exma exmos eng engº v.g
    sig sigg dott dott.ssa avv geom spett egr p.es per.es cfr pag pagg sigg.ri
    ул пр просп пер наб пл им т.е т.к т.н напр см ср рис табл гл стр акад проф тов обл р-н д-р г-н г-жа св
    т д ж к п кв корп
    डॉ श्री श्रीमती प्रो د أ
"""
_WEAK = """
    st ste ave blvd rd sq approx vs cf ed eds est ext dept univ assn intl misc incl excl temp avg a.k.a
    w.r.t resp op al ph.d m.d b.a b.sc m.sc
    ca nr str tel mio mrd tsd jh jhd jhs abb allg anm aufl bd bez dt engl frz lat österr städt tägl mtl
    jährl
    stellv urspr vorm nachm verst Hbf Bhf Pl
    boul faub fg rte éd hab
    ee ee.uu aprox ctra dcha izq izda tfno teléf ss.mm
    av avs pç pça apto
    v.le c.so p.zza
    г гг в вв н.э до.н.э ок млн млрд трлн тыс руб коп долл мин сек ч тел эт этаж мкр ред изд
    u.s u.k u.n e.u d.c u.s.a
"""
_NUMERIC = """
    no nos num pp fig figs vol vols ch sec sect art arts par pt ex eq chap tab kap ziff nr abs abt lfd
    Do
    Sa So Sat Sun Mar Max n° nº núm art arti par cap
    lin int lun gio ven mié jue vie sáb пп п ст разд № д оф под
"""
_DATES = """
    Mo Di Mi Mon Tue Tues Wed Thu Thur Thurs Fri
    min max Jan Feb Apr Jun Jul Aug Sep Sept Oct Nov Dec Mrz Okt Dez janv févr fév avr juil déc
    ene abr dic jan fev dez genn febb ott янв фев февр апр авг сент окт нояб дек
"""
_LAST = """
    etc a.m p.m a.d b.c b.c.e c.e inc ltd co corp llc jr bros plc esq
    usw usf u.a o.ä u.ä u.dgl dgl u.v.m u.a.m e.v d.j chr n.chr v.chr ecc eccetera cie j.-c s.a s.l s.r.l
    s.p.a
    ltda cía т.д т.п др
"""
_UNITS = frozenset(
    """ms min mins sec secs hr hrs in ft yd yds mi lb lbs oz pt qt gal std stdn sek mal
    с м см км ч кг мин сек р""".split()
)
"""Abbreviated units: after a number they may end a sentence, but not before a small letter."""

_LANGUAGE_SPECIFIC: dict[str, dict[WordKind, str]] = {
    "en": {WordKind.LAST: "Sr sr", WordKind.WEAK: "gen rev col assoc natl"},
    "de": {
        WordKind.WEAK: "mind gem bes erg Bio rd best höchst Tab Art kath evang röm",
        WordKind.TITLE: "Sr",
        WordKind.LAST: "Co",
    },
    "fr": {WordKind.WEAK: "ex bd pl quest adj obs"},
    "es": {WordKind.TITLE: "sr", WordKind.WEAK: "art prov fig cap vol ed", WordKind.DATE: "ago mar"},
    "pt": {WordKind.TITLE: "sr", WordKind.WEAK: "art ex obs r cap", WordKind.DATE: "ago set out mar"},
    "it": {
        WordKind.WEAK: "art prov loc",
        WordKind.DATE: "ago set mar",
        WordKind.TITLE: "rag arch gent ill es",
    },
    "ru": {WordKind.TITLE: "о"},
}
"""Abbreviations of one language only. Sr. is a title in Spanish, and in English follows a father's name."""

STARTERS = frozenset(
    # Words that begin many sentences and few names. Inverted question and exclamation marks always begin one.
    """¿ ¡
    The Then It Its This That These Those There They He She We You I A An If When While Where What Who
    Why How
    Which But And So Or Now Please My Your His Her Our Their In On At For From With To By As After Before
    All Any
    Is Are Was Were Do Does Did Has Have Had Can Could Will Would Should Not Nothing No Yes Also Let Here
    Next
    Turn Switch Set Open Close Only Some One Once However Otherwise Therefore Finally Today Tomorrow
    Tonight Ok OK
    Der Die Das Den Dem Des Ein Eine Einen Einem Einer Es Er Sie Ich Wir Ihr Du Dann Danach Da Dort Hier
    Jetzt Nun
    Und Oder Aber Denn Wenn Weil Als Wie Was Wer Wo Warum Bitte Heute Morgen Gestern Alle Alles Auch Noch
    Nur Im
    Am Um Auf Aus Bei Mit Nach Von Vor Zu Zum Zur Für Ist Sind War Hat Haben Kann Soll Mein Meine Dein
    Deine Sein
    Seine Unser Unsere Diese Dieser Dieses Damit Deshalb Daher Außerdem Schalte Mach Stelle Ja Nein Kein
    Keine
    Le La Les L Un Une Il Elle Ils Elles On Nous Vous Je Tu Ce Cet Cette Ces Cela Ça Et Ou Mais Donc
    Alors Puis
    Ensuite Si Quand Dans Sur Pour Avec Sans Par Mon Ma Mes Votre Vos Notre Oui Non Maintenant Ici
    Aujourd Voici
    El Los Las Una Unos Lo Ella Ellos Usted Yo Nosotros Este Esta Esto Ese Esa Eso Y O Pero Entonces
    Luego Después
    En Con Sin Por Para Como Cuando Donde Qué Su Mi Ahora Hoy Sí También Ya Hay Está Son Es Se
    O Os As Um Uma Ele Ela Eles Elas Eu Nós Você Isto Isso E Mas Então Depois Quando Onde No Na Nos Nas
    Em Com Sem
    Agora Hoje Sim Não Também Já Há São Meu Minha Seu Sua
    Il Lo Gli Una Uno Egli Io Noi Voi Lei Lui Loro Questo Questa Questi Quello Quella E Ma Poi Quindi
    Allora Se
    Nel Nella Con Senza Per Come Quando Dove Ora Oggi Sì Anche Già È Sono C Ci Si
    Он Она Оно Они Я Ты Мы Вы Это Этот Эта Эти Тот Та То И Или Но А Затем Потом Тогда Если Когда Где Что
    Кто Как
    Почему В На С К По Из От Для У О Об За Мой Моя Ваш Ваша Теперь Сейчас Здесь Там Да Нет Все Всё Также Уже
    Включи Выключи Сегодня Завтра Пожалуйста""".split()
)
SMALL_STARTERS = frozenset(
    """the then it its this that there he she we you i if when please now and turn it's that's dann
    danach bitte
    jetzt puis ensuite luego entonces después depois então poi quindi потом затем и но а это""".split()
)
"""The same in lower case, for texts without capitals; after a number German continues with an ordinal."""
JOINERS = frozenset(
    """the a an of to in on at for from with by and or but my your his her our their is are was
    der die das den dem des ein eine einen einem einer im am in an auf mit von zu zum zur für und oder
    aber ist sind
    le la les l un une de du des à au aux en dans sur pour avec et ou mais
    el los las una del al con por para y o pero
    os as um uma do da dos das no na nos nas em com e mas
    il lo gli uno di dei della nel nella per ma
    и или но а в на с к по из от для у о об за""".split()
)
"""Words that do not end a line of its own: the next line continues the sentence."""

_LABELLED = frozenset(
    """plan vitamin type option group class grade level section platform gate zone terminal hepatitis
    appendix
    exhibit part team room model version variant schedule drive side block building floor line mode scene
    note key
    size category column row point step channel input output port
    vitamine typ gruppe klasse gleis halle ausgang linie modus szene variante stufe teil raum kanal
    eingang zone
    groupe classe niveau partie salle ligne mode porte bâtiment bloc catégorie
    tipo grupo clase nivel parte sala línea puerta modo vitamina opción classe linha porta opção
    gruppo classe livello porta linea modalità opzione scala
    план витамин тип группа класс вариант уровень корпус блок режим линия часть""".split()
)
"""Nouns that a letter labels: "Plan B." may end a sentence, "Samuel L." does not."""

AFTER_ORDINAL = frozenset(
    """januar jänner februar märz april mai juni juli august september oktober november dezember
    jan feb mrz apr jun jul aug sep sept okt nov dez
    montag dienstag mittwoch donnerstag freitag samstag sonntag
    etage stock stockwerk obergeschoss untergeschoss klasse mal platz jahrhundert jh jhd quartal halbjahr
    geburtstag
    weltkrieg liga bundesliga""".split()
)
"""Capitalized words before which a German number with a full stop is an ordinal."""
BEFORE_ORDINAL = frozenset(
    """am im zum zur vom beim der die das dem den des ein eine einen einem einer eines jede jeder jedes
    jeden jedem
    dieser dieses diesen diesem mein meine meinen meinem sein seine seinen seinem ihr ihre ihren ihrem
    unser unsere
    ans ins""".split()
)
"""Words after which a number with a full stop is an ordinal, whatever noun follows."""
ORDINAL_LANGUAGES = frozenset("de da nb nn no fi cs sk hu pl tr et lv sl hr sr bs is lb".split())
"""Languages that write ordinals with a full stop."""

_ZONES = "EST EDT CST CDT MST MDT PST PDT GMT UTC CET CEST BST ET PT CT"
_WEEK = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_CONTINUATIONS = {
    "a.m": frozenset(f"{_ZONES} {_WEEK}".split()),
    "p.m": frozenset(f"{_ZONES} {_WEEK}".split()),
    "co": frozenset({"KG", "KGaA"}),
    "jr": frozenset({"Day"}),
}
"""Capitalized words that may follow such an abbreviation in the same sentence."""

_NEVER_UPPER_CASE = (WordKind.WEAK, WordKind.NUMERIC, WordKind.DATE)
"""Kinds whose abbreviations are not written in capitals."""

_ROMAN = re.compile(r"(?=[IVX])X{0,3}(?:I[XV]|V?I{0,3})")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_VOWEL = re.compile(r"[aeiouyà-æè-ïò-öøù-ýÿœаеёиоуыэюяіїє]", re.I)
_SOUNDS = frozenset("hm hmm mhm pst psst sh shh brr grr tss thx pls btw nvm".split())
_LATIN_OR_CYRILLIC = re.compile(r"[A-Za-zÀ-ɏа-яёА-ЯЁ]{2,}")


@cache
def load_table(language: str | None) -> dict[str, WordKind]:
    """Return abbreviation, without its last full stop, → kind, for a base language tag or any language."""
    words = (
        (WordKind.DATE, _DATES),
        (WordKind.NUMERIC, _NUMERIC),
        (WordKind.WEAK, _WEAK),
        (WordKind.TITLE, _TITLES),
        (WordKind.LAST, _LAST),
    )
    merged = {word.rstrip("."): word_kind for word_kind, listed in words for word in listed.split()}
    if language is None:
        merged |= dict.fromkeys(("Sr", "sr"), WordKind.TITLE)
    for word_kind, listed in _LANGUAGE_SPECIFIC.get(language or "", {}).items():
        merged |= dict.fromkeys(listed.split(), word_kind)
    return merged


_INITIALS = re.compile(r"(?:[^\W\d_]\.-)+[^\W\d_]")
"""The initials of a double first name: J.-P., without the last full stop."""


def classify_word(words: list[str], language: str | None) -> tuple[WordKind, str]:
    """Return the kind of the last of ``words`` in its context, and its key in the table.

    ``words`` are up to four; the last one is without its full stop and opening marks: ``["z.", "B"]``.
    """
    word = words[-1]
    previous = words[-2] if len(words) > 1 else ""
    if _INITIALS.fullmatch(word):
        return WordKind.TITLE, ""
    known = load_table(language)
    for key in _lookup_keys(words):
        found = known.get(key) or (known.get(key.lower()) if len(key) > 1 else None)
        if found in _NEVER_UPPER_CASE and word.isupper() and len(word) > 2 and "." not in key:
            continue  # EST is a time zone, "est." means estimated
        if found is not None and not _is_unit(word, previous):
            return _adjust_by_context(found, key, words), key.lower()
    if _is_unit(word, previous):
        return WordKind.LAST, ""
    if len(word) == 1 and word.isalpha():
        return _classify_letter(word, previous), ""
    if is_roman_numeral(word):
        return WordKind.LAST, "roman"
    if word.lower().endswith("str") and len(word) > 4:
        return WordKind.WEAK, ""
    if _LATIN_OR_CYRILLIC.fullmatch(word) and _is_clipped(word):
        return WordKind.LAST, ""
    return (WordKind.WEAK if _DOTTED.fullmatch(word) else WordKind.WORD), ""


def continues_sentence(key: str, word: str) -> bool:
    """Tell whether the capitalized ``word`` continues the sentence of the abbreviation ``key``: p.m. EST."""
    if key == "roman":
        return word.lower() in AFTER_ORDINAL
    return word in _CONTINUATIONS.get(key, ())


def is_roman_numeral(word: str) -> bool:
    """Tell whether ``word`` is a Roman numeral from II to XXXIX."""
    return len(word) > 1 and _ROMAN.fullmatch(word) is not None


def _lookup_keys(words: list[str]) -> list[str]:
    """Return the possible keys of the last word, longest first: "z." and "B" are "z.B", then "B"."""
    word = words[-1]
    if word[:2].lower() in {"l'", "d'", "l’", "d’", "n'", "n’"}:
        word = word[2:]
    keys = [word, *re.findall(r"\.[-–/]([^\W\d_]+)$", word)][::-1]
    if words[-2:-1] and words[-2].lower() in {"par", "per", "por", "ad"}:
        keys.append(f"{words[-2]}.{word}")
    for earlier in reversed(words[:-1]):
        if not (earlier.endswith(".") and 2 <= len(earlier) <= 4):
            break
        keys.append(earlier + keys[-1])
    keys.reverse()
    return [key for key in keys if key]


def _adjust_by_context(found: WordKind, key: str, words: list[str]) -> WordKind:
    """Correct a kind by the words before it: a letter that labels a noun; "Dr." as a street."""
    if len(key) == 1 and len(words) > 1 and _is_labelled_noun(words[-2]):
        return WordKind.LAST
    if key == "Dr" and len(words) > 2 and words[-3].isdigit() and words[-2].istitle():
        return WordKind.WEAK
    return found


def _is_labelled_noun(noun: str) -> bool:
    return noun.lower().strip("\"'([{«“‘„*_") in _LABELLED


def _is_unit(word: str, previous: str) -> bool:
    """Tell whether ``word`` is the unit of the number before it: 5 min., 21 C., 100 W."""
    return previous[-1:].isdigit() and (word.lower() in _UNITS or word in set("mshglCFKVWA"))


def _classify_letter(word: str, previous: str) -> WordKind:
    """Return the kind of a single letter: an initial, unless it is a word ("I", "я") or labels a noun."""
    if word == "I" or not (word.isupper() or (word.isascii() and word.islower())):
        return WordKind.WORD
    return WordKind.LAST if _is_labelled_noun(previous) else WordKind.WEAK


def _is_clipped(word: str) -> bool:
    """Tell whether ``word`` has no vowel, and so is an abbreviation: vgl, Bspw."""
    return not word.isupper() and word.lower() not in _SOUNDS and not _VOWEL.search(word)
