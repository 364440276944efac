//! Objects of other classes: the one value of each that a reader gets. `proxy/codec/unpickle/instances.py` has the rules.

use std::borrow::Cow;
use std::rc::Rc;

use crate::frames::arrays::{Array, NumpyScalar};
use crate::frames::columns::Column;
use crate::frames::readers;
use crate::frames::tables::{Frame, Series};
use crate::limits::{Failure, Limits, Verdict, RESPONSE_NODES};
use crate::unpickle::dict::Dict;
use crate::unpickle::node::{Arena, Instance, Node};
use crate::unpickle::recognised;
use crate::unpickle::responses::{self, Response};
use crate::unpickle::symbols::{Class, Symbol};
use crate::values::tags::Tag;

/// Hidden attributes count too, and are not presented.
const PARTS_PER_NODE: u64 = 2;
/// Of pydantic's version 2 and 1: one of them stands beside the fields.
const PYDANTIC: [&[u8]; 2] = [b"__pydantic_fields_set__", b"__fields_set__"];
/// The one field of a model of pydantic 1 that is no object.
const ROOT: &[u8] = b"__root__";

/// The value of an object.
#[derive(Clone)]
pub enum Value {
    Node(Node),
    /// A dict that the pickle does not have.
    Dict(Rc<Dict>),
    /// A list that the pickle does not have.
    List(Rc<Vec<Node>>),
    Text(Rc<[u8]>),
    Response(Rc<Response>),
    Numpy(Rc<NumpyScalar>),
    Array(Rc<Array>),
    /// An Arrow array by itself.
    Column(Rc<Column>),
    Series(Rc<Series>),
    Frame(Rc<Frame>),
    /// The text of a Timestamp of pandas.
    Timestamp(Rc<[u8]>),
}

/// The values of a reading's objects. Their parts are counted, because objects may share them.
pub struct Values {
    limits: Limits,
    nodes_left: u64,
    bytes_left: u64,
    /// False: no object is reachable twice, so no value is asked for twice.
    pub remembers: bool,
    known: Vec<Option<Value>>,
    pub(super) rests: Vec<Option<Value>>,
}

impl Values {
    pub fn new(limits: Limits) -> Self {
        Values {
            limits,
            nodes_left: PARTS_PER_NODE * limits.nodes,
            bytes_left: limits.decoded_bytes,
            remembers: true,
            known: Vec::new(),
            rests: Vec::new(),
        }
    }

    /// The value of an object.
    pub fn of(&mut self, arena: &Arena, instance: u32) -> Verdict<Value> {
        let at = instance as usize;
        if let Some(Some(value)) = self.known.get(at) {
            return Ok(value.clone());
        }
        let value = self.made(arena, instance)?;
        self.count_parts(arena, &value)?;
        if self.remembers {
            self.known.resize(arena.instances.len(), None);
            self.known[at] = Some(value.clone());
        }
        Ok(value)
    }

    /// Count parts before they are read.
    pub fn count(&mut self, parts: u64) -> Verdict<()> {
        match self.nodes_left.checked_sub(parts) {
            Some(left) => {
                self.nodes_left = left;
                Ok(())
            }
            None => self.limits.too_many(),
        }
    }

    /// Count the work for a value.
    pub(super) fn count_parts(&mut self, arena: &Arena, value: &Value) -> Verdict<()> {
        match value {
            Value::Node(node) => self.count(len(arena, *node)),
            Value::Dict(dict) => self.count(dict.items.len() as u64),
            Value::List(list) => self.count(list.len() as u64),
            Value::Response(response) => {
                self.count(PARTS_PER_NODE * RESPONSE_NODES)?;
                let continued = |byte: &&u8| response.is_text && **byte & 0xc0 == 0x80;
                let size = response.body.len() - response.body.iter().filter(continued).count();
                match self.bytes_left.checked_sub(size as u64) {
                    Some(left) => {
                        self.bytes_left = left;
                        Ok(())
                    }
                    None => self.limits.too_large(),
                }
            }
            _ => Ok(()),
        }
    }

