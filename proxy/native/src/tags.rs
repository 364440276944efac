//! The keys that mean a type.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    Bytes,
    ByteArray,
    Tuple,
    Set,
    FrozenSet,
    Dict,
    OrderedDict,
    DateTime,
    Date,
    Time,
    TimeDelta,
    Decimal,
    Uuid,
    Complex,
    Float,
    Int,
    Markup,
    Response,
}

pub const ALL: [(Tag, &[u8]); 18] = [
    (Tag::Bytes, b"py/bytes"),
    (Tag::ByteArray, b"py/bytearray"),
    (Tag::Tuple, b"py/tuple"),
    (Tag::Set, b"py/set"),
    (Tag::FrozenSet, b"py/frozenset"),
    (Tag::Dict, b"py/dict"),
    (Tag::OrderedDict, b"py/ordereddict"),
    (Tag::DateTime, b"py/datetime"),
    (Tag::Date, b"py/date"),
    (Tag::Time, b"py/time"),
    (Tag::TimeDelta, b"py/timedelta"),
    (Tag::Decimal, b"py/decimal"),
    (Tag::Uuid, b"py/uuid"),
    (Tag::Complex, b"py/complex"),
    (Tag::Float, b"py/float"),
    (Tag::Int, b"py/int"),
    (Tag::Markup, b"py/markup"),
    (Tag::Response, b"py/response"),
];

impl Tag {
    pub fn name(self) -> &'static [u8] {
        ALL[self as usize].1
    }
}

/// The tag that a key is.
pub fn find(key: &[u8]) -> Option<Tag> {
    if !key.starts_with(b"py/") {
        return None;
    }
    ALL.iter().find(|(_, name)| *name == key).map(|(tag, _)| *tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_is_found_by_its_name() {
        for (tag, name) in ALL {
            assert_eq!(tag.name(), name);
            assert_eq!(find(name), Some(tag));
        }
    }
}
