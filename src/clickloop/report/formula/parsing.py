"""Parsing a formula's text, by recursive descent of bounded depth, in time proportional to its length."""

import enum
from collections.abc import Callable, Iterator

import msgspec

from clickloop.report.formula.tree import (
    Calculation,
    Comparator,
    Comparison,
    Conditional,
    Constant,
    EmptyIf,
    Extreme,
    Figure,
    Formula,
    Kind,
    Negation,
    Node,
    Operator,
)

MAX_LENGTH = 1_000
MAX_DEPTH = 40  # of parentheses, functions and signs within each other
MAX_ARGUMENTS = 20
MAX_TERMS = 100  # figures and numbers: a chain of sums is as deep as it is long
MAX_DIGITS = 12  # before the point; six after it
_FUNCTIONS = ("if", "max", "min", "nullif")
_ALIASES = {"×": "*", "·": "*", "÷": "/", ":": "/", "−": "-", "–": "-", "≤": "<=", "≥": ">=", "≠": "!="}
_TWO = ("<=", ">=", "!=", "<>", "==")
_SAME = {"<>": "!=", "==": "="}
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_DIGITS = frozenset("0123456789")

KindOf = Callable[[str], Kind | None]
"""Returns the kind of a figure by its name in lower case, or None if there is no such figure."""


class FormulaFault(msgspec.Struct, frozen=True):
    """A fault in a formula. ``at``: position of the character, from 0."""

    at: int
    sentence: str


class FormulaError(Exception):
    """The formula is not valid."""

    def __init__(self, fault: FormulaFault) -> None:
        super().__init__(fault.sentence)
        self.fault = fault


class _TokenKind(enum.Enum):
    NUMBER = enum.auto()
    NAME = enum.auto()
    SIGN = enum.auto()
    END = enum.auto()


class _Token(msgspec.Struct, frozen=True):
    kind: _TokenKind
    text: str
    at: int


def parse_formula(text: str, kind_of: KindOf) -> Formula:
    """Return the formula in a text. Raise FormulaError with the first fault."""
    if len(text) > MAX_LENGTH:
        raise _error(MAX_LENGTH, f"A formula has at most {MAX_LENGTH:,} characters. This one has {len(text):,}.")
    if not text.strip():
        raise _error(0, "Enter a formula, such as revenue / clicks.")
    parser = _Parser(tuple(_tokens(text)), kind_of)
    tree, kind = parser.expression(0)
    parser.expect_end()
    return Formula(text.strip(), tree, kind, frozenset(parser.figures))


def _error(at: int, sentence: str) -> FormulaError:
    return FormulaError(FormulaFault(at, sentence))


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        character = text[at]
        start = at
        if character.isspace():
            at += 1
            continue
        if character in _DIGITS or (character == "." and text[at + 1 : at + 2] in _DIGITS):
            while at < len(text) and (text[at] in _DIGITS or text[at] == "."):
                at += 1
            at += text[at : at + 1] == "%"  # shares are shown in percent
            yield _Token(_TokenKind.NUMBER, text[start:at], start)
        elif character in _LETTERS:
            # A status's key may contain digits and hyphens, and follows a point: conversions.sale
            while at < len(text) and (text[at] in _LETTERS or text[at] in _DIGITS or text[at] == "."):
                at += 1
            yield _Token(_TokenKind.NAME, text[start:at].lower(), start)
        else:
            sign = _ALIASES.get(character, character)
            at += 1
            if len(sign) == 1 and sign + text[at : at + 1] in _TWO:
                sign += text[at]
                at += 1
            if sign not in ("+", "-", "*", "/", "(", ")", ",", "<", ">", "=", *_TWO):
                raise _error(start, f"“{character}” has no meaning in a formula.")
            yield _Token(_TokenKind.SIGN, _SAME.get(sign, sign), start)
    yield _Token(_TokenKind.END, "", len(text))


