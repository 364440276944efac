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

/// Some of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct TagSet(u32);

impl TagSet {
    /// Of names without their `py/`; `data` is all but markup and response.
    pub fn of<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut set = 0;
        for name in names {
            for (tag, full) in ALL {
                let is_data = tag != Tag::Markup && tag != Tag::Response;
                if full[3..] == *name.as_bytes() || (name == "data" && is_data) {
                    set |= 1 << tag as u32;
                }
            }
        }
        TagSet(set)
    }

    pub fn has(self, tag: Tag) -> bool {
        self.0 & 1 << tag as u32 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
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
