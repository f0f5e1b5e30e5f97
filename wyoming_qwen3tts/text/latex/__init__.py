"""LaTeX → Unicode mathematics, which the spoken form has words for in every language.

What Unicode cannot write in one line has brackets: ``x⁽n+1⁾`` is a power, ``x₍i₎`` an index, ``∑₍i = 1₎⁽n⁾`` a sum
with its limits, ``(a + b) ∕ c`` a fraction. U+2061 stands behind the name of a function and U+2062 between a
number and its variable, so that ``5⁢m`` is no length; ``ꜝ`` is a factorial, which ends no sentence.
"""

from .convert import convert_to_unicode, remove_invisible_operators
from .filter import FormulaFilter

__all__ = ["FormulaFilter", "convert_to_unicode", "remove_invisible_operators"]
