//! A parsed payload: a list of tokens in which each container comes before its parts. Equal keys share one number.

use std::collections::hash_map::RandomState;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

use crate::unpickle::node::Piece;
use crate::values::bigint::BigInt;

#[derive(Debug, Clone, Copy)]
pub enum Token {
    Null,
    Bool(bool),
    Int(i64),
    Big(u32),
    Float(f64),
    Str(Piece),
    /// Only in msgpack.
    Bytes(Piece),
    /// `size`: the number of tokens of its `count` items.
    List {
        count: u32,
        size: u32,
    },
    /// Each item is a key and a value.
    Dict {
        count: u32,
        size: u32,
    },
    /// A key, by its number in `Strings`.
    Key(u32),
}

impl Token {
    /// The number of tokens of a value, with its own.
    #[inline]
    pub fn span(self) -> usize {
        match self {
            Token::List { size, .. } | Token::Dict { size, .. } => 1 + size as usize,
            _ => 1,
        }
    }
}

pub struct Tape<'a> {
    pub data: &'a [u8],
    /// Text that is not in the payload literally. Its positions start after the payload's end.
    extra: Vec<u8>,
    pub tokens: Vec<Token>,
    pub bigs: Vec<BigInt>,
    pub strings: Strings,
    /// Some value is bytes.
    pub has_bytes: bool,
    /// Keys of the objects that are open, outermost first.
    open_keys: Vec<u32>,
    marks: Vec<u32>,
    marked: u32,
}

/// Bytes of payload that tokens are reserved for.
const MOST_AT_FIRST: usize = 1 << 20;

/// In objects with so many keys, equal keys are found with marks and not by comparing.
const FEW_KEYS: usize = 12;

impl<'a> Tape<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Tape {
            data,
            extra: Vec::new(),
            tokens: Vec::with_capacity(data.len().min(MOST_AT_FIRST) / 8 + 8),
            bigs: Vec::new(),
            strings: Strings::default(),
            has_bytes: false,
            open_keys: Vec::new(),
            marks: Vec::new(),
            marked: 0,
        }
    }

    #[inline]
    pub fn bytes(&self, piece: Piece) -> &[u8] {
        bytes_of(self.data, &self.extra, piece)
    }

    /// Begin a text that is not in the payload literally.
    pub fn extra(&mut self) -> &mut Vec<u8> {
        &mut self.extra
    }

    /// End the text that began at `start`.
    pub fn extra_piece(&self, start: usize) -> Piece {
        Piece { start: (self.data.len() + start) as u32, size: (self.extra.len() - start) as u32 }
    }

    pub fn extra_size(&self) -> usize {
        self.extra.len()
    }

    pub fn big(&mut self, number: BigInt) {
        let token = match number.to_i64() {
            Some(small) => Token::Int(small),
            None => {
                self.bigs.push(number);
                Token::Big(self.bigs.len() as u32 - 1)
            }
        };
        self.tokens.push(token);
    }

    #[inline]
    pub fn key(&mut self, piece: Piece) {
        let (data, extra) = (self.data, &self.extra);
        let key = self.strings.number_of(piece, |other| bytes_of(data, extra, other));
        self.tokens.push(Token::Key(key));
        self.open_keys.push(key);
    }

    /// The number of a string that is not a key.
    pub fn intern(&mut self, piece: Piece) -> u32 {
        let (data, extra) = (self.data, &self.extra);
        self.strings.number_of(piece, |other| bytes_of(data, extra, other))
    }

    /// The index at which the keys of a new object will be.
    #[inline]
    pub fn first_key(&self) -> usize {
        self.open_keys.len()
    }

    #[inline]
    pub fn close_list(&mut self, at: usize, count: u32) {
        let size = (self.tokens.len() - at - 1) as u32;
        self.tokens[at] = Token::List { count, size };
    }

    /// If keys are equal, the last value wins, at the position of the first.
    #[inline]
    pub fn close_dict(&mut self, at: usize, count: u32, first_key: usize) {
        let mut count = count;
        if self.has_equal_keys(first_key) {
            let (tokens, different) = self.without_equal_keys(at, first_key);
            self.tokens.truncate(at + 1);
            self.tokens.extend(tokens);
            count = different;
        }
        let size = (self.tokens.len() - at - 1) as u32;
        self.tokens[at] = Token::Dict { count, size };
        self.open_keys.truncate(first_key);
    }

    #[inline]
    fn has_equal_keys(&mut self, first_key: usize) -> bool {
        let keys = &self.open_keys[first_key..];
        if keys.len() < FEW_KEYS {
            return keys.iter().enumerate().any(|(at, key)| keys[..at].contains(key));
        }
        self.marked += 1;
        self.marks.resize(self.strings.len(), 0);
        for key in keys {
            let mark = &mut self.marks[*key as usize];
            if *mark == self.marked {
                return true;
            }
            *mark = self.marked;
        }
        false
    }

    /// Write the items of the current object again, without equal keys. Returns their number.
    #[cold]
    fn without_equal_keys(&mut self, at: usize, first_key: usize) -> (Vec<Token>, u32) {
        let mut places = HashMap::new();
        let mut items: Vec<(u32, usize)> = Vec::new();
        let mut value = at + 2;
        for key in &self.open_keys[first_key..] {
            match places.get(key).copied() {
                Some(known) => items[known] = (*key, value),
                None => {
                    places.insert(*key, items.len());
                    items.push((*key, value));
                }
            }
            value += self.tokens[value].span() + 1;
        }
        let mut tokens = Vec::with_capacity(self.tokens.len() - at);
        for (key, value) in &items {
            tokens.push(Token::Key(*key));
            tokens.extend_from_slice(&self.tokens[*value..value + self.tokens[*value].span()]);
        }
        (tokens, items.len() as u32)
    }
}

