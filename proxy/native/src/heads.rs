//! What the first bytes of a RESP value say of it, and what is wrong with them.

use pyo3::prelude::*;
use pyo3::sync::GILOnceCell;
use pyo3::types::PyType;

pub const MAX_HEADER_BYTES: usize = 64;

/// Larger numbers than any that could come true: sums of them do not overflow.
pub const HUGE: i64 = i64::MAX / 16;

/// FramingError of the reference, which callers catch.
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

/// Where a CRLF is, looked for in as many bytes as a header may have.
#[inline]
pub fn find_end(data: &[u8], within: usize) -> Option<usize> {
    let data = &data[..data.len().min(within)];
    data.windows(2).position(|pair| pair == b"\r\n")
}

pub fn is_line(kind: u8) -> bool {
    matches!(kind, b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(')
}

/// How many values each counted element of an aggregate is.
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

/// Where the payload of the whole bulk at the head begins and ends.
#[inline]
pub fn whole_bulk(data: &[u8]) -> Option<(usize, usize)> {
    let end = find_end(data, MAX_HEADER_BYTES)?;
    let text = data.strip_prefix(b"$")?.get(..end - 1)?;
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size: usize = std::str::from_utf8(text).ok()?.parse().ok()?;
    let stop = size.checked_add(end + 2)?;
    (data.get(stop..stop.checked_add(2)?)? == b"\r\n").then_some((end + 2, stop))
}

/// The bytes of the whole plain value at the head: a bulk, a null, a status or a number.
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

#[cold]
pub fn unknown<T>(py: Python<'_>, kind: u8) -> PyResult<T> {
    wrong(py, &format!("unknown reply type {:#04x}", kind))
}
