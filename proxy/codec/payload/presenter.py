"""Nodes -> a tree that JSON or msgpack can hold, with a tag for every type that they lack (lossless).

The code is iterative and counts every step, because a stored value may hold one part a million times, or itself. Nodes
are presented in order. So an object that contains itself is whole at its first occurrence. If that nests too deep, it
is whole at the first of its shallowest occurrences.
"""

from base64 import b64encode
from collections.abc import Callable
from typing import Any, ClassVar, Final, NoReturn, TypeAlias

from proxy.codec.errors import UncoveredError, UndecodableError, with_article
from proxy.codec.frames.arrays import Array, NumpyScalar
from proxy.codec.frames.columns import Column
from proxy.codec.frames.tables import Frame, Series
from proxy.codec.limits import (
    CYCLE_NODES,
    HEADER_NODES,
    OBJECT_NODES,
    PAIR_NODES,
    RESPONSE_NODES,
    TAG_NODES,
    CodecLimits,
)
from proxy.codec.nodes import RESERVED, Collection, Damaged, Instance, Key, Node, OldBytes, Scalar, Symbol
from proxy.codec.payload import arrays, budgets, tables
from proxy.codec.payload.formats import Format
from proxy.codec.payload.places import Place, Trail, Unhashable
from proxy.codec.payload.presentation import Presentation
from proxy.codec.unpickle import cycles, instances, responses

Handler: TypeAlias = "Callable[[Any, Any, Place], Any]"
"""Presents any other node. Arguments: the presenter, the node, and its place."""


def is_hashable(scalar: Scalar) -> bool:
    """Whether Python can hash it."""
    return scalar.tag != "py/response" and not (scalar.tag == "py/decimal" and "sNaN" in scalar.content)


def read_every_class(_name: str) -> bool:
    """True for every name: all classes may be read."""
    return True


