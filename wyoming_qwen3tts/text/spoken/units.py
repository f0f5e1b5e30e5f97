"""Units of measure in ten languages: one table, and rules for what is built from it.

A name has the forms its language counts with: one, many (English, German and the Romance languages), or
one, few, many (Russian: 1, 2-4, 5 and more). ``/f`` marks a feminine, ``/n`` a neuter name. Names are those
of the SI Brochure (BIPM, 9th edition) and of its national editions.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

LANGUAGES = ("en", "de", "fr", "es", "pt", "it", "ru", "zh", "ja", "ko")


@dataclass(frozen=True, slots=True)
class Name:
    """What a unit is called in one language."""

    forms: tuple[str, ...]
    gender: str = "m"

    @property
    def one(self) -> str:
        """The form that goes with 1."""
        return self.forms[0]

    @property
    def many(self) -> str:
        """The form that goes with many."""
        return self.forms[-1]


# symbols; then one column a language, in the order of LANGUAGES, forms with | between them
_BASE = """
m: meter|meters; Meter; mètre|mètres; metro|metros; metro|metros; metro|metri; метр|метра|метров; 米; メートル; 미터
km: kilometer|kilometers; Kilometer; kilomètre|kilomètres; kilómetro|kilómetros; quilômetro|quilômetros; chilometro|chilometri; километр|километра|километров; 公里; キロメートル; 킬로미터
dm: decimeter|decimeters; Dezimeter; décimètre|décimètres; decímetro|decímetros; decímetro|decímetros; decimetro|decimetri; дециметр|дециметра|дециметров; 分米; デシメートル; 데시미터
cm: centimeter|centimeters; Zentimeter; centimètre|centimètres; centímetro|centímetros; centímetro|centímetros; centimetro|centimetri; сантиметр|сантиметра|сантиметров; 厘米; センチメートル; 센티미터
mm: millimeter|millimeters; Millimeter; millimètre|millimètres; milímetro|milímetros; milímetro|milímetros; millimetro|millimetri; миллиметр|миллиметра|миллиметров; 毫米; ミリメートル; 밀리미터
µm: micrometer|micrometers; Mikrometer; micromètre|micromètres; micrómetro|micrómetros; micrômetro|micrômetros; micrometro|micrometri; микрометр|микрометра|микрометров; 微米; マイクロメートル; 마이크로미터
nm: nanometer|nanometers; Nanometer; nanomètre|nanomètres; nanómetro|nanómetros; nanômetro|nanômetros; nanometro|nanometri; нанометр|нанометра|нанометров; 纳米; ナノメートル; 나노미터
mi: mile|miles; Meile|Meilen/f; mile|miles; milla|millas/f; milha|milhas/f; miglio|miglia; миля|мили|миль/f; 英里; マイル; 마일
yd: yard|yards; Yard; yard|yards; yarda|yardas/f; jarda|jardas/f; iarda|iarde/f; ярд|ярда|ярдов; 码; ヤード; 야드
ft: foot|feet; Fuß; pied|pieds; pie|pies; pé|pés; piede|piedi; фут|фута|футов; 英尺; フィート; 피트
in: inch|inches; Zoll; pouce|pouces; pulgada|pulgadas/f; polegada|polegadas/f; pollice|pollici; дюйм|дюйма|дюймов; 英寸; インチ; 인치
g: gram|grams; Gramm/n; gramme|grammes; gramo|gramos; grama|gramas; grammo|grammi; грамм|грамма|граммов; 克; グラム; 그램
kg: kilogram|kilograms; Kilogramm/n; kilogramme|kilogrammes; kilogramo|kilogramos; quilograma|quilogramas; chilogrammo|chilogrammi; килограмм|килограмма|килограммов; 千克; キログラム; 킬로그램
mg: milligram|milligrams; Milligramm/n; milligramme|milligrammes; miligramo|miligramos; miligrama|miligramas; milligrammo|milligrammi; миллиграмм|миллиграмма|миллиграммов; 毫克; ミリグラム; 밀리그램
µg: microgram|micrograms; Mikrogramm/n; microgramme|microgrammes; microgramo|microgramos; micrograma|microgramas; microgrammo|microgrammi; микрограмм|микрограмма|микрограммов; 微克; マイクログラム; 마이크로그램
t: tonne|tonnes; Tonne|Tonnen/f; tonne|tonnes/f; tonelada|toneladas/f; tonelada|toneladas/f; tonnellata|tonnellate/f; тонна|тонны|тонн/f; 吨; トン; 톤
lb: pound|pounds; Pfund/n; livre|livres/f; libra|libras/f; libra|libras/f; libbra|libbre/f; фунт|фунта|фунтов; 磅; ポンド; 파운드
oz: ounce|ounces; Unze|Unzen/f; once|onces/f; onza|onzas/f; onça|onças/f; oncia|once/f; унция|унции|унций/f; 盎司; オンス; 온스
l: liter|liters; Liter; litre|litres; litro|litros; litro|litros; litro|litri; литр|литра|литров; 升; リットル; 리터
ml: milliliter|milliliters; Milliliter; millilitre|millilitres; mililitro|mililitros; mililitro|mililitros; millilitro|millilitri; миллилитр|миллилитра|миллилитров; 毫升; ミリリットル; 밀리리터
cl: centiliter|centiliters; Zentiliter; centilitre|centilitres; centilitro|centilitros; centilitro|centilitros; centilitro|centilitri; сантилитр|сантилитра|сантилитров; 厘升; センチリットル; 센티리터
dl: deciliter|deciliters; Deziliter; décilitre|décilitres; decilitro|decilitros; decilitro|decilitros; decilitro|decilitri; децилитр|децилитра|децилитров; 分升; デシリットル; 데시리터
hl: hectoliter|hectoliters; Hektoliter; hectolitre|hectolitres; hectolitro|hectolitros; hectolitro|hectolitros; ettolitro|ettolitri; гектолитр|гектолитра|гектолитров; 百升; ヘクトリットル; 헥토리터
gal: gallon|gallons; Gallone|Gallonen/f; gallon|gallons; galón|galones; galão|galões; gallone|galloni; галлон|галлона|галлонов; 加仑; ガロン; 갤런
fl oz: fluid ounce|fluid ounces; Flüssigunze|Flüssigunzen/f; once liquide|onces liquides/f; onza líquida|onzas líquidas/f; onça líquida|onças líquidas/f; oncia liquida|once liquide/f; жидкая унция|жидкие унции|жидких унций/f; 液量盎司; 液量オンス; 액량 온스
ha: hectare|hectares; Hektar; hectare|hectares; hectárea|hectáreas/f; hectare|hectares; ettaro|ettari; гектар|гектара|гектаров; 公顷; ヘクタール; 헥타르
s: second|seconds; Sekunde|Sekunden/f; seconde|secondes/f; segundo|segundos; segundo|segundos; secondo|secondi; секунда|секунды|секунд/f; 秒; 秒; 초
ms: millisecond|milliseconds; Millisekunde|Millisekunden/f; milliseconde|millisecondes/f; milisegundo|milisegundos; milissegundo|milissegundos; millisecondo|millisecondi; миллисекунда|миллисекунды|миллисекунд/f; 毫秒; ミリ秒; 밀리초
µs: microsecond|microseconds; Mikrosekunde|Mikrosekunden/f; microseconde|microsecondes/f; microsegundo|microsegundos; microssegundo|microssegundos; microsecondo|microsecondi; микросекунда|микросекунды|микросекунд/f; 微秒; マイクロ秒; 마이크로초
min: minute|minutes; Minute|Minuten/f; minute|minutes/f; minuto|minutos; minuto|minutos; minuto|minuti; минута|минуты|минут/f; 分钟; 分; 분
h: hour|hours; Stunde|Stunden/f; heure|heures/f; hora|horas/f; hora|horas/f; ora|ore/f; час|часа|часов; 小时; 時間; 시간
d: day|days; Tag|Tage; jour|jours; día|días; dia|dias; giorno|giorni; день|дня|дней; 天; 日; 일
wk: week|weeks; Woche|Wochen/f; semaine|semaines/f; semana|semanas/f; semana|semanas/f; settimana|settimane/f; неделя|недели|недель/f; 周; 週間; 주
mo: month|months; Monat|Monate; mois|mois; mes|meses; mês|meses; mese|mesi; месяц|месяца|месяцев; 个月; か月; 개월
yr: year|years; Jahr|Jahre/n; an|ans; año|años; ano|anos; anno|anni; год|года|лет; 年; 年; 년
mph: mile per hour|miles per hour; Meile pro Stunde|Meilen pro Stunde/f; mile à l'heure|miles à l'heure; milla por hora|millas por hora/f; milha por hora|milhas por hora/f; miglio all'ora|miglia all'ora; миля в час|мили в час|миль в час/f; 英里每小时; マイル毎時; 마일
kn: knot|knots; Knoten; nœud|nœuds; nudo|nudos; nó|nós; nodo|nodi; узел|узла|узлов; 节; ノット; 노트
Pa: pascal|pascals; Pascal/n; pascal|pascals; pascal|pascales; pascal|pascais; pascal; паскаль|паскаля|паскалей; 帕; パスカル; 파스칼
bar: bar; Bar/n; bar|bars; bar|bares; bar|bares; bar; бар|бара|бар; 巴; バール; 바
mbar: millibar|millibars; Millibar/n; millibar|millibars; milibar|milibares; milibar|milibares; millibar; миллибар|миллибара|миллибар; 毫巴; ミリバール; 밀리바
mmHg: millimeter of mercury|millimeters of mercury; Millimeter Quecksilbersäule; millimètre de mercure|millimètres de mercure; milímetro de mercurio|milímetros de mercurio; milímetro de mercúrio|milímetros de mercúrio; millimetro di mercurio|millimetri di mercurio; миллиметр ртутного столба|миллиметра ртутного столба|миллиметров ртутного столба; 毫米汞柱; 水銀柱ミリメートル; 수은주 밀리미터
inHg: inch of mercury|inches of mercury; Zoll Quecksilbersäule; pouce de mercure|pouces de mercure; pulgada de mercurio|pulgadas de mercurio/f; polegada de mercúrio|polegadas de mercúrio/f; pollice di mercurio|pollici di mercurio; дюйм ртутного столба|дюйма ртутного столба|дюймов ртутного столба; 英寸汞柱; 水銀柱インチ; 수은주 인치
psi: pound per square inch|pounds per square inch; Pfund pro Quadratzoll/n; livre par pouce carré|livres par pouce carré/f; libra por pulgada cuadrada|libras por pulgada cuadrada/f; libra por polegada quadrada|libras por polegada quadrada/f; libbra per pollice quadrato|libbre per pollice quadrato/f; фунт на квадратный дюйм|фунта на квадратный дюйм|фунтов на квадратный дюйм; 磅每平方英寸; ポンド毎平方インチ; 제곱인치당 파운드
W: watt|watts; Watt/n; watt|watts; vatio|vatios; watt|watts; watt; ватт|ватта|ватт; 瓦; ワット; 와트
Wh: watt hour|watt hours; Wattstunde|Wattstunden/f; wattheure|wattheures; vatio hora|vatios hora; watt-hora|watts-hora; wattora; ватт-час|ватт-часа|ватт-часов; 瓦时; ワット時; 와트시
VA: volt ampere|volt amperes; Voltampere/n; voltampère|voltampères; voltamperio|voltamperios; volt-ampere|volt-amperes; voltampere; вольт-ампер|вольт-ампера|вольт-ампер; 伏安; ボルトアンペア; 볼트암페어
var: var|vars; Var/n; var|vars; var|vares; var|vars; var; вар|вара|вар; 乏; バール; 바르
V: volt|volts; Volt/n; volt|volts; voltio|voltios; volt|volts; volt; вольт|вольта|вольт; 伏; ボルト; 볼트
A: amp|amps; Ampere/n; ampère|ampères; amperio|amperios; ampere|amperes; ampere; ампер|ампера|ампер; 安; アンペア; 암페어
Ah: amp hour|amp hours; Amperestunde|Amperestunden/f; ampèreheure|ampèreheures; amperio hora|amperios hora; ampere-hora|amperes-hora; amperora; ампер-час|ампер-часа|ампер-часов; 安时; アンペア時; 암페어시
Hz: hertz; Hertz/n; hertz; hercio|hercios; hertz; hertz; герц|герца|герц; 赫兹; ヘルツ; 헤르츠
J: joule|joules; Joule/n; joule|joules; julio|julios; joule|joules; joule; джоуль|джоуля|джоулей; 焦耳; ジュール; 줄
cal: calorie|calories; Kalorie|Kalorien/f; calorie|calories/f; caloría|calorías/f; caloria|calorias/f; caloria|calorie/f; калория|калории|калорий/f; 卡; カロリー; 칼로리
BTU: British thermal unit|British thermal units; British Thermal Unit|British Thermal Units/f; unité thermique britannique|unités thermiques britanniques/f; unidad térmica británica|unidades térmicas británicas/f; unidade térmica britânica|unidades térmicas britânicas/f; unità termica britannica|unità termiche britanniche/f; британская тепловая единица|британские тепловые единицы|британских тепловых единиц/f; 英热单位; 英国熱量単位; 영국 열량 단위
N: newton|newtons; Newton/n; newton|newtons; newton|newtons; newton|newtons; newton; ньютон|ньютона|ньютонов; 牛; ニュートン; 뉴턴
Ω: ohm|ohms; Ohm/n; ohm|ohms; ohmio|ohmios; ohm|ohms; ohm; ом|ома|ом; 欧; オーム; 옴
F_: farad|farads; Farad/n; farad|farads; faradio|faradios; farad|farads; farad; фарад|фарада|фарад; 法; ファラド; 패럿
lx: lux; Lux/n; lux; lux; lux; lux; люкс|люкса|люкс; 勒克斯; ルクス; 럭스
lm: lumen|lumens; Lumen/n; lumen|lumens; lumen|lúmenes; lúmen|lúmens; lumen; люмен|люмена|люмен; 流明; ルーメン; 루멘
cd: candela|candelas; Candela/f; candela|candelas/f; candela|candelas/f; candela|candelas/f; candela|candele/f; кандела|канделы|кандел/f; 坎德拉; カンデラ; 칸델라
dB: decibel|decibels; Dezibel/n; décibel|décibels; decibelio|decibelios; decibel|decibéis; decibel; децибел|децибела|децибел; 分贝; デシベル; 데시벨
dBA: decibel A|decibels A; Dezibel A/n; décibel A|décibels A; decibelio A|decibelios A; decibel A|decibéis A; decibel A; децибел А|децибела А|децибел А; 分贝A; デシベルA; 데시벨 A
dBm: decibel milliwatt|decibel milliwatts; Dezibel Milliwatt/n; décibel milliwatt|décibels milliwatt; decibelio milivatio|decibelios milivatio; decibel miliwatt|decibéis miliwatt; decibel milliwatt; децибел-милливатт|децибел-милливатта|децибел-милливатт; 分贝毫瓦; デシベルミリワット; 데시벨 밀리와트
Bq: becquerel|becquerels; Becquerel/n; becquerel|becquerels; becquerelio|becquerelios; becquerel|becquerels; becquerel; беккерель|беккереля|беккерелей; 贝克勒尔; ベクレル; 베크렐
Sv: sievert|sieverts; Sievert/n; sievert|sieverts; sievert|sieverts; sievert|sieverts; sievert; зиверт|зиверта|зивертов; 西弗; シーベルト; 시버트
S_: siemens; Siemens/n; siemens; siemens; siemens; siemens; сименс|сименса|сименсов; 西门子; ジーメンス; 지멘스
mol: mole|moles; Mol/n; mole|moles/f; mol|moles; mol|mols; mole|moli/f; моль|моля|молей; 摩尔; モル; 몰
ppm: part per million|parts per million; Teil pro Million|Teile pro Million; partie par million|parties par million/f; parte por millón|partes por millón/f; parte por milhão|partes por milhão/f; parte per milione|parti per milione/f; часть на миллион|части на миллион|частей на миллион/f; ppm; ピーピーエム; 피피엠
ppb: part per billion|parts per billion; Teil pro Milliarde|Teile pro Milliarde; partie par milliard|parties par milliard/f; parte por mil millones|partes por mil millones/f; parte por bilhão|partes por bilhão/f; parte per miliardo|parti per miliardo/f; часть на миллиард|части на миллиард|частей на миллиард/f; ppb; ピーピービー; 피피비
b: bit|bits; Bit/n; bit|bits; bit|bits; bit|bits; bit; бит|бита|бит; 比特; ビット; 비트
B: byte|bytes; Byte/n; octet|octets; byte|bytes; byte|bytes; byte; байт|байта|байт; 字节; バイト; 바이트
px: pixel|pixels; Pixel; pixel|pixels; píxel|píxeles; pixel|pixels; pixel; пиксель|пикселя|пикселей; 像素; ピクセル; 픽셀
dpi: dot per inch|dots per inch; Punkt pro Zoll|Punkte pro Zoll; point par pouce|points par pouce; punto por pulgada|puntos por pulgada; ponto por polegada|pontos por polegada; punto per pollice|punti per pollice; точка на дюйм|точки на дюйм|точек на дюйм/f; 点每英寸; ドット毎インチ; 인치당 도트
rpm: revolution per minute|revolutions per minute; Umdrehung pro Minute|Umdrehungen pro Minute/f; tour par minute|tours par minute; revolución por minuto|revoluciones por minuto/f; rotação por minuto|rotações por minuto/f; giro al minuto|giri al minuto; оборот в минуту|оборота в минуту|оборотов в минуту; 转每分钟; 回転毎分; 분당 회전수
fps: frame per second|frames per second; Bild pro Sekunde|Bilder pro Sekunde/n; image par seconde|images par seconde/f; fotograma por segundo|fotogramas por segundo; quadro por segundo|quadros por segundo; fotogramma al secondo|fotogrammi al secondo; кадр в секунду|кадра в секунду|кадров в секунду; 帧每秒; フレーム毎秒; 초당 프레임
bpm: beat per minute|beats per minute; Schlag pro Minute|Schläge pro Minute; battement par minute|battements par minute; latido por minuto|latidos por minuto; batimento por minuto|batimentos por minuto; battito al minuto|battiti al minuto; удар в минуту|удара в минуту|ударов в минуту; 次每分钟; 拍毎分; 분당 박동
°C: degree Celsius|degrees Celsius; Grad Celsius; degré Celsius|degrés Celsius; grado Celsius|grados Celsius; grau Celsius|graus Celsius; grado Celsius|gradi Celsius; градус Цельсия|градуса Цельсия|градусов Цельсия; 摄氏度; 度; 도
°F: degree Fahrenheit|degrees Fahrenheit; Grad Fahrenheit; degré Fahrenheit|degrés Fahrenheit; grado Fahrenheit|grados Fahrenheit; grau Fahrenheit|graus Fahrenheit; grado Fahrenheit|gradi Fahrenheit; градус Фаренгейта|градуса Фаренгейта|градусов Фаренгейта; 华氏度; 度; 도
°: degree|degrees; Grad; degré|degrés; grado|grados; grau|graus; grado|gradi; градус|градуса|градусов; 度; 度; 도
K: kelvin|kelvins; Kelvin/n; kelvin|kelvins; kelvin|kelvins; kelvin|kelvins; kelvin; кельвин|кельвина|кельвинов; 开尔文; ケルビン; 켈빈
%: percent; Prozent/n; pour cent; por ciento; por cento; percento; процент|процента|процентов; %; パーセント; 퍼센트
‰: per mille; Promille/n; pour mille; por mil; por mil; per mille; промилле; ‰; パーミル; 퍼밀
%RH: percent relative humidity; Prozent relative Luftfeuchtigkeit/n; pour cent d'humidité relative; por ciento de humedad relativa; por cento de umidade relativa; per cento di umidità relativa; процент относительной влажности|процента относительной влажности|процентов относительной влажности; %; パーセント; 퍼센트
tsp: teaspoon|teaspoons; Teelöffel; cuillère à café|cuillères à café/f; cucharadita|cucharaditas/f; colher de chá|colheres de chá/f; cucchiaino|cucchiaini; чайная ложка|чайные ложки|чайных ложек/f; 茶匙; 小さじ; 작은술
tbsp: tablespoon|tablespoons; Esslöffel; cuillère à soupe|cuillères à soupe/f; cucharada|cucharadas/f; colher de sopa|colheres de sopa/f; cucchiaio|cucchiai; столовая ложка|столовые ложки|столовых ложек/f; 汤匙; 大さじ; 큰술
"""

_ALIASES = {
    "L": "l", "mL": "ml", "cL": "cl", "dL": "dl", "hL": "hl", "ltr": "l", "TL": "tsp", "EL": "tbsp", "lbs": "lb", "ozs": "oz", "sec": "s", "secs": "s",
    "mins": "min", "hr": "h", "hrs": "h", "yrs": "yr", "wks": "wk", "mos": "mo", "kph": "km/h",
    "kmh": "km/h", "KB": "kB", "kWH": "kWh", "KWh": "kWh", "kwh": "kWh", "Kwh": "kWh", "KW": "kW", "kw": "kW",
    "μm": "µm", "μg": "µg", "μs": "µs", "ug": "µg", "ºC": "°C", "ºF": "°F", "˚C": "°C", "˚F": "°F", "˚": "°", "° C": "°C",
    "° F": "°F", "℃": "°C", "℉": "°F", "Ω": "Ω", "ohm": "Ω", "ohms": "Ω", "lux": "lx", "hz": "Hz", "khz": "kHz",
    "Mhz": "MHz", "Ghz": "GHz", "MHZ": "MHz", "GHZ": "GHz", "Mbps": "Mb/s", "kbps": "kb/s", "Kbps": "kb/s",
    "Gbps": "Gb/s", "bps": "b/s", "Mbit/s": "Mb/s", "kbit/s": "kb/s", "Gbit/s": "Gb/s", "Mbit": "Mb", "kbit": "kb",
    "Gbit": "Gb", "bit": "b", "MBps": "MB/s", "dB(A)": "dBA", "db": "dB", "sqm": "m²", "qm": "m²", "m2": "m²", "m3": "m³",
    "cm2": "cm²", "cm3": "cm³", "km2": "km²", "mm2": "mm²", "m^2": "m²", "m^3": "m³", "ft2": "ft²", "ft3": "ft³", "dm3": "dm³",
    "sq ft": "ft²", "sq. ft.": "ft²", "sqft": "ft²", "sq m": "m²", "cu ft": "ft³", "sq km": "km²", "sq mi": "mi²", "in2": "in²",
    "cbm": "m³", "kts": "kn", "kt": "kn", "RPM": "rpm", "U/min": "rpm", "tr/min": "rpm", "об/мин": "rpm", "mpg": "mi/gal",
    "kcal": "kcal", "Kcal": "kcal", "hpa": "hPa", "HPa": "hPa", "kpa": "kPa", "mAH": "mAh", "% RH": "%RH", "%rh": "%RH",
    "VAr": "var", "kvar": "kvar", 
    # Russian
    "м": "m", "км": "km", "см": "cm", "мм": "mm", "дм": "dm", "г": "g", "кг": "kg", "мг": "mg", "мкг": "µg", "т": "t", "л": "l",
    "мл": "ml", "с": "s", "сек": "s", "мин": "min", "ч": "h", "час": "h", "мс": "ms", "дн": "d", "сут": "d", "Вт": "W", "кВт": "kW",
    "МВт": "MW", "Вт·ч": "Wh", "Вт*ч": "Wh", "Втч": "Wh", "кВт·ч": "kWh", "кВт*ч": "kWh", "кВтч": "kWh", "кВт⋅ч": "kWh", "кВт∙ч": "kWh",
    "кВт-ч": "kWh", "МВт·ч": "MWh", "В": "V", "кВ": "kV", "мВ": "mV", "А": "A", "мА": "mA", "мАч": "mAh", "мА·ч": "mAh", "А·ч": "Ah",
    "Гц": "Hz", "кГц": "kHz", "МГц": "MHz", "ГГц": "GHz", "Па": "Pa", "гПа": "hPa", "кПа": "kPa", "МПа": "MPa", "мбар": "mbar",
    "бар": "bar", "дБ": "dB", "лк": "lx", "лм": "lm", "Дж": "J", "кДж": "kJ", "ккал": "kcal", "кал": "cal", "Ом": "Ω",
    "кОм": "kΩ", "Б": "B", "КБ": "kB", "кБ": "kB", "МБ": "MB", "ГБ": "GB", "ТБ": "TB", "бит": "b", "Мбит": "Mb", "Кбит": "kb", "Гбит": "Gb",
    "га": "ha", "м²": "m²", "м2": "m²", "м³": "m³", "м3": "m³", "км²": "km²", "см²": "cm²", "см³": "cm³", "куб. м": "m³", "кв. м": "m²",
    "кв.м": "m²", "куб.м": "m³", "мм рт. ст.": "mmHg", "мм рт.ст.": "mmHg", "мкм": "µm", "нм": "nm", "Н": "N", "мкЗв": "µSv", "Зв": "Sv",
    # Chinese, Japanese and Korean keep their words; what is written with Latin letters is above.
    "Std.": "h", "Std": "h", "Min.": "min", "Sek.": "s", "Sek": "s",
}  # fmt: skip
"""Other ways to write a symbol → the symbol of the table."""

_PREFIXES = """
k: kilo; Kilo; kilo; kilo; quilo; chilo; кило; 千; キロ; 킬로
M: mega; Mega; méga; mega; mega; mega; мега; 兆; メガ; 메가
G: giga; Giga; giga; giga; giga; giga; гига; 吉; ギガ; 기가
T: tera; Tera; téra; tera; tera; tera; тера; 太; テラ; 테라
h: hecto; Hekto; hecto; hecto; hecto; etto; гекто; 百; ヘクト; 헥토
m: milli; Milli; milli; mili; mili; milli; милли; 毫; ミリ; 밀리
µ: micro; Mikro; micro; micro; micro; micro; микро; 微; マイクロ; 마이크로
n: nano; Nano; nano; nano; nano; nano; нано; 纳; ナノ; 나노
"""
_PREFIXED = {
    "W": "kMGTmµ", "Wh": "kMGTm", "VA": "kM", "var": "kM", "V": "kMmµ", "A": "kmµ", "Ah": "km", "Hz": "kMGTm", "Pa": "khMG",
    "J": "kMG", "cal": "k", "N": "k", "Ω": "kMm", "Bq": "kM", "Sv": "mµ", "S_": "mµ", "b": "kMGT", "B": "kMGT", "mol": "mµ",
}  # fmt: skip
"""Unit → the prefixes it is met with."""
_LETTER = {"S_": "S", "F_": "F"}

_PER = """
h: hour; Stunde; heure; hora; hora; all'ora; час; 小时; 時; 시간
s: second; Sekunde; seconde; segundo; segundo; al secondo; секунду; 秒; 秒; 초
min: minute; Minute; minute; minuto; minuto; al minuto; минуту; 分钟; 分; 분
d: day; Tag; jour; día; dia; al giorno; день; 天; 日; 일
wk: week; Woche; semaine; semana; semana; a settimana; неделю; 周; 週; 주
mo: month; Monat; mois; mes; mês; al mese; месяц; 月; 月; 월
yr: year; Jahr; an; año; ano; all'anno; год; 年; 年; 년
m²: square meter; Quadratmeter; mètre carré; metro cuadrado; metro quadrado; al metro quadrato; на квадратный метр; 平方米; 平方メートル; 제곱미터
m³: cubic meter; Kubikmeter; mètre cube; metro cúbico; metro cúbico; al metro cubo; на кубический метр; 立方米; 立方メートル; 세제곱미터
km²: square kilometer; Quadratkilometer; kilomètre carré; kilómetro cuadrado; quilômetro quadrado; al chilometro quadrato; на квадратный километр; 平方公里; 平方キロメートル; 제곱킬로미터
cm²: square centimeter; Quadratzentimeter; centimètre carré; centímetro cuadrado; centímetro quadrado; al centimetro quadrato; на квадратный сантиметр; 平方厘米; 平方センチメートル; 제곱센티미터
cm³: cubic centimeter; Kubikzentimeter; centimètre cube; centímetro cúbico; centímetro cúbico; al centimetro cubo; на кубический сантиметр; 立方厘米; 立方センチメートル; 세제곱센티미터
m: meter; Meter; mètre; metro; metro; al metro; на метр; 米; メートル; 미터
l: liter; Liter; litre; litro; litro; al litro; на литр; 升; リットル; 리터
ml: milliliter; Milliliter; millilitre; mililitro; mililitro; al millilitro; на миллилитр; 毫升; ミリリットル; 밀리리터
dl: deciliter; Deziliter; décilitre; decilitro; decilitro; al decilitro; на децилитр; 分升; デシリットル; 데시리터
kg: kilogram; Kilogramm; kilogramme; kilogramo; quilograma; al chilogrammo; на килограмм; 千克; キログラム; 킬로그램
g: gram; Gramm; gramme; gramo; grama; al grammo; на грамм; 克; グラム; 그램
km: kilometer; Kilometer; kilomètre; kilómetro; quilômetro; al chilometro; на километр; 公里; キロメートル; 킬로미터
cm: centimeter; Zentimeter; centimètre; centímetro; centímetro; al centimetro; на сантиметр; 厘米; センチメートル; 센티미터
kWh: kilowatt hour; Kilowattstunde; kilowattheure; kilovatio hora; quilowatt-hora; al chilowattora; за киловатт-час; 千瓦时; キロワット時; 킬로와트시
MWh: megawatt hour; Megawattstunde; mégawattheure; megavatio hora; megawatt-hora; al megawattora; за мегаватт-час; 兆瓦时; メガワット時; 메가와트시
gal: gallon; Gallone; gallon; galón; galão; al gallone; на галлон; 加仑; ガロン; 갤런
ft²: square foot; Quadratfuß; pied carré; pie cuadrado; pé quadrado; al piede quadrato; на квадратный фут; 平方英尺; 平方フィート; 제곱피트
in: inch; Zoll; pouce; pulgada; polegada; al pollice; на дюйм; 英寸; インチ; 인치
K: kelvin; Kelvin; kelvin; kelvin; kelvin; al kelvin; на кельвин; 开尔文; ケルビン; 켈빈
"""
"""What a rate is per: the word after "per" (Italian, and Russian where it is not "в": with the preposition)."""

TIMES = frozenset({"h", "s", "min", "d", "wk", "mo", "yr"})
"""Denominators that are a time: Chinese, Japanese and Korean put them first."""


def _rows(table: str) -> dict[str, tuple[str, ...]]:
    rows = {}
    for line in table.strip().splitlines():
        symbol, _, columns = line.partition(": ")
        rows[symbol] = tuple(column.strip() for column in columns.split(";"))
    return rows


def _name(column: str) -> Name:
    forms, _, gender = column.partition("/")
    return Name(tuple(forms.split("|")), gender or "m")


def _prefixed(prefix: str, name: Name, language: str) -> Name:
    def joined(form: str) -> str:
        if language in {"zh", "ja", "ko", "ru"}:
            return prefix + form
        if language == "de":
            return prefix + form[:1].lower() + form[1:]
        return prefix + form

    return Name(tuple(joined(form) for form in name.forms), name.gender)


_POWERS = {
    # language → (square, cubic) as patterns for (one, many); German, Chinese, Japanese and Korean put a prefix
    "en": (("square {}", "square {}"), ("cubic {}", "cubic {}")),
    "de": (("Quadrat{}", "Quadrat{}"), ("Kubik{}", "Kubik{}")),
    "fr": (("{} carré", "{} carrés"), ("{} cube", "{} cubes")),
    "es": (("{} cuadrado", "{} cuadrados"), ("{} cúbico", "{} cúbicos")),
    "pt": (("{} quadrado", "{} quadrados"), ("{} cúbico", "{} cúbicos")),
    "it": (("{} quadrato", "{} quadrati"), ("{} cubo", "{} cubi")),
    "ru": (
        ("квадратный {}", "квадратных {}", "квадратных {}"),
        ("кубический {}", "кубических {}", "кубических {}"),
    ),
    "zh": (("平方{}",), ("立方{}",)),
    "ja": (("平方{}",), ("立方{}",)),
    "ko": (("제곱{}",), ("세제곱{}",)),
}
_LENGTHS = ("m", "km", "dm", "cm", "mm", "mi", "yd", "ft", "in")


def _powered(name: Name, patterns: tuple[str, ...], language: str) -> Name:
    forms = name.forms if len(name.forms) > 1 else name.forms * len(patterns)
    if language == "de":
        forms = tuple(form[:1].lower() + form[1:] for form in forms)
    feminine = name.gender == "f" and language in {"es", "pt", "it"}
    said = []
    for pattern, form in zip(patterns, forms, strict=False):
        if feminine:  # milla cuadrada, polegadas cúbicas
            pattern = (
                pattern.replace("o", "a", 1)
                if pattern.endswith(("o", "os")) and "cub" not in pattern
                else pattern
            )
            pattern = (
                pattern[:-1] + "a"
                if pattern.endswith("o")
                else pattern[:-2] + "as"
                if pattern.endswith("os")
                else pattern
            )
        said.append(pattern.format(form))
    return Name(tuple(said), name.gender)


@functools.cache
def table(language: str) -> dict[str, Name]:
    """Return symbol → name for every unit that is not a rate, in ``language`` (one of LANGUAGES)."""
    column = LANGUAGES.index(language)
    names = {symbol: _name(row[column]) for symbol, row in _rows(_BASE).items() if len(row) > column}
    prefixes = {symbol: row[column] for symbol, row in _rows(_PREFIXES).items()}
    for symbol, wanted in _PREFIXED.items():
        for letter in wanted:
            written = letter + _LETTER.get(symbol, symbol)
            names.setdefault(written, _prefixed(prefixes[letter], names[symbol], language))
    for exponent, sign in enumerate("²³"):
        for symbol in _LENGTHS:
            names[symbol + sign] = _powered(names[symbol], _POWERS[language][exponent], language)
    return names


@functools.cache
def per(language: str) -> dict[str, str]:
    """Return symbol → what follows "per" in ``language``."""
    column = LANGUAGES.index(language)
    return {symbol: row[column] for symbol, row in _rows(_PER).items()}


def canonical(symbol: str) -> str:
    """Return the table's way to write ``symbol``."""
    symbol = symbol.replace("μ", "µ").replace("\u2126", "Ω")
    return _ALIASES.get(symbol, symbol)


@functools.cache
def symbols() -> frozenset[str]:
    """Return every way to write a unit that is not a rate."""
    known = {symbol for symbol in table("en") if not symbol.endswith("_")}
    return frozenset(
        known | {alias for alias, symbol in _ALIASES.items() if symbol in known or "/" in symbol}
    )
