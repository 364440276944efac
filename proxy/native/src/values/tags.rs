//! The tags: keys that denote a type.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    Bytes,
    ByteArray,
    Tuple,
    Set,
    FrozenSet,
    Dict,
    OrderedDict,
    Counter,
    DefaultDict,
    Deque,
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
    Zoned,
    Instance,
    Global,
    Cycle,
    Numpy,
    NdArray,
    Timestamp,
    Series,
    DataFrame,
}

pub const ALL: [(Tag, &[u8]); 30] = [
    (Tag::Bytes, b"py/bytes"),
    (Tag::ByteArray, b"py/bytearray"),
    (Tag::Tuple, b"py/tuple"),
    (Tag::Set, b"py/set"),
    (Tag::FrozenSet, b"py/frozenset"),
    (Tag::Dict, b"py/dict"),
    (Tag::OrderedDict, b"py/ordereddict"),
    (Tag::Counter, b"py/counter"),
    (Tag::DefaultDict, b"py/defaultdict"),
    (Tag::Deque, b"py/deque"),
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
    (Tag::Zoned, b"py/zoned"),
    (Tag::Instance, b"py/instance"),
    (Tag::Global, b"py/global"),
    (Tag::Cycle, b"py/cycle"),
    (Tag::Numpy, b"py/numpy"),
    (Tag::NdArray, b"py/ndarray"),
    (Tag::Timestamp, b"py/timestamp"),
    (Tag::Series, b"py/series"),
    (Tag::DataFrame, b"py/dataframe"),
];

impl Tag {
    pub fn name(self) -> &'static [u8] {
        ALL[self as usize].1
    }

    /// Whether `data` stands for it: the others are written where a rule names them.
    fn is_data(self) -> bool {
        !matches!(self, Tag::Markup | Tag::Response | Tag::Zoned) && !self.is_read_only()
    }

    /// Values of these are never written.
    fn is_read_only(self) -> bool {
        self as u32 >= Tag::Instance as u32
    }
}

/// A set of tags.
#[derive(Debug, Clone, Copy, Default)]
pub struct TagSet(u32);

impl TagSet {
    /// The set for names without `py/`. `data` means all tags except markup, response and zoned.
    pub fn of<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut set = 0;
        for name in names {
            for (tag, full) in ALL {
                let is_named = full[3..] == *name.as_bytes() && !tag.is_read_only();
                if is_named || (name == "data" && tag.is_data()) {
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

/// True if an object with this only key has a tag or is refused to writers.
pub fn is_reserved(key: &[u8]) -> bool {
    key.starts_with(b"py/")
}

/// The tag of a key.
pub fn find(key: &[u8]) -> Option<Tag> {
    if !is_reserved(key) {
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

    #[test]
    fn read_only_tags_are_in_no_set() {
        let every_name = ALL.iter().map(|(_, name)| std::str::from_utf8(&name[3..]).unwrap());
        let set = TagSet::of(every_name);
        assert!(set.has(Tag::Zoned) && set.has(Tag::Deque));
        assert!(ALL.iter().all(|(tag, _)| set.has(*tag) != tag.is_read_only()));
        assert!(!TagSet::of(["data"].into_iter()).has(Tag::Zoned));
    }
}
