//! The proof that a stream's bytes are what its commands say: `proxy/resp/canonical.py`.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

/// Digits of the longest length.
const MAX_DIGITS: usize = 20;

/// Where each command ends in `data`, if from `start` on all of them stand there in canonical RESP; None: not so.
#[pyfunction]
pub fn canonical_ends(commands: &Bound<'_, PyList>, data: &[u8], start: usize) -> PyResult<Option<Vec<usize>>> {
    let mut ends = Vec::with_capacity(commands.len());
    let mut rest = match data.get(start..) {
        Some(rest) => rest,
        None => return Ok(None),
    };
    for command in commands {
        match behind_command(rest, command.downcast::<PyList>()?)? {
            Some(behind) => rest = behind,
            None => return Ok(None),
        }
        ends.push(data.len() - rest.len());
    }
    Ok(Some(ends))
}

fn behind_command<'a>(data: &'a [u8], args: &Bound<'_, PyList>) -> PyResult<Option<&'a [u8]>> {
    let mut rest = behind_header(data, b'*', args.len());
    for arg in args {
        let arg = arg.downcast_into::<PyBytes>()?;
        let arg = arg.as_bytes();
        rest = rest
            .and_then(|rest| behind_header(rest, b'$', arg.len()))
            .and_then(|rest| rest.strip_prefix(arg))
            .and_then(|rest| rest.strip_prefix(b"\r\n"));
    }
    Ok(rest)
}

#[inline]
fn behind_header(data: &[u8], kind: u8, mut number: usize) -> Option<&[u8]> {
    let mut digits = [0; MAX_DIGITS];
    let mut first = MAX_DIGITS;
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    data.strip_prefix(&[kind])?.strip_prefix(&digits[first..])?.strip_prefix(b"\r\n")
}
