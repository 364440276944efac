//! A column: the values of a frame's column, a series, an index, or an Arrow array: `proxy/codec/frames/columns.py`.

use std::rc::Rc;

use crate::frames::arrays::{Array, Content};
use crate::frames::arrow::{ArrowArray, Chunk, Elements};
use crate::frames::dtypes::{DType, Kind, Unit};
use crate::frames::elements::{number, Number};
use crate::frames::moments::{Speller, NAT};
use crate::frames::parts;
use crate::limits::{Failure, Verdict};
use crate::unpickle::node::{Arena, Node};

/// Values of one dtype. Columns of one block have one source.
#[derive(Debug, Clone)]
pub struct Column {
    pub source: Rc<Source>,
    /// The row of an array of two axes.
    row: u32,
    pub size: u64,
}

#[derive(Debug)]
pub struct Source {
    /// As pandas spells it.
    pub dtype: String,
    pub data: Data,
}

#[derive(Debug)]
pub enum Data {
    /// Numbers, datetimes, timedeltas or objects.
    Array(Array),
    /// Objects that are str, or any missing value.
    Texts(Array),
    /// Datetimes that are UTC, as local times with this offset in microseconds.
    Local(Array, i64),
    /// Values, and where there is none.
    Masked(Array, Array),
    Arrow(ArrowArray),
    /// The first number and the distance of two.
    Range(i64, i64),
}

/// The way in which the values of a column are presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Showing {
    Numbers,
    /// Texts and nulls.
    Texts,
    /// The texts of datetimes without a zone, and nulls.
    Moments,
    /// timedelta64
    Spans,
    /// Any nodes.
    Objects,
}

/// One value of a column.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'c> {
    /// Null, a bool, an int, a finite float or an infinity; in columns of objects anything.
    Node(Node),
    Uint(u64),
    Complex(f64, f64),
    Text(&'c [u8]),
    Moment(i64),
    Span(i64),
}

const NULL: Cell = Cell::Node(Node::Null);
const DAYS: DType = DType { size: 4, ..DType::of_unit(Unit::Day) };

impl Column {
    /// The only column of a source.
    pub fn new(dtype: String, size: u64, data: Data) -> Self {
        Column { source: Rc::new(Source { dtype, data }), row: 0, size }
    }

    /// The same values under the name of another dtype.
    pub fn of_arrow(array: ArrowArray, dtype: String) -> Self {
        Column::new(dtype, array.size, Data::Arrow(array))
    }

    pub fn dtype(&self) -> &str {
        &self.source.dtype
    }

    pub fn showing(&self) -> Showing {
        match &self.source.data {
            Data::Array(array) => match array.dtype.kind {
                Kind::Moment => Showing::Moments,
                Kind::Span => Showing::Spans,
                Kind::Object => Showing::Objects,
                _ => Showing::Numbers,
            },
            Data::Texts(_) | Data::Local(..) => Showing::Texts,
            Data::Masked(..) | Data::Range(..) => Showing::Numbers,
            Data::Arrow(array) => match array.kind.elements {
                Elements::Bits | Elements::Numbers(_) => Showing::Numbers,
                Elements::Moments(_, None) => Showing::Moments,
                Elements::Texts(_) | Elements::Days | Elements::Moments(_, Some(_)) => Showing::Texts,
            },
        }
    }

    /// True for a column of ints that are those of numpy.
    pub fn has_ints(&self) -> bool {
        matches!(&self.source.data, Data::Array(array) if matches!(array.dtype.kind, Kind::Int | Kind::Uint))
    }

    /// The list of all objects of its block.
    pub fn objects(&self) -> Option<Node> {
        match &self.source.data {
            Data::Array(array) => array.objects(),
            _ => None,
        }
    }

    /// Spells its datetimes.
    pub fn speller(&self) -> Speller {
        let (dtype, offset) = match &self.source.data {
            Data::Local(array, offset) => (array.dtype, Some(*offset)),
            Data::Array(array) => (array.dtype, None),
            Data::Arrow(array) => match array.kind.elements {
                Elements::Moments(dtype, offset) => (dtype, offset),
                _ => (DAYS, None),
            },
            _ => (DAYS, None),
        };
        Speller::new(dtype, offset)
    }

    /// The unit of its timedeltas.
    pub fn unit(&self) -> DType {
        match &self.source.data {
            Data::Array(array) => array.dtype,
            _ => DAYS,
        }
    }

    pub fn cells<'c>(&'c self, arena: &'c Arena<'c>) -> Cells<'c> {
        Cells { arena, column: self, at: 0, chunk: 0, chunk_start: 0 }
    }
}

/// The columns of an array: its rows, as pandas' blocks have them. An array of one axis is one column.
pub fn rows(array: Array, make: impl FnOnce(Array) -> Data, dtype: String) -> Option<Vec<Column>> {
    let (count, size) = match *array.shape.as_slice() {
        [size] => (1, size),
        [count, size] => (count, size),
        _ => return None,
    };
    let count = u32::try_from(count).ok()?;
    let source = Rc::new(Source { dtype, data: make(array) });
    Some((0..count).map(|row| Column { source: Rc::clone(&source), row, size }).collect())
}

