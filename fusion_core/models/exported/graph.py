"""The operators of an exported program: read from JSON, checked, and called one after the other.

An operator is one of torch's own on tensors (the namespace ``aten``) or plain arithmetic on sizes.
Values have names; sizes are integers that are computed as the program runs.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch

SCALAR_TYPES: dict[int, torch.dtype] = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64,
    6: torch.float16, 7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
"""Types of tensors as torch._export.serde.schema (version 8) numbers them."""

_MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
_STRIDED = 7
_Overload = torch._ops.OpOverload  # has no public name; were it gone, no program could be read

_ATEN = re.compile(r"torch\.ops\.aten\.([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)")
_REFUSED = {
    *("from_file",),  # opens any file
    *("set_", "set", "set_data", "resize_", "resize"),  # reach around the bounds of a tensor
}
_ON_SIZES: dict[str, Callable[..., Any]] = {
    **{
        f"_operator.{name}": getattr(operator, name)
        for name in (
            *("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "and_", "or_", "not_"),
            *("eq", "ne", "lt", "le", "gt", "ge", "getitem"),
        )
    },
    **{f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "trunc")},
    "torch.sym_int": int,
    "torch.sym_float": float,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_not": operator.not_,
}


class Unreadable(Exception):
    """A program holds something that isn't accepted; the message leaves the file to the caller."""


@dataclass(frozen=True)
class Value:
    """A placeholder for a value that an earlier step has defined."""

    name: str


class TheDevice:
    """A placeholder for the device that the program runs on, whatever it was exported on."""


@dataclass(frozen=True)
class Step:
    """One call of an operator.

    Attributes:
        target: Name of the operator, as the program gives it.
        call: The operator.
        args: Positional arguments, with ``Value`` and ``TheDevice`` in them.
        kwargs: Arguments by name, likewise.
        results: Names of what it returns: one, None, or a list of these.
        forget: Names that no later step uses.
    """

    target: str
    call: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    _: KW_ONLY
    results: Any
    forget: tuple[str, ...]

    def run(self, values: MutableMapping[str, Any], device: torch.device) -> None:
        """Call the operator with its arguments from ``values``, and put its results there."""
        args = _filled(self.args, values, device)
        kwargs = {key: _filled(arg, values, device) for key, arg in self.kwargs.items()}
        _bind(self.results, self.call(*args, **kwargs), values)
        for name in self.forget:
            values.pop(name, None)


def read_steps(
    nodes: list[dict[str, Any]], weights: set[str], images: set[str], output: str
) -> tuple[Step, ...]:
    """Read the nodes of a graph.

    Args:
        nodes: The nodes as the JSON of the program has them.
        weights: Names that are defined before the first node and may not be changed.
        images: Names that are defined before the first node.
        output: Name that must be there after the last one.

    Raises:
        Unreadable: An operator or argument is none of those that are accepted, a value is used
            that nothing defines, or a weight is changed, so that a pair's result would depend on
            those before it.
    """
    calls = [(node["target"], _operator(node["target"]), *_arguments(node)) for node in nodes]
    results = [_results(node["outputs"]) for node in nodes]
    last_use: dict[str, int] = {}
    known, kept = weights | images, set(weights)
    for place, (target, call, args, kwargs) in enumerate(calls):
        made = {*_names(results[place])}
        for name in _used((args, kwargs)):
            if name not in known:
                raise Unreadable(f"{target} uses {name!r}, which nothing before it defines")
            last_use[name] = place
        if _alters(call, args, kwargs, kept=kept, made=made):
            raise Unreadable(f"{target} changes the program's own weights; call eval() before")
        known |= made
        last_use |= dict.fromkeys(made, place)
    if output not in known:
        raise Unreadable(f"its output {output!r} is no result of its operators")
    last_use.pop(output, None)
    forget: list[list[str]] = [[] for _ in nodes]
    for name, place in last_use.items():
        forget[place].append(name)
    return tuple(
        Step(*call, results=results[place], forget=tuple(forget[place]))
        for place, call in enumerate(calls)
    )