class _Parser:
    """Reads tokens one by one. Each method returns a part of the tree and its kind."""

    def __init__(self, tokens: tuple[_Token, ...], kind_of: KindOf) -> None:
        self._tokens = tokens
        self._next = 0
        self._terms = 0
        self._kind_of = kind_of
        self.figures: set[str] = set()

    def expression(self, depth: int) -> tuple[Node, Kind]:
        """Read sums and differences."""
        left, kind = self._product(depth)
        while (sign := self._taken("+", "-")) is not None:
            right, other = self._product(depth)
            kind = self._unified(kind, left, other, right, sign)
            left = Calculation(Operator(sign.text), left, right)
        return left, kind

    def expect_end(self) -> None:
        """Raise FormulaError if there is more."""
        token = self._tokens[self._next]
        if token.kind is _TokenKind.END:
            return
        if token.text == ")":
            raise _error(token.at, "There is no opening parenthesis for this one.")
        if token.text in tuple(Comparator):
            raise _error(token.at, f"“{token.text}” compares only inside if(…, …, …).")
        raise _error(token.at, f"An operator is missing before “{token.text}”.")

    def _product(self, depth: int) -> tuple[Node, Kind]:
        left, kind = self._signed(depth)
        while (sign := self._taken("*", "/")) is not None:
            right, other = self._signed(depth)
            combined = self._multiplied if sign.text == "*" else self._divided
            kind = combined(kind, left, other, sign)
            left = Calculation(Operator(sign.text), left, right)
        return left, kind

    def _signed(self, depth: int) -> tuple[Node, Kind]:
        if (sign := self._taken("-", "+")) is None:
            return self._value(depth)
        self._limit(depth, sign)
        value, kind = self._signed(depth + 1)
        if sign.text == "+":
            return value, kind
        # A negative number is a number, and adapts to money as others do.
        return (Constant(-value.micros) if isinstance(value, Constant) else Negation(value)), kind

    def _value(self, depth: int) -> tuple[Node, Kind]:
        token = self._tokens[self._next]
        self._limit(depth, token)
        if token.kind is _TokenKind.NUMBER:
            self._next += 1
            self._count_term(token)
            return Constant(_micros(token)), Kind.NUMBER
        if token.kind is _TokenKind.NAME:
            self._next += 1
            if token.text in _FUNCTIONS:
                return self._function(token, depth)
            return self._figure(token)
        if self._taken("(") is not None:
            found = self.expression(depth + 1)
            self._expect(")", "A closing parenthesis is missing.")
            return found
        if token.kind is _TokenKind.END:
            raise _error(token.at, "The formula ends where a figure or number is missing.")
        raise _error(token.at, f"A figure or number is missing before “{token.text}”.")

    def _figure(self, token: _Token) -> tuple[Node, Kind]:
        self._count_term(token)
        kind = self._kind_of(token.text)
        if kind is None:
            raise _error(token.at, f"There is no figure “{token.text[:60]}”.")
        self.figures.add(token.text)
        return Figure(token.text), kind

    def _function(self, name: _Token, depth: int) -> tuple[Node, Kind]:
        self._expect("(", f"{name.text} is a function: write {name.text}(…).")
        if name.text == "if":
            condition = self._comparison(depth + 1)
            self._expect(",", "if has three parts: if(comparison, then, otherwise).")
            then, kind = self.expression(depth + 1)
            self._expect(",", "if has three parts: if(comparison, then, otherwise).")
            otherwise, other = self.expression(depth + 1)
            self._close(name)
            return Conditional(condition, then, otherwise), self._unified(kind, then, other, otherwise, name)
        values: list[Node] = []
        kind = Kind.NUMBER
        while True:
            value, other = self.expression(depth + 1)
            kind = self._unified(kind, values[0], other, value, name) if values else other
            values.append(value)
            if self._taken(",") is None:
                break
        self._close(name)
        if name.text == "nullif":
            if len(values) != 2:
                raise _error(name.at, f"nullif has two parts: nullif(value, other). This one has {len(values)}.")
            return EmptyIf(*values), kind
        if not 2 <= len(values) <= MAX_ARGUMENTS:
            raise _error(name.at, f"{name.text} takes 2 to {MAX_ARGUMENTS} values. This one has {len(values)}.")
        return Extreme(name.text == "max", tuple(values)), kind

    def _comparison(self, depth: int) -> Comparison:
        left, kind = self.expression(depth)
        sign = self._taken(*Comparator)
        if sign is None:
            token = self._tokens[self._next]
            raise _error(token.at, "if begins with a comparison, such as if(cost >= 20, …, …).")
        right, other = self.expression(depth)
        self._unified(kind, left, other, right, sign)
        return Comparison(Comparator(sign.text), left, right)

    def _close(self, name: _Token) -> None:
        self._expect(")", f"The closing parenthesis of {name.text} is missing.")

    def _taken(self, *signs: str) -> _Token | None:
        token = self._tokens[self._next]
        if token.kind is not _TokenKind.SIGN or token.text not in signs:
            return None
        self._next += 1
        return token

    def _expect(self, sign: str, sentence: str) -> None:
        if self._taken(sign) is None:
            raise _error(self._tokens[self._next].at, sentence)

    def _count_term(self, token: _Token) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise _error(token.at, f"A formula has at most {MAX_TERMS} figures and numbers.")

    def _limit(self, depth: int, token: _Token) -> None:
        if depth > MAX_DEPTH:
            raise _error(token.at, f"A formula is at most {MAX_DEPTH} parentheses, functions and signs deep.")

    def _unified(self, kind: Kind, left: Node, other: Kind, right: Node, token: _Token) -> Kind:
        """Return the kind of two values that are added or compared. A plain number adapts."""
        if kind is other or isinstance(right, Constant):
            return kind
        if isinstance(left, Constant):
            return other
        if {kind, other} == {Kind.COUNT, Kind.NUMBER}:
            return Kind.NUMBER
        names = " and ".join(_NAMES[one] for one in (kind, other))
        raise _error(token.at, f"“{token.text}” cannot combine {names}.")

    def _multiplied(self, kind: Kind, _left: Node, other: Kind, token: _Token) -> Kind:
        if kind is Kind.MONEY and other is Kind.MONEY:
            raise _error(token.at, "Two amounts of money cannot be multiplied.")
        if Kind.MONEY in (kind, other):
            return Kind.MONEY
        is_count = Kind.NUMBER not in (kind, other)
        return Kind.COUNT if is_count else Kind.NUMBER

    def _divided(self, kind: Kind, left: Node, other: Kind, token: _Token) -> Kind:
        if kind is Kind.MONEY:
            return Kind.NUMBER if other is Kind.MONEY else Kind.MONEY
        if other is Kind.MONEY and not isinstance(left, Constant):
            raise _error(token.at, "A count cannot be divided by money. Divide the money by the count.")
        return Kind.NUMBER


_NAMES = {Kind.COUNT: "a count", Kind.MONEY: "money", Kind.NUMBER: "a ratio"}


def _micros(token: _Token) -> int:
    """Return a number in millionths."""
    whole, point, fraction = token.text.removesuffix("%").partition(".")
    places = 4 if token.text.endswith("%") else 6
    if "." in fraction or (point and not fraction):
        raise _error(token.at, f"“{token.text[:40]}” is not a number.")
    if len(whole.lstrip("0")) > MAX_DIGITS or len(fraction) > places:
        raise _error(token.at, f"A number has at most {MAX_DIGITS} digits before the point and {places} after it.")
    return int((whole or "0") + fraction.ljust(places, "0"))
