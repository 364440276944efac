//! pandas' scalars with one value: Timestamp, NaT and Timedelta, as in `proxy/codec/frames/scalars.py`.

use crate::frames::dtypes::{DType, Unit};
use crate::frames::moments::{self, Seconds, Speller, NAT};
use crate::frames::parts;
use crate::unpickle::node::{Arena, Instance, Node};
use crate::unpickle::timezones;

/// The text of NaT.
pub const MISSING: &[u8] = b"NaT";

/// The unit by the number that pandas pickles. Before pandas 2 it is always ns.
fn unit_of(node: Option<&Node>) -> Option<Unit> {
    match node {
        Some(Node::Int(7)) => Some(Unit::Second(0)),
        Some(Node::Int(8)) => Some(Unit::Second(3)),
        Some(Node::Int(9)) => Some(Unit::Second(6)),
        Some(Node::Int(10)) | None => Some(Unit::Second(9)),
        Some(_) => None,
    }
}

/// The text of `_unpickle_timestamp(value, freq, zone, unit)`. The reference knows the zones with rules.
pub fn timestamp(arena: &Arena, instance: &Instance) -> Option<Vec<u8>> {
    let args = parts::args(arena, instance);
    let dtype = DType::of_unit(unit_of(args.get(3))?);
    let (value, zone) = match args {
        [Node::Int(value), _, zone] | [Node::Int(value), _, zone, _] => (*value, *zone),
        _ => return None,
    };
    if value == NAT {
        return Some(MISSING.to_vec());
    }
    let offset = match zone {
        Node::Null => None,
        zone => Some(timezones::offset_of(arena, parts::object(arena, zone)?)?),
    };
    let mut text = Vec::new();
    Speller::new(dtype, offset).spell(value, &mut text)?;
    Some(text)
}

/// The seconds of `_timedelta_unpickle(value, unit)`, before pandas 2 `Timedelta(value)`.
pub fn timedelta(arena: &Arena, instance: &Instance) -> Option<Node> {
    let args = parts::args(arena, instance);
    let dtype = DType::of_unit(unit_of(args.get(1))?);
    match args.first()? {
        Node::Int(value) => match moments::seconds(*value, dtype) {
            Seconds::Seconds(seconds) => Some(Node::Float(seconds)),
            Seconds::Count(count) => Some(Node::Int(count)),
        },
        _ => None,
    }
}
