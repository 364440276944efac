//! Payload tree -> pickle for payloads with tags, with the same bytes as `proxy/codec/pickler/pickler.py`. Any None leaves
//! the whole payload to the reference.

use crate::limits::{Limits, OBJECT_NODES, PAIR_NODES, TAG_NODES};
use crate::payload::tape::{Tape, Token};
use crate::pickler::emitter::Emitter;
use crate::pickler::hash_cost::{self, Collisions, Kind, Parts};
use crate::pickler::opcodes;
use crate::pickler::tags;
use crate::values::tags::{Tag, TagSet};

/// The counter to which a value belongs, if Python hashes it.
type Among = Option<Parts>;

pub struct Pickler<'t, 'a> {
    to: Emitter<'t, 'a>,
    collisions: Collisions,
}

impl<'t, 'a> Pickler<'t, 'a> {
    /// `mark` is written before the pickle.
    pub fn new(tape: &'t mut Tape<'a>, protocol: u8, mark: Option<u8>, accepted: TagSet, limits: Limits) -> Self {
        Pickler { to: Emitter::new(tape, protocol, mark, accepted, limits), collisions: Collisions::default() }
    }

    /// Write the pickle.
    pub fn write(mut self) -> Option<Vec<u8>> {
        self.to.out.extend_from_slice(&[0x80, self.to.protocol]);
        self.value(0, 0, &mut None)?;
        self.to.out.push(b'.');
        Some(self.to.out)
    }

    /// Write the value at a token. Returns the index of the next token. `depth`: the number of containers around it.
    fn value(&mut self, at: usize, depth: u64, among: &mut Among) -> Option<usize> {
        self.to.count(1)?;
        if among.is_some() {
            self.hash_plain(at, among)?;
        }
        match self.to.tape.tokens[at] {
            Token::Null => self.to.out.push(b'N'),
            Token::Bool(value) => self.to.out.push(if value { 0x88 } else { 0x89 }),
            Token::Int(number) => self.to.integer(number),
            Token::Big(number) => {
                let raw = self.to.tape.bigs[number as usize].to_le_bytes();
                opcodes::long(&mut self.to.out, &raw);
            }
            Token::Float(number) => opcodes::float(&mut self.to.out, number),
            Token::Str(piece) => self.to.string(piece),
            Token::Key(key) => self.to.numbered(key),
            Token::Bytes(piece) => {
                self.to.count(TAG_NODES)?;
                let raw = self.to.tape.bytes(piece).to_vec();
                self.to.binary(&raw);
            }
            Token::List { count, .. } => return self.list(at, count, depth),
            Token::Dict { count, .. } => return self.dict(at, count, depth, among),
        }
        Some(at + 1)
    }

    /// Write the items from a token on, one level deeper. `parts`: their counter, if Python hashes them.
    fn items(&mut self, at: usize, count: u32, depth: u64, mut parts: Among) -> Option<usize> {
        self.to.check_depth(depth + 1)?;
        let mut next = at;
        for _ in 0..count {
            next = self.value(next, depth + 1, &mut parts)?;
        }
        Some(next)
    }

    fn list(&mut self, at: usize, count: u32, depth: u64) -> Option<usize> {
        if count == 0 {
            self.to.out.push(b']');
            return Some(at + 1);
        }
        self.to.out.extend_from_slice(b"](");
        let next = self.items(at + 1, count, depth, None)?;
        self.to.out.push(b'e');
        Some(next)
    }

    fn dict(&mut self, at: usize, count: u32, depth: u64, among: &mut Among) -> Option<usize> {
        if let Some(tag) = self.to.tag(at) {
            self.tagged(tag, at + 2, depth, among)?;
            return Some(at + self.to.tape.tokens[at].span());
        }
        self.to.out.push(b'}');
        self.object(at, count, depth)
    }

    /// The items of an object without a tag, for a dict that has been made. Returns the index of the next token.
    fn object(&mut self, at: usize, count: u32, depth: u64) -> Option<usize> {
        self.to.check_plain(at)?;
        let mut next = at + 1;
        if count == 0 {
            return Some(next);
        }
        self.to.check_depth(depth + 1)?;
        self.to.out.push(b'(');
        for _ in 0..count {
            if let Token::Key(key) = self.to.tape.tokens[next] {
                self.to.numbered(key); // a key is not a node
            }
            next = self.value(next + 1, depth + 1, &mut None)?;
        }
        self.to.out.push(b'u');
        Some(next)
    }

    // -- hashing -------------------------------------------------------------------------------------------

    /// Check that Python can hash a value without a tag, and that its comparisons stay within the limit.
    fn hash_plain(&mut self, at: usize, among: &mut Among) -> Option<()> {
        let kind = match self.to.tape.tokens[at] {
            Token::Null => Kind::Fixed,
            Token::Bool(_) => Kind::Int,
            Token::Int(number) => hash_cost::of_int(number),
            Token::Big(number) => hash_cost::of_big(&self.to.tape.bigs[number as usize]),
            Token::Float(_) => Kind::Float,
            Token::Str(piece) => hash_cost::of_text(piece.size as usize),
            Token::Bytes(piece) => hash_cost::of_raw(piece.size as usize),
            Token::List { .. } | Token::Key(_) => return None,
            Token::Dict { .. } => return self.to.tag(at).map(|_| ()),
        };
        self.hash(kind, among).map(|_| ())
    }

    /// The counter for the parts of a value of that kind, if Python hashes it. None: over the limit.
    fn hash(&mut self, kind: Kind, among: &mut Among) -> Option<Among> {
        match among {
            None => Some(None),
            Some(parts) => self.collisions.add(parts, kind).map(Some),
        }
    }