#[inline]
fn bytes_of<'b>(data: &'b [u8], extra: &'b [u8], piece: Piece) -> &'b [u8] {
    let (start, size) = (piece.start as usize, piece.size as usize);
    match start.checked_sub(data.len()) {
        None => &data[start..start + size],
        Some(start) => &extra[start..start + size],
    }
}

/// Each different string once. The hash has a random key, so that the payload's author cannot make strings collide.
#[derive(Default)]
pub struct Strings {
    pub pieces: Vec<Piece>,
    /// The string that followed each string last time. Objects of one kind have the same keys in the same order.
    next: Vec<u32>,
    last: usize,
    /// Indexes by hash, 0 for a free slot. Used only for many strings.
    slots: Vec<u32>,
    hashing: Option<RandomState>,
}

/// Up to so many strings are searched one by one.
const FEW: usize = 8;

impl Strings {
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// The number of a string.
    #[inline]
    fn number_of<'b>(&mut self, piece: Piece, bytes: impl Fn(Piece) -> &'b [u8]) -> u32 {
        if let Some(next) = self.next.get(self.last) {
            if let Some(other) = self.pieces.get(*next as usize) {
                if other.size == piece.size && bytes(*other) == bytes(piece) {
                    self.last = *next as usize;
                    return self.last as u32;
                }
            }
        }
        let found = self.search(piece, bytes);
        if let Some(next) = self.next.get_mut(self.last) {
            *next = found;
        }
        self.last = found as usize;
        found
    }

    fn search<'b>(&mut self, piece: Piece, bytes: impl Fn(Piece) -> &'b [u8]) -> u32 {
        let text = bytes(piece);
        if self.pieces.len() < FEW {
            if let Some(at) = self.pieces.iter().position(|other| bytes(*other) == text) {
                return at as u32;
            }
            return self.add(piece);
        }
        if self.slots.len() < self.pieces.len() * 2 {
            self.rehash(&bytes);
        }
        let mask = self.slots.len() - 1;
        let mut at = self.hash(text) as usize & mask;
        while self.slots[at] > 0 {
            let known = self.slots[at] - 1;
            if bytes(self.pieces[known as usize]) == text {
                return known;
            }
            at = (at + 1) & mask;
        }
        self.slots[at] = self.pieces.len() as u32 + 1;
        self.add(piece)
    }

    fn add(&mut self, piece: Piece) -> u32 {
        self.pieces.push(piece);
        self.next.push(u32::MAX);
        self.pieces.len() as u32 - 1
    }

    fn rehash<'b>(&mut self, bytes: &impl Fn(Piece) -> &'b [u8]) {
        let size = (self.pieces.len() * 4).next_power_of_two();
        self.slots = vec![0; size];
        for number in 0..self.pieces.len() {
            let mut at = self.hash(bytes(self.pieces[number])) as usize & (size - 1);
            while self.slots[at] > 0 {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = number as u32 + 1;
        }
    }

    fn hash(&mut self, text: &[u8]) -> u64 {
        let mut hasher = self.hashing.get_or_insert_with(RandomState::new).build_hasher();
        text.hash(&mut hasher);
        hasher.finish()
    }
}
