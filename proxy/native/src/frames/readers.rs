//! The value of an object that is an array, a frame, or a scalar of numpy, pandas or Arrow: `proxy/codec/frames/readers.py`.

use std::rc::Rc;

use crate::frames::arrays;
use crate::frames::arrow;
use crate::frames::columns::Column;
use crate::frames::parts::Count;
use crate::frames::scalars;
use crate::frames::tables;
use crate::limits::{Failure, Verdict};
use crate::unpickle::instances::Value;
use crate::unpickle::node::{Arena, Instance, Node};
use crate::unpickle::symbols::Class;

/// The value of an object. None: it is of another class. `count`: told how many parts are looked at, before they are.
pub fn value(arena: &Arena, node: u32, count: &mut Count) -> Verdict<Option<Value>> {
    let instance = &arena.instances[node as usize];
    let value = match arena.symbol_of(instance).class {
        Class::NumpyScalar => arrays::scalar(arena, instance).map(|scalar| Value::Numpy(Rc::new(scalar))),
        Class::NumpyReconstruct | Class::NumpyBuffer => {
            Some(Value::Array(Rc::new(arrays::of(arena, Node::Instance(node), count)?)))
        }
        Class::ArrowArray | Class::ArrowChunked => {
            let array = arrow::of(arena, Node::Instance(node), count)?;
            Some(Value::Column(Rc::new(Column::of_arrow(array, String::new()))))
        }
        Class::PandasTimestamp => scalars::timestamp(arena, instance).map(|text| Value::Timestamp(text.into())),
        Class::PandasNat => Some(Value::Timestamp(scalars::MISSING.into())),
        Class::PandasTimedelta => scalars::timedelta(arena, instance).map(Value::Node),
        _ if !arena.has_pandas => return Ok(None),
        _ => return table(arena, instance, count),
    };
    match value {
        Some(value) => Ok(Some(value)),
        None => Err(Failure::NotHandled),
    }
}

#[inline]
fn table(arena: &Arena, instance: &Instance, count: &mut Count) -> Verdict<Option<Value>> {
    Ok(match tables::manager(arena, instance.state) {
        None => None,
        Some((manager, true)) => Some(Value::Series(Rc::new(tables::series(arena, manager, instance.state, count)?))),
        Some((manager, false)) => Some(Value::Frame(Rc::new(tables::frame(arena, manager, count)?))),
    })
}
