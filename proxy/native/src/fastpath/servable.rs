//! A first look at values for keys of cached views. `proxy/codec/unservable.py` has the rule.

/// The bytes before the first opcode of a pickle: the mark of Flask's caches, `PROTO`, and `FRAME` from protocol 4 on.
const PROTO: usize = 3;
const FRAME: usize = 9;

/// True if Flask can surely serve the value. False: the rule has to look at it.
pub fn is_surely_servable(stored: &[u8]) -> bool {
    if stored.first() != Some(&b'!') {
        return matches!(stored.first(), Some(b'{' | b'[' | b'"'));
    }
    let start = if stored.get(PROTO) == Some(&0x95) { PROTO + FRAME } else { PROTO };
    match stored.get(start..) {
        Some([b'X' | b']' | b'}' | b')' | b'(', ..]) => true,
        Some([0x8c, _, text @ ..]) => !text.starts_with(b"decimal") && !text.starts_with(b"builtins"),
        _ => false,
    }
}
