"""English: American where the varieties differ, except for dates in text tagged en-GB and similar."""

from __future__ import annotations

import re

from .. import units
from ..numbers import Number
from ..roman_numerals import parse_roman
from ..rules.rule import LETTER, START, Match, Rules, text_after, text_before
from .english_addresses import DIRECTIONS, EnglishAddressRules
from .english_dates import EnglishDates

_WORDS_IN_CAPITALS = frozenset(
    # pronounced as words
    "NASA NATO UNESCO UNICEF OPEC FIFA UEFA IKEA LEGO NAS RAM ROM SIM PIN GIF JPEG LASER RADAR SONAR SCUBA COVID AIDS "
    "WLAN LAN WAN LIDAR YAML JSON TOML ASCII CRUD SOAP ASAP MAC "
    # ordinary words, written in capitals for emphasis
    "A I OK AM PM ON OFF IN IT IS BE DO GO IF NO NOT NOW NEW OLD OUT UP DOWN YES ALL AND ANY ARE BUT CAN DAY DID FOR GET "
    "HAD HAS HER HIM HIS HOT HOW ITS LET MAY OUR OWN PUT RUN SAY SEE SHE THE TOO TRY TWO USE WAS WAY WHO WHY YOU AT BY "
    "AN AS OR SO TO US WE ME MY OF HI OH LOW HIGH STOP HELP OPEN SHUT LOCK FIRE DOOR HOME AWAY ALERT NOTE TEST WAIT WARN "
    "LEFT BACK FULL EMPTY READY ERROR DONE FAIL SAFE VERY MUST NEVER MORE LESS THIS THAT WITH FROM HAVE WILL WHAT WHEN "
    "THEN ONLY JUST PLAY PAUSE NEXT LAST FIRST PLEASE ALWAYS COLD WARM HEAT COOL AUTO DRY FAN ECO LIVE LOVE GOOD BAD BIG "
    "RED ONE SIX TEN CAR KEY CAT DOG BOX EAT END FUN GAS LOT MAN MEN OIL PAY SET SUN TOP WET WIN ADD AGE AGO AIR ART ASK "
    "BAG BED BUS BUY CUT EGG EYE FEW FIX FLY GUN GUY HIT JOB LAW LEG LIE MAP MIX MOM DAD".split()
)


