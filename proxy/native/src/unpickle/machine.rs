//! The data-only pickle machine: its state, its budgets and its loop. `opcodes` has the instructions.
//! `proxy/codec/unpickle/machine.py` explains the budgets, which are the same here.

use crate::limits::{undecodable, Limits, Verdict};
use crate::unpickle::dict::Dict;
use crate::unpickle::node::{Arena, Node, Piece};
use crate::unpickle::shared::Shared;
use crate::unpickle::symbols::Names;
use crate::values::bigint::BigInt;
use crate::values::tags;

const INSTRUCTIONS_PER_NODE: u64 = 5;
/// Instructions between two checks of the budgets.
const STRIDE: u64 = 1024;
const OBJECTS_PER_NODE: u64 = 2;
pub const COLLECTION_COST: u64 = 1;
pub const OBJECT_COST: u64 = 5;
/// The bits of an int that is free of cost.
pub const WORD: u64 = 64;

/// Facts about a value.
pub struct Findings {
    pub root: Node,
    /// No container is reachable twice.
    pub tree: bool,
    /// Only types that JSON and msgpack both have, and bytes and floats: see `binary`.
    pub natural: bool,
    /// bytes, NaN or an infinity.
    pub binary: bool,
    /// Bytes of all strings pushed.
    pub text_bytes: u64,
}

pub struct Machine<'a> {
    pub arena: Arena<'a>,
    pub data: &'a [u8],
    pub limits: Limits,
    pub stack: Vec<Node>,
    marks: Vec<usize>,
    /// Objects below the last mark cannot be reached.
    pub floor: usize,
    memo: Vec<Node>,
    pub names: Names,
    /// Objects put into containers so far, and other work of the same cost.
    pub placed: u64,
    text_bytes: u64,
    copied_bytes: u64,
    /// How often containers were pushed again since they last grew.
    pub(super) shared: Shared,
    pub(super) tree: bool,
    pub natural: bool,
    pub binary: bool,
    /// As the last PROTO says.
    pub protocol: u8,
}

#[cold]
pub fn truncated<T>() -> Verdict<T> {
    undecodable("truncated pickle")
}

#[cold]
fn underflow<T>() -> Verdict<T> {
    undecodable("corrupt pickle: stack underflow")
}

#[cold]
fn gaps<T>() -> Verdict<T> {
    undecodable("corrupt pickle: a memo with gaps")
}

impl<'a> Machine<'a> {
    /// `data` holds the pickle; bytes behind its STOP are ignored, as CPython does.
    pub fn new(data: &'a [u8], limits: Limits) -> Self {
        Machine {
            arena: Arena::new(data),
            data,
            limits,
            stack: Vec::with_capacity(32),
            marks: Vec::with_capacity(8),
            floor: 0,
            memo: Vec::with_capacity(32),
            names: Names::default(),
            placed: 0,
            text_bytes: 0,
            copied_bytes: 0,
            shared: Shared::new(),
            tree: true,
            natural: true,
            binary: false,
            protocol: 0,
        }
    }

    /// The value of the pickle that begins at `start`.
    pub fn run(&mut self, start: usize) -> Verdict<Findings> {
        let mut pos = start;
        for _ in 0..self.limits.nodes * INSTRUCTIONS_PER_NODE / STRIDE + 1 {
            for _ in 0..STRIDE {
                let opcode = match self.data.get(pos) {
                    Some(b'.') => return self.stop(),
                    Some(opcode) => *opcode,
                    None => return truncated(),
                };
                pos = self.step(opcode, pos + 1)?;
            }
            self.place(0)?;
            self.grow(0)?;
        }
        self.limits.too_many()
    }

    fn stop(&mut self) -> Verdict<Findings> {
        self.grow(0)?;
        Ok(Findings {
            root: self.pop()?,
            tree: self.tree,
            natural: self.natural,
            binary: self.binary,
            text_bytes: self.text_bytes,
        })
    }

    // -- bytes ---------------------------------------------------------------------------------------------

    /// The next `N` bytes. It is an error if they are missing.
    #[inline]
    pub fn fixed<const N: usize>(&self, pos: usize) -> Verdict<[u8; N]> {
        match self.data.get(pos..pos + N) {
            Some(bytes) => {
                let mut fixed = [0; N];
                fixed.copy_from_slice(bytes);
                Ok(fixed)
            }
            None => truncated(),
        }
    }

    /// The position of the next `size` bytes. It is an error if they are missing.
    #[inline]
    pub fn piece(&self, pos: usize, size: u64) -> Verdict<Piece> {
        match (self.data.len() as u64).checked_sub(pos as u64) {
            Some(left) if size <= left => Ok(Piece { start: pos as u32, size: size as u32 }),
            _ => truncated(),
        }
    }

