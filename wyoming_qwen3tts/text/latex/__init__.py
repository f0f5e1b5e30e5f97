"""LaTeX → Unicode mathematics, which normalization has words for in every language.

Brackets mark what Unicode cannot write in one line: ``x⁽n+1⁾`` is a power, ``x₍i₎`` an index, ``∑₍i = 1₎⁽n⁾``
a sum with its limits, ``(a + b) ∕ c`` a fraction. U+2061 follows the name of a function, and U+2062 is
between a number and its variable, so that ``5⁢m`` is not a length; ``ꜝ`` is a factorial, which does not end a
sentence.
"""

from .convert import convert_to_unicode, remove_invisible_operators
from .filter import FormulaFilter

__all__ = ["FormulaFilter", "convert_to_unicode", "remove_invisible_operators"]