    // -- what tags stand for ---------------------------------------------------------------------------------

    /// Write the value of a tag with the content at a token. `among`: the counter of the value, if it is hashed.
    fn tagged(&mut self, tag: Tag, at: usize, depth: u64, among: &mut Among) -> Option<()> {
        self.to.accepts(tag)?;
        self.to.count(match tag {
            Tag::ByteArray => TAG_NODES + 1,
            Tag::DefaultDict | Tag::Deque => TAG_NODES + 2,
            Tag::DateTime
            | Tag::Date
            | Tag::Time
            | Tag::TimeDelta
            | Tag::Decimal
            | Tag::Uuid
            | Tag::Complex
            | Tag::Markup => OBJECT_NODES,
            _ => TAG_NODES,
        })?;
        match tag {
            Tag::Tuple => {
                let parts = self.hash(Kind::Tuple, among)?;
                self.tuple(at, depth, parts)
            }
            Tag::FrozenSet => {
                let parts = self.hash(Kind::FrozenSet, among)?.unwrap_or_else(|| self.collisions.table(1));
                self.members(tag, at, depth, parts)
            }
            Tag::ByteArray | Tag::Set | Tag::Dict | Tag::OrderedDict if among.is_some() => None,
            Tag::Counter | Tag::DefaultDict | Tag::Deque if among.is_some() => None,
            Tag::ByteArray => tags::bytearray(&mut self.to, at),
            Tag::Set => {
                let parts = self.collisions.table(1);
                self.members(tag, at, depth, parts)
            }
            Tag::Dict => {
                self.to.out.push(b'}');
                self.pairs(at, depth, 1)
            }
            Tag::OrderedDict => {
                self.to.symbol("collections", "OrderedDict");
                self.to.out.extend_from_slice(b")R");
                self.pairs(at, depth, hash_cost::ORDERED)
            }
            Tag::Counter => {
                self.to.symbol("collections", "Counter");
                self.to.out.push(b'}');
                self.entries(at, depth, hash_cost::COUNTED)?;
                self.to.out.extend_from_slice(b"\x85R");
                Some(())
            }
            Tag::DefaultDict => {
                let entries = tags::defaultdict(&mut self.to, at)?;
                self.entries(entries, depth, 1)
            }
            Tag::Deque => {
                let items = tags::deque(&mut self.to, at)?;
                self.deque(items, depth)
            }
            Tag::Response | Tag::Zoned => None,
            _ => {
                let kind = tags::scalar(&mut self.to, tag, at)?;
                match among {
                    None => Some(()),
                    Some(_) => self.hash(kind?, among).map(|_| ()),
                }
            }
        }
    }

    fn tuple(&mut self, at: usize, depth: u64, parts: Among) -> Option<()> {
        let count = tags::array(self.to.tape, at)?;
        match count {
            0 => self.to.out.push(b')'),
            1..=3 => {
                self.items(at + 1, count, depth, parts)?;
                self.to.out.push(0x84 + count as u8);
            }
            _ => {
                self.to.out.push(b'(');
                self.items(at + 1, count, depth, parts)?;
                self.to.out.push(b't');
            }
        }
        Some(())
    }

    fn members(&mut self, tag: Tag, at: usize, depth: u64, parts: Parts) -> Option<()> {
        let count = tags::array(self.to.tape, at)?;
        let close: &[u8] = match (tag, self.to.protocol) {
            (Tag::Set, 4..) => {
                self.to.out.extend_from_slice(b"\x8f(");
                b"\x90"
            }
            (_, 4..) => {
                self.to.out.push(b'(');
                b"\x91"
            }
            _ => {
                self.to.symbol("builtins", if tag == Tag::Set { "set" } else { "frozenset" });
                self.to.out.extend_from_slice(b"](");
                b"e\x85R"
            }
        };
        if count > 0 {
            self.items(at + 1, count, depth, Some(parts))?;
        }
        self.to.out.extend_from_slice(close);
        Some(())
    }

    /// Write the items of a dict that has been made: those of an object or of `py/dict`.
    fn entries(&mut self, at: usize, depth: u64, times: u32) -> Option<()> {
        let count = tags::members(self.to.tape, at)?;
        match self.to.tag(at) {
            None => self.object(at, count, depth).map(|_| ()),
            Some(Tag::Dict) => {
                self.to.count(TAG_NODES)?;
                self.pairs(at + 2, depth, times)
            }
            Some(_) => None,
        }
    }

    fn deque(&mut self, at: usize, depth: u64) -> Option<()> {
        let count = tags::array(self.to.tape, at)?;
        if count > 0 {
            self.to.out.push(b'(');
            self.items(at + 1, count, depth, None)?;
            self.to.out.push(b'e');
        }
        Some(())
    }

    /// Write the items of a dict. `times`: the number of lookups of each key.
    fn pairs(&mut self, at: usize, depth: u64, times: u32) -> Option<()> {
        let count = tags::array(self.to.tape, at)?;
        self.to.count(PAIR_NODES * u64::from(count))?;
        if count == 0 {
            return Some(());
        }
        self.to.check_depth(depth + 1)?;
        self.to.out.push(b'(');
        let mut keys = Some(self.collisions.table(times));
        let mut next = at + 1;
        for _ in 0..count {
            if tags::array(self.to.tape, next)? != 2 {
                return None;
            }
            let value = self.value(next + 1, depth + 1, &mut keys)?;
            next = self.value(value, depth + 1, &mut None)?;
        }
        self.to.out.push(b'u');
        Some(())
    }
}
