"""The tree of a parsed formula, and the kinds of its values."""

import enum

import msgspec


class Kind(enum.StrEnum):
    """The kind of a value. A plain number adapts to what it is combined with."""

    COUNT = "count"
    MONEY = "money"
    NUMBER = "number"
    """A ratio or a plain number."""


class Constant(msgspec.Struct, frozen=True, tag=True):
    """A number, in millionths."""

    micros: int


class Figure(msgspec.Struct, frozen=True, tag=True):
    """A figure of the report, by its name, such as ``clicks`` or ``conversions.sale``."""

    name: str


class Negation(msgspec.Struct, frozen=True, tag=True):
    """A value with its sign changed."""

    value: "Node"


class Operator(enum.StrEnum):
    """An operator between two values."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"


class Calculation(msgspec.Struct, frozen=True, tag=True):
    """Two values and an operator."""

    operator: Operator
    left: "Node"
    right: "Node"


class Comparator(enum.StrEnum):
    """A comparison, as the first argument of ``if``."""

    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    EQUAL = "="
    UNEQUAL = "!="


class Comparison(msgspec.Struct, frozen=True):
    """Two values that are compared. An empty value makes it false."""

    comparator: Comparator
    left: "Node"
    right: "Node"


class Conditional(msgspec.Struct, frozen=True, tag=True):
    """``if(condition, then, otherwise)``."""

    condition: Comparison
    then: "Node"
    otherwise: "Node"


class Extreme(msgspec.Struct, frozen=True, tag=True):
    """``min`` or ``max`` of values that are not empty."""

    greatest: bool
    values: tuple["Node", ...]


class EmptyIf(msgspec.Struct, frozen=True, tag=True):
    """``nullif(value, other)``: empty if both are equal."""

    value: "Node"
    other: "Node"


Node = Constant | Figure | Negation | Calculation | Conditional | Extreme | EmptyIf


class Formula(msgspec.Struct, frozen=True):
    """A valid formula. ``figures``: the names that it uses."""

    text: str
    tree: Node
    kind: Kind
    figures: frozenset[str]
