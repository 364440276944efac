//! numpy's scalars and arrays, as their pickles describe them: `proxy/codec/frames/arrays.py`.

use crate::frames::dtypes::{DType, Kind};
use crate::frames::parts::{self, Count};
use crate::limits::{Failure, Verdict};
use crate::unpickle::node::{Arena, Instance, Node, Piece};
use crate::unpickle::symbols::Class;

const MOST_AXES: usize = 64;
/// So many bytes of a text count as one part.
const PER_PART: u64 = 8;

/// A scalar of numpy.
#[derive(Debug, Clone, Copy)]
pub struct NumpyScalar {
    pub dtype: DType,
    pub raw: Piece,
}

/// The elements of an array.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// As many bytes as they take.
    Raw(Piece),
    /// As many nodes, in a list of the arena.
    Objects(u32),
}

/// An array of numpy.
#[derive(Debug)]
pub struct Array {
    pub dtype: DType,
    pub content: Content,
    pub shape: Vec<u64>,
    /// The distance of two neighbours along each axis, in elements.
    pub strides: Vec<u64>,
    /// The number of elements.
    pub size: u64,
    /// The elements are not stored in C order.
    pub is_turned: bool,
}

impl Array {
    /// The bytes of its elements, beyond objects.
    pub fn bytes_size(&self) -> u64 {
        match self.content {
            Content::Raw(piece) => u64::from(piece.size),
            Content::Objects(_) => 0,
        }
    }

    /// The list of its objects, if it has objects.
    pub fn objects(&self) -> Option<Node> {
        match self.content {
            Content::Objects(list) => Some(Node::List(list)),
            Content::Raw(_) => None,
        }
    }

    /// The work of `words` with lines that the reference copies one by one.
    pub fn lines(&self) -> u64 {
        match self.shape.iter().max() {
            Some(longest) if self.is_turned => self.size / longest * (1 + self.shape.len() as u64 / 4),
            _ => 0,
        }
    }

    /// The elements of a dtype that `is_word`: little-endian bytes in C order.
    pub fn words(&self, arena: &Arena) -> Vec<u8> {
        let raw = match self.content {
            Content::Raw(piece) => arena.bytes(piece),
            Content::Objects(_) => &[],
        };
        let size = self.dtype.size as usize;
        if !self.is_turned && !self.dtype.is_big_endian {
            return raw.to_vec();
        }
        let mut words = Vec::with_capacity(raw.len());
        for position in self.positions() {
            let word = &raw[position * size..(position + 1) * size];
            match self.dtype.is_big_endian {
                true => words.extend(word.iter().rev()),
                false => words.extend_from_slice(word),
            }
        }
        words
    }

    /// Where the elements are, in C order.
    pub fn positions(&self) -> Positions<'_> {
        Positions { array: self, at: vec![0; self.shape.len()], next: 0, left: self.size }
    }
}

/// The positions of an array's elements.
pub struct Positions<'p> {
    array: &'p Array,
    at: Vec<u64>,
    next: u64,
    left: u64,
}

impl Iterator for Positions<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let found = self.next as usize;
        if !self.array.is_turned {
            self.next += 1;
        } else if self.left > 0 {
            self.turn();
        }
        Some(found)
    }
}

impl Positions<'_> {
    /// Go on by one along the last axis, and from its end along the axis before it.
    fn turn(&mut self) {
        for axis in (0..self.at.len()).rev() {
            self.at[axis] += 1;
            self.next += self.array.strides[axis];
            if self.at[axis] < self.array.shape[axis] {
                return;
            }
            self.next -= self.array.strides[axis] * self.at[axis];
            self.at[axis] = 0;
        }
    }
}

/// `scalar(dtype, bytes)`
pub fn scalar(arena: &Arena, instance: &Instance) -> Option<NumpyScalar> {
    let (dtype, raw) = match parts::args(arena, instance) {
        [dtype, raw] => (DType::of(arena, *dtype)?, parts::raw(*raw)?),
        _ => return None,
    };
    (dtype.kind != Kind::Object && raw.size == dtype.size).then_some(NumpyScalar { dtype, raw })
}

/// The array that a node stands for.
pub fn of(arena: &Arena, node: Node, count: &mut Count) -> Verdict<Array> {
    let instance = parts::object(arena, node).ok_or(Failure::NotHandled)?;
    match arena.symbol_of(instance).class {
        Class::NumpyReconstruct => reconstructed(arena, instance, count),
        Class::NumpyBuffer => from_buffer(arena, instance, count),
        _ => Err(Failure::NotHandled),
    }
}

/// True for the classes that the reference looks for among arrays.
pub fn is_numpy(class: Class) -> bool {
    matches!(class, Class::NumpyScalar | Class::NumpyReconstruct | Class::NumpyBuffer)
}

/// `_reconstruct(ndarray, (0,), b"b")` and its state.
pub fn reconstructed(arena: &Arena, instance: &Instance, count: &mut Count) -> Verdict<Array> {
    match parts::tuple(arena, instance.state) {
        Some([_version, shape, dtype, Node::Bool(is_fortran), content]) => {
            let order = if *is_fortran { Order::Fortran } else { Order::C };
            array(arena, *dtype, *shape, *content, order, count)
        }
        _ => Err(Failure::NotHandled),
    }
}

