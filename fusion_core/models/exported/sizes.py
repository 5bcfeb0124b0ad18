"""The image sizes that an exported program accepts, and the one that an image is padded to."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fusion_core.errors import UnsupportedSizeError
from fusion_core.models.exported.graph import Unreadable

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
"""An image is padded to the first of these multiples, height and width alike, that the program
takes: those that networks of up to six halvings ask for."""

_SYMBOL = r"Symbol\('(\w+)'(?:, \w+=\w+)*\)"
_SIDE = re.compile(rf"(?:Mul\(Integer\((\d+)\), {_SYMBOL}\)|{_SYMBOL})")
_SIZE_OF_INPUT = re.compile(r"L\['\w+'\](?:\[\d+\])?\.size\(\)\[([0-3])\]")
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.USub: operator.neg,
    ast.Not: operator.not_, ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt,
    ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {"max": max, "min": min, "Max": max, "Min": min}


@dataclass(frozen=True, kw_only=True)
class Side:
    """The accepted lengths of one side of an image: one, or the multiples of a free number.

    Attributes:
        fixed: The only length; None where it is free.
        symbol: Name of the free number.
        multiple: The length is this many times the number.
        low: The least number.
        high: The greatest number, None without bound.
    """

    fixed: int | None = None
    symbol: str = ""
    multiple: int = 1
    low: int = 1
    high: int | None = None

    def padded(self, size: int, multiple: int) -> int:
        """Return the length to pad to, if it is to be a multiple as well; it may be too small."""
        if self.fixed is not None:
            return self.fixed
        return -(-max(size, self.low * self.multiple) // multiple) * multiple

    def admits(self, size: int, symbols: dict[str, int]) -> bool:
        """Tell whether the program accepts this length, given the free numbers set so far."""
        if self.fixed is not None:
            return size == self.fixed
        number, rest = divmod(size, self.multiple)
        fits = self.low <= number and (self.high is None or number <= self.high)
        return not rest and fits and symbols.setdefault(self.symbol, number) == number

    def __str__(self) -> str:
        """Describe the side for messages."""
        if self.fixed is not None:
            return str(self.fixed)
        most = "" if self.high is None else f" to {self.high * self.multiple}"
        return f"{self.low * self.multiple}{most} in steps of {self.multiple}"


@dataclass(frozen=True)
class SizeRules:
    """The sizes that a program accepts.

    Attributes:
        sides: Height and width of infrared and visible image.
        guards: Relations between sizes that held where it was exported and must hold again.
    """

    sides: tuple[tuple[Side, Side], ...]
    guards: tuple[ast.expr, ...]

    def fit(self, height: int, width: int) -> tuple[int, int]:
        """Return the smallest size to which an image is to be padded below and right.

        Tried are the size itself and its rounding up to ``MULTIPLES``; where the program has a
        fixed size, that.

        Raises:
            UnsupportedSizeError: The program accepts none of them.
        """
        for multiple in MULTIPLES:
            rows, columns = self.sides[0]
            padded = rows.padded(height, multiple), columns.padded(width, multiple)
            if padded[0] >= height and padded[1] >= width and self.admits(*padded):
                return padded
        rows, columns = self.sides[0]
        raise UnsupportedSizeError(
            f"The exported program can't take {width}x{height}, nor that padded to multiples of up "
            f"to {MULTIPLES[-1]}; it takes heights {rows} and widths {columns}. Export it with "
            "dynamic_shapes, or for this size."
        )

    def admits(self, height: int, width: int) -> bool:
        """Tell whether the program accepts exactly this size."""
        symbols: dict[str, int] = {}
        if not all(
            side.admits(size, symbols)
            for image in self.sides
            for side, size in zip(image, (height, width), strict=True)
        ):
            return False
        sizes = (1, 1, height, width)
        try:
            return all(_evaluate(guard, sizes) for guard in self.guards)
        except ZeroDivisionError:
            return False


def read_sizes(
    shapes: list[list[dict[str, Any]]], ranges: dict[str, Any], guards: list[str]
) -> SizeRules:
    """Read which sizes a program accepts.

    Args:
        shapes: Sizes of both inputs, as the program's JSON has them.
        ranges: Bounds of the free numbers, likewise.
        guards: Relations as Python expressions of ``L['ir'].size()[2]`` and the like; they are
            parsed, and evaluated by the arithmetic that is listed here, never by Python.

    Raises:
        Unreadable: It isn't a program of two images (1, 1, H, W), or says so in unknown ways.
    """
    sides = []
    for shape in shapes:
        if len(shape) != 4 or shape[1] != {"as_int": 1}:
            raise Unreadable(
                f"it takes images of shape {[side.get('as_int', 'any') for side in shape]}; "
                "expected (1, 1, H, W), luminance alone"
            )
        batch, _, *image = (_side(side, ranges) for side in shape)
        # Bounds of 2 are torch's own: it exports with a batch that is neither 0 nor 1.
        if batch.fixed not in (None, 1) or batch.low > 2:
            raise Unreadable(f"it takes batches of {batch}; expected 1 or any")
        sides.append((image[0], image[1]))
    return SizeRules(tuple(sides), tuple(_guard(guard) for guard in guards))


def _side(side: dict[str, Any], ranges: dict[str, Any]) -> Side:
    if "as_int" in side:
        return Side(fixed=int(side["as_int"]))
    text = side["as_expr"]["expr_str"]
    found = _SIDE.fullmatch(text)
    if not found:
        raise Unreadable(
            f"it takes sizes of the form {text[:100]!r}; expected fixed ones, free ones, or "
            "multiples such as 8 * torch.export.Dim('rows')"
        )
    symbol = found[2] or found[3]
    bounds = ranges.get(symbol, {})
    low, high = bounds.get("min_val"), bounds.get("max_val")
    return Side(
        symbol=symbol,
        multiple=int(found[1] or 1),
        low=max(int(low or 1), 1),
        high=high and int(high),
    )


def _guard(text: str) -> ast.expr:
    try:
        guard = ast.parse(_SIZE_OF_INPUT.sub(r"size\1", text), mode="eval").body
        _evaluate(guard, (1, 1, 64, 64))
    except (SyntaxError, ValueError, RecursionError, MemoryError, TypeError) as error:
        raise Unreadable(
            f"it holds under a condition that can't be read, {text[:200]!r}; expected arithmetic "
            "on the sizes of its inputs"
        ) from error
    except ZeroDivisionError:
        pass
    return guard


def _evaluate(node: ast.AST, sizes: tuple[int, ...]) -> Any:
    """Evaluate integer arithmetic, comparisons, and, or, not, max and min; nothing else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Name) and re.fullmatch("size[0-3]", node.id):
        return sizes[int(node.id[-1])]
    if isinstance(node, ast.BoolOp):
        values = [_evaluate(value, sizes) for value in node.values]
        return all(values) if isinstance(node.op, ast.And) else any(values)
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_evaluate(node.operand, sizes))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _evaluate(node.left, sizes), _evaluate(node.right, sizes)
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Compare) and all(type(op) in _OPERATORS for op in node.ops):
        terms = [_evaluate(term, sizes) for term in (node.left, *node.comparators)]
        pairs = zip(node.ops, terms, terms[1:], strict=False)
        return all(_OPERATORS[type(op)](left, right) for op, left, right in pairs)
    if isinstance(node, ast.Call) and ast.unparse(node.func) in _FUNCTIONS and not node.keywords:
        return _FUNCTIONS[ast.unparse(node.func)](*(_evaluate(arg, sizes) for arg in node.args))
    raise ValueError(f"{ast.unparse(node)} is no arithmetic on sizes")