def _operator(target: str) -> Callable[..., Any]:
    if target in _ON_SIZES:
        return _ON_SIZES[target]
    named = _ATEN.fullmatch(target)
    if not named or named[1] in _REFUSED:
        raise Unreadable(
            f"it calls {target[:100]!r}; expected torch's own tensor operators (torch.ops.aten) "
            "alone; export(…).run_decompositions({}) inlines torch.no_grad and autocast blocks"
        )
    found: Any = getattr(getattr(torch.ops.aten, named[1], None), named[2], None)
    if not isinstance(found, _Overload):
        raise Unreadable(f"it calls {target}, which torch {torch.__version__} doesn't have")
    return found


def _alters(
    call: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    kept: set[str],
    made: set[str],
) -> bool:
    """Tell whether a call writes to one of the tensors ``kept``, and add views of these to them."""
    if not isinstance(call, _Overload):
        return False
    schema = call._schema.arguments
    given = {**dict(zip((one.name for one in schema), args, strict=False)), **kwargs}
    for one in schema:
        if one.alias_info is not None and not kept.isdisjoint(_used(given.get(one.name))):
            if one.alias_info.is_write:
                return True
            kept |= made
    return False


def _arguments(node: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args, kwargs = [], {}
    for given in node["inputs"]:
        if given["kind"] == 2:
            kwargs[given["name"]] = _argument(given["arg"])
        else:
            args.append(_argument(given["arg"]))
    return tuple(args), kwargs


def _argument(arg: dict[str, Any]) -> Any:
    """Turn an argument's JSON, {kind: value}, into Python's own values."""
    ((kind, value),) = arg.items()
    if kind == "as_none":
        return None
    if kind in ("as_tensor", "as_name"):
        return Value(str(value["name"] if kind == "as_tensor" else value))
    if kind == "as_tensors":
        return [Value(str(one["name"])) for one in value]
    if kind in ("as_optional_tensors", "as_sym_ints", "as_sym_bools", "as_sym_floats"):
        return [_argument(one) for one in value]
    if kind in ("as_optional_tensor", "as_sym_int", "as_sym_bool", "as_sym_float"):
        return _argument(value)
    if kind in _PLAIN:
        return _PLAIN[kind](value)
    if kind in _PLAIN_LISTS:
        return [_PLAIN[_PLAIN_LISTS[kind]](one) for one in value]
    if kind == "as_scalar_type":
        return SCALAR_TYPES[value]
    if kind == "as_memory_format":
        return _MEMORY_FORMATS[value]
    if kind == "as_layout" and value == _STRIDED:
        return torch.strided
    if kind == "as_device":
        return TheDevice()
    raise Unreadable(f"it has an argument of the kind {kind}; expected tensors, sizes and numbers")


# float() also reads the texts by which the JSON gives infinities.
_PLAIN: dict[str, Callable[[Any], Any]] = {
    "as_int": int, "as_float": float, "as_bool": bool, "as_string": str,
}  # fmt: skip
_PLAIN_LISTS = {f"{kind}s": kind for kind in _PLAIN}


def _results(outputs: list[dict[str, Any]]) -> Any:
    names = [_result(output) for output in outputs]
    return names[0] if len(names) == 1 else names


def _result(output: dict[str, Any]) -> Any:
    ((kind, value),) = output.items()
    if kind == "as_tensor":
        return str(value["name"])
    if kind == "as_tensors":
        return [str(one["name"]) for one in value]
    if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
        return value.get("as_name")
    if kind == "as_none":
        return None
    raise Unreadable(f"an operator gives a result of the kind {kind}; expected tensors and sizes")


def _names(results: Any) -> Iterator[str]:
    if isinstance(results, str):
        yield results
    elif results is not None:
        for result in results:
            yield from _names(result)


def _used(arg: Any) -> Iterator[str]:
    if isinstance(arg, Value):
        yield arg.name
    elif isinstance(arg, (list, tuple)):
        for one in arg:
            yield from _used(one)
    elif isinstance(arg, dict):
        yield from _used(list(arg.values()))


def _filled(arg: Any, values: MutableMapping[str, Any], device: torch.device) -> Any:
    if isinstance(arg, Value):
        return values[arg.name]
    if isinstance(arg, TheDevice):
        return device
    if isinstance(arg, (list, tuple)):
        return [_filled(one, values, device) for one in arg]
    return arg


def _bind(results: Any, found: Any, values: MutableMapping[str, Any]) -> None:
    if isinstance(results, str):
        values[results] = found
    elif results:
        for result, one in zip(results, found, strict=False):  # trailing results may be unnamed
            _bind(result, one, values)
