"""Objects of other classes: the value that a reader gets for each.

The general rules, in this order: items, pairs, arguments, state. A recognised class has its own rule. There is no
recursion: a value consists of existing nodes, which the presenter visits itself.
"""

from collections.abc import Callable
from typing import Any, Final

from proxy.codec.errors import UndecodableError
from proxy.codec.frames import readers
from proxy.codec.limits import RESPONSE_NODES, CodecLimits
from proxy.codec.nodes import UNKNOWN, Collection, Damaged, Instance, Key, Node, Scalar, Symbol
from proxy.codec.unpickle import known_classes, names, recognised, responses

_ALONE: Final = frozenset({"py/response", "py/uuid", "py/timestamp"})
"""Tags that already say the class of an object, so the object is presented without `py/instance`."""

_CHAIN: Final = 8
"""Limit of a chain of objects, each the value of the one before. Beyond it, the first counts as a container."""

_PARTS_PER_NODE: Final = 2
"""Hidden attributes count as parts, but are not presented."""

_PYDANTIC: Final = ("__pydantic_fields_set__", "__fields_set__")
"""Attributes of Pydantic 2 and 1. The state of a model has one of them next to its fields."""

_ROOT: Final = "__root__"
"""The one field of a model of Pydantic 1 that is no object, such as a list."""

_SHAPES: Final = frozenset({list, tuple, dict, Collection}) | readers.HOLDERS


def value_of(instance: Instance, count: Callable[[int], None]) -> Node:
    """The value of an object.

    `count`: called with the number of parts before they are read.
    """
    if instance.symbol.text == known_classes.UUID:
        return Damaged(instance.symbol) if instance.state is None else instance.state
    packed = readers.value(instance, count)
    if packed is not None:
        return packed
    response = responses.response(instance, count)
    if response is not None:
        return response
    found = recognised.value(instance)
    if found is not UNKNOWN:
        return found
    if instance.items is not None:
        return instance.items
    if instance.pairs is not None:
        return instance.pairs
    return _from_arguments(instance, count)


def _from_arguments(instance: Instance, count: Callable[[int], None]) -> Node:
    if instance.args and not _finds_class(instance):
        return instance.args[0] if len(instance.args) == 1 else list(instance.args)
    if instance.kwargs and not instance.args:
        return instance.kwargs
    if instance.state is None:
        return {}
    attributes = _attributes(instance.state, count)
    return instance.state if attributes is UNKNOWN else attributes


def class_of(instance: Instance) -> str:
    """The name of an object's class. If a function found the class by its arguments, the class that they name."""
    if instance.args and _finds_class(instance):
        first = instance.args[0]
        if type(first) is Symbol:
            return first.text
        if type(first) is tuple and len(first) == 2 and type(first[0]) is type(first[1]) is str:
            return names.checked(*first).text  # Django: ("shop", "Product")
    return instance.symbol.text


def _finds_class(instance: Instance) -> bool:
    """Whether the arguments only name the class and the state has all else, as in Django's `model_unpickle`."""
    state = instance.state
    if type(state) is tuple and len(state) == 2:
        state = state[1] if type(state[1]) is dict and state[1] else state[0]
    return instance.is_called and type(state) is dict and bool(state) and recognised.is_lower(instance.symbol.name)


def _attributes(state: Node, count: Callable[[int], None]) -> Node:
    """The attributes of an object, without those of its library; UNKNOWN: the state has another form."""
    if type(state) is tuple and len(state) == 2 and type(state[1]) is dict and type(state[0]) in (dict, type(None)):
        count(len(state[0] or ()) + len(state[1]))
        state = {**(state[0] or {}), **state[1]}  # attributes and slots
    if type(state) is not dict:
        return UNKNOWN
    fields = state.get("__dict__")
    is_model = type(fields) is dict and any(name in state for name in _PYDANTIC)
    if is_model:
        state = fields
    count(len(state))
    hidden = {key for key in state if type(key) is str and (key.startswith(("_sa_", "__")) or _is_django(key, state))}
    if is_model:
        hidden.discard(_ROOT)
    return {key: value for key, value in state.items() if key not in hidden} if hidden else state


def _is_django(key: str, state: dict[Any, Node]) -> bool:
    """Whether an attribute is Django's own: its version, or the state of a model towards its database."""
    if key == "_django_version":
        return True
    if key != "_state":
        return False
    model_state = state[key]
    return "_django_version" in state or (type(model_state) is Instance and model_state.symbol.name == "ModelState")


class Values:
    """The values of all objects of a stored value. Each is computed once and counted, as objects may share parts."""

    __slots__ = ("_bytes_left", "_limits", "_nodes_left")

    def __init__(self, limits: CodecLimits) -> None:
        """`limits`: those of the stored value."""
        self._limits = limits
        self._nodes_left = _PARTS_PER_NODE * limits.nodes
        self._bytes_left = limits.decoded_bytes

    def of(self, instance: Instance) -> Node:
        """The value of an object. Raises UndecodableError."""
        if instance.value is UNKNOWN:
            instance.value = value_of(instance, self._count)
            self._count_parts(instance.value)
        return instance.value

    def rest(self, instance: Instance) -> Node:
        """The value of an object without its containers. In an array, null replaces them."""
        if instance.rest is UNKNOWN:
            value = self.of(instance)
            self._count_parts(value)
            instance.rest = self._without_containers(value)
        return instance.rest

    def is_container(self, node: Node) -> bool:
        """Whether a node is a container, or an object whose value is one."""
        for _ in range(_CHAIN):
            if type(node) is not Instance:
                return type(node) in _SHAPES
            node = self.of(node)
        return True

    def _without_containers(self, value: Node) -> Node:
        kind = type(value)
        if kind is list or kind is tuple:
            return kind(None if self.is_container(part) else part for part in value)
        if kind is dict:
            return self._scalars(value)
        if kind is Collection:
            items = value.items
            few = self._scalars(items) if type(items) is dict else [None if self.is_container(i) else i for i in items]
            return Collection(value.tag, few, value.more)
        return None if self.is_container(value) else value

    def _scalars(self, pairs: dict[Any, Node]) -> dict[Any, Node]:
        return {
            key: value
            for key, value in pairs.items()
            if not self.is_container(value) and not (type(key) is Key and self.is_container(key.node))
        }

    def _count_parts(self, value: Node) -> None:
        """Count the parts and bytes of a value that has been made."""
        kind = type(value)
        if kind is list or kind is tuple or kind is dict:
            self._count(len(value))
        elif kind is Collection:
            self._count(len(value.items))
        elif kind is Scalar and value.tag == "py/response":
            self._count(_PARTS_PER_NODE * RESPONSE_NODES)
            self._bytes_left -= len(value.content["body"])
            if self._bytes_left < 0:
                most = self._limits.decoded_bytes
                raise UndecodableError(f"more than {most} bytes ([limits] decoded_bytes)", "decoded_bytes")

    def _count(self, parts: int) -> None:
        self._nodes_left -= parts
        if self._nodes_left < 0:
            nodes = self._limits.nodes
            raise UndecodableError(f"more than {nodes} nodes ([limits] nodes)", "nodes")


def stands_alone(value: Node) -> bool:
    """Whether the value of an object has a tag that already says its class: a response, a UUID, an array ..."""
    return value.tag in _ALONE if type(value) is Scalar else type(value) in readers.ALONE
