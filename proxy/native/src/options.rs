//! The options of a rule and a listener for values: `Options` of `proxy/codec/transcoder.py`.

use crate::limits::Limits;
use crate::values::glob::ClassNames;
use crate::values::tags::TagSet;

/// How values are stored: `STORAGES` of `proxy/codec/envelope.py`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    Flask,
    Pickle,
    Django,
    Json,
}

impl Storage {
    /// The storage with this name in a rule. The name has been checked.
    pub fn named(name: &str) -> Self {
        match name {
            "pickle" => Storage::Pickle,
            "django" => Storage::Django,
            "json" => Storage::Json,
            _ => Storage::Flask,
        }
    }

    /// The byte before a pickle.
    pub fn mark(self) -> Option<u8> {
        (self == Storage::Flask).then_some(b'!')
    }

    /// True if ints are ASCII digits.
    pub fn has_digits(self) -> bool {
        self != Storage::Pickle
    }
}

/// How a value is read.
pub struct Reading {
    pub limits: Limits,
    pub msgpack: bool,
    pub plain: bool,
    /// Datetimes without a zone get a Z, where they are plain.
    pub naive_is_utc: bool,
    pub storage: Storage,
    /// Ints beyond 2^53 are tagged.
    pub safe_ints: bool,
    /// The names of classes that may be read.
    pub classes: ClassNames,
    /// The values are cached views. True: their Content-Type is JSON.
    pub view: Option<bool>,
}

/// How a value is written.
#[derive(Clone)]
pub struct Writing {
    pub limits: Limits,
    pub msgpack: bool,
    pub protocol: u8,
    pub storage: Storage,
    /// Tags that writers may use.
    pub accepted: TagSet,
    /// The values are cached views: their Content-Type, and whether it is JSON.
    pub view: Option<(String, bool)>,
}