    fn made(&mut self, arena: &Arena, node: u32) -> Verdict<Value> {
        let instance = &arena.instances[node as usize];
        if arena.symbol_of(instance).class == Class::Uuid {
            return match instance.state {
                uuid @ Node::Scalar { .. } => Ok(Value::Node(uuid)),
                _ => Err(Failure::NotHandled),
            };
        }
        if let Some(value) = readers::value(arena, node, &mut |parts| self.count(parts))? {
            return Ok(value);
        }
        if let Some(response) = responses::response(arena, instance, self)? {
            return Ok(Value::Response(Rc::new(response)));
        }
        if let Some(value) = recognised::value(arena, instance)? {
            return Ok(value);
        }
        match (instance.items, instance.pairs) {
            (Some(items), _) => Ok(Value::Node(Node::List(items))),
            (None, Some(pairs)) => Ok(Value::Node(Node::Dict(pairs))),
            (None, None) => self.with_arguments(arena, instance),
        }
    }

    fn with_arguments(&mut self, arena: &Arena, instance: &Instance) -> Verdict<Value> {
        let args = arena.lists[instance.args as usize].as_slice();
        let kwargs = instance.kwargs.filter(|kwargs| !arena.dicts[*kwargs as usize].items.is_empty());
        match (args, kwargs, instance.state) {
            ([], Some(kwargs), _) => Ok(Value::Node(Node::Dict(kwargs))),
            ([only], ..) if !finds_class(arena, instance) => Ok(Value::Node(*only)),
            ([_, _, ..], ..) if !finds_class(arena, instance) => Ok(Value::Node(Node::List(instance.args))),
            (_, _, Node::Null) => Ok(Value::Dict(Rc::default())),
            (_, _, state) => self.attributes(arena, state),
        }
    }

    /// The attributes of an object without those of its library, or a state of another kind as it is.
    fn attributes(&mut self, arena: &Arena, state: Node) -> Verdict<Value> {
        match state {
            Node::Dict(dict) => self.shown(arena, &arena.dicts[dict as usize], Value::Node(state)),
            Node::Tuple(pair) => match *arena.lists[pair as usize].as_slice() {
                [first @ (Node::Dict(_) | Node::Null), slots @ Node::Dict(_)] => {
                    self.count(len(arena, first) + len(arena, slots))?;
                    let mut all = Dict::default();
                    for part in [first, slots] {
                        for (key, value) in items(arena, part) {
                            all.set(&arena.texts, *key, *value);
                        }
                    }
                    let all = Rc::new(all);
                    self.shown(arena, &all, Value::Dict(Rc::clone(&all)))
                }
                _ => Ok(Value::Node(state)),
            },
            _ => Ok(Value::Node(state)),
        }
    }

    /// A dict without the hidden attributes. `all`: the dict itself, as a value.
    fn shown(&mut self, arena: &Arena, dict: &Dict, all: Value) -> Verdict<Value> {
        let has = |key| dict.get(&arena.texts, key).is_some();
        if let Some(fields @ Node::Dict(at)) = dict.get(&arena.texts, b"__dict__") {
            if PYDANTIC.iter().any(|key| has(*key)) {
                return self.visible(arena, &arena.dicts[at as usize], Value::Node(fields), Some(ROOT));
            }
        }
        self.visible(arena, dict, all, None)
    }

    /// `kept`: the name of an attribute that is not hidden.
    fn visible(&mut self, arena: &Arena, dict: &Dict, all: Value, kept: Option<&[u8]>) -> Verdict<Value> {
        self.count(dict.items.len() as u64)?;
        let is_kept = |key: Node| matches!(key, Node::Str { piece, .. } if kept == Some(arena.bytes(piece)));
        let is_shown = |item: &(Node, Node)| !is_hidden(arena, dict, item) || is_kept(item.0);
        if dict.items.iter().all(is_shown) {
            return Ok(all);
        }
        let shown = dict.items.iter().copied().filter(is_shown).collect();
        Ok(Value::Dict(Rc::new(Dict::of(shown, dict.keyed))))
    }
}

