"""Patterns for the text before or after a number, which tell what the number means; for all languages."""

from __future__ import annotations

import re

SIGNED = (
    r"(?:[°℃℉%‰度도.,;:!?)]|$|dB|(?i:degr|grad[ions]*\b|grau|градус|percent|prozent|pour cent|por c|процент)"
    r"|(?:[-–~]|(?i:bis|to|and|und|à|et|a|y|e|до|и)\s)\s?[-−–]?\d)"
)
"""After a number that can be negative, such as degrees; "– 2 liters" is a dash."""
LABELS = re.compile(
    r"(?:\b(?:room|sensor|zone|day|floor|level|chapter|option|item|step|part|channel|gate|track|bus|line|lamp|timer|alarm|"
    r"door|windows?|version|package|box|flight|unit|light|camera|switch|outlet|valve|heater|radiator|printer|player|team|season|episode|iphone|android|ios|number|"
    r"zimmer|raum|tag|etage|kapitel|kanal|gerät|schritt|punkt|teil|gleis|linie|lampe|wecker|tür|autobus|fenster|licht|kamera|steckdose|schalter|ventil|heizung|heizkörper|drucker|flug|paket|"
    r"chambre|pièce|capteur|jour|étage|chapitre|canal|étape|partie|quai|ligne|voie|lampe|porte|fenêtre|lumière|caméra|prise|radiateur|volet|vol|colis|"
    r"habitación|cuarto|zona|día|planta|piso|capítulo|opción|paso|parte|andén|línea|lámpara|autobús|puerta|ventana|luz|cámara|enchufe|radiador|persiana|vuelo|paquete|versión|"
    r"quarto|sala|dia|andar|opção|passo|linha|lâmpada|autocarro|ônibus|porta|janela|câm[ae]ra|tomada|voo|pacote|versão|"
    r"stanza|camera|sensore|giorno|piano|capitolo|canale|opzione|passo|binario|linea|lampada|finestra|luce|presa|radiatore|volo|pacco|versione|"
    r"комната|датчик|зона|день|этаж|глава|канал|вариант|шаг|пункт|часть|путь|линия|лампа|автобус|дверь|окно|камера|розетка|радиатор|рейс|версия)\s#?"
    r"|(?:房间|房間|公交|公車|巴士|航班|传感器|感測器|区域|區域|频道|頻道|步骤|步驟|部屋|センサー|ゾーン|チャンネル|ステップ|방|센서|구역|채널|단계)\s?)$",
    re.I,
)
"""Before a number that labels something: a dash after "room 5" begins something else."""
NAMED = re.compile(
    r"(?:(?:[^\W\d_²³¹⁰-ⁿ½-¾]{3,}|[^\W\d_]{3,}\s[^\W\d_]{2}|\b[A-ZА-ЯÀ-Þ][^\W\d_²³]|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]|\b(?:[A-Z]{2,3}\d|[A-Z]\d\d)[\w.]*)"
    r"[)\"'”’»）」』]*|[:：.,;!?…])\s$"
)
"""A word that is not a variable: a dash after it is no minus, whatever follows."""
NUMBERED = re.compile(
    r"(?:\b(?:room|zone|chapter|option|item|step|part|channel|gate|track|bus|line|exit|section|page|platform|class|highway|route|vitamin|"
    r"block|building|flat|apartment|apt\.?|unit|suite|door|row|seat|size|bldg\.?|ward|lab|deck|cabin|locker|pier|coach|berth|train|tram|flight|hall|terminal|figure|table|appendix|group|team|lot|box|type|"
    r"\w*zimmer|\w*raum|etage|kapitel|kanal|punkt|teil|gleis|\w*linie|tor|ausgang|eingang|abschnitt|seite|klasse|saal|halle|haus|hausnummer|nr\.?|"
    r"platz|reihe|sitz|flug|abteil|wagen|kabine|tisch|wohnung|bahnsteig|steig|tram|straßenbahn|gruppe|typ|größe|aufgang|"
    r"chambre|pièce|chapitre|étape|partie|quai|ligne|porte|salle|classe|bâtiment|bât\.?|bloc|voie|vol|place|siège|appartement|appt\.?|voiture|escalier|cabine|rangée|sortie|groupe|"
    r"habitación|cuarto|capítulo|opción|paso|parte|andén|línea|puerta|autobús|aula|sala|sección|página|clase|bloque|portal|salida|asiento|piso|planta|departamento|depto\.|apartamento|vagón|escalera|mesa|cabina|fila|vía|vuelo|"
    r"quarto|opção|passo|linha|porta|ônibus|autocarro|secção|seção|bloco|saída|assento|lugar|apto\.|carruagem|vagão|cais|andar|fila|turma|voo|"
    r"stanza|camera|capitolo|opzione|passo|binario|linea|sezione|pagina|scala|interno|uscita|carrozza|tavolo|appartamento|piano|posto|gruppo|volo|vitamina|"
    r"комнат[аыуе]|глав[аыуе]|вариант\w*|шаг\w*|пункт\w*|часть|пут[ьи]|лини[яиюе]|выход\w{0,2}|дом|дома|доме|д\.|квартир[аыуе]|кв\.|автобус\w{0,2}|"
    r"кабинет\w{0,2}|подъезд\w{0,2}|корпус\w{0,2}|корп\.|класс|раздел\w{0,2}|вагон\w{0,2}|ряд\w{0,2}|купе|стол|причал|секция|место|рейс|группа|витамин|страниц[аыуе]|стр\.|блок|терминал\w{0,2})\s"
    r"|\b(?:rue|avenue|boulevard|chemin|calle|avenida|plaza|paseo|c/|via|viale|piazza|corso|rua|praça|travessa|улица|ул\.|проспект|пр\.|площадь|"
    r"переулок|пер\.|шоссе)\s(?:[^.,;:!?\d]{1,40},?\s)?(?:n\.?[º°]?\s?|д\.\s?|№\s?)?"
    r"|(?:登机口|登機口|房间|房間|座位|座席|出口|站台|月台|ゲート|ホーム|部屋|게이트|출구|좌석|호선)\s?"
    r"|(?:[^\W\d_]|\b)(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|ufer|damm|chaussee)\s"
    r"|\b(?:street|st\.?|road|rd\.?|avenue|ave\.?|lane|drive|boulevard|blvd\.?|square|court|place)\s)$",
    re.I,
)
"""Before a number with a letter, such as "gate 7 B": there the letter is no unit."""
SUMS = re.compile(
    r"(?:\b(?:is|what's|ist|ergibt|macht|rechne|berechne|calculate|compute|solve|evaluate|simplify|formula|equation|löse|résous|resuelve|risolvi|resolva|реши|fait|font|calcule[rz]?|es|calcula|calcular|é|calcule|è|fa|calcola|"
    r"будет|посчитай|вычисли)|计算|計算)[:：]?\s?$",
    re.I,
)
"""Before a calculation."""
EQUALS = r"(?:is|are|equals?|makes?|ist|gleich|macht|ergibt|fait|font|égale?|est|es|igual|son|è|fa|uguale|é|равно|будет)\b"
"""Verbs after a calculation."""
RESULTS = re.compile(
    r"(?:\b(?:scores?|won|beat|lost|leads?|result(?! of)|ergebnis|gagn\w+|battu|perdu|résultat|gan[aóo]\w*|venci\w+|perdi\w+|resultado|ganh\w+|venceu|"
    r"vinto|battuto|perso|risultato|счёт\w*|выиграл\w*|победил\w*|проиграл\w*)\b|\w\s[-–:]\s\w[\w.]*(?:\s\w[\w.]*)?\s$|比分|得分|スコア|得点|점수|스코어)[^.!?\d]{0,30}$",
    re.I,
)
"""Before the result of a match."""
OPENING = re.compile(
    r"\b(?:open|opens|hours|from|geöffnet|offen|von|ouvert|horaires|de|abierto|horario|aperto|orario|aberto|horário|открыто|с)[:：]?\s$",
    re.I,
)
"""Before opening hours."""
LETTERED = re.compile(
    r"(?:['’]s\b|\s(?:trains?|grades?|cards?|students?|batter(?:y|ies)|movies?|rows?)\b)|\s?[座区區栋棟楼樓口班组組室号號席동호반관층석]|\s(?:(?:класс|корпус|подъезд)\w*|(?:rue|avenue|boulevard|chemin)\b)",
    re.I,
)
"""After the letter of a numbered thing: 5 A座, 12 B rue Mozart."""
SIZED = re.compile(
    r"\b(?:size|used|free|takes?|only|needs?|has|sent|received|größe|belegt|frei|nur|braucht|hat|taille|utilisés?|libres?|tamaño|usados?|"
    r"dimensione|usati|tamanho|размер|занимает|занято|свободно|about|with|of|is|are|ist|sind|est|les|los|son|von|mit|und|and)\s$",
    re.I,
)
"""Before a number of bytes; after a noun "5 B" is a letter."""
_ELECTRIC = (
    r"fuses?|sicherung\w*|\w*strom|leitungs\w+|steckdosen?|netzteil\w*|ladeger\w+|fusibles?|fusibil[ei]|fusíve(?:l|is)|disjonct\w+|disyuntor\w*|"
    r"disjuntor\w*|interruttor[ei]|courant|corriente|corrente|intensi\w+|prises?|enchufes?|pres[ae]|tomadas?|chargeurs?|cargador\w*|caricator\w*"
)
CURRENT = re.compile(rf"\b(?:{_ELECTRIC})\b[^.!?\d]{{0,30}}$", re.I)
"""Before a number of amperes."""
VOLTAGE = re.compile(rf"[\s-](?:(?:{_ELECTRIC})\b|[^\W\d_]{{1,4}}\s\d{{1,3}}\s?V\b)", re.I)
"""After a number of amperes: 16 A fuse, 16 A bei 230 V."""
ROAD = re.compile(
    r"\s(?:[A-Z][\w'’]*|\d+(?:st|nd|rd|th))\.?(?:\s[A-Z]\w*){0,2}\s(?:St|Street|Ave|Avenue|Rd|Road|Blvd|Boulevard|Dr|Drive|Ln|Lane|Way)\b"
)
"""After the direction in an American address: 123 N Main St."""
DECADE = re.compile(r"\b(?:the|early|late|mid|les|los|gli|anni|años|anos)\s$", re.I)
"""Before "1980 s"."""
