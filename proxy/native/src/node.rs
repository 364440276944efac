//! What a stored value is made of while it is between pickle and payload: 16 bytes for each node, in one arena.
//!
//! Containers may be shared or hold themselves, as in Python, so they are numbers into the arena. Text is where it came
//! from: in the stored value itself, or in the arena where it had to be spelled out.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use crate::bigint::BigInt;
use crate::shapes::Symbol;
use crate::tags::Tag;

/// A piece of bytes: below the stored value's length it is a piece of that, beyond it one of the arena's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub start: u32,
    pub size: u32,
}

#[derive(Debug, Clone, Copy)]
pub enum Node {
    /// A place in the memo that holds nothing.
    Unset,
    Null,
    Bool(bool),
    Int(i64),
    Big(u32),
    Float(f64),
    Str {
        piece: Piece,
        ascii: bool,
    },
    Bytes(Piece),
    /// A str of Python 2 that is not ASCII.
    OldBytes(Piece),
    ByteArray(Piece),
    List(u32),
    Tuple(u32),
    Dict(u32),
    Set(u32),
    FrozenSet(u32),
    OrderedDict(u32),
    /// What stands under a tag, as text.
    Scalar {
        tag: Tag,
        text: Piece,
    },
    Delta {
        days: i32,
        seconds: u32,
        microseconds: u32,
    },
    Complex(u32),
    /// A timezone: its offset from UTC in microseconds.
    Zone(i64),
    Symbol(Symbol),
    Instance(u32),
}

/// From how many keys on a dict is looked up by hash, not by comparing.
const FEW_KEYS: usize = 16;

/// Keys and values in order. Equal strings are one key; of any other keys each is its own.
#[derive(Debug, Default)]
pub struct Dict {
    pub items: Vec<(Node, Node)>,
    /// Some key is no string.
    pub keyed: bool,
    /// Where each string key is, once there are many.
    places: Option<Box<Places>>,
}

/// Places of keys by hash, 0 where there is none. std's hash is keyed: whoever writes the value cannot make it collide.
#[derive(Debug, Default)]
struct Places {
    slots: Vec<u32>,
    hashing: RandomState,
}

impl Dict {
    pub fn copy(&self) -> Self {
        Dict { items: self.items.clone(), keyed: self.keyed, places: None }
    }
}

/// An object made by NEWOBJ, its state as BUILD gave it.
#[derive(Debug)]
pub struct Instance {
    pub class: Symbol,
    pub state: State,
}

#[derive(Debug, Clone, Copy)]
pub enum State {
    None,
    Dict(u32),
    Built(Node),
}

pub struct Arena<'a> {
    pub data: &'a [u8],
    extra: Vec<u8>,
    pub bigs: Vec<BigInt>,
    pub lists: Vec<Vec<Node>>,
    pub dicts: Vec<Dict>,
    pub complexes: Vec<(f64, f64)>,
    pub instances: Vec<Instance>,
}

impl<'a> Arena<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Arena {
            data,
            extra: Vec::new(),
            bigs: Vec::new(),
            lists: Vec::new(),
            dicts: Vec::new(),
            complexes: Vec::new(),
            instances: Vec::new(),
        }
    }

    #[inline]
    pub fn bytes(&self, piece: Piece) -> &[u8] {
        let (start, size) = (piece.start as usize, piece.size as usize);
        if start < self.data.len() {
            &self.data[start..start + size]
        } else {
            let start = start - self.data.len();
            &self.extra[start..start + size]
        }
    }

    /// Text that is not in the stored value as it stands.
    pub fn keep(&mut self, bytes: &[u8]) -> Piece {
        let start = (self.data.len() + self.extra.len()) as u32;
        self.extra.extend_from_slice(bytes);
        Piece { start, size: bytes.len() as u32 }
    }

    pub fn text(&mut self, bytes: &[u8]) -> Node {
        Node::Str { piece: self.keep(bytes), ascii: bytes.is_ascii() }
    }

    pub fn scalar(&mut self, tag: Tag, text: &[u8]) -> Node {
        Node::Scalar { tag, text: self.keep(text) }
    }

    pub fn big(&mut self, number: BigInt) -> Node {
        match number.to_i64() {
            Some(small) => Node::Int(small),
            None => {
                self.bigs.push(number);
                Node::Big(self.bigs.len() as u32 - 1)
            }
        }
    }

    pub fn list(&mut self, items: Vec<Node>) -> u32 {
        self.lists.push(items);
        self.lists.len() as u32 - 1
    }

    pub fn dict(&mut self, dict: Dict) -> u32 {
        self.dicts.push(dict);
        self.dicts.len() as u32 - 1
    }

    /// The value under a string key.
    pub fn get(&self, dict: u32, key: &[u8]) -> Option<Node> {
        self.dicts[dict as usize].items.iter().find_map(|(name, value)| match name {
            Node::Str { piece, .. } if self.bytes(*piece) == key => Some(*value),
            _ => None,
        })
    }

    /// Set one item: the last value of a key wins, in the place of the first.
    #[inline]
    pub fn set(&mut self, dict: u32, key: Node, value: Node) {
        let piece = match key {
            Node::Str { piece, .. } => piece,
            _ => {
                let target = &mut self.dicts[dict as usize];
                target.keyed = true;
                target.items.push((key, value));
                return;
            }
        };
        match self.place(dict, piece) {
            Some(at) => self.dicts[dict as usize].items[at].1 = value,
            None => self.dicts[dict as usize].items.push((key, value)),
        }
    }

    /// Where a string key is already. One that is not will be put at the end.
    #[inline]
    fn place(&mut self, dict: u32, piece: Piece) -> Option<usize> {
        let target = &self.dicts[dict as usize];
        if target.items.len() < FEW_KEYS {
            return target.items.iter().position(|(other, _)| match other {
                Node::Str { piece: there, .. } => {
                    there.size == piece.size && (there.start == piece.start || self.bytes(*there) == self.bytes(piece))
                }
                _ => false,
            });
        }
        let mut places = self.dicts[dict as usize].places.take().unwrap_or_default();
        let found = self.place_among_many(dict, piece, &mut places);
        self.dicts[dict as usize].places = Some(places);
        found
    }

    fn place_among_many(&self, dict: u32, piece: Piece, places: &mut Places) -> Option<usize> {
        let items = self.dicts[dict as usize].items.as_slice();
        if places.slots.len() < items.len() * 2 {
            places.slots = vec![0; (items.len() * 4).next_power_of_two()];
            for (at, (key, _)) in items.iter().enumerate() {
                if let Node::Str { piece, .. } = key {
                    let slot = self.slot(*piece, items, places);
                    places.slots[slot] = at as u32 + 1;
                }
            }
        }
        let slot = self.slot(piece, items, places);
        match places.slots[slot] {
            0 => {
                places.slots[slot] = items.len() as u32 + 1;
                None
            }
            place => Some(place as usize - 1),
        }
    }

    /// The slot that a key has, or that is free for it.
    fn slot(&self, piece: Piece, items: &[(Node, Node)], places: &Places) -> usize {
        let key = self.bytes(piece);
        let mut hasher = places.hashing.build_hasher();
        hasher.write(key);
        let mask = places.slots.len() - 1;
        let mut slot = hasher.finish() as usize & mask;
        loop {
            let there = match places.slots[slot] {
                0 => return slot,
                place => items[place as usize - 1].0,
            };
            match there {
                Node::Str { piece: there, .. } if there == piece || self.bytes(there) == key => return slot,
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}
