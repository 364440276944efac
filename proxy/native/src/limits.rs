//! What one conversion may cost: the numbers of `proxy/codec/limits.py`, and the verdicts that name them.

/// Beyond the value itself: what stands under a tag, the pair of an item, a value of a class.
pub const TAG_NODES: u64 = 1;
pub const PAIR_NODES: u64 = 1;
pub const OBJECT_NODES: u64 = 4;
pub const RESPONSE_NODES: u64 = 19;
pub const HEADER_NODES: u64 = 3;

/// Ints have at most so many digits.
pub const MAX_INT_DIGITS: usize = 4300;

/// Deeper limits than this are left to the reference: here values are walked by recursion.
pub const MAX_DEPTH: u64 = 150;

#[derive(Clone, Copy)]
pub struct Limits {
    pub payload_bytes: u64,
    pub decoded_bytes: u64,
    pub depth: u64,
    pub nodes: u64,
}

/// Why a stored value is not decoded.
#[derive(Debug, Clone)]
pub enum Failure {
    /// It cannot be: the text of an UndecodableError.
    Undecodable(String),
    /// The reference must say.
    NotHandled,
}

pub type Verdict<T> = Result<T, Failure>;

#[cold]
pub fn undecodable<T>(text: &str) -> Verdict<T> {
    Err(Failure::Undecodable(text.to_owned()))
}

impl Limits {
    #[cold]
    pub fn too_deep<T>(&self) -> Verdict<T> {
        Err(Failure::Undecodable(format!("nested more than {} deep ([limits] depth), or inside itself", self.depth)))
    }

    #[cold]
    pub fn too_many<T>(&self) -> Verdict<T> {
        Err(Failure::Undecodable(format!("more than {} nodes ([limits] nodes)", self.nodes)))
    }

    #[cold]
    pub fn too_large<T>(&self) -> Verdict<T> {
        Err(Failure::Undecodable(format!("more than {} bytes ([limits] decoded_bytes)", self.decoded_bytes)))
    }
}