/// The columns of an array whose dtype says how its elements are shown.
pub fn of_array(array: Array) -> Option<Vec<Column>> {
    let dtype = array.dtype.name();
    match array.dtype.kind {
        Kind::Text | Kind::Bytes => None, // pandas has no such columns
        _ => rows(array, Data::Array, dtype),
    }
}

/// The values of a column, one after the other.
pub struct Cells<'c> {
    arena: &'c Arena<'c>,
    column: &'c Column,
    at: u64,
    /// Of an Arrow array: the current chunk, and the number of values before it.
    chunk: usize,
    chunk_start: u64,
}

impl<'c> Cells<'c> {
    /// The next value. The caller knows that there is one.
    #[inline]
    pub fn next(&mut self) -> Verdict<Cell<'c>> {
        let at = self.at;
        self.at += 1;
        match &self.column.source.data {
            Data::Array(array) => Ok(self.element(array, at)),
            Data::Masked(values, mask) => Ok(match self.element(mask, at) {
                Cell::Node(Node::Bool(true)) => NULL,
                _ => self.element(values, at),
            }),
            Data::Local(array, _) => Ok(self.element(array, at)),
            Data::Range(start, step) => {
                // Both words may wrap; the number is inside the range.
                Ok(Cell::Node(Node::Int(start.wrapping_add(step.wrapping_mul(at as i64)))))
            }
            Data::Texts(array) => match self.element(array, at) {
                Cell::Node(Node::Str { piece, .. }) => Ok(Cell::Text(self.arena.bytes(piece))),
                Cell::Node(Node::Null | Node::Float(_) | Node::Symbol(_)) => Ok(NULL),
                _ => Err(Failure::NotHandled),
            },
            Data::Arrow(array) => self.of_chunks(array, at),
        }
    }

    #[inline]
    fn element(&self, array: &Array, at: u64) -> Cell<'c> {
        let position = match *array.strides.as_slice() {
            [along] => at * along,
            [across, along] => u64::from(self.column.row) * across + at * along,
            _ => 0,
        };
        match array.content {
            Content::Objects(list) => Cell::Node(self.arena.lists[list as usize][position as usize]),
            Content::Raw(piece) => {
                let size = u64::from(array.dtype.size);
                let raw = self.arena.bytes(parts::inside(piece, position * size, size));
                shown(array.dtype, raw)
            }
        }
    }

    fn of_chunks(&mut self, array: &'c ArrowArray, at: u64) -> Verdict<Cell<'c>> {
        let mut chunk = &array.chunks[self.chunk];
        if at - self.chunk_start == chunk.size {
            self.chunk += 1;
            self.chunk_start = at;
            chunk = &array.chunks[self.chunk]; // none is empty
        }
        let at = at - self.chunk_start;
        if let Elements::Texts(width) = array.kind.elements {
            return self.text(chunk, width, at);
        }
        if !chunk.is_valid(self.arena, at) {
            return Ok(NULL);
        }
        let dtype = match array.kind.elements {
            Elements::Numbers(dtype) | Elements::Moments(dtype, _) => dtype,
            Elements::Days => DAYS,
            _ => return Ok(Cell::Node(Node::Bool(chunk.bit(self.arena, chunk.values, at)))),
        };
        let size = u64::from(dtype.size);
        let raw = self.arena.bytes(parts::inside(chunk.values, (chunk.start + at) * size, size));
        Ok(shown(dtype, raw))
    }

    /// A string: from its offset to the next. The reference makes the error for offsets that lie.
    fn text(&self, chunk: &Chunk, width: u64, at: u64) -> Verdict<Cell<'c>> {
        let (begin, end) = (chunk.offset(self.arena, width, at), chunk.offset(self.arena, width, at + 1));
        if begin < 0 || end < begin || end as u64 > u64::from(chunk.texts.size) {
            return Err(Failure::NotHandled);
        }
        if !chunk.is_valid(self.arena, at) {
            return Ok(NULL);
        }
        let text = self.arena.bytes(parts::inside(chunk.texts, begin as u64, (end - begin) as u64));
        match text.is_ascii() || std::str::from_utf8(text).is_ok() {
            true => Ok(Cell::Text(text)),
            false => Err(Failure::NotHandled),
        }
    }
}

/// An element of a dtype with a fixed size, as a value of a column.
#[inline]
fn shown(dtype: DType, raw: &[u8]) -> Cell<'static> {
    match number(dtype, raw) {
        Number::Int(NAT) if matches!(dtype.kind, Kind::Moment | Kind::Span) => NULL,
        Number::Int(value) => match dtype.kind {
            Kind::Moment => Cell::Moment(value),
            Kind::Span => Cell::Span(value),
            _ => Cell::Node(Node::Int(value)),
        },
        Number::Bool(value) => Cell::Node(Node::Bool(value)),
        Number::Uint(value) => match i64::try_from(value) {
            Ok(value) => Cell::Node(Node::Int(value)),
            Err(_) => Cell::Uint(value),
        },
        Number::Float(value) if value.is_nan() => NULL,
        Number::Float(value) => Cell::Node(Node::Float(value)),
        Number::Complex(real, imaginary) if real.is_nan() || imaginary.is_nan() => NULL,
        Number::Complex(real, imaginary) => Cell::Complex(real, imaginary),
    }
}