/// `_frombuffer(bytes, dtype, shape, order, axes)`
pub fn from_buffer(arena: &Arena, instance: &Instance, count: &mut Count) -> Verdict<Array> {
    let (described, axes) = match parts::args(arena, instance) {
        [described @ .., axes] if described.len() == 4 => (described, *axes),
        described => (described, Node::Null),
    };
    let (content, dtype, shape, order) = match described {
        [content, dtype, shape, order] => (*content, *dtype, *shape, parts::text(arena, *order)),
        _ => return Err(Failure::NotHandled),
    };
    let order = match (order, axes) {
        (Some(b"F"), _) => Order::Fortran,
        (Some(b"C"), _) | (Some(b"K"), Node::Null) => Order::C,
        (Some(b"K"), axes) => Order::Axes(axes),
        _ => return Err(Failure::NotHandled),
    };
    array(arena, dtype, shape, content, order, count)
}

/// The order in which elements are stored.
enum Order {
    C,
    Fortran,
    /// C order, before the axes are transposed by these.
    Axes(Node),
}

fn array(arena: &Arena, dtype: Node, shape: Node, content: Node, order: Order, count: &mut Count) -> Verdict<Array> {
    let dtype = DType::of(arena, dtype).ok_or(Failure::NotHandled)?;
    let stored = checked_shape(arena, shape).ok_or(Failure::NotHandled)?;
    let size = product(&stored).ok_or(Failure::NotHandled)?;
    if let (Kind::Object, Node::List(list)) = (dtype.kind, content) {
        return match arena.lists[list as usize].len() as u64 == size {
            true => Ok(laid_out(dtype, Content::Objects(list), &stored, size, None)), // a list is always in C order
            false => Err(Failure::NotHandled),
        };
    }
    if let Node::Str { piece, ascii: true } = content {
        count(u64::from(piece.size) / PER_PART)?; // the reference copies it
    }
    let raw = parts::raw(content).ok_or(Failure::NotHandled)?;
    let is_whole = u64::from(dtype.size).checked_mul(size) == Some(u64::from(raw.size));
    if dtype.kind == Kind::Object || !is_whole || (size > 0 && dtype.size == 0) {
        return Err(Failure::NotHandled);
    }
    let content = Content::Raw(raw);
    match order {
        Order::C => Ok(laid_out(dtype, content, &stored, size, None)),
        Order::Fortran => {
            let turned: Vec<u64> = stored.iter().rev().copied().collect();
            let axes: Vec<usize> = (0..stored.len()).rev().collect();
            Ok(laid_out(dtype, content, &turned, size, Some(&axes)))
        }
        Order::Axes(axes) => {
            let axes = checked_axes(arena, axes, stored.len()).ok_or(Failure::NotHandled)?;
            Ok(laid_out(dtype, content, &stored, size, Some(&axes)))
        }
    }
}

/// An array of C-ordered elements, whose axes are transposed. `size`: its number of elements.
fn laid_out(dtype: DType, content: Content, stored: &[u64], size: u64, axes: Option<&[usize]>) -> Array {
    let mut strides = vec![1u64; stored.len()];
    for axis in (1..stored.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(stored[axis]); // too much only if there are no elements
    }
    let axes = match axes {
        Some(axes) => axes,
        None => return Array { dtype, content, shape: stored.to_vec(), strides, size, is_turned: false },
    };
    let is_turned = size > 0 && axes.windows(2).any(|pair| pair[0] > pair[1]);
    let shape = axes.iter().map(|axis| stored[*axis]).collect();
    let strides = axes.iter().map(|axis| strides[*axis]).collect();
    Array { dtype, content, shape, strides, size, is_turned }
}

/// The lengths of an array's axes.
fn checked_shape(arena: &Arena, shape: Node) -> Option<Vec<u64>> {
    let length = |node: &Node| match node {
        Node::Int(length) => u64::try_from(*length).ok(),
        _ => None,
    };
    match parts::sequence(arena, shape) {
        None => Some(vec![length(&shape)?]),
        Some(lengths) if lengths.len() <= MOST_AXES => lengths.iter().map(length).collect(),
        Some(_) => None,
    }
}

fn checked_axes(arena: &Arena, axes: Node, count: usize) -> Option<Vec<usize>> {
    let given = parts::sequence(arena, axes).filter(|given| given.len() == count)?;
    let mut is_there = vec![false; count];
    let mut checked = Vec::with_capacity(count);
    for axis in given {
        let axis = match axis {
            Node::Int(axis) => usize::try_from(*axis).ok()?,
            _ => return None,
        };
        if *is_there.get(axis)? {
            return None;
        }
        is_there[axis] = true;
        checked.push(axis);
    }
    Some(checked)
}

/// The number of elements. None: more than any bytes have.
fn product(shape: &[u64]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1u64, |product, length| product.checked_mul(*length))
}
