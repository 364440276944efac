//! The nodes of a stored value between pickle and payload: 16 bytes for each node, in one arena.
//!
//! Containers may be shared or hold themselves, as in Python, so they are numbers into the arena. Text is where it came
//! from: in the stored value itself, or in the arena where it had to be spelled out.

use crate::unpickle::dict::Dict;
use crate::unpickle::symbols::{Class, Symbol};
use crate::values::bigint::BigInt;
use crate::values::tags::Tag;

/// A piece of bytes. Below the stored value's length it is a part of the value, above it a part of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub start: u32,
    pub size: u32,
}

#[derive(Debug, Clone, Copy)]
pub enum Node {
    /// An empty place in the memo.
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
    Counter(u32),
    /// The class that is its factory is of Python's own. `Class::NoneType`: there is no factory.
    DefaultDict {
        dict: u32,
        factory: Class,
    },
    Deque(u32),
    /// The content of a tag, as text.
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
    Symbol(u32),
    Instance(u32),
}

impl Node {
    /// True for a container of Python's own.
    #[inline]
    pub fn is_shape(self) -> bool {
        matches!(
            self,
            Node::List(_)
                | Node::Tuple(_)
                | Node::Dict(_)
                | Node::Set(_)
                | Node::FrozenSet(_)
                | Node::OrderedDict(_)
                | Node::Counter(_)
                | Node::DefaultDict { .. }
                | Node::Deque(_)
        )
    }
}

/// An object of any class, as its pickle describes it: `Instance` of `proxy/codec/nodes.py`.
#[derive(Debug, Clone, Copy)]
pub struct Instance {
    /// Its class, or the function that makes it.
    pub symbol: u32,
    /// The list of its arguments.
    pub args: u32,
    /// Made by REDUCE, which knows functions too.
    pub is_called: bool,
    pub kwargs: Option<u32>,
    /// From BUILD. Null: there is none.
    pub state: Node,
    /// From APPEND, APPENDS and ADDITEMS.
    pub items: Option<u32>,
    /// From SETITEM and SETITEMS.
    pub pairs: Option<u32>,
    /// The offset in microseconds that it gave to a datetime.
    pub zone: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
pub struct Deque {
    pub items: u32,
    pub maxlen: Option<i64>,
}

/// The text of a stored value, and text that is not in it literally.
pub struct Texts<'a> {
    pub data: &'a [u8],
    extra: Vec<u8>,
}

impl Texts<'_> {
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
}

pub struct Arena<'a> {
    pub texts: Texts<'a>,
    pub bigs: Vec<BigInt>,
    pub lists: Vec<Vec<Node>>,
    pub dicts: Vec<Dict>,
    pub deques: Vec<Deque>,
    pub complexes: Vec<(f64, f64)>,
    pub symbols: Vec<Symbol>,
    /// Some symbol is of pandas. Without one, no object is a table.
    pub has_pandas: bool,
    pub instances: Vec<Instance>,
}

impl<'a> Arena<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Arena {
            texts: Texts { data, extra: Vec::new() },
            bigs: Vec::new(),
            lists: Vec::new(),
            dicts: Vec::new(),
            deques: Vec::new(),
            complexes: Vec::new(),
            symbols: Vec::new(),
            has_pandas: false,
            instances: Vec::new(),
        }
    }

    #[inline]
    pub fn bytes(&self, piece: Piece) -> &[u8] {
        self.texts.bytes(piece)
    }

    /// Text that is not in the stored value literally.
    pub fn keep(&mut self, bytes: &[u8]) -> Piece {
        let texts = &mut self.texts;
        let start = (texts.data.len() + texts.extra.len()) as u32;
        texts.extra.extend_from_slice(bytes);
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

    pub fn deque(&mut self, items: u32, maxlen: Option<i64>) -> Node {
        self.deques.push(Deque { items, maxlen });
        Node::Deque(self.deques.len() as u32 - 1)
    }

    pub fn symbol(&mut self, symbol: Symbol) -> u32 {
        self.has_pandas |= symbol.module().starts_with("pandas");
        self.symbols.push(symbol);
        self.symbols.len() as u32 - 1
    }

    pub fn instance(&mut self, symbol: u32, args: u32, is_called: bool) -> Node {
        self.instances.push(Instance {
            symbol,
            args,
            is_called,
            kwargs: None,
            state: Node::Null,
            items: None,
            pairs: None,
            zone: None,
        });
        Node::Instance(self.instances.len() as u32 - 1)
    }

    pub fn symbol_of(&self, instance: &Instance) -> &Symbol {
        &self.symbols[instance.symbol as usize]
    }

    /// The value under a string key: see `Dict::get`.
    pub fn get(&self, dict: u32, key: &[u8]) -> Option<Node> {
        self.dicts[dict as usize].get(&self.texts, key)
    }

    /// Set one item. The last value of a key wins, at the position of the first.
    #[inline]
    pub fn set(&mut self, dict: u32, key: Node, value: Node) {
        self.dicts[dict as usize].set(&self.texts, key, value);
    }
}
