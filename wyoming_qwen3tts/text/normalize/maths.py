"""Mathematics in ten languages: operators, relations, sets, Greek letters, functions, sums.

The input is Unicode with the brackets that ``text.latex`` writes: ⁽…⁾ for a power, ₍…₎ for an index.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import number_context
from .numbers import Number

if TYPE_CHECKING:
    from .normalizer import Normalizer
    from .rules.rule import Match, Rules


def _right(m: Match) -> str:
    """Return the two characters after a match."""
    return m.string[m.end() : m.end() + 2]


APPLY, TIMES = "\u2061", "\u2062"
_ORDER = "en de fr es it pt ru zh ja ko".split()
_SIGNS = """
∕ | over | durch | sur | sobre | fratto | sobre | делить на | 除以 | 割る | 나누기
∈ | in | Element von | appartient à | pertenece a | appartiene a | pertence a | принадлежит | 属于 | 属する | 속한다
∉ | not in | nicht Element von | n'appartient pas à | no pertenece a | non appartiene a | não pertence a | не принадлежит | 不属于 | 属さない | 속하지 않는다
∋ | contains | enthält | contient | contiene a | contiene | contém | содержит | 包含 | 含む | 포함한다
⊂ | is a subset of | Teilmenge von | inclus dans | subconjunto de | sottoinsieme di | subconjunto de | подмножество | 真包含于 | 部分集合 | 부분집합
⊆ | is a subset of or equal to | Teilmenge oder gleich | inclus dans ou égal à | subconjunto o igual a | sottoinsieme o uguale a | subconjunto ou igual a | подмножество или равно | 包含于 | 部分集合または等しい | 부분집합이거나 같다
⊃ | is a superset of | Obermenge von | contient | superconjunto de | soprainsieme di | superconjunto de | надмножество | 真包含 | 上位集合 | 상위집합
⊇ | is a superset of or equal to | Obermenge oder gleich | contient ou égal à | superconjunto o igual a | soprainsieme o uguale a | superconjunto ou igual a | надмножество или равно | 包含 | 上位集合または等しい | 상위집합이거나 같다
∪ | union | vereinigt mit | union | unión | unione | união | объединение | 并 | 和集合 | 합집합
∩ | intersection | geschnitten mit | inter | intersección | intersezione | interseção | пересечение | 交 | 共通部分 | 교집합
∖ | without | ohne | privé de | menos | meno | menos | без | 减去 | 差集合 | 차집합
∅ | the empty set | leere Menge | l'ensemble vide | el conjunto vacío | l'insieme vuoto | o conjunto vazio | пустое множество | 空集 | 空集合 | 공집합
∀ | for all | für alle | pour tout | para todo | per ogni | para todo | для всех | 对于所有 | すべての | 모든
∃ | there exists | es existiert | il existe | existe | esiste | existe | существует | 存在 | 存在する | 존재하는
∄ | there does not exist | es existiert kein | il n'existe pas | no existe | non esiste | não existe | не существует | 不存在 | 存在しない | 존재하지 않는
⟹ | implies | daraus folgt | implique | implica | implica | implica | следовательно | 推出 | ならば | 이면
⟺ | if and only if | genau dann, wenn | si et seulement si | si y solo si | se e solo se | se e somente se | тогда и только тогда, когда | 当且仅当 | 必要十分条件 | 필요충분조건
⇌ | is in equilibrium with | im Gleichgewicht mit | en équilibre avec | en equilibrio con | in equilibrio con | em equilíbrio com | в равновесии с | 可逆 | 可逆 | 가역
↦ | maps to | wird abgebildet auf | donne | se asigna a | va in | é levado em | переходит в | 映射到 | に写る | 사상
≡ | is equivalent to | ist äquivalent zu | est équivalent à | es equivalente a | è equivalente a | é equivalente a | тождественно равно | 恒等于 | 合同 | 합동
≅ | is congruent to | ist kongruent zu | est congru à | es congruente con | è congruente a | é congruente a | конгруэнтно | 全等于 | 合同 | 합동
∝ | is proportional to | ist proportional zu | est proportionnel à | es proporcional a | è proporzionale a | é proporcional a | пропорционально | 正比于 | に比例する | 비례
≪ | is much less than | viel kleiner als | très inférieur à | mucho menor que | molto minore di | muito menor que | много меньше | 远小于 | 非常に小さい | 훨씬 작음
≫ | is much greater than | viel größer als | très supérieur à | mucho mayor que | molto maggiore di | muito maior que | много больше | 远大于 | 非常に大きい | 훨씬 큼
∓ | minus or plus | minus plus | moins ou plus | menos más | meno o più | menos ou mais | минус-плюс | 负正 | マイナスプラス | 마이너스플러스
∘ | composed with | verknüpft mit | rond | compuesta con | composto con | composta com | композиция | 复合 | 合成 | 합성
∂ | partial | partiell | d rond | parcial | parziale | parcial | частная производная | 偏 | パーシャル | 편미분
∇ | nabla | Nabla | nabla | nabla | nabla | nabla | набла | 那勃勒 | ナブラ | 나블라
⊥ | is perpendicular to | senkrecht zu | perpendiculaire à | perpendicular a | perpendicolare a | perpendicular a | перпендикулярно | 垂直于 | 垂直 | 수직
∥ | is parallel to | parallel zu | parallèle à | paralelo a | parallelo a | paralelo a | параллельно | 平行于 | 平行 | 평행
∠ | angle | Winkel | angle | ángulo | angolo | ângulo | угол | 角 | 角 | 각
∧ | and | und | et | y | e | e | и | 且 | かつ | 그리고
∨ | or | oder | ou | o | o | ou | или | 或 | または | 또는
¬ | not | nicht | non | no | non | não | не | 非 | 否定 | 부정
∴ | therefore | also | donc | por lo tanto | quindi | portanto | следовательно | 所以 | ゆえに | 그러므로
∵ | because | weil | car | porque | poiché | porque | потому что | 因为 | なぜならば | 왜냐하면
∣ | given | gegeben | sachant | dado | dato | dado | при условии | 给定 | 条件 | 조건
⊕ | direct sum | direkte Summe | somme directe | suma directa | somma diretta | soma direta | прямая сумма | 直和 | 直和 | 직합
⊗ | tensor product | Tensorprodukt | produit tensoriel | producto tensorial | prodotto tensoriale | produto tensorial | тензорное произведение | 张量积 | テンソル積 | 텐서곱
ꜝ | factorial | Fakultät | factorielle | factorial | fattoriale | fatorial | факториал | 的阶乘 | の階乗 | 팩토리얼
ʹ | prime | Strich | prime | prima | primo | linha | штрих | 撇 | ダッシュ | 프라임
‥ | and so on | und so weiter | et ainsi de suite | y así sucesivamente | e così via | e assim por diante | и так далее | 一直到 | と続いて | 등등
∛ | the cube root of | dritte Wurzel aus | racine cubique de | raíz cúbica de | radice cubica di | raiz cúbica de | кубический корень из | 立方根 | 三乗根 | 세제곱근
∜ | the fourth root of | vierte Wurzel aus | racine quatrième de | raíz cuarta de | radice quarta di | raiz quarta de | корень четвёртой степени из | 四次方根 | 四乗根 | 네제곱근
∑ | the sum of | Summe von | la somme de | la suma de | la somma di | a soma de | сумма | 求和 | 総和 | 시그마
∏ | the product of | Produkt von | le produit de | el producto de | il prodotto di | o produto de | произведение | 求积 | 総乗 | 곱
∫ | the integral of | Integral von | l'intégrale de | la integral de | l'integrale di | a integral de | интеграл | 积分 | 積分 | 적분
∬ | the double integral of | Doppelintegral von | l'intégrale double de | la integral doble de | l'integrale doppio di | a integral dupla de | двойной интеграл | 二重积分 | 二重積分 | 이중적분
∭ | the triple integral of | Dreifachintegral von | l'intégrale triple de | la integral triple de | l'integrale triplo di | a integral tripla de | тройной интеграл | 三重积分 | 三重積分 | 삼중적분
∮ | the contour integral of | Kurvenintegral von | l'intégrale curviligne de | la integral de contorno de | l'integrale di contorno di | a integral de contorno de | контурный интеграл | 环路积分 | 周回積分 | 선적분
⋃ | the union of | Vereinigung von | l'union de | la unión de | l'unione di | a união de | объединение | 并集 | 和集合 | 합집합
⋂ | the intersection of | Schnitt von | l'intersection de | la intersección de | l'intersezione di | a interseção de | пересечение | 交集 | 共通部分 | 교집합
ħ | h bar | h quer | h barre | h barra | acca tagliato | h cortado | аш с чертой | 约化普朗克常数 | エイチバー | 에이치바
"""
_FUNCTIONS = """
sin | sine of | Sinus von | sinus de | seno de | seno di | seno de | синус | 正弦 | サイン | 사인
cos | cosine of | Kosinus von | cosinus de | coseno de | coseno di | cosseno de | косинус | 余弦 | コサイン | 코사인
tan | tangent of | Tangens von | tangente de | tangente de | tangente di | tangente de | тангенс | 正切 | タンジェント | 탄젠트
cot | cotangent of | Kotangens von | cotangente de | cotangente de | cotangente di | cotangente de | котангенс | 余切 | コタンジェント | 코탄젠트
sec | secant of | Sekans von | sécante de | secante de | secante di | secante de | секанс | 正割 | セカント | 시컨트
csc | cosecant of | Kosekans von | cosécante de | cosecante de | cosecante di | cossecante de | косеканс | 余割 | コセカント | 코시컨트
arcsin | arc sine of | Arkussinus von | arc sinus de | arcoseno de | arcoseno di | arco seno de | арксинус | 反正弦 | アークサイン | 아크사인
arccos | arc cosine of | Arkuskosinus von | arc cosinus de | arcocoseno de | arcocoseno di | arco cosseno de | арккосинус | 反余弦 | アークコサイン | 아크코사인
arctan | arc tangent of | Arkustangens von | arc tangente de | arcotangente de | arcotangente di | arco tangente de | арктангенс | 反正切 | アークタンジェント | 아크탄젠트
sinh | hyperbolic sine of | Sinus hyperbolicus von | sinus hyperbolique de | seno hiperbólico de | seno iperbolico di | seno hiperbólico de | гиперболический синус | 双曲正弦 | ハイパボリックサイン | 쌍곡사인
cosh | hyperbolic cosine of | Kosinus hyperbolicus von | cosinus hyperbolique de | coseno hiperbólico de | coseno iperbolico di | cosseno hiperbólico de | гиперболический косинус | 双曲余弦 | ハイパボリックコサイン | 쌍곡코사인
tanh | hyperbolic tangent of | Tangens hyperbolicus von | tangente hyperbolique de | tangente hiperbólica de | tangente iperbolica di | tangente hiperbólica de | гиперболический тангенс | 双曲正切 | ハイパボリックタンジェント | 쌍곡탄젠트
log | log of | Logarithmus von | logarithme de | logaritmo de | logaritmo di | logaritmo de | логарифм | 对数 | ログ | 로그
lg | log of | Logarithmus von | logarithme de | logaritmo de | logaritmo di | logaritmo de | десятичный логарифм | 常用对数 | 常用対数 | 상용로그
ln | the natural log of | natürlicher Logarithmus von | logarithme népérien de | logaritmo natural de | logaritmo naturale di | logaritmo natural de | натуральный логарифм | 自然对数 | 自然対数 | 자연로그
exp | the exponential of | Exponentialfunktion von | exponentielle de | exponencial de | esponenziale di | exponencial de | экспонента | 指数函数 | 指数関数 | 지수함수
lim | the limit of | Limes von | la limite de | el límite de | il limite di | o limite de | предел | 极限 | 極限 | 극한
min | the minimum of | Minimum von | le minimum de | el mínimo de | il minimo di | o mínimo de | минимум | 最小值 | 最小値 | 최솟값
max | the maximum of | Maximum von | le maximum de | el máximo de | il massimo di | o máximo de | максимум | 最大值 | 最大値 | 최댓값
sup | the supremum of | Supremum von | la borne supérieure de | el supremo de | l'estremo superiore di | o supremo de | супремум | 上确界 | 上限 | 상한
inf | the infimum of | Infimum von | la borne inférieure de | el ínfimo de | l'estremo inferiore di | o ínfimo de | инфимум | 下确界 | 下限 | 하한
det | the determinant of | Determinante von | le déterminant de | el determinante de | il determinante di | o determinante de | определитель | 行列式 | 行列式 | 행렬식
gcd | the greatest common divisor of | größter gemeinsamer Teiler von | le plus grand commun diviseur de | el máximo común divisor de | il massimo comun divisore di | o máximo divisor comum de | наибольший общий делитель | 最大公约数 | 最大公約数 | 최대공약수
lcm | the least common multiple of | kleinstes gemeinsames Vielfaches von | le plus petit commun multiple de | el mínimo común múltiplo de | il minimo comune multiplo di | o mínimo múltiplo comum de | наименьшее общее кратное | 最小公倍数 | 最小公倍数 | 최소공배수
arg | the argument of | Argument von | l'argument de | el argumento de | l'argomento di | o argumento de | аргумент | 辐角 | 偏角 | 편각
argmin | arg min of | Argmin von | argmin de | argmin de | argmin di | argmin de | аргминимум | 最小值点 | 最小点 | 최소점
argmax | arg max of | Argmax von | argmax de | argmax de | argmax di | argmax de | аргмаксимум | 最大值点 | 最大点 | 최대점
mod | modulo | modulo | modulo | módulo | modulo | módulo | по модулю | 模 | モッド | 모듈로
dim | the dimension of | Dimension von | la dimension de | la dimensión de | la dimensione di | a dimensão de | размерность | 维数 | 次元 | 차원
ker | the kernel of | Kern von | le noyau de | el núcleo de | il nucleo di | o núcleo de | ядро | 核 | 核 | 핵
abs | the absolute value of | Betrag von | valeur absolue de | valor absoluto de | valore assoluto di | valor absoluto de | модуль | 绝对值 | 絶対値 | 절댓값
binom | the binomial coefficient of | Binomialkoeffizient von | coefficient binomial de | coeficiente binomial de | coefficiente binomiale di | coeficiente binomial de | биномиальный коэффициент | 二项式系数 | 二項係数 | 이항계수
"""
_PATTERNS = """
of | of | von | de | de | di | de | от |  |  |
base | base {} | zur Basis {} | en base {} | en base {} | in base {} | na base {} | по основанию {} | 以{}为底 | 底{} | 밑 {}
power | to the power of {} | hoch {} | puissance {} | elevado a {} | elevato a {} | elevado a {} | в степени {} | 的{}次方 | の{}乗 | 의 {} 제곱
root | the {}th root of | {}te Wurzel aus | racine {}-ième de | raíz {} de | radice {} di | raiz {} de | корень степени {} из | {}次方根 | {}乗根 | {}제곱근
from | from {} | von {} | de {} | desde {} | da {} | de {} | от {} | 从{} | {}から | {}부터
to | to {} | bis {} | à {} | hasta {} | a {} | até {} | до {} | 到{} | {}まで | {}까지
over | over {} | über {} | sur {} | sobre {} | su {} | sobre {} | по {} | 对{} | {}にわたる | {}에 대한
limit | as {} approaches {} | für {} gegen {} | quand {} tend vers {} | cuando {} tiende a {} | per {} che tende a {} | quando {} tende a {} | при {}, стремящемся к {}, | 当{}趋于{}时 | {}が{}に近づくとき | {}가 {}에 가까워질 때
"""
_GREEK = """
en | alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi omega
de | Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mü Nü Xi Omikron Pi Rho Sigma Tau Ypsilon Phi Chi Psi Omega
fr | alpha bêta gamma delta epsilon zêta êta thêta iota kappa lambda mu nu xi omicron pi rhô sigma tau upsilon phi khi psi oméga
es | alfa beta gamma delta épsilon zeta eta theta iota kappa lambda mu nu xi ómicron pi rho sigma tau ípsilon phi chi psi omega
it | alfa beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau ipsilon phi chi psi omega
pt | alfa beta gama delta épsilon zeta eta teta iota kappa lambda mu nu xi ômicron pi rô sigma tau úpsilon phi chi psi ômega
ru | альфа бета гамма дельта эпсилон дзета эта тета йота каппа лямбда мю ню кси омикрон пи ро сигма тау ипсилон фи хи пси омега
zh | 阿尔法 贝塔 伽马 德尔塔 艾普西龙 泽塔 伊塔 西塔 约塔 卡帕 兰姆达 缪 纽 克西 奥密克戎 派 柔 西格玛 陶 宇普西龙 斐 希 普西 欧米伽
ja | アルファ ベータ ガンマ デルタ イプシロン ゼータ イータ シータ イオタ カッパ ラムダ ミュー ニュー クサイ オミクロン パイ ロー シグマ タウ ウプシロン ファイ カイ プサイ オメガ
ko | 알파 베타 감마 델타 엡실론 제타 에타 세타 요타 카파 람다 뮤 뉴 크시 오미크론 파이 로 시그마 타우 입실론 파이 카이 프사이 오메가
"""
_POWERS = {
    "fr": ("au carré", "au cube"),
    "es": ("al cuadrado", "al cubo"),
    "it": ("al quadrato", "al cubo"),
    "pt": ("ao quadrado", "ao cubo"),
}
"""Names of the second and third power, in the languages that have them."""
_SMALL = "αβγδεζηθικλμνξοπρστυφχψω"
_LARGE = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ"
GREEK_LETTER = "(?<![Α-Ωα-ωά-ώ])[Α-Ωα-ω](?![Α-Ωα-ωά-ώ])"
"""A Greek letter that is not part of a Greek word."""
MATHS_CHARACTER = re.compile(
    rf"[{re.escape(''.join(line[0] for line in _SIGNS.strip().splitlines()))}⁽₍^−⁰¹²³⁴-⁹ⁿ{APPLY}{TIMES}]|{GREEK_LETTER}"
)
"""Characters that make the rules for mathematics necessary for a text."""
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_NESTED = r"(?:[^⁽⁾₍₎]|[₍⁽][^⁽⁾₍₎]{0,60}[₎⁾]){1,120}"


def _column(table: str, language: str) -> dict[str, str]:
    """Return sign → words, from the column of a table for one language."""
    column = _ORDER.index(language) + 1
    rows = ([cell.strip() for cell in line.split("|")] for line in table.strip().splitlines())
    return {row[0]: row[column] for row in rows}


def named_power(language: str, exponent: Number) -> str | None:
    """Return the name of a second or third power in the Romance languages, None for other powers."""
    names = _POWERS.get(language) if not exponent.negative and not exponent.fraction else None
    return names[int(exponent.whole) - 2] if names and exponent.whole in {"2", "3"} else None


class MathsRules:
    """The rules for mathematics in one language."""

    def __init__(self, normalizer: Normalizer) -> None:
        self._normalizer = normalizer
        self._signs = _column(_SIGNS, normalizer.language_code)
        self._functions = _column(_FUNCTIONS, normalizer.language_code)
        self._patterns = _column(_PATTERNS, normalizer.language_code)
        names = next(line for line in _GREEK.splitlines() if line.startswith(normalizer.language_code))[
            5:
        ].split()
        self._greek = dict(zip(_SMALL + _LARGE, names * 2, strict=True)) | {"π": normalizer.symbols["π"]}

    def rules(self) -> Rules:
        """Yield name, pattern and handler of each rule."""
        low, high = rf"(?:₍(?P<low>{_NESTED})₎)?", rf"(?:⁽(?P<high>{_NESTED})⁾)?"
        yield "big-operator", rf"(?P<s>[∑∏∫∬∭∮⋃⋂]){low}{high}", self._big
        names = "|".join(sorted(self._functions, key=len, reverse=True))
        yield "function", rf"(?<![a-z])(?P<f>{names}){low}{high}{APPLY}", self._function
        yield "function-letter", rf"(?P<f>[A-Za-zφψΓ])(?P<prime>ʹ*){APPLY}", self._function_letter
        yield "root", rf"⁽(?P<n>{_NESTED})⁾√", lambda m: self._with_spaces(self._pattern("root", m["n"]), m)
        yield "power", rf"⁽(?P<e>{_NESTED})⁾", lambda m: self._with_spaces(self._power(m["e"]), m)
        yield "power-sign", r"(?<=[\w)\]ꜝ₎⁾])(?<![½-¾²³¹])(?P<e>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", self._raised
        yield "power-n", r"(?<=[\w)\]₎⁾])ⁿ", lambda m: self._with_spaces(self._power("n"), m)
        yield (
            "caret",
            r"(?<=[A-Za-zα-ω)\]])\^(?:\((?P<g>[^()^]{1,40})\)|(?P<e>[-−]?(?:\d+(?:\.\d+)?|[A-Za-zα-ω](?![A-Za-z]))))",
            self._caret,
        )
        yield (
            "index",
            rf"₍(?P<i>{_NESTED})₎",
            lambda m: self._with_spaces(self._normalizer.normalize(m["i"]), m),
        )
        yield (
            "fraction-bar",
            rf"(?P<a>\([^()]{{1,60}}\)|[\w.{TIMES}]+) ∕ (?P<b>\([^()]{{1,60}}\)|[\w.{TIMES}]+)",
            self._over,
        )
        yield "invisible-times", TIMES, lambda m: self._with_spaces("", m)
        yield "invisible-apply", APPLY, lambda m: ""
        yield (
            "times-x",
            r"(?<![\w.,])(?P<n>\d+)x(?=\s[-−+=]\s)",
            lambda m: f"{self._normalizer.cardinal(int(m['n']))} x",
        )
        yield "minus-between", r"(?<=\S )−(?= \S)", self._minus_between
        yield (
            "minus-sign",
            r"(?<![\w)\]])[−](?=[^\W\d_]|[(√∛])",
            lambda m: self._with_spaces(self._normalizer.minus, m),
        )
        yield (
            "maths-sign",
            rf"[{re.escape(''.join(self._signs))}]",
            lambda m: self._with_spaces(self._signs[m[0]], m),
        )
        yield "greek", GREEK_LETTER, self._greek_letter

    def _minus_between(self, m: Match) -> str:
        """Return a dash after a word, "Kitchen − 21 °C", and a minus in "a − 21", "net − tax", "… = …"."""
        before = m.string[max(0, m.start() - 100) : m.start()]
        named = number_context.NAMED.search(before) or number_context.LABELS.search(
            re.sub(r"\d+\s$", "", before)
        )
        after = m.string[m.end() : m.end() + 23]
        equation = "=" in before or re.match(r"\s\S{1,20}\s=|\s[a-zà-öø-ÿа-я]{3,20}(?![\w@/:]|\.\w)", after)
        return "–" if named and not equation else self._normalizer.symbols["−"]

    def _with_spaces(self, words: str, m: Match) -> str:
        if words:
            return self._normalizer._with_spaces(words, m)
        after = _right(m)[:1]
        return " " if self._normalizer.uses_spaces and after and after not in ".,;:!?)" else ""

    def _pattern(self, name: str, *values: str) -> str:
        return self._patterns[name].format(*(self._normalizer.normalize(value.strip()) for value in values))

    def _power(self, written: str) -> str:
        """Return the words for an exponent, which follow the base."""
        sought, written = written.strip(), written.replace("−", "-").strip()
        if re.fullmatch(r"-?\d+", written):
            return self._normalizer.power("", Number(written.lstrip("-"), negative=written[0] == "-")).strip()
        if charge := re.fullmatch(r"(\d*)([+-])", written):
            number = [self._normalizer.cardinal(int(charge[1]))] if charge[1] else []
            return self._normalizer.join(
                [*number, self._normalizer.plus if charge[2] == "+" else self._normalizer.minus]
            )
        return self._pattern("power", sought)

    def _raised(self, m: Match) -> str | None:
        return self._with_spaces(self._power(m["e"].translate(_SUPERSCRIPTS)), m)

    def _caret(self, m: Match) -> str:
        return self._with_spaces(self._power(m["g"] or m["e"]), m)

    def _big(self, m: Match) -> str:
        words = self._signs[m["s"]]
        low, high = m["low"], m["high"]
        if not low and not high:
            return self._with_spaces(words, m)
        limits = [self._pattern("from" if high else "over", low)] if low else []
        limits += [self._pattern("to", high)] if high else []
        return self._with_spaces(self._limited(words, limits), m)

    def _limited(self, words: str, limits: list[str]) -> str:
        """Return "the sum from … to … of": the limits go before the last word if that is a preposition."""
        of = self._patterns["of"]
        if of and words.endswith(f" {of}"):
            return " ".join([words.removesuffix(f" {of}"), *limits, of])
        if not self._normalizer.uses_spaces:
            return "".join(
                [*limits, "の" if limits and self._normalizer.language_code == "ja" else "", words]
            )
        return " ".join([*limits, words] if self._normalizer.language_code == "ko" else [words, *limits])

    def _function(self, m: Match) -> str:
        words, limits = self._functions[m["f"]], []
        if m["high"] in {"-1", "−1"} and (inverse := self._functions.get(f"arc{m['f']}")):
            return self._with_spaces(inverse, m)
        if m["low"]:
            variable, arrow, goal = m["low"].partition("→")
            base = "base" if m["f"] in {"log", "lg"} else "over"
            limits.append(self._pattern("limit", variable, goal) if arrow else self._pattern(base, variable))
        if m["high"] and self._patterns["of"]:
            limits.append(self._power(m["high"]))
        elif m["high"]:
            words += self._power(m["high"])
        return self._with_spaces(self._limited(words, limits) if limits else words, m)

    def _function_letter(self, m: Match) -> str:
        letter = self._greek.get(m["f"], m["f"])
        primes = [self._signs["ʹ"]] * len(m["prime"])
        of = self._patterns["of"]
        return self._normalizer.join([letter, *primes, of]) + (" " if of else "")

    def _over(self, m: Match) -> str | None:
        """Return a fraction in Chinese, Japanese and Korean, which put the denominator first; None elsewhere."""
        between = {"zh": "分之", "ja": "分の", "ko": "분의 "}.get(self._normalizer.language_code)
        if between is None or re.search(r"\w$", m.string[max(0, m.start() - 1) : m.start()]):
            return None
        return f"{self._normalizer.normalize(m['b'])}{between}{self._normalizer.normalize(m['a'])}"

    def _greek_letter(self, m: Match) -> str | None:
        words = self._greek.get(m[0])
        compound = words and _right(m)[:1] == "-" and _right(m)[1:].isalpha()  # alpha-decay
        return words if compound else self._with_spaces(words, m) if words else None