/// The items of a dict.
fn items<'a>(arena: &'a Arena, node: Node) -> &'a [(Node, Node)] {
    match node {
        Node::Dict(dict) => &arena.dicts[dict as usize].items,
        _ => &[],
    }
}

/// The number of parts of a container.
fn len(arena: &Arena, node: Node) -> u64 {
    let parts = match node {
        Node::List(list) | Node::Tuple(list) | Node::Set(list) | Node::FrozenSet(list) => {
            arena.lists[list as usize].len()
        }
        Node::Deque(deque) => arena.lists[arena.deques[deque as usize].items as usize].len(),
        Node::Dict(dict) | Node::OrderedDict(dict) | Node::Counter(dict) | Node::DefaultDict { dict, .. } => {
            arena.dicts[dict as usize].items.len()
        }
        _ => 0,
    };
    parts as u64
}

fn is_hidden(arena: &Arena, dict: &Dict, (key, value): &(Node, Node)) -> bool {
    let name = match key {
        Node::Str { piece, .. } => arena.bytes(*piece),
        _ => return false,
    };
    if name.first() != Some(&b'_') {
        return false;
    }
    match name {
        b"_django_version" => true,
        b"_state" => is_model_state(arena, *value) || dict.get(&arena.texts, b"_django_version").is_some(),
        _ => name.starts_with(b"_sa_") || name.starts_with(b"__"),
    }
}

/// How a model of Django stands to its database.
fn is_model_state(arena: &Arena, node: Node) -> bool {
    match node {
        Node::Instance(instance) => arena.symbol_of(&arena.instances[instance as usize]).name() == "ModelState",
        _ => false,
    }
}

/// True if the arguments only say the class, as those of Django's `model_unpickle`. The state has all else.
fn finds_class(arena: &Arena, instance: &Instance) -> bool {
    let state = match instance.state {
        Node::Tuple(pair) => match *arena.lists[pair as usize].as_slice() {
            [_, slots] if !items(arena, slots).is_empty() => slots,
            [first, _] => first,
            _ => return false,
        },
        state => state,
    };
    instance.is_called && !items(arena, state).is_empty() && arena.symbol_of(instance).is_lower()
}

/// The name of an object's class. For an object that a function found and filled, its arguments name the class.
pub fn class_of<'a>(arena: &'a Arena, instance: &Instance) -> Verdict<Cow<'a, str>> {
    let symbol = arena.symbol_of(instance);
    let first = match arena.lists[instance.args as usize].first() {
        Some(first) if finds_class(arena, instance) => *first,
        _ => return Ok(Cow::Borrowed(&symbol.text)),
    };
    match first {
        Node::Symbol(named) => Ok(Cow::Borrowed(&arena.symbols[named as usize].text)),
        Node::Tuple(pair) => match arena.lists[pair as usize].as_slice() {
            [Node::Str { piece: module, .. }, Node::Str { piece: name, .. }] => {
                let text = |piece| std::str::from_utf8(arena.bytes(piece)).unwrap_or("");
                Ok(Cow::Owned(Symbol::checked(text(*module), text(*name))?.text.into_string()))
            }
            _ => Ok(Cow::Borrowed(&symbol.text)),
        },
        _ => Ok(Cow::Borrowed(&symbol.text)),
    }
}

/// True if a value is read without its class: a response, a UUID, an array and the like have tags of their own.
pub fn stands_alone(value: &Value) -> bool {
    match value {
        Value::Node(node) => matches!(node, Node::Scalar { tag: Tag::Uuid, .. }),
        Value::Response(_) | Value::Numpy(_) | Value::Array(_) => true,
        Value::Series(_) | Value::Frame(_) | Value::Timestamp(_) => true,
        Value::Dict(_) | Value::List(_) | Value::Text(_) | Value::Column(_) => false,
    }
}

/// True if any rule reads the class of an object that stands alone.
pub fn is_known(class: Class) -> bool {
    class == Class::Response || class == Class::Uuid
}
