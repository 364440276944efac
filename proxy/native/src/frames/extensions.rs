//! pandas' extension arrays -> columns: `proxy/codec/frames/extensions.py`. Categories, periods, intervals, sparse arrays
//! and zones with rules are left to the reference.

use crate::frames::arrays::{self, Array};
use crate::frames::arrow;
use crate::frames::columns::{self, Column, Data};
use crate::frames::dtypes::Kind;
use crate::frames::parts::{self, Count};
use crate::limits::{Failure, Verdict};
use crate::unpickle::node::{Arena, Instance, Node};
use crate::unpickle::symbols::Class;
use crate::unpickle::timezones;

/// The attributes that hold the values of an array, in the order in which they are looked for.
const VALUES: [&[u8]; 3] = [b"_ndarray", b"_codes", b"_data"];

/// The columns of the values of a block: of a numpy array its rows, of any other array one, or its rows.
pub fn columns_of(arena: &Arena, node: Node, count: &mut Count) -> Verdict<Vec<Column>> {
    let instance = parts::object(arena, node).ok_or(Failure::NotHandled)?;
    let symbol = arena.symbol_of(instance);
    match symbol.class {
        class if arrays::is_numpy(class) => return plain_rows(arrays::of(arena, node, count)?, count),
        Class::ArrowArray | Class::ArrowChunked => {
            let array = arrow::of(arena, node, count)?;
            let dtype = array.kind.name.clone();
            return Ok(vec![Column::of_arrow(array, dtype)]);
        }
        _ if !symbol.text.starts_with("pandas") => return Err(Failure::NotHandled),
        _ => {}
    }
    match symbol.last_name() {
        "__pyx_unpickle_NDArrayBacked" => backed(arena, instance, count),
        name => match array_class(arena, instance, name) {
            "IntegerArray" | "FloatingArray" | "BooleanArray" => masked(arena, instance, count),
            "ArrowExtensionArray" | "ArrowStringArray" | "ArrowStringArrayNumpySemantics" => {
                of_arrow(arena, instance, count)
            }
            "DatetimeArray" | "TimedeltaArray" | "StringArray" | "PandasArray" | "NumpyExtensionArray" => {
                let attributes = attributes(arena, instance).ok_or(Failure::NotHandled)?;
                let values = VALUES.iter().find_map(|name| arena.get(attributes, name)).ok_or(Failure::NotHandled)?;
                let dtype = arena.get(attributes, b"_dtype").ok_or(Failure::NotHandled)?;
                with_dtype(arena, dtype, values, count)
            }
            _ => Err(Failure::NotHandled),
        },
    }
}

/// `__pyx_unpickle_IntervalMixin(IntervalArray, checksum, None)` makes an object of its first argument.
fn array_class<'b>(arena: &'b Arena, instance: &Instance, name: &'b str) -> &'b str {
    match parts::args(arena, instance).first() {
        Some(Node::Symbol(class)) if name.starts_with("__pyx_unpickle_") => arena.symbols[*class as usize].last_name(),
        _ => name,
    }
}

/// The dict with the attributes of an array. Cython wraps it in a tuple.
fn attributes(arena: &Arena, instance: &Instance) -> Option<u32> {
    let state = match parts::tuple(arena, instance.state) {
        Some([state @ Node::Dict(_), ..]) => *state,
        _ => instance.state,
    };
    match state {
        Node::Dict(attributes) => Some(attributes),
        _ => None,
    }
}

fn plain_rows(array: Array, count: &mut Count) -> Verdict<Vec<Column>> {
    count_rows(&array, count)?;
    columns::of_array(array).ok_or(Failure::NotHandled)
}

fn count_rows(array: &Array, count: &mut Count) -> Verdict<()> {
    match *array.shape.as_slice() {
        [rows, _] => count(rows),
        _ => Ok(()),
    }
}

// -- arrays that numpy backs -------------------------------------------------------------------------------

/// `__pyx_unpickle_NDArrayBacked(class, checksum, None)`: the state has the dtype and the array, in either order.
fn backed(arena: &Arena, instance: &Instance, count: &mut Count) -> Verdict<Vec<Column>> {
    let (first, second) = match parts::tuple(arena, instance.state) {
        Some([first, second, ..]) => (*first, *second),
        _ => return Err(Failure::NotHandled),
    };
    let is_array =
        |node| parts::object(arena, node).map_or(false, |held| arrays::is_numpy(arena.symbol_of(held).class));
    match is_array(second) {
        true => with_dtype(arena, first, second, count),
        false => with_dtype(arena, second, first, count),
    }
}

