//! Many requests or replies in one piece: `proxy/resp/writers.py`.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

/// Bytes of a header besides its digits, and of the CRLF behind what it heads.
const AROUND: usize = 5;
/// Of any number.
pub const MAX_DIGITS: usize = 20;

/// Bulk string replies.
#[pyfunction]
pub fn bulks<'py>(py: Python<'py>, payloads: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::with_capacity(space_for(payloads)?);
    for payload in payloads {
        bulk(&mut out, payload.downcast::<PyBytes>()?.as_bytes());
    }
    Ok(PyBytes::new(py, &out))
}

/// Requests: arrays of bulk strings.
#[pyfunction]
pub fn commands<'py>(py: Python<'py>, requests: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::new();
    for request in requests {
        let args = request.downcast::<PyList>()?;
        out.reserve(AROUND + MAX_DIGITS + space_for(args)?);
        header(&mut out, b'*', args.len());
        for arg in args {
            bulk(&mut out, arg.downcast::<PyBytes>()?.as_bytes());
        }
    }
    Ok(PyBytes::new(py, &out))
}

fn space_for(strings: &Bound<'_, PyList>) -> PyResult<usize> {
    let mut space = 0;
    for string in strings {
        space += string.downcast::<PyBytes>()?.as_bytes().len() + MAX_DIGITS + AROUND;
    }
    Ok(space)
}

#[inline]
fn bulk(out: &mut Vec<u8>, payload: &[u8]) {
    header(out, b'$', payload.len());
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn header(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    let mut digits = [0; MAX_DIGITS];
    out.extend_from_slice(spelled(number, &mut digits));
    out.extend_from_slice(b"\r\n");
}

/// A number as RESP has it.
#[inline]
pub fn spelled(mut number: usize, digits: &mut [u8; MAX_DIGITS]) -> &[u8] {
    let mut first = MAX_DIGITS;
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[first..];
        }
    }
}
