"""Currencies in ten languages: names of what is counted and of its hundredth part."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from .units import LANGUAGES


@dataclass(frozen=True, slots=True)
class Money:
    """What a currency is called in one language; ``minor`` is empty where there is nothing smaller."""

    major: tuple[str, ...]
    minor: tuple[str, ...]
    gender: str = "m"
    minor_gender: str = "m"


_TABLE = """
USD: dollar|dollars,cent|cents; Dollar,Cent; dollar|dollars,cent|cents; dólar|dólares,centavo|centavos; dólar|dólares,centavo|centavos; dollaro|dollari,centesimo|centesimi; доллар|доллара|долларов,цент|цента|центов; 美元,美分; ドル,セント; 달러,센트
EUR: euro|euros,cent|cents; Euro,Cent; euro|euros,centime|centimes; euro|euros,céntimo|céntimos; euro|euros,cêntimo|cêntimos; euro,centesimo|centesimi; евро,цент|цента|центов; 欧元,欧分; ユーロ,セント; 유로,센트
GBP: pound|pounds,penny|pence; Pfund/n,Penny|Pence; livre|livres/f,penny|pence; libra|libras/f,penique|peniques; libra|libras/f,péni|pence; sterlina|sterline/f,penny|pence; фунт|фунта|фунтов,пенс|пенса|пенсов; 英镑,便士; ポンド,ペンス; 파운드,펜스
JPY: yen; Yen; yen|yens; yen|yenes; iene|ienes; yen; иена|иены|иен/f; 日元; 円; 엔
CNY: yuan,fen; Yuan,Fen; yuan|yuans,fen; yuan|yuanes,fen; yuan|yuans,fen; yuan,fen; юань|юаня|юаней,фэнь|фэня|фэней; 元,分; 元,分; 위안,펀
KRW: won; Won; won|wons; won|wones; won|wons; won; вона|воны|вон/f; 韩元; ウォン; 원
RUB: ruble|rubles,kopeck|kopecks; Rubel,Kopeke|Kopeken/f; rouble|roubles,kopeck|kopecks; rublo|rublos,kopek|kopeks; rublo|rublos,copeque|copeques; rublo|rubli,copeco|copechi; рубль|рубля|рублей,копейка|копейки|копеек/f; 卢布,戈比; ルーブル,コペイカ; 루블,코페이카
BRL: real|reais,centavo|centavos; Real,Centavo|Centavos; real|reals,centavo|centavos; real|reales,centavo|centavos; real|reais,centavo|centavos; real,centavo|centavos; реал|реала|реалов,сентаво; 雷亚尔,分; レアル,センターボ; 헤알,센타부
CHF: Swiss franc|Swiss francs,centime|centimes; Schweizer Franken|Schweizer Franken,Rappen; franc suisse|francs suisses,centime|centimes; franco suizo|francos suizos,céntimo|céntimos; franco suíço|francos suíços,cêntimo|cêntimos; franco svizzero|franchi svizzeri,centesimo|centesimi; швейцарский франк|швейцарских франка|швейцарских франков,сантим|сантима|сантимов; 瑞士法郎,生丁; スイスフラン,サンチーム; 스위스 프랑,라펜
INR: rupee|rupees,paisa|paise; Rupie|Rupien/f,Paisa|Paise; roupie|roupies/f,paisa|paise; rupia|rupias/f,paisa|paisas/f; rupia|rupias/f,paisa|paisas/f; rupia|rupie/f,paisa; рупия|рупии|рупий/f,пайса|пайсы|пайс/f; 卢比,派士; ルピー,パイサ; 루피,파이사
PLN: zloty|zlotys,grosz|groszy; Złoty,Grosz|Groszy; zloty|zlotys,grosz; esloti|eslotis,grosz; zloty|zlotys,grosz; zloty,grosz; злотый|злотых|злотых,грош|гроша|грошей; 兹罗提,格罗希; ズウォティ,グロシュ; 즈워티,그로시
TRY: lira|lira,kurus; Lira|Lira/f,Kuruş; livre turque|livres turques/f,kuruş; lira|liras/f,kurus; lira|liras/f,kurus; lira|lire/f,kurus; лира|лиры|лир/f,куруш|куруша|курушей; 里拉,库鲁什; リラ,クルシュ; 리라,쿠루시
UAH: hryvnia|hryvnias,kopiyka|kopiykas; Hrywnja|Hrywnja/f,Kopijka|Kopijky/f; hryvnia|hryvnias/f,kopiyka|kopiykas; grivna|grivnas/f,kopek|kopeks; hryvnia|hryvnias/f,copeque|copeques; grivnia|grivnie/f,copeco|copechi; гривна|гривны|гривен/f,копейка|копейки|копеек/f; 格里夫纳,戈比; フリヴニャ,コピーカ; 흐리우냐,코피카
SEK: krona|kronor,öre; Krone|Kronen/f,Öre; couronne|couronnes/f,öre; corona|coronas/f,öre; coroa|coroas/f,öre; corona|corone/f,öre; крона|кроны|крон/f,эре; 克朗,欧尔; クローナ,オーレ; 크로나,외레
BTC: bitcoin|bitcoins; Bitcoin|Bitcoins; bitcoin|bitcoins; bitcoin|bitcoins; bitcoin|bitcoins; bitcoin; биткоин|биткоина|биткоинов; 比特币; ビットコイン; 비트코인
cent: cent|cents; Cent; centime|centimes; centavo|centavos; centavo|centavos; centesimo|centesimi; цент|цента|центов; 分; セント; 센트
"""  # noqa: E501 - a table: one currency a line, one column a language

_SYMBOLS = {
    "$": "USD", "US$": "USD", "USD": "USD", "€": "EUR", "EUR": "EUR", "£": "GBP", "GBP": "GBP", "¥": "JPY", "￥": "JPY",
    "JPY": "JPY", "CNY": "CNY", "RMB": "CNY", "₩": "KRW", "KRW": "KRW", "₽": "RUB", "RUB": "RUB", "R$": "BRL", "BRL": "BRL",
    "CHF": "CHF", "₹": "INR", "INR": "INR", "zł": "PLN", "PLN": "PLN", "₺": "TRY", "TRY": "TRY", "₴": "UAH", "UAH": "UAH",
    "SEK": "SEK", "kr": "SEK", "₿": "BTC", "BTC": "BTC", "¢": "cent",
}  # fmt: skip
_LOCAL = {
    "zh": {"¥": "CNY", "￥": "CNY", "元": "CNY"},
    "ru": {"руб.": "RUB", "руб": "RUB", "р.": "RUB", "коп.": "kop"},
    "ja": {"円": "JPY"},
    "ko": {"원": "KRW"},
}


@functools.cache
def symbols(language: str) -> dict[str, str]:
    """Return how currencies are written in ``language`` → ISO 4217 code."""
    return {symbol: code for symbol, code in (_SYMBOLS | _LOCAL.get(language, {})).items() if code != "kop"}


@functools.cache
def currency(language: str, code: str) -> Money:
    """Return the names of the currency ``code`` in ``language``."""
    for line in _TABLE.strip().splitlines():
        key, _, columns = line.partition(": ")
        if key == code:
            major, _, minor = columns.split("; ")[LANGUAGES.index(language)].partition(",")
            forms, _, gender = major.partition("/")
            minor_forms, _, minor_gender = minor.partition("/")
            return Money(
                tuple(forms.split("|")),
                tuple(minor_forms.split("|")) if minor_forms else (),
                gender or "m",
                minor_gender or "m",
            )
    raise KeyError(code)
