//! pandas' Series and DataFrame: their block managers, put together into columns: `proxy/codec/frames/tables.py`.

use std::rc::Rc;

use crate::frames::arrays;
use crate::frames::columns::{self, Cell, Column};
use crate::frames::dtypes::Kind;
use crate::frames::extensions;
use crate::frames::indexes::{self, Index};
use crate::frames::parts::{self, Count};
use crate::limits::{Failure, Verdict};
use crate::unpickle::node::{Arena, Instance, Node};

/// Under this key is the part of the older state that pandas reads.
const VERSION: &[u8] = b"0.14.1";
const MOST: i64 = 1 << 62;
/// A block takes as long to read as so many numbers.
const PARTS: u64 = 16;

#[derive(Debug)]
pub struct Series {
    pub name: Node,
    pub index: Index,
    pub column: Column,
}

#[derive(Debug)]
pub struct Frame {
    pub index: Index,
    /// The names of the columns.
    pub labels: Index,
    pub columns: Vec<Column>,
}

impl Series {
    /// Its name, and the lists of all objects in it.
    pub fn parts(&self) -> Vec<Node> {
        [Some(self.name), Some(self.index.name), self.index.labels.objects(), self.column.objects()]
            .into_iter()
            .flatten()
            .collect()
    }
}

impl Frame {
    /// The lists of all objects in it, and the names of its indexes.
    pub fn parts(&self) -> Vec<Node> {
        let mut parts = vec![self.labels.name, self.index.name];
        parts.extend(self.labels.labels.objects());
        parts.extend(self.index.labels.objects());
        let mut last = None;
        for column in &self.columns {
            if last.map_or(true, |last| !Rc::ptr_eq(last, &column.source)) {
                parts.extend(column.objects()); // columns of one block have one list
            }
            last = Some(&column.source);
        }
        parts
    }
}

/// The manager of a Series or DataFrame, or of a subclass, by its state.
pub fn manager<'b>(arena: &'b Arena, state: Node) -> Option<(&'b Instance, bool)> {
    let state = match state {
        Node::Dict(state) => state,
        _ => return None,
    };
    let is_series = match parts::text(arena, arena.get(state, b"_typ")?)? {
        b"series" => true,
        b"dataframe" => false,
        _ => return None,
    };
    let held = arena.get(state, b"_mgr").or_else(|| arena.get(state, b"_data"))?;
    let manager = parts::object(arena, held)?;
    let module = arena.symbol_of(manager).module();
    (module.split('.').next() == Some("pandas")).then_some((manager, is_series))
}

/// A series of such a manager. `state`: of the series.
pub fn series(arena: &Arena, manager: &Instance, state: Node, count: &mut Count) -> Verdict<Series> {
    let (axes, blocks) = blocks(arena, manager, count)?;
    let (axis, values) = match (axes, blocks.as_slice()) {
        ([axis], [(values, _)]) => (*axis, *values),
        _ => return Err(Failure::NotHandled),
    };
    let index = indexes::of(arena, axis, count)?;
    let mut found = extensions::columns_of(arena, values, count)?;
    let column = found.pop().filter(|column| found.is_empty() && column.size == index.size());
    let name = match state {
        Node::Dict(state) => arena.get(state, b"_name").or_else(|| arena.get(state, b"name")),
        _ => None,
    };
    Ok(Series { name: name.unwrap_or(Node::Null), index, column: column.ok_or(Failure::NotHandled)? })
}

/// A frame of such a manager.
pub fn frame(arena: &Arena, manager: &Instance, count: &mut Count) -> Verdict<Frame> {
    let (axes, blocks) = blocks(arena, manager, count)?;
    let (labels, index) = match axes {
        [labels, index] => (indexes::of(arena, *labels, count)?, indexes::of(arena, *index, count)?),
        _ => return Err(Failure::NotHandled),
    };
    let (rows, width) = (index.size(), labels.size());
    count(width)?;
    let (mut placed, mut total) = (Vec::new(), 0);
    for (values, places) in blocks {
        let found = extensions::columns_of(arena, values, count)?;
        let places = self::places(arena, places, width as i64, found.len() as u64, count)?;
        total += found.len() as u64;
        placed.push((found, places));
    }
    if total != width {
        return Err(Failure::NotHandled); // nothing is made of labels that have no columns
    }
    let mut columns: Vec<Option<Column>> = vec![None; width as usize];
    for (found, places) in placed {
        place(&mut columns, found, places).ok_or(Failure::NotHandled)?;
    }
    let is_whole = |column: &Column| column.size == rows;
    let columns: Option<Vec<Column>> = columns.into_iter().map(|column| column.filter(is_whole)).collect();
    Ok(Frame { index, labels, columns: columns.ok_or(Failure::NotHandled)? })
}

/// Put the columns of a block where they belong. Each place is taken once.
fn place(columns: &mut [Option<Column>], found: Vec<Column>, places: Vec<i64>) -> Option<()> {
    if found.len() != places.len() {
        return None;
    }
    for (column, place) in found.into_iter().zip(places) {
        let free = columns.get_mut(usize::try_from(place).ok()?)?;
        if free.is_some() {
            return None;
        }
        *free = Some(column);
    }
    Some(())
}

