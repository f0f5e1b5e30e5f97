"""Sentence splitting, of complete text and of text in chunks.

In a case ``|`` marks the end of a sentence: " | " with a space there, "|" without.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wyoming_qwen3tts.text.sentences import (
    FIRST_CLAUSE_AFTER,
    MAX_CHARACTERS,
    MAX_CHARACTERS_CJK,
    SentenceJoiner,
    SentenceSplitter,
    split_sentences,
)

CASES: dict[str, list[str]] = {
    "en": [
        "He said (quietly!) that it was on. | (It was!) | Then he left.",
        "It's 5 p.m. EST. | Meet Dr. A. B. Smith Jr. at 6 p.m. | Don't be late.",
        "The front door is unlocked.|The garage is closed.|It's 21.5°C outside.",
        "Ok, turning off the lights... done! | Anything else?",
        "Yes. | The light is on. | It is 21.5 °C.",
        "Off. | Now it is dark.",
        "Done. | 3 lights are on.",
        "It is 21. | The light is off.",
        "It is 21. | 3 lights are on.",
        "Dr. Smith, e.g. J. K. Rowling, came at 5 p.m. today. | Really?! | No.",
        "Mr. and Mrs. Brown live on 5th Ave. near St. Mary's, approx. 3 mi. away. | They wait.",
        "He lives on Main St. | The door is open.",
        "J. R. R. Tolkien met George W. Bush. | That is not true.",
        "The U.S. Army is here. | I am in the U.S. | The flight is at 5 p.m. | Be there at 4 a.m. Monday.",
        "Plan B. | Then we go. | Take vitamin C. | Drink water.",
        "So do I. | Then we agree.",
        "See No. 5, p. 12, fig. 3 and vol. 2. | No. | The light is off. | No. | Stop.",
        "Milk, bread, etc. | Then go home. | Milk, etc. are sold here.",
        "Acme Inc. makes lamps. | I work for Acme Inc. | You do too.",
        "Wait 5 min. | Then go. | It takes 10 min. on foot.",
        "Red vs. Blue, i.e. the game. | It is fun.",
        "Pi is 3.14, half is .5 and v2.10.1 is out. | Ping 192.168.1.1. | Fine.",
        "Go to http://example.com/a.b?x=1 now. | Mail me@example.com. | Open README.md. | Done.",
        "See https://example.com/a?b=c. | Set light.kitchen. | It works on Node.js too.",
        "<<It is on.>> | <<Good.>> | He said <<no>> and left. | >>Fine.<< | Then sun.",
        "<< Ça va ? >> | Il part. | << Oui ! >> | Bien.",
        "Well... maybe. | Well... | Maybe. | Wow… | Nice. | I... I don't know.",
        'It said: "Stop!" and stopped. | "Go!" | Then it went. | "Is it on?" she asked.',
        "“It is on.” | “Good.” | He left (at last). | (It rained. | It poured.) | Then sun.",
        "Really?! | No way!!! | What??? | Fine.",
        "ok. | the light is on. | iPhone is charging. | eBay works.",
        "It is on.|The door is open.|Yes!|And now?|No.",
        "Done! 🎉 | Next one. | Great 👍🏽 work! 👨‍👩‍👧🥳 🎂 | Party.",
        "Done!🎉 | Next.",
        "**Done.** | The `light.kitchen` is *on*. | __Yes.__ | No.",
        "Countries use 1,000.50 or 1.000,50. | Both work.",
        "He is 5 ft. tall. | The box is 10 lb. | Take it.",
        "It was in Dec. 2024. | It was in Dec. | It snowed.",
        "World War II. | The end. | Henry VIII. was king.",
        "It costs $5. | You pay. | It costs 5€. | He pays.",
        "Steps: 1. Open it. | 2. Close it. | 3. Go.",
        "It was proven.[1] | Then it was not.[^2] | So.",
        "Mt. Everest is high.",
        "Set the temp. to 21. | the rest is fine.",
        "Is it on? | yes. | it is.",
        "The meeting is Mon. 5 May. | Sun. | Rain. | I sat. | We ate.",
        "John Smith Jr. is here. | Ask Ph.D. students. | Lt. Dan ran.",
        "Hello, world. | How are you? | I'm fine, thanks!",
        "No ender at all",
        "Press Tab. | Then Enter. | Modern art. | Nice.",
        "Temperature: 21.5°C. | Humidity: 40%. | Wind: 5 m/s.",
        "The time is 5:30. | It is early. | At 6 p.m. EST we eat.",
        "The alarm is set for 7 a.m. | Good night!",
        "The temperature is 21.5 degrees. | The humidity is 45%.",
        "I turned on light.kitchen. | Anything else?",
        "Your balance is $1,234.56. | Press 1 for more.",
        "For sales, press 1. | For support, press 2. | To repeat, press *.",
        "Call 1-800-555-0199. | We're open Mon. to Fri. from 9 a.m. to 5 p.m.",
        "Thank you for calling Acme Corp. | How can I help?",
        "Hello! | I'm Dr. Jones. | How are you?",
        'She said, "Turn it off." | Then she left.',
        'He asked, "Really?" | She nodded.',
        "Fig. 3 shows it. | See Sec. 2.1 for more.",
        "At 10:30 p.m. the door closed. | All good.",
        "The U.K. is in Europe. | The U.S.A. is not.",
        "Prices rose 3.5% vs. last year. | Sales fell.",
        "Meet at 221B Baker St. | It's near.",
        "e.g. this one. | i.e. that.",
        "Sure! | Here are the lights: kitchen, hall. | All on.",
        "Wait... | What? | No!",
        "Hmm... okay.",
        "I can't. | I won't.",
        "The sensor reads 3. | 5 minutes ago it was 2.",
        "Version 2.0 is out. | Update now.",
        "Visit www.example.com. | Thanks.",
        "Is it 5? | No, it's 6. | OK.",
        "Mr. T is here. | So is J. Smith.",
        "St. Patrick's Day is Mar. 17. | Have fun.",
        "It's 72°F. | It's 22 °C. | Nice.",
        "Light: on. | Fan: off.",
        "Ok. | Done.",
        "Yes. | I did it.",
        "It weighs 5 kg. | That's a lot.",
        "He has a B.A. in art. | She has a Ph.D. | They met.",
        "Go to room 5 now.",
        "She works at Apple Inc. in California.",
        '"Yes." | "No."',
        "(It is on.) | It is off.",
        "Nice job! | :) Next.",
        "Okay, done. 🎉 | Enjoy!",
        "Oh no!!! | Help!",
        "Tom, Dick et al. went home. | Fine.",
        "Turn left onto Elm Ave. and go. | Stop.",
        "Dec. 25 is Christmas. | Jan. 1 is New Year.",
        "It is the No. 1 song. | Play it.",
        "I live at 12 Oak Dr. | It's nice.",
        "The file config.yaml is missing. | Create it.",
        "This is it. | And that is that. | but not this.",
        "I have 2 dogs. | 1 cat.",
        "Good morning, Mr. President. | Welcome.",
        "It's approx. 5 km away. | Walk.",
        "Use Ctrl+C. | Then Ctrl+V.",
        "Done.\n | Next",
        "I like A.I. and I.T. very much. | You too?",
        "At 5 p.m. | At 6 p.m. we leave. | Ok.",
    ],
    "de": [
        "Er ist Dipl.-Ing. und wohnt hier. | Mo.–Fr. 9–17 Uhr ist offen. | Gut.",
        "Die Heizung ist auf 21. | Stufe 3 ist aktiv.",
        "Das Gerät (Typ X.) ist an. | Und aus!",
        "Am 3. Dezember ist es so weit. | Es ist der 3. | Dann nicht mehr.",
        "Bitte z. B. die Lampe im 2. Stock, bzw. im Flur. | Danke.",
        "Das ist z.B. gut, d. h. sehr gut, u. a. hier. | Ja.",
        "Es sind 21. | Dann wird es kalt.",
        "Der 21. und 22. Mai sind frei. | Am 1. Januar nicht. | Der 1. FC spielt.",
        "Heinrich VIII. war König. | Ludwig XIV. | Er baute Versailles.",
        "Lampen, Rollos usw. | Dann ist Schluss. | Lampen usw. sind aus.",
        "Es kostet ca. 5 Mio. Euro. | Es sind 3 Mrd. | Das ist viel.",
        "Nr. 5 lebt. | Die Haupt-Str. 7 ist zu. | Berliner Str. 3 auch. | Hauptstr. 9 nicht.",
        "Hr. Müller und Fr. Dr. Maier sind da. | Prof. Klein nicht.",
        "„Halt!“ | Er ging. | »Ja.« | »Nein!« | „Wirklich?“, fragte sie. | „Komm!“ rief er.",
        "Um 8.30 Uhr geht es los. | Am 24.12. ist Heiligabend. | Am 3.5.2024 nicht.",
        "Das war am 3. 12. 2024. | Heute nicht.",
        "Siehe Abs. 3, Art. 5 und S. 12 ff. im Buch. | Gut.",
        "Im 19. Jh. war das so. | Im II. Quartal auch.",
        "Max. 5 Std. lang. | Wartet 2 Std. | Danach ist Ruhe.",
        "Das war 50 v. Chr. in Rom. | Der e. V. hat recht.",
        "Das ist sog. Smalltalk, vgl. oben, ggf. unten. | Ende.",
        "Es ist an.|Die Tür ist offen.|Ja!|Und jetzt?",
        "Beim 3. Versuch klappte es. | Beim 2. Mal nicht.",
        "Der 2. und 3. Platz sind weg. | Zum 1. Mal.",
        "Ist das Licht an? | Ja, i. d. R. schon.",
        "Ich mag es. | Das ist gut. | So. | Weiter.",
        "Das Licht ist an. | Es sind 21,5 Grad.",
        "Heute ist der 24. Dezember. | Frohe Weihnachten!",
        "Termin am Mo., 3. Mai um 8.30 Uhr. | Bitte kommen.",
        "Es ist 15 Uhr. | Zeit für Kaffee.",
        "Die Temperatur beträgt 21 Grad. | Die Luftfeuchtigkeit 45 %.",
        "Er wohnt in der Bahnhofstr. 5. | Sie auch.",
        "Das kostet 3,50 €. | Bitte zahlen.",
        "Dr. med. Müller ist da. | Prof. Dr. Klein auch.",
        "Drücken Sie die 1. | Oder die 2.",
        "Die 3. Etage ist leer. | Der 1. Stock auch.",
        "Er kam am 5. an. | Dann ging er.",
        "Am 5. und 6. ist zu.",
        "Das sind ca. 20 m. | Mehr nicht.",
        "Vgl. S. 5. | Das stimmt.",
        "Ja. | nein. | Vielleicht.",
        "Rechnung Nr. 12 vom 3.5. ist da. | Bitte zahlen.",
        "Im 3. OG brennt Licht. | Alarm!",
        "Das 1. Programm läuft. | Das Zweite.",
        "Karl der Große starb 814 n. Chr. in Aachen. | Er war 65.",
        "Wir treffen uns um 18 Uhr in der Haupt- bzw. Nebenstr. 4. | Bis dann.",
        "Firma Meier GmbH & Co. KG liefert. | Gut.",
        "Der Termin ist am Freitag, dem 13. Oktober 2023. | Gut.",
    ],
    "fr": [
        "M. Dupont et Mme Durand sont là. | Oui.",
        "Par ex. la lampe, p. ex. celle-ci, c.-à-d. la grande. | Merci.",
        "En 50 av. J.-C. à Rome était grande. | En 50 av. J.-C. il pleuvait. | Fin.",
        "« Vraiment ? » dit-il. | « Oui ! » | Il partit. | « Ah ! », fit-elle.",
        "Il est 5 h. | La lampe est allumée ! | Ça va ? | Bien.",
        "Le Dr Petit, J.-P. Martin, etc. sont là. | C'est prêt. | J.-J. Rousseau est né ici.",
        "Lait, pain, etc. | Puis rentrez. | Le n° 5 est prêt.",
        "Mgr Martin et le Dr. Petit arrivent. | Bd. Saint-Michel, env. 3 km.",
        "Voir p. 12 et art. 3. | La loi est claire.",
        "Bonjour... comment ça va ? | Bien… | Et toi ?",
        "La lumière est allumée. | Il fait 21,5 degrés.",
        "Bonjour ! | Comment allez-vous ? | Très bien.",
        "Rendez-vous à 8 h 30. | À demain.",
        "Voir M. Martin, Mlle Petit et MM. Dupont. | Merci.",
        "C'est le n° 3. | Voilà.",
        "Il a dit : « Stop. » | Puis il est parti.",
        "Le XXe s. est fini. | Le 1er mai aussi.",
        "Appuyez sur 1. | Appuyez sur 2.",
    ],
    "es": [
        "¿Qué tal? | ¡Bien! | ¿Y tú? | Bien.",
        "Hola. | ¿Qué tal?|¡Bien!",
        "El Sr. García y la Sra. López viven en EE. UU. desde 2010. | Él no.",
        "Vive en EE. UU. | La casa es grande.",
        "Véase pág. 12, núm. 5 y art. 3. | Aprox. 20 m. | Ud. sabe.",
        "Son las 5 p. m. | Es tarde. | Son las 5 a. m. en Lima.",
        "Leche, pan, etc. | Luego vuelve. | P. ej. esto.",
        "—¡Hola! —dijo él. | —Adiós. | Se fue.",
        "Bueno... | ¿qué hora es? | No sé...",
        "La luz está encendida. | Son las 3 p.m.",
        "¡Hola! | ¿Cómo estás? | Bien.",
        "La Dra. Ruiz, el Dr. Paz y el Prof. Gil llegan. | Sí.",
        "Son aprox. 20 km. | Vamos.",
        "Pulse 1. | Pulse 2.",
        "En el s. XX hubo guerras. | Ya no.",
        "EE.UU. y la UE hablan. | Bien.",
        "Vive en la Avda. América, n.º 3. | Sí.",
    ],
    "pt": [
        "O Sr. Silva e a Sra. Costa moram na Av. Paulista, n.º 5. | Sim.",
        "A Dra. Ana chegou. | Ver pág. 3, p. ex. aqui. | Pão, leite, etc. | Depois volte.",
        "Está ligado. | São 21. | A luz está acesa!",
        "A luz está acesa. | Faz 21,5 graus.",
        "O Dr. Lima e o Prof. Reis chegaram. | Bom.",
        "Vive na R. Augusta, nº 5. | Sim.",
        "São 15h. | É tarde.",
        "Os EUA e o Exmo. Sr. Presidente. | Bem.",
    ],
    "it": [
        "Il Sig. Rossi e la Dott.ssa Bianchi sono qui. | Sì.",
        "Pane, latte, ecc. | Poi torna. | Per es. questo, p. es. quello. | Vedi pag. 3.",
        "L'ing. Verdi e il prof. Neri arrivano. | La luce è accesa.",
        "La luce è accesa. | Ci sono 21,5 gradi.",
        "Il dott. Rossi e la sig.ra Bianchi arrivano. | Bene.",
        "Sono le 3. | È tardi.",
        "Premi 1. | Premi 2.",
        "Ad es. questo. | Ecco.",
    ],
    "ru": [
        "Да. | Это ул. Ленина. | Хорошо.",
        "Он живёт в г. Москва, т. е. в столице. | Да.",
        "Хлеб, молоко и т. д. | Потом домой. | Хлеб и т. п. есть.",
        "Это стоит 5 руб. | Потом больше. | Всего 3 млн рублей. | Или 3 млн. рублей.",
        "А. С. Пушкин родился в 1799 г. в Москве. | Он поэт.",
        "В 2024 г. | Это было. | См. рис. 3, стр. 5 и табл. 2. | Всё.",
        "Сейчас 21. | Свет включён.|Дверь открыта. | Это я. | Потом ты.",
        "«Стой!» | Он ушёл. | «Да», — сказал он. | — Привет! — сказал он.",
        "Свет включён. | Сейчас 21,5 градуса.",
        "Проф. Иванов и д-р Петров тут. | Да.",
        "Это стоит 100 р. | Дорого.",
        "Рост 180 см. | Вес 80 кг.",
        "В 1990 г. он родился. | Да.",
        "Ул. Мира, д. 5, кв. 3. | Это здесь.",
        "В XX в. было так. | Теперь нет.",
        "Около 5 тыс. человек пришли. | Ура!",
        "Нажмите 1. | Нажмите 2.",
        "И т. д. и т. п. | Конец.",
        "Тел. 123. | Звоните.",
    ],
    "cjk": [
        "你好。|世界！|「是。」|他说。",
        "“真的吗？”，他问。|“是的。”|我走了。",
        "等一下……|好的。|嗯……让我想想。|真的！！|真的？！|好。",
        "好的～|我马上来。|10～20度。|Wi-Fi已连接。|温度是21.5度。",
        "今日は晴れです。|明日は雨でしょう。",
        "「待って！」と言った。|「はい。」|彼は言った。|そうですね～|はい。",
        "完了しました！🎉|次です。|（了解。）|はい。",
        "好吗?|可以.|我来。",
        "灯已打开。|温度是21.5度。",
        "你好！|有什么可以帮您？|请说。",
        "他说：“打开灯。”|然后走了。",
        "《三体》很好看。|你看了吗？",
        "电气をつけました。|他に何か？",
        "「わかりました。」|次へ。",
        "ええ、そうです。| (はい)",
        "现在是3:30。|OK。|好的。",
        "室温は21.5℃です。|湿度は45%です。",
        "真的吗?|太好了!|走吧~",
        "今天是12月3日。|明天是4日。",
        "3.5公里。|到了。",
    ],
    "ko": [
        "불을 켰습니다. | 문이 열렸어요. | 네! | 정말요? | 온도는 21.5도입니다.",
        "네. | 알겠습니다.|지금 켤게요.",
        '그는 "문이 열렸어요."라고 말했다. | 그리고 나갔다. | “안녕!”이라고 했다. | 네.',
        "안녕하세요. | 무엇을 도와드릴까요? | 네.",
        "현재 온도는 21.5도입니다. | 습도는 45%입니다.",
        "3층 조명을 켰습니다. | 감사합니다!",
    ],
    "other": [
        "यह एक वाक्य है। | यह दूसरा है।|डॉ. शर्मा यहाँ हैं।",
        "هل الضوء مضاء؟ | نعم. | شكرا!",
    ],
    "hi": [
        "बत्ती चालू है। | तापमान 21.5 डिग्री है। | धन्यवाद!",
    ],
    "lines": [
        "Trailing spaces  |\n- one  |\n- two \t |\r\n\r\nEnd",
        "1. Turn on the light.|\n2. Close the door.|\n10) Open it.",
        "1. Turn on|\n2. Close",
        "Shopping:|\n- milk|\n- bread and butter\nand jam|\n* eggs|\n• salt|\n☐ pepper",
        "a) first|\nb) second|\n(c) third",
        "# Heading|\nText goes on.|\n## 1. Next|\nMore.",
        "One line\nthat goes on. | A new one.",
        "A title|\n\nA paragraph.",
        "Rooms:|\n\n\nKitchen",
        "Roses are red|\nViolets are blue,\nSugar is sweet",
        "Main Street 5|\nSpringfield",
        "A line as long as those that editors wrap somewhere near the end,\nBecause it is long.",
        "This is a line of prose that an editor has wrapped after Dr.\nSmith, as it does.",
        "```python|\nprint('a. B')|\nx = 1|\n```|\nDone. | Yes.",
        "> Quoted.|\n> Again",
        "Dear Dr. |\n\nHello",
        "Kitchen: on|\nBedroom: off|\n💡 Hall: on",
        "标题|\n正文内容。|\n- 一|\n- 二",
        "First.\r\n| \r\n Second.|\r\nThird.",
        "The sum of the\nParts is more.",
        "Text.|\n---|\nMore.",
        "Here's the list:|\n1. Milk|\n2. Eggs. | Fresh ones.|\n3. Bread|\n\nThat's all.",
        "Here you go:|\n\n- **Kitchen**: on|\n- **Hall**: off|\n\nDone!",
        "Steps:|\n1) Open|\n2) Close",
        "**Note:** It is on. | Ok.",
        "## Status|\n\nAll good.|\n\n### More|\nYes.",
        "Hello\nworld.",
        "Dear John,\nthe light is on.",
        "Best regards,\nThe Team",
        "I. Intro|\nII. Methods",
        "A. Open|\nB. Close",
        "• One|\n• Two",
        "– Eins|\n– Zwei",
        "Zutaten:|\n- 2 Eier|\n- 1 l Milch",
        "1. Schritt: Öffnen.|\n2. Schritt: Schließen.",
        "* [ ] a|\n* [x] b",
        "Line one.|\nLine two.",
        "第一：|\n1、牛奶|\n2、面包",
        "- Licht\nan|\n- aus",
        "Text",
    ],
}


def cut(
    text: str, size: int | None = None, *, lang: str | None = None, first_clause: bool = False
) -> list[str]:
    splitter = SentenceSplitter(lang, first_clause=first_clause)
    sentences = []
    for at in range(0, len(text), size or len(text) or 1):
        sentences += splitter.push(text[at : at + size] if size else text)
    return sentences + splitter.finish()


def tidy(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(("lang", "case"), [(lang, case) for lang in CASES for case in CASES[lang]])
def test_text_is_cut_where_a_reader_would_pause(lang: str, case: str) -> None:
    text = case.replace(" | ", " ").replace("|", "")
    expected = [tidy(sentence) for sentence in case.split("|")]
    for size in (None, 1, 2, 3, 4, 5, 6, 7):
        assert cut(text, size) == expected, f"in pieces of {size}"
        if len(lang) == 2:
            assert cut(text, size, lang=lang) == expected, f"in pieces of {size}, the language known"


@pytest.mark.parametrize(
    ("lang", "case"),
    [
        ("de", "Das dauert mind. zwei Tage. | Es sind 21. | Danach geht es."),
        ("en", "It is 21. | or so it seems. | I saw John Smith Sr. | He waved."),
        ("es", "Hoy es el 5 ago. 2024."),
        ("en-GB", "It is 21. | or 22."),
        ("de_AT", "Der 21. oder 22. Jänner."),
        ("it", "Il 3 set. 2024 piove."),
        ("ru", "Стало 21. | или 22."),
    ],
)
def test_a_language_that_is_known_settles_doubts(lang: str, case: str) -> None:
    assert cut(case.replace(" | ", " "), lang=lang) == case.split(" | ")


@pytest.mark.parametrize("size", [None, 1, 3])
def test_rows_of_a_table_stand_alone(size: int | None) -> None:
    rows = ["| Room | State |", "|---|---|", "| Dr. A. | On. Off. |"]
    assert cut("\n".join(rows) + "\nAfter it.", size) == [*rows, "After it."]


def test_a_sentence_is_known_as_soon_as_its_end_is() -> None:
    splitter = SentenceSplitter()
    assert splitter.push("The light is on.") == []
    assert splitter.push(" ") == [], "an emoji would belong to it"
    assert splitter.push("A") == ["The light is on."]
    assert splitter.push("m 3. ") == []
    assert splitter.push("Dezember schneit es!\n") == ["Am 3. Dezember schneit es!"]
    assert splitter.push("你好。") == []
    assert splitter.push("世") == ["你好。"]
    assert splitter.push("界\n\n") == ["世界"]
    assert splitter.push("Rooms:\n") == ["Rooms:"]
    assert splitter.push("- kitchen\n- h") == ["- kitchen"]
    assert splitter.finish() == ["- h"]


def test_long_sentences_are_cut_at_the_best_clause() -> None:
    first = "We could " + "go on and " * 10 + "on"
    assert cut(f"{first}; and then, {'there is more ' * 12}to say.")[0] == f"{first};"
    assert cut(f"{first}, {'there is more ' * 12}to say.")[0] == f"{first},"
    assert cut(f"{first} - {'there is more ' * 12}to say.")[0] == first
    assert cut("Wir sind hier geblieben " * 5 + "weil es " + "sehr viel " * 20)[0].endswith("geblieben")
    dangling = "We could " + "go on and " * 8 + "on, and, " + "there is more " * 12
    assert cut(dangling)[0].endswith(" on,"), "not after a lone conjunction"
    assert all(len(part) <= MAX_CHARACTERS for part in cut("word " * 500))
    assert all(len(part) <= MAX_CHARACTERS_CJK for part in cut("它" * 950))
    assert [len(part) for part in cut("它" * 60 + "，" + "它" * 60)] == [61, 60]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Let me see.", True),
        ("Let me see. ", True),
        ("Really?!", True),
        ("He said “yes.”", True),
        ("好的。", True),
        ("It is 21.", False),
        ("Ask Dr.", False),
        ("See the U.S.", False),
        ("Well...", False),
        ("Let me", False),
        ("", False),
        ("Plan B.", False),
        ("Am 3.", False),
        ("```sh\nls.", False),
    ],
)
def test_what_seems_whole_can_leave_before_the_next_word(text: str, whole: bool) -> None:
    splitter = SentenceSplitter()
    before = splitter.push(text)
    assert splitter.is_complete == whole
    if whole:
        assert [*before, *splitter.flush()] == [text.strip()]
        assert not splitter.is_complete
        assert [*splitter.push(" Then more. "), *splitter.finish()] == ["Then more."]


@pytest.mark.parametrize("unit", ["1,000.5 km ", "20 °C ", "10 000 € ", "https://example.com/a,b;c:d-e "])
def test_no_cut_parts_a_number_from_its_unit(unit: str) -> None:
    for shift in range(12):
        parts = cut("x" * shift + " " + unit * 60)
        assert len(parts) > 1
        assert all(part.endswith(unit.strip()) for part in parts), parts


def test_a_long_first_sentence_is_cut_early_on_request() -> None:
    text = (
        "Yes, I have turned on the light in the kitchen, and the one in the hall, which was off. It is, too."
    )
    parts = [
        "Yes, I have turned on the light in the kitchen,",
        "and the one in the hall, which was off.",
        "It is, too.",
    ]
    for size in (None, 1, 3, 7):
        assert cut(text, size, first_clause=True) == parts
    short = "Yes, it is on now, I think. And so on."
    assert cut(short, first_clause=True) == cut(short)
    splitter = SentenceSplitter(first_clause=True)
    assert splitter.push(text[:FIRST_CLAUSE_AFTER]) == []
    assert splitter.push(text[FIRST_CLAUSE_AFTER]) == parts[:1]
    late = "There is nothing at all that anybody could part in the beginning, but here."
    assert cut(late, first_clause=True) == [late[:-10], "but here."]


def test_sentences_of_any_source_of_pieces() -> None:
    pieces = iter(["One. Tw", "o. ", "Three"])
    sentences = split_sentences(pieces)
    assert next(sentences) == "One."
    assert list(pieces) == ["o. ", "Three"], "no piece was taken before it was needed"
    assert list(split_sentences("One. Two.")) == ["One.", "Two."]
    assert list(split_sentences([])) == []


def test_short_sentences_that_wait_leave_together() -> None:
    joiner = SentenceJoiner()
    assert joiner.push(["Yes."]) == ["Yes."], "the first is awaited"
    assert joiner.push(["OK."]) == []
    assert joiner.push(["Hi!", "The light is on."]) == ["OK. Hi! The light is on."]
    assert joiner.push(["A longer one.", "好。", "现在很好。"]) == ["A longer one.", "好。现在很好。"]
    assert joiner.push(["OK.", "- milk", "```sh", "ls", "```"]) == ["OK.", "- milk", "```sh", "ls", "```"]
    assert joiner.push(["No."]) == []
    assert joiner.finish() == ["No."]
    assert joiner.finish() == []


@pytest.mark.parametrize(
    "text",
    [
        "x" * 100_000,
        "." * 100_000,
        " " * 100_000,
        "A. " * 10_000,
        "Hi! " + "🎉" * 100_000,
        "它" * 100_000,
        "- " * 15_000,
        "word " * 20_000,
    ],
    ids=lambda text: text[:6],
)
def test_time_grows_with_the_length_and_no_faster(text: str) -> None:
    def seconds(part: str) -> float:
        began = time.process_time()
        cut(part, 3)
        return time.process_time() - began

    seconds(text[:1000])
    assert seconds(text) < 60 * max(seconds(text[: len(text) // 10]), 0.005) / 3


BITS = st.lists(
    st.sampled_from(
        [
            *"ab ABI13 .!?…。！」»«“”\"'\n;:,-–は它한()[]*_#>`|<~～é👍¿",
            "Dr.",
            "z. B.",
            "e.g.",
            "etc. ",
            "3. ",
            "Mai",
            " und",
            "p.m.",
            "```",
            " \n- ",
            "\n1. ",
            "| a |",
            "...",
            "The ",
            "https://a.b/c? ",
            "U.S. ",
            "XIV.",
            "……",
            "\n\n",
            "word ",
            "word, ",
        ]
    ),
    max_size=80,
).map("".join)
PROSE = (
    BITS
    | st.text(st.sampled_from("ab AZ.!?…。！」\"'\n\n 13;:,-它は,z.B()~～🎉»«“#*`|[]d한"), max_size=500)
    | st.text(max_size=300)
)


@settings(max_examples=150)
@given(text=PROSE, sizes=st.lists(st.integers(1, 40), min_size=1), first_clause=st.booleans())
def test_pieces_never_matter_and_nothing_is_lost(text: str, sizes: list[int], first_clause: bool) -> None:
    whole = cut(text, first_clause=first_clause)
    splitter = SentenceSplitter(first_clause=first_clause)
    pieces: list[str] = []
    at = turn = 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        pieces += splitter.push(text[at : at + size])
        at, turn = at + size, turn + 1
    assert pieces + splitter.finish() == whole
    assert "".join("".join(whole).split()) == "".join(text.split())
    assert all(len(sentence) <= MAX_CHARACTERS for sentence in whole)


@settings(max_examples=200)
@given(PROSE | st.text(st.sampled_from("ab. D!?\n3,–\"') 。"), max_size=60), st.integers(1, 7), st.booleans())
def test_what_has_begun_stays_as_the_rest_is_written(text: str, size: int, first_clause: bool) -> None:
    splitter = SentenceSplitter(first_clause=first_clause)
    begun = ""
    for at in range(0, len(text), size):
        for sentence in splitter.push(text[at : at + size]):
            assert sentence.startswith(begun)
            begun = ""
        assert splitter.confirmed_text.startswith(begun)
        begun = splitter.confirmed_text
    assert "".join(splitter.finish()[:1]).startswith(begun)
