//! Pickle instructions that both picklers write in the same way.

/// A str or bytes object: `short` has a length of one byte, `long` of four.
#[inline]
pub fn text(out: &mut Vec<u8>, short: Option<u8>, long: u8, content: &[u8]) {
    header(out, short, long, content.len());
    out.extend_from_slice(content);
}

#[inline]
pub fn header(out: &mut Vec<u8>, short: Option<u8>, long: u8, size: usize) {
    match (short, u8::try_from(size)) {
        (Some(short), Ok(size)) => out.extend_from_slice(&[short, size]),
        _ => {
            out.push(long);
            out.extend_from_slice(&(size as u32).to_le_bytes());
        }
    }
}

/// Write an int of up to 32 bits. Returns false for a longer one.
#[inline]
pub fn integer(out: &mut Vec<u8>, number: i64) -> bool {
    if let Ok(byte) = u8::try_from(number) {
        out.extend_from_slice(&[b'K', byte]);
    } else if let Ok(short) = u16::try_from(number) {
        out.push(b'M');
        out.extend_from_slice(&short.to_le_bytes());
    } else if let Ok(word) = i32::try_from(number) {
        out.push(b'J');
        out.extend_from_slice(&word.to_le_bytes());
    } else {
        return false;
    }
    true
}

/// A longer int, in two's complement.
pub fn long(out: &mut Vec<u8>, raw: &[u8]) {
    match u8::try_from(raw.len()) {
        Ok(size) => out.extend_from_slice(&[0x8a, size]),
        Err(_) => {
            out.push(0x8b);
            out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
        }
    }
    out.extend_from_slice(raw);
}

#[inline]
pub fn float(out: &mut Vec<u8>, number: f64) {
    out.push(b'G');
    out.extend_from_slice(&number.to_be_bytes());
}

/// Store the last written value in the memo, under the next index.
#[inline]
pub fn put(out: &mut Vec<u8>, protocol: u8, index: u32) {
    if protocol >= 4 {
        out.push(0x94);
    } else if let Ok(byte) = u8::try_from(index) {
        out.extend_from_slice(&[b'q', byte]);
    } else {
        out.push(b'r');
        out.extend_from_slice(&index.to_le_bytes());
    }
}

/// Write the value of a memo index.
#[inline]
pub fn get(out: &mut Vec<u8>, index: u32) {
    if let Ok(byte) = u8::try_from(index) {
        out.extend_from_slice(&[b'h', byte]);
    } else {
        out.push(b'j');
        out.extend_from_slice(&index.to_le_bytes());
    }
}