fn with_dtype(arena: &Arena, dtype: Node, values: Node, count: &mut Count) -> Verdict<Vec<Column>> {
    let array = arrays::of(arena, values, count)?;
    let dtype = parts::object(arena, dtype).ok_or(Failure::NotHandled)?;
    let symbol = arena.symbol_of(dtype);
    if symbol.class == Class::NumpyDtype {
        return plain_rows(array, count);
    }
    match symbol.last_name() {
        "StringDtype" if array.dtype.kind == Kind::Object => {
            count_rows(&array, count)?;
            columns::rows(array, Data::Texts, string_dtype(arena, dtype).to_owned()).ok_or(Failure::NotHandled)
        }
        "DatetimeTZDtype" if array.dtype.kind == Kind::Moment => {
            count_rows(&array, count)?;
            let (offset, name) = fixed_zone(arena, dtype).ok_or(Failure::NotHandled)?;
            let dtype = format!("datetime64[{}, {name}]", array.dtype.unit.name());
            columns::rows(array, |array| Data::Local(array, offset), dtype).ok_or(Failure::NotHandled)
        }
        "PandasDtype" | "NumpyEADtype" => {
            count_rows(&array, count)?; // twice, as the reference
            plain_rows(array, count)
        }
        _ => Err(Failure::NotHandled),
    }
}

/// The offset of the zone of a `DatetimeTZDtype`, and its name. The reference knows the others.
fn fixed_zone(arena: &Arena, dtype: &Instance) -> Option<(i64, &'static str)> {
    let zone = match dtype.state {
        Node::Dict(state) => arena.get(state, b"tz")?,
        _ => *parts::args(arena, dtype).get(1)?,
    };
    let zone = parts::object(arena, zone)?;
    let is_nameless = match arena.symbol_of(zone).class {
        Class::TimeZone => parts::args(arena, zone).len() == 1,
        Class::PytzUtc => true,
        _ => false,
    };
    let offset = timezones::offset_of(arena, zone)?;
    (is_nameless && offset == 0).then_some((offset, "UTC"))
}

/// `StringDtype(storage, na_value)`: pandas 3 calls it `str` where NaN is the missing value.
fn string_dtype(arena: &Arena, dtype: &Instance) -> &'static str {
    match parts::args(arena, dtype).get(1) {
        Some(Node::Float(_)) => "str",
        _ => "string",
    }
}

// -- arrays of other parts ---------------------------------------------------------------------------------

/// IntegerArray, FloatingArray and BooleanArray: the values, and where there is none.
fn masked(arena: &Arena, instance: &Instance, count: &mut Count) -> Verdict<Vec<Column>> {
    let attributes = attributes(arena, instance).ok_or(Failure::NotHandled)?;
    let part = |name| arena.get(attributes, name).ok_or(Failure::NotHandled);
    let values = arrays::of(arena, part(b"_data")?, count)?;
    let mask = arrays::of(arena, part(b"_mask")?, count)?;
    let bits = 8 * values.dtype.size;
    let dtype = match values.dtype.kind {
        Kind::Bool => "boolean".to_owned(),
        Kind::Int => format!("Int{bits}"),
        Kind::Uint => format!("UInt{bits}"),
        Kind::Float => format!("Float{bits}"),
        _ => return Err(Failure::NotHandled),
    };
    if mask.dtype.kind != Kind::Bool || mask.shape != values.shape || values.shape.len() != 1 {
        return Err(Failure::NotHandled);
    }
    let size = values.size;
    Ok(vec![Column::new(dtype, size, Data::Masked(values, mask))])
}

/// ArrowExtensionArray and ArrowStringArray. Before pandas 2 the attribute is `_data`.
fn of_arrow(arena: &Arena, instance: &Instance, count: &mut Count) -> Verdict<Vec<Column>> {
    let attributes = attributes(arena, instance).ok_or(Failure::NotHandled)?;
    let held = arena.get(attributes, b"_pa_array").or_else(|| arena.get(attributes, b"_data"));
    let array = arrow::of(arena, held.ok_or(Failure::NotHandled)?, count)?;
    let dtype = arena.get(attributes, b"_dtype").and_then(|dtype| parts::object(arena, dtype));
    let dtype = match dtype.filter(|dtype| arena.symbol_of(dtype).last_name() == "StringDtype") {
        Some(dtype) => string_dtype(arena, dtype).to_owned(),
        None => format!("{}[pyarrow]", array.kind.name),
    };
    Ok(vec![Column::of_arrow(array, dtype)])
}
