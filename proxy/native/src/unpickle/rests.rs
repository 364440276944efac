//! The value of an object without the parts that are containers, for its second place: `Values.rest` of
//! `proxy/codec/unpickle/instances.py`.

use std::rc::Rc;

use crate::limits::{Failure, Verdict};
use crate::unpickle::dict::Dict;
use crate::unpickle::instances::{Value, Values};
use crate::unpickle::node::{Arena, Node};

/// So many objects may each be the value of the next. More of them count as a container.
const CHAIN: usize = 8;

impl Values {
    /// The value of an object without containers. In an array, null is in their place.
    pub fn rest(&mut self, arena: &Arena, instance: u32) -> Verdict<Value> {
        let at = instance as usize;
        if let Some(Some(rest)) = self.rests.get(at) {
            return Ok(rest.clone());
        }
        let value = self.of(arena, instance)?;
        self.count_parts(arena, &value)?;
        let rest = self.without_containers(arena, value)?;
        self.rests.resize(arena.instances.len(), None);
        self.rests[at] = Some(rest.clone());
        Ok(rest)
    }

    fn without_containers(&mut self, arena: &Arena, value: Value) -> Verdict<Value> {
        match value {
            Value::Node(Node::List(list)) => self.list_of_scalars(arena, &arena.lists[list as usize]),
            Value::Node(Node::Dict(dict)) => self.dict_of_scalars(arena, &arena.dicts[dict as usize]),
            Value::List(list) => self.list_of_scalars(arena, &list),
            Value::Dict(dict) => self.dict_of_scalars(arena, &dict),
            Value::Node(node @ Node::Instance(_)) => {
                Ok(Value::Node(if self.is_container(arena, node)? { Node::Null } else { node }))
            }
            // The reference makes other containers of the scalars.
            Value::Node(node) if node.is_shape() => Err(Failure::NotHandled),
            Value::Column(_) => Ok(Value::Node(Node::Null)),
            value => Ok(value),
        }
    }

    fn list_of_scalars(&mut self, arena: &Arena, items: &[Node]) -> Verdict<Value> {
        let mut scalars = Vec::with_capacity(items.len());
        for item in items {
            scalars.push(if self.is_container(arena, *item)? { Node::Null } else { *item });
        }
        Ok(Value::List(Rc::new(scalars)))
    }

    fn dict_of_scalars(&mut self, arena: &Arena, dict: &Dict) -> Verdict<Value> {
        let mut scalars = Vec::new();
        for (key, value) in &dict.items {
            if !self.is_container(arena, *value)? && !self.is_container(arena, *key)? {
                scalars.push((*key, *value));
            }
        }
        let keyed = scalars.iter().any(|(key, _)| !matches!(key, Node::Str { .. }));
        Ok(Value::Dict(Rc::new(Dict::of(scalars, keyed))))
    }

    /// True if a node has parts. An object has those of its value.
    fn is_container(&mut self, arena: &Arena, mut node: Node) -> Verdict<bool> {
        for _ in 0..CHAIN {
            let instance = match node {
                Node::Instance(instance) => instance,
                node => return Ok(node.is_shape()),
            };
            node = match self.of(arena, instance)? {
                Value::Node(node) => node,
                Value::Text(_) | Value::Response(_) | Value::Numpy(_) | Value::Timestamp(_) => return Ok(false),
                _ => return Ok(true),
            };
        }
        Ok(true)
    }
}
