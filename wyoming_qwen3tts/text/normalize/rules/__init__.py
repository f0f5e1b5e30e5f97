"""The rules that all languages share, one module for each kind of text.

``rule`` defines a rule and ``base`` the helpers. ``abbreviations``, ``addresses`` (e-mail, web, files, entity
ids), ``dates``, ``times``, ``telephone``, ``money``, ``measures``, ``fractions``, ``numbers`` and ``signs``
each define a class whose ``…_rules`` methods yield rules; ``normalizer.py`` sets their order. Handlers are
methods named after their rule.
"""