    #[inline]
    pub fn slice(&self, piece: Piece) -> &'a [u8] {
        &self.data[piece.start as usize..(piece.start + piece.size) as usize]
    }

    /// The next bytes up to a line feed. It is an error if there is none. The line counts as one object.
    pub fn line(&mut self, pos: usize) -> Verdict<Piece> {
        match self.data.get(pos..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n')) {
            Some(size) => {
                self.placed += 1;
                Ok(Piece { start: pos as u32, size: size as u32 })
            }
            None => truncated(),
        }
    }

    // -- stack ---------------------------------------------------------------------------------------------

    #[inline]
    pub fn pop(&mut self) -> Verdict<Node> {
        if self.stack.len() <= self.floor {
            return underflow();
        }
        match self.stack.pop() {
            Some(node) => Ok(node),
            None => underflow(),
        }
    }

    #[inline]
    pub fn top(&self) -> Verdict<Node> {
        match self.stack.last() {
            Some(node) if self.stack.len() > self.floor => Ok(*node),
            _ => underflow(),
        }
    }

    /// POP: remove the topmost object, or the last mark if it is on top.
    pub fn drop_top(&mut self) -> Verdict<()> {
        if self.stack.len() > self.floor {
            self.stack.pop();
        } else if self.marks.is_empty() {
            return underflow();
        } else {
            let mark = self.take_mark()?;
            self.stack.truncate(mark);
        }
        Ok(())
    }

    #[inline]
    pub fn mark(&mut self) {
        self.floor = self.stack.len();
        self.marks.push(self.floor);
    }

    /// Remove the last mark. The caller takes the objects above it.
    #[inline]
    pub fn take_mark(&mut self) -> Verdict<usize> {
        match self.marks.pop() {
            Some(mark) => {
                self.floor = self.marks.last().copied().unwrap_or(0);
                Ok(mark)
            }
            None => undecodable("corrupt pickle: no mark"),
        }
    }

    /// Remove the last mark. The objects above it go into a container.
    #[inline]
    pub fn take_items(&mut self) -> Verdict<usize> {
        let mark = self.take_mark()?;
        self.placed += (self.stack.len() - mark) as u64;
        Ok(mark)
    }

    /// The position of the topmost `count` objects, which go into a container.
    #[inline]
    pub fn take_top(&mut self, count: usize) -> Verdict<usize> {
        if self.stack.len() - self.floor < count {
            return underflow();
        }
        self.placed += count as u64;
        Ok(self.stack.len() - count)
    }

    /// Put the objects above `mark`, alternately keys and values, into the dict below it.
    pub fn set_items(&mut self, mark: usize) -> Verdict<()> {
        let count = self.stack.len() - mark;
        if count % 2 > 0 {
            return undecodable("corrupt pickle: a key without a value");
        }
        if mark <= self.floor {
            return underflow();
        }
        self.grown(self.stack[mark - 1])?;
        let dict = match self.stack[mark - 1] {
            Node::Dict(dict) | Node::OrderedDict(dict) | Node::Counter(dict) | Node::DefaultDict { dict, .. } => dict,
            Node::Instance(instance) => self.pairs_of(instance),
            _ => return undecodable("corrupt pickle: items for what is no dict"),
        };
        if count == 0 {
            return Ok(());
        }
        let strings = self.fill(dict, mark);
        if !strings {
            self.natural = false;
            self.placed += count as u64 / 2; // each wrapped key is an additional object
        }
        if let (1, Node::Str { piece, .. }) = (self.arena.dicts[dict as usize].items.len(), self.stack[mark]) {
            self.natural &= !tags::is_reserved(self.arena.bytes(piece));
        }
        self.stack.truncate(mark);
        Ok(())
    }

    /// The dict for the items of an object.
    fn pairs_of(&mut self, instance: u32) -> u32 {
        let at = instance as usize;
        match self.arena.instances[at].pairs {
            Some(pairs) => pairs,
            None => {
                let pairs = self.arena.dict(Dict::default());
                self.arena.instances[at].pairs = Some(pairs);
                pairs
            }
        }
    }

    /// True if all keys are strings.
    fn fill(&mut self, dict: u32, mark: usize) -> bool {
        let items = &mut self.arena.dicts[dict as usize].items;
        items.reserve((self.stack.len() - mark) / 2);
        let mut strings = true;
        for pair in self.stack[mark..].chunks_exact(2) {
            strings &= matches!(pair[0], Node::Str { .. });
            self.arena.set(dict, pair[0], pair[1]);
        }
        strings
    }

    // -- budgets -------------------------------------------------------------------------------------------

    /// Count bytes of strings, and other work of the same cost.
    #[inline]
    pub fn grow(&mut self, size: u64) -> Verdict<()> {
        self.text_bytes += size;
        if self.text_bytes > self.limits.decoded_bytes {
            return self.limits.too_large();
        }
        Ok(())
    }

    /// Count bytes of strings without a check. The loop checks them.
    #[inline]
    pub fn grow_unseen(&mut self, size: u64) {
        self.text_bytes += size;
    }

    /// Count bytes of strings that are arguments of a call, because it may copy them.
    pub fn copy(&mut self, size: u64) -> Verdict<()> {
        self.copied_bytes += size;
        if self.copied_bytes > self.limits.decoded_bytes {
            return self.limits.too_large();
        }
        Ok(())
    }

    /// Count objects that go into containers, and check the budgets.
    pub fn place(&mut self, count: u64) -> Verdict<()> {
        self.placed += count;
        if self.stack.len() as u64 + self.placed > self.limits.nodes * OBJECTS_PER_NODE + STRIDE {
            return self.limits.too_many();
        }
        Ok(())
    }

    // -- values --------------------------------------------------------------------------------------------

    /// Push an int that may be long.
    pub fn integer(&mut self, number: BigInt) -> Verdict<()> {
        if number.bit_length() > WORD {
            if number.is_too_long() {
                return undecodable("an int of more than 4300 digits");
            }
            self.natural &= is_json_number(&number);
            self.grow(number.about_digits())?;
        }
        let node = self.arena.big(number);
        self.stack.push(node);
        Ok(())
    }

    pub fn real(&mut self, number: f64) {
        self.binary |= !number.is_finite();
        self.stack.push(Node::Float(number));
    }

    /// Push a str of Python 2. ASCII becomes text, as in Python 3; other bytes stay bytes.
    pub fn old_string(&mut self, piece: Piece) -> Verdict<()> {
        self.grow(u64::from(piece.size))?;
        if self.arena.bytes(piece).is_ascii() {
            self.stack.push(Node::Str { piece, ascii: true });
        } else {
            self.natural = false;
            self.stack.push(Node::OldBytes(piece));
        }
        Ok(())
    }

    // -- memo ----------------------------------------------------------------------------------------------

    /// Store the object on top in the memo. The index must be the next one or an existing one.
    pub fn put(&mut self, index: Option<i64>) -> Verdict<()> {
        let node = self.top()?;
        match index.and_then(|index| usize::try_from(index).ok()) {
            Some(index) if index == self.memo.len() => self.memo.push(node),
            Some(1) if self.memo.is_empty() => self.memo.extend([Node::Unset, node]), // cPickle of Python 2
            Some(index) if index < self.memo.len() => self.memo[index] = node,
            _ => return gaps(),
        }
        Ok(())
    }

    /// Store the object on top in the memo under the next index. No pickler mixes it with PUTs that count from 1.
    #[inline]
    pub fn memoize(&mut self) -> Verdict<()> {
        if let Some(Node::Unset) = self.memo.first() {
            return gaps();
        }
        let node = self.top()?;
        self.memo.push(node);
        Ok(())
    }

    /// Push the object at a memo index.
    #[inline]
    pub fn get(&mut self, index: Option<i64>) -> Verdict<()> {
        let index = index.and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.memo.get(index)).copied() {
            None | Some(Node::Unset) => undecodable("corrupt pickle: not in the memo"),
            Some(node) => self.again(node),
        }
    }

    /// Push an existing object. Its bytes count again, and a container may then be reachable twice.
    #[inline]
    pub fn again(&mut self, node: Node) -> Verdict<()> {
        match node {
            Node::Str { .. } | Node::Bytes(_) | Node::OldBytes(_) => self.grow(self.length(node))?,
            Node::Big(number) => {
                let number = &self.arena.bigs[number as usize];
                if number.bit_length() > WORD {
                    let digits = number.about_digits();
                    self.grow(digits)?;
                }
            }
            _ if node.is_shape() => self.share(node),
            Node::ByteArray(_) => self.tree = false,
            // Datetimes share their zone.
            Node::Instance(instance) if self.arena.instances[instance as usize].zone.is_some() => {}
            Node::Instance(_) => self.share(node),
            _ => {}
        }
        self.stack.push(node);
        Ok(())
    }

    /// Python's len() of a string: characters of text, or bytes.
    #[inline]
    pub fn length(&self, node: Node) -> u64 {
        match node {
            Node::Str { piece, ascii: false } => {
                let continued = |byte: &&u8| **byte & 0xc0 == 0x80;
                let bytes = self.arena.bytes(piece);
                (bytes.len() - bytes.iter().filter(continued).count()) as u64
            }
            Node::Str { piece, .. } | Node::Bytes(piece) | Node::OldBytes(piece) => u64::from(piece.size),
            _ => 0,
        }
    }
}

/// True if readers of JSON accept an int as a number. The sign counts as a digit there.
pub fn is_json_number(number: &BigInt) -> bool {
    !number.negative || !number.has_more_digits_than(crate::limits::MAX_INT_DIGITS - 1)
}
