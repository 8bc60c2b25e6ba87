"""Validates plain values of YAML, JSON and flags as typed objects, and reports all problems together.

The fields of a dataclass define types and bounds: `steps: Annotated[int, Ge(1)] = 20_000`. Types are strict: text is not
converted to numbers nor numbers to booleans, null needs an optional field, and infinite numbers are refused. The types below
have upper bounds far above what any machine can do: larger values are slips, which would end in a hang or without memory.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union

from annotated_types import Ge, Gt, Le, Lt, MinLen, MultipleOf, Predicate

from bridgenet.errors import UserError, nearest

T = TypeVar("T")

MOST = 2**16
"""The largest number of things, e.g. of channels or images of a batch."""
LARGEST = 1_000_000
LONGEST_SIDE = 32_736
"""Longest side of images and canvases [pixels]: a multiple of 32 below the limit of OpenCV's `remap`."""


@dataclasses.dataclass(frozen=True)
class Words:
    """The expected value of a field in errors, instead of its type: `Annotated[…, Words("[height, width]")]`."""

    text: str


def is_possible(text: str) -> bool:
    """Whether a file can have this path."""
    return all(character >= " " for character in text) and all(len(part.encode()) < 256 for part in text.split("/"))


Count = Annotated[int, Ge(1), Le(MOST)]
"""A number of things, at least one."""
CountOrNone = Annotated[int, Ge(0), Le(MOST)]
Layers = Annotated[int, Ge(1), Le(1000)]
Steps = Annotated[int, Ge(1), Le(10**9)]
Seed = Annotated[int, Ge(0), Lt(2**63)]
Side = Annotated[int, Ge(1), Le(LONGEST_SIDE)]
Size = Annotated[tuple[Side, Side], Words(f"[height, width] in pixels, each from 1 to {LONGEST_SIDE}")]
NotNegative = Annotated[float, Ge(0), Le(LARGEST)]
Positive = Annotated[float, Gt(0), Le(LARGEST)]
FilePath = Annotated[str, MinLen(1), Predicate(is_possible), Words("a path")]
Rate = Annotated[float, Ge(0), Lt(1)]
"""A fraction below 1, e.g. of drop path."""

_CONFIG = {"extra": "forbid", "allow_inf_nan": False, "arbitrary_types_allowed": True}
_NOUNS: dict[Any, tuple[str, str]] = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    bool: ("true or false", "true or false"),
    type(None): ("null", "null"),
    Any: ("a value", "values"),
}
_BOUNDS = {Ge: "at least {0.ge}", Gt: "more than {0.gt}", Le: "at most {0.le}", Lt: "less than {0.lt}"}
_BOUNDS |= {MultipleOf: "divisible by {0.multiple_of}"}
_NUMBERS = {2: "two", 3: "three", 4: "four"}
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
PART_OF_VALUE = "part_of_value"
"""Type of pydantic's custom errors whose message begins with the name of an entry of the value."""


def strict(kind: type[T] | None = None, *, finite: bool = True) -> Any:
    """Make :func:`validated` refuse unknown keys and, if `finite`, NaN and infinities for a dataclass."""
    if kind is None:
        return functools.partial(strict, finite=finite)
    kind.__pydantic_config__ = _CONFIG | {"allow_inf_nan": not finite}  # type: ignore[attr-defined]
    return kind


def validated(kind: type[T], values: Any, prefix: str = "") -> tuple[T | None, list[str]]:
    """Create an object from plain values, and report problems.

    Args:
        kind: a :func:`strict` dataclass, as are nested ones.
        values: a mapping; lists are converted to tuples.
        prefix: prefix of the keys in problems, e.g. `network.`.

    Returns:
        The object, or None if there are problems; a line per problem, e.g. `unknown key setps (did you mean steps?)`.
    """
    from pydantic import ValidationError

    try:
        text = json.dumps(values, default=str)
    except (TypeError, ValueError, RecursionError) as error:
        return None, [f"{prefix.removesuffix('.')} holds other than plain values ({error})".strip()]
    try:
        return _adapter(kind).validate_json(text, strict=True), []  # type: ignore[arg-type]
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    plain = json.loads(text)
    return None, list(dict.fromkeys(_problem(kind, plain, entry, prefix) for entry in found))


def read(kind: type[T], values: Any, where: str) -> T:
    """Like :func:`validated`, but raises a UserError with all problems, each after the prefix `where`."""
    found, problems = validated(kind, values)
    if found is None:
        raise UserError(lines(problems, f"{where}: "))
    return found


