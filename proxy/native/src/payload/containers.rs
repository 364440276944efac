//! Containers in tagged form: `Presenter` of `proxy/codec/payload/presenter.py`.

use crate::limits::{Failure, Verdict, PAIR_NODES, TAG_NODES};
use crate::payload::presenter::Presenter;
use crate::payload::sink::Sink;
use crate::unpickle::dict::Dict;
use crate::unpickle::node::Node;
use crate::unpickle::symbols::Class;
use crate::values::tags::{self, Tag};

impl<S: Sink> Presenter<'_, '_, S> {
    #[inline]
    pub fn items(&mut self, items: u32, depth: u64, hashed: bool) -> Verdict<()> {
        let arena = self.arena;
        self.slice(&arena.lists[items as usize], depth, hashed)
    }

    #[inline]
    pub fn slice(&mut self, items: &[Node], depth: u64, hashed: bool) -> Verdict<()> {
        self.descend(depth, items.len() as u64)?;
        self.sink.open_array(items.len());
        for (at, item) in items.iter().enumerate() {
            self.sink.item(at);
            self.value(*item, depth + 1, hashed)?;
        }
        self.sink.close_array();
        Ok(())
    }

    /// A container with a tag.
    pub fn collection(&mut self, node: Node, depth: u64, hashed: bool) -> Verdict<()> {
        self.hashable(!hashed || matches!(node, Node::FrozenSet(_)))?;
        let arena = self.arena;
        match node {
            Node::Set(items) => self.members(Tag::Set, items, depth),
            Node::FrozenSet(items) => self.members(Tag::FrozenSet, items, depth),
            Node::OrderedDict(dict) => self.pairs(Tag::OrderedDict, &arena.dicts[dict as usize], depth),
            Node::Counter(dict) => {
                self.count(TAG_NODES)?;
                self.open(Tag::Counter);
                self.dict(&arena.dicts[dict as usize], depth, false)?;
                self.sink.close_map();
                Ok(())
            }
            Node::DefaultDict { dict, factory } => self.default_dict(&arena.dicts[dict as usize], factory, depth),
            Node::Deque(deque) => self.deque(deque, depth),
            _ => Err(Failure::NotHandled),
        }
    }

    fn members(&mut self, tag: Tag, items: u32, depth: u64) -> Verdict<()> {
        self.count(TAG_NODES)?;
        self.open(tag);
        self.items(items, depth, true)?;
        self.sink.close_map();
        Ok(())
    }

    fn default_dict(&mut self, dict: &Dict, factory: Class, depth: u64) -> Verdict<()> {
        self.count(TAG_NODES + 2)?;
        self.open(Tag::DefaultDict);
        self.sink.open_map(2);
        self.sink.key(0, b"factory");
        match factory.factory() {
            Some(name) => self.sink.text(name.as_bytes()),
            None => self.sink.null(),
        }
        self.sink.key(1, b"dict");
        self.dict(dict, depth, false)?;
        self.sink.close_map();
        self.sink.close_map();
        Ok(())
    }

    fn deque(&mut self, deque: u32, depth: u64) -> Verdict<()> {
        self.count(TAG_NODES + 2)?;
        let (items, maxlen) = self.last_items(deque)?;
        self.open(Tag::Deque);
        self.sink.open_map(2);
        self.sink.key(0, b"items");
        self.slice(items, depth, false)?;
        self.sink.key(1, b"maxlen");
        match maxlen {
            Some(most) => self.sink.integer(most),
            None => self.sink.null(),
        }
        self.sink.close_map();
        self.sink.close_map();
        Ok(())
    }

    #[inline]
    pub fn dict(&mut self, dict: &Dict, depth: u64, hashed: bool) -> Verdict<()> {
        self.hashable(!hashed)?;
        let is_reserved = match dict.items.as_slice() {
            [(Node::Str { piece, .. }, _)] => tags::is_reserved(self.arena.bytes(*piece)),
            _ => false,
        };
        if dict.keyed || is_reserved {
            return self.pairs(Tag::Dict, dict, depth);
        }
        self.natural_dict(&dict.items, depth)
    }

    /// A dict whose keys are strings.
    #[inline]
    fn natural_dict(&mut self, items: &[(Node, Node)], depth: u64) -> Verdict<()> {
        self.descend(depth, items.len() as u64)?;
        self.sink.open_map(items.len());
        for (at, (key, value)) in items.iter().enumerate() {
            if let Node::Str { piece, .. } = key {
                let text = self.arena.bytes(*piece);
                self.check_text(text)?;
                self.sink.key(at, text);
            }
            self.value(*value, depth + 1, false)?;
        }
        self.sink.close_map();
        Ok(())
    }

    fn pairs(&mut self, tag: Tag, dict: &Dict, depth: u64) -> Verdict<()> {
        let items = dict.items.as_slice();
        self.count(TAG_NODES)?;
        self.descend(depth, items.len() as u64 * (PAIR_NODES + 2))?;
        self.open(tag);
        self.sink.open_array(items.len());
        for (at, (key, value)) in items.iter().enumerate() {
            self.sink.item(at);
            self.sink.open_array(2);
            self.sink.item(0);
            self.value(*key, depth + 1, true)?;
            self.sink.item(1);
            self.value(*value, depth + 1, false)?;
            self.sink.close_array();
        }
        self.sink.close_array();
        self.sink.close_map();
        Ok(())
    }
}

impl<'p, S: Sink> Presenter<'p, '_, S> {
    /// The items of a deque, no more than it can hold, and its maxlen.
    pub fn last_items(&self, deque: u32) -> Verdict<(&'p [Node], Option<i64>)> {
        let arena = self.arena;
        let deque = &arena.deques[deque as usize];
        let items = arena.lists[deque.items as usize].as_slice();
        let most = deque.maxlen.and_then(|most| usize::try_from(most).ok()).unwrap_or(items.len());
        if most < items.len() && !self.is_tree {
            return Err(Failure::NotHandled); // the reference looks for cycles also in the dropped items
        }
        Ok((&items[items.len().saturating_sub(most)..], deque.maxlen))
    }
}