/// The values of a block, and their places.
type Block = (Node, Node);

/// The axes and the blocks.
fn blocks<'b>(arena: &'b Arena, manager: &Instance, count: &mut Count) -> Verdict<(&'b [Node], Vec<Block>)> {
    if !arena.symbol_of(manager).name().ends_with("BlockManager") {
        return Err(Failure::NotHandled);
    }
    let (axes, blocks, is_old) = described(arena, manager).ok_or(Failure::NotHandled)?;
    if !(1..=2).contains(&axes.len()) {
        return Err(Failure::NotHandled);
    }
    count(PARTS * blocks.len() as u64)?;
    let read = if is_old { old_block } else { new_block };
    let read: Option<Vec<Block>> = blocks.iter().map(|block| read(arena, *block)).collect();
    Ok((axes, read.ok_or(Failure::NotHandled)?))
}

/// The axes, the blocks, and whether these are of the older state.
fn described<'b>(arena: &'b Arena, manager: &Instance) -> Option<(&'b [Node], &'b [Node], bool)> {
    match parts::args(arena, manager) {
        [blocks, axes, ..] => Some((parts::sequence(arena, *axes)?, parts::sequence(arena, *blocks)?, false)),
        [_] => None,
        [] => {
            let known = match parts::tuple(arena, manager.state)?.get(3)? {
                Node::Dict(versions) => match arena.get(*versions, VERSION)? {
                    Node::Dict(known) => known,
                    _ => return None,
                },
                _ => return None,
            };
            let part = |name: &[u8]| arena.get(known, name).and_then(|part| parts::sequence(arena, part));
            Some((part(b"axes")?, part(b"blocks")?, true))
        }
    }
}

/// A call of `_unpickle_block(values, places, ndim)`. In pandas 1.3 it is a partial that knows `ndim`.
fn new_block(arena: &Arena, node: Node) -> Option<Block> {
    let instance = parts::object(arena, node).filter(|block| block.is_called)?;
    match parts::args(arena, instance) {
        [values, places] | [values, places, _] => Some((*values, *places)),
        _ => None,
    }
}

fn old_block(arena: &Arena, node: Node) -> Option<Block> {
    match node {
        Node::Dict(block) => Some((arena.get(block, b"values")?, arena.get(block, b"mgr_locs")?)),
        _ => None,
    }
}

/// The positions of so many columns of a block: a slice, a BlockPlacement of one, an int or an array.
fn places(arena: &Arena, mut node: Node, width: i64, wanted: u64, count: &mut Count) -> Verdict<Vec<i64>> {
    if let Some(placement) = parts::object(arena, node) {
        if let (true, [held]) =
            (arena.symbol_of(placement).name().ends_with("BlockPlacement"), parts::args(arena, placement))
        {
            node = *held;
        }
    }
    if let Node::Int(place) = node {
        return Ok(vec![place]);
    }
    if let Some(slice) = parts::object(arena, node).filter(|slice| &*arena.symbol_of(slice).text == "builtins.slice") {
        return sliced(parts::args(arena, slice), width, wanted).ok_or(Failure::NotHandled);
    }
    let array = arrays::of(arena, node, count)?;
    if !matches!(array.dtype.kind, Kind::Int | Kind::Uint) || array.shape.len() != 1 {
        return Err(Failure::NotHandled);
    }
    count(array.size)?;
    let columns = columns::of_array(array).ok_or(Failure::NotHandled)?;
    let mut found = Vec::new();
    for column in columns {
        let mut cells = column.cells(arena);
        for _ in 0..column.size {
            match cells.next()? {
                Cell::Node(Node::Int(place)) => found.push(place),
                _ => return Err(Failure::NotHandled),
            }
        }
    }
    Ok(found)
}

/// The numbers of a slice of `width` columns, by the rules of Python's `slice.indices`. None: they are not `wanted`.
fn sliced(bounds: &[Node], width: i64, wanted: u64) -> Option<Vec<i64>> {
    let bound = |node: &Node| match node {
        Node::Null => Some(None),
        Node::Int(bound) if (-MOST + 1..MOST).contains(bound) => Some(Some(*bound)),
        _ => None,
    };
    let (start, stop, step) = match bounds {
        [start, stop, step] => (bound(start)?, bound(stop)?, bound(step)?.unwrap_or(1)),
        _ => return None,
    };
    let (least, most) = if step > 0 { (0, width) } else { (-1, width - 1) };
    let inside = |bound: i64| (if bound < 0 { bound + width } else { bound }).clamp(least, most);
    let (first, last) = if step > 0 { (least, most) } else { (most, least) };
    let (start, stop) = (start.map_or(first, inside), stop.map_or(last, inside));
    let size = indexes::range_size([start, stop, step]).filter(|size| *size == wanted)?;
    Some((0..size as i64).map(|at| start + step * at).collect())
}
