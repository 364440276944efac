//! Timezones with one offset, of every library, as their pickles describe them: `proxy/codec/unpickle/timezones.py`.
//! The reference reads zones with rules, and all that is unknown or corrupt.

use crate::unpickle::node::{Arena, Instance, Node};
use crate::unpickle::symbols::Class;
use crate::values::dates;

/// No zone has so many attributes or arguments.
const MANY: usize = 4;
/// An offset is never so many seconds or minutes.
const MOST_UNITS: u64 = 100_000;
const MINUTE: i64 = 60;
/// A path into the time zone database has this before the name of a zone.
const DATABASE: &str = "zoneinfo/";
const UTC_CLASSES: [&str; 5] = ["utc", "tzutc", "utctimezone", "_utc", "utcclass"];

/// The offset from UTC of a zone, in microseconds.
pub fn of(arena: &mut Arena, zone: Node) -> Option<i64> {
    let at = match zone {
        Node::Instance(at) => at as usize,
        _ => return None,
    };
    if arena.instances[at].zone.is_none() {
        arena.instances[at].zone = read(arena, &arena.instances[at]);
    }
    arena.instances[at].zone
}

/// The offset from UTC of a zone that is not a datetime's.
pub fn offset_of(arena: &Arena, zone: &Instance) -> Option<i64> {
    zone.zone.or_else(|| read(arena, zone))
}

fn read(arena: &Arena, zone: &Instance) -> Option<i64> {
    let args = arena.lists[zone.args as usize].as_slice();
    match (arena.symbol_of(zone).class, args) {
        (Class::TzUtc, _) | (Class::PytzUtc, []) => Some(0),
        (Class::TimeZone, [offset @ Node::Delta { .. }] | [offset @ Node::Delta { .. }, Node::Str { .. }]) => {
            span(*offset, 1)
        }
        (Class::TimeZone | Class::PytzUtc, _) => None,
        (Class::OffsetInMinutes, [offset, ..]) => span(*offset, MINUTE),
        (Class::OffsetInSeconds, [offset, ..]) | (Class::TzOffset, [_, offset]) => span(*offset, 1),
        (Class::PytzOffset, [offset @ Node::Int(_)]) => span(*offset, MINUTE),
        (Class::PytzNamed, [name] | [name, Node::Null, ..]) => named(arena, *name),
        (Class::PytzNamed, [name, offset @ Node::Int(_), ..]) => {
            named(arena, *name).filter(|known| span(*offset, 1) == Some(*known))
        }
        (Class::PendulumZone, [name, ..]) => named(arena, *name),
        (Class::PytzOffset | Class::PytzNamed | Class::PendulumZone, _) => None,
        (Class::TzFile, _) => {
            let is_text = |arg: &&Node| matches!(arg, Node::Str { .. });
            args.iter().take(MANY).find(is_text).and_then(|path| at_path(arena, *path))
        }
        _ => by_shape(arena, zone, args),
    }
}

/// The offset that a timedelta or an int gives a zone. The int counts so many seconds each.
fn span(number: Node, unit: i64) -> Option<i64> {
    let (days, seconds, microseconds) = match number {
        Node::Delta { days, seconds, microseconds } => (days, seconds, microseconds),
        Node::Int(number) if number.unsigned_abs() <= MOST_UNITS => dates::timedelta(0, number * unit, 0)?,
        _ => return None,
    };
    dates::offset(days, seconds, microseconds)
}

fn text<'a>(arena: &'a Arena, node: Node) -> Option<&'a str> {
    match node {
        Node::Str { piece, .. } => std::str::from_utf8(arena.bytes(piece)).ok(),
        _ => None,
    }
}

/// The offset of a zone that has always had one, by its name.
fn named(arena: &Arena, name: Node) -> Option<i64> {
    dates::fixed_offset(text(arena, name)?)
}

/// The same, by a name or a path into the database.
fn at_path(arena: &Arena, path: Node) -> Option<i64> {
    dates::fixed_offset(text(arena, path)?.rsplit(DATABASE).next()?)
}

/// A zone of another class: a subclass of ZoneInfo, one called UTC, or one with its offset in its state.
fn by_shape(arena: &Arena, zone: &Instance, args: &[Node]) -> Option<i64> {
    let name = arena.symbol_of(zone).last_name();
    if name == "_unpickle" {
        return if args.len() == 2 { named(arena, args[0]) } else { None };
    }
    let attributes = match zone.state {
        Node::Dict(state) => arena.dicts[state as usize].items.as_slice(),
        Node::Null => &[],
        _ => return None,
    };
    let few = if attributes.len() <= MANY { attributes } else { &[] };
    let found = few.iter().find_map(|(key, value)| match (key, value) {
        (Node::Str { piece, .. }, Node::Delta { .. }) if names_offset(arena.bytes(*piece)) => span(*value, 1),
        _ => None,
    });
    let is_utc = args.is_empty() && attributes.is_empty() && UTC_CLASSES.contains(&&*name.to_ascii_lowercase());
    found.or_else(|| is_utc.then_some(0))
}

/// True for the name of an attribute with a zone's offset.
fn names_offset(name: &[u8]) -> bool {
    let has = |part: &[u8]| name.windows(part.len()).filter(|window| *window == part).count();
    let is_offset = name.ends_with(b"_offset") || name.ends_with(b"_utcoffset");
    is_offset && has(b"offset") == 1 && has(b"dst") == 0 && has(b"std") == 0
}