class Presenter(Presentation):
    """Builds one payload tree. It has its own budgets, so it is used once.

    Leaves are presented at once. Containers are put on a stack: so there is no recursion, and the stack stays small.
    """

    __slots__ = (
        "_depths",
        "_reads",
        "_seen",
        "_text_fits",
        "_trail",
        "_values",
    )

    containers: "ClassVar[dict[type, Handler]]"

    def __init__(
        self,
        target: Format,
        limits: CodecLimits,
        text_fits: bool = False,
        reads: Callable[[str], bool] = read_every_class,
    ) -> None:
        """`target`: types without tags. `text_fits`: strings cannot exceed the limit of bytes, even with all escapes.
        `reads`: whether a class or function with this name may be read.
        """
        super().__init__(target, limits)
        self._text_fits = text_fits
        self._reads = reads
        self._values = instances.Values(limits)
        self._trail: Trail | None = None
        self._seen: dict[int, bool] = {}
        """Whether each object that contains itself has been presented, by id."""
        self._depths: dict[int, int] = {}
        """If the first occurrences nest too deep: the least depth of each object, at which it is whole instead."""

    def present(self, root: Node, is_tree: bool = False, has_objects: bool = True) -> Any:
        """The payload's tree. Raises UndecodableError.

        `is_tree`: no container in it is reachable twice. `has_objects`: there may be objects of other classes. Without
        them, cycles are searched only after a limit is exceeded.
        """
        try:
            reaching = cycles.Cyclic() if is_tree or not has_objects else cycles.cyclic(root, self._values)
        except UndecodableError as error:
            raise self._placed(root, error) from None
        try:
            return self._present(root, reaching)
        except UndecodableError as error:
            if is_tree or error.limit is None:
                raise
            if any(self._seen.values()) and error.limit == "depth":
                self._depths = cycles.shallowest(root, self._values)
            elif has_objects or not (reaching := cycles.cyclic(root, self._values)).ids:
                raise
        self._nodes_left, self._bytes_left = self._limits.nodes, self._limits.decoded_bytes
        self._todo.clear()
        return self._present(root, reaching)

    def _placed(self, root: Node, error: UndecodableError) -> UndecodableError:
        """The error for an object without a value, with its place, which only presenting finds."""
        if error.limit is None:
            try:
                self._present(root, cycles.Cyclic())
            except UndecodableError as found:
                return found if found.limit is None else error
        return error

    def _present(self, root: Node, reaching: cycles.Cyclic, dict_of_key: Place | None = None) -> Any:
        """`reaching`: the nodes that contain themselves. `dict_of_key`: the root is a key of the dict at this place."""
        if reaching.ids:
            self._trail = Trail(reaching.ids)
            self._seen = dict.fromkeys(reaching.ids, False)
        holder = [None]
        self.count(1 + CYCLE_NODES * reaching.objects)
        leaf = self.leaves.get(type(root))
        if leaf is not None:
            return leaf(self, root, dict_of_key is not None)
        todo, containers, trail = self._todo, self.containers, self._trail
        todo.append(Place(root, holder, 0, None, dict_of_key, dict_of_key is not None, 0))
        todo[0].entered = 0  # the way of this presentation begins here
        while todo:
            place = todo.pop()
            first = len(todo)
            node = place.node
            up = None if trail is None or type(node) is Instance else trail.enter(place)
            try:
                if up is None:
                    place.into[place.at] = containers[type(node)](self, node, place)
                else:
                    self.check_hashable(not place.hashed)
                    place.into[place.at] = self._cycle(up)
            except Unhashable:
                raise UndecodableError(f"corrupt pickle: an unhashable key or member at {place}") from None
            if len(todo) - first > 1:
                todo[first:] = todo[: first - 1 if first else None : -1]
        return holder[0]

    def _cycle(self, up: int) -> Any:
        """Present a container that is inside itself, `up` levels below its first place."""
        self.count(TAG_NODES)
        return {"py/cycle": up}

    # -- leaves ----------------------------------------------------------------------------------------

    def _same(self, node: Node, _hashed: bool) -> Any:
        return node

    def _str(self, node: str, _hashed: bool) -> str:
        if not self._text_fits:
            self.spend_text(node)
        return node

    def _int(self, node: int, _hashed: bool) -> Any:
        if node.bit_length() > budgets.WORD:
            self.spend_int(node)
        if self.target.int_min <= node <= self.target.int_max:
            return node
        return {"py/int": str(node)}  # one node, because a writer may have written it as a number

    def _float(self, node: float, _hashed: bool) -> Any:
        if self.target.nonfinite or node - node == 0.0:
            return node
        self.count(TAG_NODES)
        return {"py/float": repr(node)}

    def _bytes(self, node: bytes, _hashed: bool) -> Any:
        self.spend_binary(node)
        if self.target.bytes:
            return node
        self.count(TAG_NODES)
        return {"py/bytes": b64encode(node).decode()}

    def _bytearray(self, node: bytearray, hashed: bool) -> Any:
        self.check_hashable(not hashed)
        self.spend_binary(node)
        self.count(TAG_NODES)
        return {"py/bytearray": bytes(node) if self.target.bytes else b64encode(node).decode()}

    def _scalar(self, node: Scalar, hashed: bool) -> Any:
        content = node.content
        self.check_hashable(not hashed or is_hashable(node))
        self._count_scalar(node)
        if type(content) is str:
            self.spend_text(content)  # even with `text_fits`: this text is not in the pickle, and may be repeated
        elif type(content) is dict:
            content = self._response(content) if node.tag == "py/response" else self._texts(content)
        else:
            content = [self._float(part, hashed) if type(part) is float else part for part in content]
        return {node.tag: content}

    def _texts(self, content: dict[str, str]) -> dict[str, str]:
        for text in content.values():
            self.spend_text(text)
        return content

    def _response(self, content: dict[str, Any]) -> dict[str, Any]:
        for name, value in content["headers"]:
            self.spend_text(name)
            self.spend_text(value)
        body = content["body"]
        if type(body) is str:
            self.spend_text(body)
            return content
        self.spend_binary(body)
        return content | {"body": body if self.target.bytes else {"py/bytes": b64encode(body).decode()}}

    # -- classes ---------------------------------------------------------------------------------------

    def _instance(self, node: Instance, place: Place) -> Any:
        value, is_again = self._value(node, place)
        if instances.stands_alone(value):
            return self._alone(value, place)
        content: dict[str, Any] = {"class": self._class(instances.class_of(node), place), "value": None}
        if is_again:
            content["again"] = True
        content["value"] = self._put(value, Place(value, content, "value", None, place, False, 1), place)
        return {"py/instance": content}

    def _alone(self, value: Node, place: Place) -> Any:
        """The value of an object that needs no class: a scalar, an array or a frame."""
        if type(value) is Scalar:
            return self._scalar(value, place.hashed)
        return self.containers[type(value)](self, value, place)

    def _value(self, node: Instance, place: Place) -> tuple[Node, bool]:
        """The value to present for an object, and whether the object has been presented before (see `again`)."""
        try:
            value = self._values.of(node)
        except UndecodableError as error:
            raise error if error.limit is not None else UndecodableError(f"{error}, at {place}") from None
        if type(value) is Damaged:
            self._damaged(value, place)
        if instances.stands_alone(value):
            if id(node) in self._seen:
                raise UndecodableError(f"an array or frame that holds itself, at {place}")
            if not responses.is_known(node):
                self._class(node.symbol.text, place)
            return value, False
        self.count(OBJECT_NODES)
        if self._trail is None or id(node) not in self._seen:
            return value, False
        if self._seen[id(node)] or place.depth > self._depths.get(id(node), place.depth):
            return self._values.rest(node), True
        self._seen[id(node)] = True
        self._trail.enter_object(place)
        return value, False

    def _put(self, value: Node, inner: Place, place: Place) -> Any:
        """The presented value of an object, or None if it is put on the stack. Only an object adds a level."""
        leaf = self.leaves.get(type(value))
        if leaf is not None:
            return leaf(self, value, False)
        if type(value) is not Instance:
            inner.depth = place.depth
        elif inner.depth > self._limits.depth:
            raise budgets.too_deep(self._limits)
        self._todo.append(inner)
        return None

    def _global(self, node: Symbol, place: Place) -> Any:
        self.count(TAG_NODES)
        if not self._reads(node.text):
            raise UncoveredError(place, f"the class or function {node.text}")
        return {"py/global": self._class(node.text, place)}

    def _class(self, name: str, place: Place) -> str:
        """A name, which counts as text each time. Raises UndecodableError if the class must not be read."""
        if not self._reads(name):
            raise UncoveredError(place, with_article(name))
        self.spend_text(name)
        return name

    def _damaged(self, node: Damaged, place: Place) -> NoReturn:
        raise UndecodableError(f"a {node.symbol} of unknown shape at {place}")

    def _old_bytes(self, _node: bytes, place: Place) -> Any:
        raise UndecodableError(f"a Python 2 str that is not ASCII, at {place}")

    # -- containers ------------------------------------------------------------------------------------

    def _list(self, node: list[Node], place: Place) -> Any:
        self.check_hashable(not place.hashed)
        return self.items(node, place, place.hashed)

    def _tuple(self, node: tuple[Node, ...], place: Place) -> Any:
        self.count(TAG_NODES)
        return {"py/tuple": self.items(node, place, place.hashed)}

    def _collection(self, node: Collection, place: Place) -> Any:
        self.check_hashable(not place.hashed or node.tag == "py/frozenset")
        self.count(TAG_NODES)
        return {node.tag: _CONTENTS[node.tag](self, node, place)}

    def _members(self, node: Collection, place: Place) -> Any:
        return self.items(node.items, place, True)

    def _ordered(self, node: Collection, place: Place) -> Any:
        return self._pairs(node.items, place)

    def _counter(self, node: Collection, place: Place) -> Any:
        return self._mapping(node.items, place)

    def _defaultdict(self, node: Collection, place: Place) -> Any:
        self.count(2)
        return {"factory": node.more, "dict": self._mapping(node.items, place, 1)}

    def _deque(self, node: Collection, place: Place) -> Any:
        self.count(2)
        return {"items": self.items(last_items(node), place, False, 2), "maxlen": node.more}

    def _dict(self, node: dict[Any, Node], place: Place) -> Any:
        self.check_hashable(not place.hashed)
        return self._mapping(node, place)

    def _mapping(self, node: dict[Any, Node], place: Place, levels: int = 0) -> Any:
        """Present a dict, `levels` below the place."""
        if Key in set(map(type, node)) or (len(node) == 1 and next(iter(node)).startswith(RESERVED)):
            self.count(TAG_NODES)
            return {"py/dict": self._pairs(node, place, levels)}
        self.descend(place.depth, len(node))
        presented: dict[str, Any] = dict.fromkeys(node)
        for key, value in node.items():
            self._str(key, False)
            self.part(value, presented, key, key, place, False, levels + 1)
        return presented

    def _pairs(self, node: dict[Any, Node], place: Place, levels: int = 0) -> list[Any]:
        self.descend(place.depth, len(node) * (PAIR_NODES + 2))
        pairs = []
        for at, (key, value) in enumerate(node.items()):
            pair = [None, None]
            self.part(key.node if type(key) is Key else key, pair, 0, at, place, True, levels + 2)
            self.part(value, pair, 1, key if type(key) is str else at, place, False, levels + 2)
            pairs.append(pair)
        return pairs

    def items(self, items: list[Node] | tuple[Node, ...], place: Place, hashed: bool, levels: int = 1) -> list[Any]:
        self.descend(place.depth, len(items))
        presented: list[Any] = [None] * len(items)
        leaves = self.leaves
        for at, item in enumerate(items):  # as `_part` for each item, but without a call
            leaf = leaves.get(type(item))
            if leaf is not None:
                presented[at] = leaf(self, item, hashed)
            else:
                self._todo.append(Place(item, presented, at, at, place, hashed, levels))
        return presented

    def part(
        self, node: Node, into: Any, at: Any, name: str | int, place: Place, hashed: bool, levels: int = 1
    ) -> None:
        leaf = self.leaves.get(type(node))
        if leaf is not None:
            into[at] = leaf(self, node, hashed)
        else:
            self._todo.append(Place(node, into, at, name, place, hashed, levels))

    def _count_scalar(self, node: Scalar) -> None:
        """Count the nodes of a value of a class beyond the value itself."""
        weight = RESPONSE_NODES if node.tag == "py/response" else OBJECT_NODES
        self.count(weight + HEADER_NODES * node.parts)