class English(EnglishDates):
    """English."""

    def leading_rules(self) -> Rules:
        yield from EnglishAddressRules(self).rules()
        yield from self._year_rules()
        yield from self._amount_rules()
        yield from self._decade_rules()
        yield from self._label_rules()

    def _year_rules(self) -> Rules:
        """Yield the rules for eras, quarters and fiscal years."""
        yield (
            "era",
            rf"{START}(?P<y>\d{{1,4}})\s?(?P<era>A\.\s?D\.|B\.\s?C\.(?:\s?E\.)?|C\.\s?E\.|AD|BCE?|CE)(?!\w)",
            self._era,
        )
        year = r"(?P<y>(?:\s?(?:1[89]|20)\d\d|\s?['’]\d\d|\d\d))"
        yield "quarter", rf"(?<![\w.,$])(?P<n>[1-4])(?P<l>[QH]){year}(?!\w|[.,:]\d)", self._quarter
        yield (
            "quarter-year",
            r"(?<!\w)(?P<l>[QH])(?P<n>[1-4])(?:[-/ ]?['’]|\s)(?P<y>\d{4}|\d{2}(?<=['’]..))(?!\w|[.,:]\d)",
            self._quarter,
        )
        yield (
            "fiscal",
            r"(?<!\w)FY(?P<y>\s?['’]?(?:\d{4}|\d\d))(?:[-–/](?P<to>\d{2}))?(?!\w|[.,:]\d)",
            self._fiscal,
        )

    def _amount_rules(self) -> Rules:
        """Yield the rules for fractions with an ending, distances, directions and thousands."""
        yield (
            "fraction-th",
            rf"{START}(?:(?P<w>\d{{1,3}}) )?(?P<a>\d{{1,3}})/(?P<b>\d{{1,4}})(?:ths?|rds?|nds?|sts?)\b",
            self._fraction,
        )
        yield (
            "distance-run",
            rf"{START}(?P<n>\d{{1,3}}) (?P<l>K)(?:(?= (?:run|race|walk|fun)\b)|(?<=\ba \d K)|(?<=\ba \d\d K))",
            self._number_letters,
        )
        yield (
            "direction",
            rf"(?:(?<=mph )|(?<=km/h ))(?P<way>{'|'.join(sorted(DIRECTIONS, key=len, reverse=True))})(?!\w)",
            lambda m: DIRECTIONS[m["way"]],
        )
        yield (
            "thousands-of",
            rf"{START}(?P<n>\d+(?:\.\d+)?) K(?=\s[a-z]{{3,}}s\b)",
            lambda m: f"{self.number(self.parse_number(m['n']))} {self.clean_scale_word('K')}",
        )

    def _decade_rules(self) -> Rules:
        """Yield the rules for decades."""
        yield "decade-apart", r"(?<!\w)(?P<y>(?:1[1-9]|20)\d0) s\b", self._decade_apart
        yield "decade", r"(?<!\w)(?P<y>(?:1[1-9]|20)\d0)['’]?s\b", lambda m: self.decade(int(m["y"]))
        yield (
            "decade-short",
            r"(?:(?<=the )|(?<=\d0s[-–/])|(?<=\d0s (?:or|to) )|(?<=\d0s and )|(?<=mid-)|(?<=\bhis )|(?<=\bher )|(?<=\bmy )|(?<=\byour )|(?<=\btheir )|(?<=\bearly )|(?<=\blate )|(?<=\b(?:low|mid) )|(?<=\b(?:high) )|(?<=\b(?:upper|lower) )|['’])(?P<y>[2-9]0)['’]?s\b(?!\w)",
            lambda m: self.decade(int(m["y"])),
        )
        yield (
            "decade-music",
            r"(?<![\w.,$])(?P<y>[2-9]0)['’]?s(?=/\d0s| (?:music|songs?|hits|rock|pop|style|films?|movies?|fashion|party|playlist|dance|disco|metal|classics|kids?|TV|radio)\b)",
            lambda m: self.decade(int(m["y"])),
        )

    def _label_rules(self) -> Rules:
        """Yield the rules for numbers with a letter, ratings, comparisons and acronyms."""
        yield (
            "glued-scale",
            rf"{START}(?P<n>\d+\.\d+)(?P<l>[MB])(?![{LETTER}\d/]|\s(?:USD|EUR|GBP|CHF|CAD|AUD)\b)",
            self._glued,
        )
        yield "lines", r"(?<!\w)(?P<n>480|720|1080|1440|2160)(?P<l>[piP])(?!\w)", self._lines
        yield "label", rf"{START}(?P<n>\d{{1,4}}) ?(?P<l>[A-Z])(?![{LETTER}\d/'’])", self._label
        yield (
            "pence",
            rf"{START}(?P<n>[1-9]\d?)p(?![\w/])",
            lambda m: self.money(Number("0", m["n"].zfill(2)), "GBP"),
        )
        yield "zip", r"(?<=\b[A-Z]{2} )(?P<n>\d{5})(?P<four>-\d{4})?(?!\d)", lambda m: self.spell_digits(m[0])
        yield "rated", rf"{START}(?P<a>\d{{1,2}})/(?P<b>5|10|100)(?![\d/])", self._rated
        yield "more", r"(?<=\s)(?P<s>[<>≥≤])(?=\s?[\d$€£-])", self._more
        yield "variable", r"\$(?P<n>[A-Z][A-Z_]+)\b", lambda m: f"dollar {m['n'].replace('_', ' ').lower()}"
        yield (
            "degree-letter",
            rf"(?P<sign>{self.negative})?(?P<n>\d{{1,3}}(?:\.\d)?)\s?(?P<u>[CF])(?=\s(?:outside|inside|indoors|outdoors|today|tonight|tomorrow|now|overnight|right now)\b)",
            self._measure,
        )
        yield (
            "glued",
            rf"{START}(?P<n>\d+(?:\.\d+)?)(?P<l>[KkBb])(?![{LETTER}\d/]|\s(?:USD|EUR|GBP|CHF|CAD|AUD)\b)",
            self._glued,
        )
        yield "roman-name", r"(?P<name>[A-Za-z][a-z]+)\s(?P<r>[IVXLCM]+)(?![\w'’-])", self._roman
        yield "possessive", rf"(?P<l>[A-Z]{{2,5}})(?P<s>['’]s|s)(?![{LETTER}])", self._plural_acronym
        yield "dotted-letters", rf"(?<![{LETTER}.])(?:[A-Z]\.){{2,}}(?![{LETTER}])", self._dotted_letters

    def language_rules(self) -> Rules:
        yield (
            "ordinal",
            rf"(?:{START}|(?<=[stndrh]/))(?P<n>\d{{1,3}}(?:,\d{{3}})+|\d+)(?:st|nd|rd|th|ST|ND|RD|TH)\b",
            self._ordinal,
        )
        yield (
            "compound-unit",
            rf"{START}(?P<n>{self.num})-(?P<u>min|hr|sec|km|mi|ft|cm|mm|kg|lb|oz|gal|ml|L|V|W|kW|kWh|Hz|GB|TB)(?=\s[a-z])",
            self._compound_unit,
        )
        yield "compound", rf"{START}(?P<n>\d+)(?P<th>st|nd|rd|th)?-(?=[a-z]{{2,}})", self._compound
        yield (
            "star",
            r"(?P<n>\d+(?:\.\d)?)\s?[★⭐]",
            lambda m: f"{self.number(self.parse_number(m['n']))} star{'' if m['n'] == '1' else 's'}",
        )
        yield "acronym", r"(?<![\w'’])(?P<l>[A-Z]{2,5})(?![\w]|['’][A-Za-z]{2})", self._acronym

    def _era(self, m: Match) -> str:
        """340 A.D.: the year of an era; the A is no ampere."""
        ends = "." if m["era"].endswith(".") and not text_after(m).strip() else ""
        return f"{self.year(int(m['y']))} {self.spell_letters(re.sub(r'[^A-Z]', '', m['era']))}{ends}"

    def _full_year(self, text: str) -> str:
        year = int(text.strip(" '’"))
        return self.year(year if year > 99 else year + (2000 if year < 70 else 1900))

    def _quarter(self, m: Match) -> str | None:
        """2Q22 and Q3 2021; there are only two halves."""
        if m["l"] == "H" and m["n"] not in "12":
            return None
        year = self._full_year(m["y"])
        if m.start("l") < m.start("n"):
            return f"{m['l']} {self.cardinal(int(m['n']))} {year}"
        the = (
            "the "
            if re.search(
                r"\b(?:in|of|for|during|since|from|to|until|by|and|than|after|before)\s$", text_before(m)
            )
            else ""
        )
        return f"{the}{self.ordinal(int(m['n']))} {'quarter' if m['l'] == 'Q' else 'half'} of {year}"

    def _fiscal(self, m: Match) -> str | None:
        """FY22; after a quarter the letters FY are dropped."""
        if re.search(r"\b[QH][1-4]\s$", text_before(m)):
            return None
        to = f" to {self.cardinal(int(m['to']))}" if m["to"] else ""
        return f"fiscal year {self._full_year(m['y'])}{to}"

    def _decade_apart(self, m: Match) -> str | None:
        """In "the 1980 s" the s is no second."""
        decade = re.search(r"\b(?:the|early|mid|late|mid-|early-|late-)\s?$", text_before(m), re.I)
        return self.decade(int(m["y"])) if decade else None

    def _roman(self, m: Match) -> str | None:
        value = parse_roman(m["r"])
        if value is None:
            return None
        if words := self.regnal_number(m["name"], value):
            return f"{m['name']} {words}"
        keyed = re.fullmatch(
            r"War|Chapter|Part|Act|Volume|Section|Phase|Type|Class|Level|Stage|Scene|Book|Article|Title|Appendix|Mark|Bowl|"
            r"Fantasy|Episode|Tier|Season|Round|Grade|Figure|Table|Schedule|Category|Division|Rocky|Option|Step|Item",
            m["name"].capitalize(),
        )
        if keyed or (
            m["name"][0].isupper()
            and len(m["r"]) > 1
            and set(m["r"]) <= set("IVX")
            and m["r"] not in {"XX", "XXX"}
        ):
            return f"{m['name']} {self.cardinal(value)}"
        return None

    def _spells(self, word: str, text: str) -> bool:
        if word in _WORDS_IN_CAPITALS:
            return False
        letters = [c for c in text if c.isalpha()]
        loud = sum(c.isupper() for c in letters) > 0.6 * len(letters) and len(text.split()) > 2
        if loud:  # a whole sentence in capitals: spell only what cannot be a word
            return not re.search("[AEIOUY]", word)
        return len(word) <= 4 or not re.search("[AEIOUY]", word)

    def _acronym(self, m: Match) -> str | None:
        word = m["l"]
        value = parse_roman(word)
        if (
            value is not None
            and set(word) <= set("IVX")
            and word not in {"IV", "XI", "VI", "XX", "II", "III"}
        ):
            return None
        return self.spell_letters(word) if self._spells(word, text_before(m) + word + text_after(m)) else None

    def _plural_acronym(self, m: Match) -> str | None:
        if not self._spells(m["l"], text_before(m) + m["l"] + text_after(m)) or m["l"] in {"I", "A"}:
            return None
        return f"{self.spell_letters(m['l'])}{m['s'] if len(m['s']) > 1 else chr(39) + 's'}"

    def _dotted_letters(self, m: Match) -> str | None:
        if m[0] in {"P.S.", "A.M.", "P.M."} or len(m[0]) > 12:
            return None
        stop = "" if text_after(m).strip() else "."
        return self.spell_letters(m[0].replace(".", "")) + stop

    def _compound_unit(self, m: Match) -> str | None:
        """A 30-min walk: the unit is in the singular."""
        name = self._units.get(units.canonical_symbol(m["u"]))
        return f"{self.number(self.parse_number(m['n']))} {name.one}" if name else None

    def _compound(self, m: Match) -> str:
        return f"{self.ordinal(int(m['n'])) if m['th'] else self._cardinal_or_digits(m['n'])} "

    def _ordinal(self, m: Match) -> str:
        return self.ordinal(int(m["n"].replace(",", "")))

    def _more(self, m: Match) -> str | None:
        """The sign needs no verb in "is < 5", "costs < 5" and "for <5"."""
        verb = r"\b(?:is|are|was|were|be|been|costs?|takes?|needs?|uses?|has|have|had|for|at|with|in|by|to|of|only|still|now)\s$"
        if re.match(r"\s", text_after(m)) and not re.search(verb, text_before(m)):
            return None
        return {"<": "less than", ">": "more than", "≥": "at least", "≤": "at most"}[m["s"]] + " "

    def _label(self, m: Match) -> str | None:
        """Seat 14A, exit 12V: a label, and not a measure."""
        named = re.search(
            r"\b(?:exit|seat|gate|room|apartment|apt\.?|unit|flat|platform|bus|line|row|section|terminal|level|model|type|class|grade|"
            r"building|block|suite|door|dock|lane|zone|table|box|locker|aisle|number|no\.|highway|route|figure|fig\.?|chapter|appendix|"
            r"part|lot|bay|bed|coach|carriage|track|stop|pier|berth|hall|house|form|hepatitis|vitamin|option|answer|question|team|group|wing|tower|stall|session|pool|division|page|item|step|exercise|problem|size|shelf|drawer|cell|court|field|pitch)\s$",
            text_before(m),
            re.I,
        )
        return f"{self._cardinal_or_digits(m['n'])} {m['l']}" if named else None

    def _lines(self, m: Match) -> str:
        """1080p: the lines of a picture, in pairs of digits."""
        first, last = divmod(int(m["n"]), 100)
        return f"{self.cardinal(first)} {self.cardinal(last)} {self.spell_letters(m['l'])}"

    def _rated(self, m: Match) -> str | None:
        before, after = text_before(m), text_after(m)
        praise = re.search(
            r"\b(?:a|rated|rating|scored?|scoring|gives?(?: it| this)?(?: a)?|gave(?: it)?(?: a)?|got(?: a)?|is|was|at)\s$",
            before,
            re.I,
        )
        words = re.match(r"\s(?:stars?|ratings?|points?|score)", after)
        praise = praise or re.search(r"\b(?:volume|level|brightness|speed)\b[^.!?]{0,20}\s$", before, re.I)
        whole = int(m["b"]) == 10 and int(m["a"]) > 4
        if not (words or (praise and (whole or int(m["b"]) == 100))):
            return None
        return f"{self._cardinal_or_digits(m['a'])} out of {self._cardinal_or_digits(m['b'])}"

    def _glued(self, m: Match) -> str:
        """10k, 4K, 12B: a letter that means thousand, or is spelled."""
        scale = m["l"] == "k" or "." in m["n"]
        letter = self.clean_scale_word(m["l"]) if scale else self.spell_letters(m["l"])
        return f"{self.number(self.parse_number(m['n']))} {letter}"

    def expand_abbreviation(self, written: str, m: Match) -> str | None:
        before, after = text_before(m), text_after(m)
        if written == "St.":
            road = re.search(r"(?:[A-Z][a-z]+(?:['’]s)?|\d(?:st|nd|rd|th))\s$", before)
            return (
                "street"
                if road and not re.match(r"\s[A-Z][a-z]+\s?(?:St\b|Ave|Road|Church)", after)
                else "saint"
            )
        if (
            written == "Dr."
            and re.search(r"[A-Z][a-z]+\s$", before)
            and re.match(r"\s*(?:[,.;!?]|$|[a-z])", after)
        ):
            return "drive"
        if written in {"No.", "no."}:
            return "number" if re.match(r"\s?\d", after) else None
        if written in {"p.", "pp.", "c.", "ca.", "ext.", "Ext."}:
            return self.abbreviations[written] if re.match(r"\s?\d", after) else None
        if written in {"min.", "max.", "est.", "fig.", "Fig.", "vol.", "Vol.", "ch."}:
            return self.abbreviations[written] if re.match(r"\s?[-\w]", after) else None
        if written in {"Co.", "Gen.", "Col.", "Sr.", "Jr.", "Inc.", "Ltd.", "Corp."} and not before.strip():
            return None
        if written in {"vs", "aka", "w/"}:
            return self.abbreviations[written] + (" " if written == "w/" and after[:1].isalnum() else "")
        return self.abbreviations[written]
