//! The limits of one conversion, as in `proxy/codec/limits.py`, and the errors that name them.

/// Additional nodes: for the content of a tag, for the pair of an item, for a value of a class, for an
/// object that reaches itself.
pub const TAG_NODES: u64 = 1;
pub const PAIR_NODES: u64 = 1;
pub const OBJECT_NODES: u64 = 4;
pub const CYCLE_NODES: u64 = 9;
pub const RESPONSE_NODES: u64 = 19;
pub const HEADER_NODES: u64 = 3;

/// The limit for the digits of an int.
pub const MAX_INT_DIGITS: usize = 4300;

/// Depth limits above this are left to the reference, because this engine walks values by recursion.
pub const MAX_DEPTH: u64 = 150;

#[derive(Clone, Copy)]
pub struct Limits {
    pub payload_bytes: u64,
    pub decoded_bytes: u64,
    pub depth: u64,
    pub nodes: u64,
}

/// The reason why a stored value is not decoded.
#[derive(Debug, Clone)]
pub enum Failure {
    /// It cannot be decoded: the text of an UndecodableError, and the limit that the value exceeds.
    Undecodable(String, Option<&'static str>),
    /// The reference must decide.
    NotHandled,
}

pub type Verdict<T> = Result<T, Failure>;

#[cold]
pub fn undecodable<T>(text: &str) -> Verdict<T> {
    Err(Failure::Undecodable(text.to_owned(), None))
}

/// The error for a stored value over a limit, which `text` also names.
#[cold]
pub fn over_limit<T>(text: String, limit: &'static str) -> Verdict<T> {
    Err(Failure::Undecodable(text, Some(limit)))
}

impl Limits {
    #[cold]
    pub fn too_deep<T>(&self) -> Verdict<T> {
        over_limit(format!("nested more than {} deep ([limits] depth), or inside itself", self.depth), "depth")
    }

    #[cold]
    pub fn too_many<T>(&self) -> Verdict<T> {
        over_limit(format!("more than {} nodes ([limits] nodes)", self.nodes), "nodes")
    }

    #[cold]
    pub fn too_large<T>(&self) -> Verdict<T> {
        over_limit(format!("more than {} bytes ([limits] decoded_bytes)", self.decoded_bytes), "decoded_bytes")
    }
}
