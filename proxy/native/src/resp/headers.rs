//! Parses the headers of RESP values, and makes the errors for invalid ones.

use pyo3::prelude::*;
use pyo3::sync::GILOnceCell;
use pyo3::types::PyType;

pub const MAX_HEADER_BYTES: usize = 64;

/// The limit for numbers in headers. Larger ones cannot be true, and sums of smaller ones do not overflow.
pub const HUGE: i64 = i64::MAX / 16;

/// The reference's FramingError, which callers catch.
static FRAMING_ERROR: GILOnceCell<Py<PyType>> = GILOnceCell::new();

#[cold]
pub fn wrong<T>(py: Python<'_>, text: &str) -> PyResult<T> {
    let class =
        FRAMING_ERROR.get_or_try_init(py, || py.import("proxy.resp.errors")?.getattr("FramingError")?.extract())?;
    Err(PyErr::from_type(class.bind(py).clone(), text.to_owned()))
}

pub fn find(data: &[u8], wanted: u8) -> Option<usize> {
    data.iter().position(|byte| *byte == wanted)
}

/// The position of a CRLF within the length of a header.
#[inline]
pub fn find_end(data: &[u8], within: usize) -> Option<usize> {
    let data = &data[..data.len().min(within)];
    data.windows(2).position(|pair| pair == b"\r\n")
}

/// A bulk string that comes in parts ends in CRLF. `stop`: the end of the part that has just come, of `step` bytes. `left`:
/// the bytes that are missing, CRLF included.
pub fn is_right_bulk(data: &[u8], stop: usize, step: usize, left: usize) -> bool {
    match left {
        // If this part has one byte, the CR was the last byte of an earlier part and was checked there.
        0 => data[stop - 1] == b'\n' && (step == 1 || data[stop - 2] == b'\r'),
        1 => data[stop - 1] == b'\r',
        _ => true,
    }
}

pub fn is_line(kind: u8) -> bool {
    matches!(kind, b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(')
}

/// The number of values for each counted element of an aggregate.
pub fn elements_per_count(kind: u8) -> Option<i64> {
    match kind {
        b'*' | b'~' | b'>' => Some(1),
        b'%' | b'|' => Some(2),
        _ => None,
    }
}

/// Digits, or -1.
#[inline]
pub fn number(py: Python<'_>, text: &[u8]) -> PyResult<i64> {
    let mut value: i64 = 0;
    for digit in text {
        if !digit.is_ascii_digit() {
            return if text == b"-1" { Ok(-1) } else { wrong(py, "a header without a number") };
        }
        value = (value * 10 + i64::from(digit - b'0')).min(HUGE / 10);
    }
    if text.is_empty() {
        return wrong(py, "a header without a number");
    }
    Ok(value)
}

/// The start and end of the payload, if the bulk string at the head is complete.
#[inline]
pub fn whole_bulk(data: &[u8]) -> Option<(usize, usize)> {
    let (start, size) = bulk_header(data)?;
    let stop = size.checked_add(start)?;
    (data.get(stop..stop.checked_add(2)?)? == b"\r\n").then_some((start, stop))
}

/// The start and the size of the payload of the bulk string at the head, whose header is complete.
#[inline]
pub fn bulk_header(data: &[u8]) -> Option<(usize, usize)> {
    let end = find_end(data, MAX_HEADER_BYTES)?;
    let text = data.strip_prefix(b"$")?.get(..end - 1)?;
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some((end + 2, std::str::from_utf8(text).ok()?.parse().ok()?))
}

/// The length of the plain value at the head, if it is complete: a bulk string, a null, a status or a number.
#[inline]
pub fn plain_value(data: &[u8]) -> Option<usize> {
    match data.first()? {
        b'$' if data.starts_with(b"$-1\r\n") => Some(5),
        b'$' => whole_bulk(data).map(|(_, stop)| stop + 2),
        b'+' | b':' | b'_' => {
            let end = find_end(data, MAX_HEADER_BYTES)?;
            (!data[..end].contains(&b'\n')).then_some(end + 2)
        }
        _ => None,
    }
}

/// Whether a whole value of RESP is a bulk string with the mark of Flask's caches and a pickle.
#[inline]
pub fn is_flask(value: &[u8]) -> bool {
    if !value.starts_with(b"$") {
        return false;
    }
    match whole_bulk(value) {
        Some((start, stop)) => value[start] == b'!' && is_marked_pickle(&value[start..stop]),
        None => false,
    }
}

/// The same for its payload, which begins with the mark.
fn is_marked_pickle(payload: &[u8]) -> bool {
    match payload.get(1) {
        Some(0x80) => matches!(payload.get(2), Some(2..=5)),
        Some(opcode) if b"(])}NISVLFcKMJGUTX".contains(opcode) => {
            payload.ends_with(b".") && (payload.len() <= 4 || payload.contains(&b'\n'))
        }
        _ => false,
    }
}

#[cold]
pub fn unknown<T>(py: Python<'_>, kind: u8) -> PyResult<T> {
    wrong(py, &format!("unknown reply type {:#04x}", kind))
}