def absurd(values: Any, name: str = "", *, is_custom: bool = False) -> Iterator[str]:
    """The values, at any depth, that no argument of a part without types can mean; a line of text for each.

    Args:
        is_custom: whether the user's own code takes the arguments; it may mean null, and large whole numbers.
    """
    if isinstance(values, Mapping | list):
        for key, value in values.items() if isinstance(values, Mapping) else enumerate(values):
            yield from absurd(value, f"{name}.{key}" if name else str(key), is_custom=is_custom)
    elif isinstance(values, float) and not math.isfinite(values):
        yield f"{name} is {values}, expected a finite number"
    elif values is None and not is_custom:
        yield f"{name} is nothing, expected a value; leave it out for its default"
    elif isinstance(values, int | float) and abs(values) > MOST and not is_custom:
        yield f"{name} is {said(values)}, expected a number of at most {MOST}"


def lines(problems: Iterable[str], prefix: str = "") -> str:
    """Format problems as the text of an error, one per line."""
    return "\n       ".join(prefix + problem for problem in problems)


def arguments_of(kind: Callable[..., Any]) -> type:
    """Create a strict dataclass of the arguments of a constructor that have defaults."""
    hints = typing.get_type_hints(kind.__init__, include_extras=True)  # type: ignore[misc]
    fields = [
        (name, hints.get(name, Any), dataclasses.field(default=parameter.default))
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is not parameter.empty
    ]
    return strict(dataclasses.make_dataclass(f"{kind.__name__}Arguments", fields, kw_only=True))


@functools.cache
def fields_of(kind: type) -> dict[str, Any]:
    """The annotations of all fields of a dataclass."""
    return typing.get_type_hints(kind, include_extras=True)


@functools.cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def keys(kind: type, prefix: str = "") -> dict[str, bool]:
    """Dotted name of every field → whether it is a group of others."""
    found = {}
    for name, annotation in fields_of(kind).items():
        found[prefix + name] = dataclasses.is_dataclass(annotation)
        if found[prefix + name]:
            found |= keys(annotation, f"{prefix}{name}.")
    return found


def _problem(kind: Any, value: Any, entry: Mapping[str, Any], prefix: str) -> str:
    """Format one of pydantic's errors. For lists and unions it reports the whole value."""
    place: Sequence[Any] = entry["loc"]
    names: list[str] = []
    annotation = kind
    for part in place[:-2] if place and place[-1] == "[key]" else place:
        if dataclasses.is_dataclass(annotation):
            annotation = fields_of(annotation).get(part)  # type: ignore[arg-type]
        elif typing.get_origin(annotation) in (dict, Mapping):
            annotation = typing.get_args(annotation)[1]
        else:
            break
        names.append(str(part))
        value = value.get(str(part)) if isinstance(value, Mapping) else None
    name = prefix + ".".join(names)
    if entry["type"] in _UNKNOWN:
        inner, known = ".".join(names), keys(kind)
        parent, dot, last = inner.rpartition(".")
        beside = [key.rpartition(".")[2] for key in known if key.rpartition(".")[0] == parent]
        hint = nearest(last, beside).replace("mean ", f"mean {prefix}{parent}{dot}")
        hint = hint or nearest(inner, known).replace("mean ", f"mean {prefix}")
        return f"unknown key {name}{hint or ' (known: ' + ', '.join(beside) + ')'}"
    if entry["type"] == "json_invalid":  # valid JSON has no other fault
        return f"{name or prefix.removesuffix('.') or 'a value'} holds lists or groups that are nested too deeply"
    if entry["type"] == "missing":
        return f"{name} is missing, expected {expected(annotation)}"
    if entry["type"] == PART_OF_VALUE:
        return f"{name}.{entry['msg']}"
    return f"{name} is {said(value)}, expected {expected(annotation)}".lstrip()


def expected(annotation: Any, many: bool = False) -> str:
    """Describe a type and its bounds, e.g. `a whole number, at least 1`; if `many`, `whole numbers, at least 1`."""
    details: Sequence[Any] = ()
    if typing.get_origin(annotation) is Annotated:
        annotation, *details = typing.get_args(annotation)
    for detail in details:
        if isinstance(detail, Words):
            return detail.text
    bounds = [_BOUNDS[type(detail)].format(detail) for detail in details if type(detail) in _BOUNDS]
    return _words(annotation, many) + (f", {' and '.join(bounds)}" if bounds else "")


def _words(annotation: Any, many: bool) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _NOUNS:
        return _NOUNS[annotation][many]
    if origin is Literal:
        return " or ".join(filter(None, [", ".join(map(str, inner[:-1])), str(inner[-1])]))
    if origin in (Union, types.UnionType):
        return " or ".join(expected(each, many) for each in inner)
    if origin is tuple and Ellipsis not in inner:
        return f"{_NUMBERS.get(len(inner), len(inner))} {expected(inner[0], True)}"
    if origin in (list, tuple, Sequence):
        return f"{'lists' if many else 'a list'} of {expected(inner[0], True)}"
    if origin in (dict, Mapping):
        return f"{expected(inner[1], True)} by name"
    return getattr(annotation, "in_words", "a group of settings")


def said(value: Any) -> str:
    """Format a value approximately as it was written."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
