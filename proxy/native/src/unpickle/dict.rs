//! Dicts of a stored value: keys and values in order.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use crate::unpickle::node::{Node, Piece, Texts};

/// In dicts with so many keys, lookups use hashes instead of comparisons.
const FEW_KEYS: usize = 16;

/// Keys and values in order. Equal strings are one key. All other keys are different.
#[derive(Debug, Default)]
pub struct Dict {
    pub items: Vec<(Node, Node)>,
    /// Some key is not a string.
    pub keyed: bool,
    /// The position of each string key, once there are many.
    places: Option<Box<Places>>,
}

/// Positions of keys by hash, 0 for a free slot. std's hash has a random key, so a value's author cannot cause collisions.
#[derive(Debug, Default)]
struct Places {
    slots: Vec<u32>,
    hashing: RandomState,
}

impl Dict {
    /// A dict of such items. All string keys must be different.
    pub fn of(items: Vec<(Node, Node)>, keyed: bool) -> Self {
        Dict { items, keyed, places: None }
    }

    /// The same items, without the positions.
    pub fn copy(&self) -> Self {
        Dict::of(self.items.clone(), self.keyed)
    }

    /// The value under a string key. `None` also in a dict without positions, if the key is behind many others: only
    /// copies of large dicts are such.
    pub fn get(&self, texts: &Texts, key: &[u8]) -> Option<Node> {
        match &self.places {
            Some(places) => match places.slots[places.slot(texts, key, &self.items)] {
                0 => None,
                place => Some(self.items[place as usize - 1].1),
            },
            // Without positions, all string keys were set when there were few items.
            None => self.items.iter().take(4 * FEW_KEYS).find_map(|(name, value)| match name {
                // Most keys differ in their size, which is at hand.
                Node::Str { piece, .. } if piece.size as usize == key.len() && texts.bytes(*piece) == key => {
                    Some(*value)
                }
                _ => None,
            }),
        }
    }

    /// Set one item. The last value of a key wins, at the position of the first.
    #[inline]
    pub fn set(&mut self, texts: &Texts, key: Node, value: Node) {
        let piece = match key {
            Node::Str { piece, .. } => piece,
            _ => {
                self.keyed = true;
                self.items.push((key, value));
                return;
            }
        };
        match self.place(texts, piece) {
            Some(at) => self.items[at].1 = value,
            None => self.items.push((key, value)),
        }
    }

    /// The position of a string key. None: the caller appends it.
    #[inline]
    fn place(&mut self, texts: &Texts, piece: Piece) -> Option<usize> {
        if self.items.len() < FEW_KEYS {
            return self.items.iter().position(|(other, _)| match other {
                Node::Str { piece: there, .. } => {
                    there.size == piece.size
                        && (there.start == piece.start || texts.bytes(*there) == texts.bytes(piece))
                }
                _ => false,
            });
        }
        self.places.get_or_insert_with(Box::default).place(texts, piece, &self.items)
    }
}

impl Places {
    /// The position of a string key. None: it gets the next one.
    fn place(&mut self, texts: &Texts, piece: Piece, items: &[(Node, Node)]) -> Option<usize> {
        if self.slots.len() < items.len() * 2 {
            self.slots = vec![0; (items.len() * 4).next_power_of_two()];
            for (at, (key, _)) in items.iter().enumerate() {
                if let Node::Str { piece, .. } = key {
                    let slot = self.slot(texts, texts.bytes(*piece), items);
                    self.slots[slot] = at as u32 + 1;
                }
            }
        }
        let slot = self.slot(texts, texts.bytes(piece), items);
        match self.slots[slot] {
            0 => {
                self.slots[slot] = items.len() as u32 + 1;
                None
            }
            place => Some(place as usize - 1),
        }
    }

    /// The slot of a key, or a free slot for it.
    fn slot(&self, texts: &Texts, key: &[u8], items: &[(Node, Node)]) -> usize {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(key);
        let mask = self.slots.len() - 1;
        let mut slot = hasher.finish() as usize & mask;
        loop {
            let there = match self.slots[slot] {
                0 => return slot,
                place => items[place as usize - 1].0,
            };
            match there {
                Node::Str { piece, .. } if texts.bytes(piece) == key => return slot,
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unpickle::node::Arena;

    #[test]
    fn a_key_is_found_among_few_and_among_many() {
        let mut arena = Arena::new(b"");
        let dict = arena.dict(Dict::default());
        for number in 0..100 {
            let key = arena.text(format!("key {number}").as_bytes());
            arena.set(dict, key, Node::Int(number));
            arena.set(dict, Node::Int(number), Node::Null);
            for known in [0, number / 2, number] {
                let found = arena.get(dict, format!("key {known}").as_bytes());
                assert!(matches!(found, Some(Node::Int(value)) if value == known));
            }
            assert!(arena.get(dict, b"key").is_none());
        }
    }
}