def last_items(deque: Collection) -> list[Node]:
    """The last items of a deque, at most `maxlen`."""
    items: list[Node] = deque.items
    return items if deque.more is None else items[max(0, len(items) - int(deque.more)) :]


Presenter.leaves = {
    type(None): Presenter._same,
    bool: Presenter._same,
    int: Presenter._int,
    float: Presenter._float,
    str: Presenter._str,
    bytes: Presenter._bytes,
    bytearray: Presenter._bytearray,
    Scalar: Presenter._scalar,
}
Presenter.containers = {
    list: Presenter._list,
    tuple: Presenter._tuple,
    dict: Presenter._dict,
    Collection: Presenter._collection,
    Instance: Presenter._instance,
    Symbol: Presenter._global,
    Damaged: Presenter._damaged,
    OldBytes: Presenter._old_bytes,
    NumpyScalar: arrays.tagged_scalar,
    Array: arrays.tagged_array,
    Column: tables.column,
    Series: tables.series,
    Frame: tables.frame,
}
_CONTENTS: Final[dict[str, Callable[[Any, Collection, Place], Any]]] = {
    "py/set": Presenter._members,
    "py/frozenset": Presenter._members,
    "py/ordereddict": Presenter._ordered,
    "py/counter": Presenter._counter,
    "py/defaultdict": Presenter._defaultdict,
    "py/deque": Presenter._deque,
}
"""Presents the content of the tag of each collection."""
