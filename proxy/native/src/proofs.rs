//! Proofs about a client's bytes, for hiredis: `proxy/resp/proofs.py`, which says why.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::writers::{spelled, MAX_DIGITS};

/// Bytes that are looked at together.
const BLOCK: usize = 64;

const MAX_LENGTH_DIGITS: usize = 19;
const LARGE_COUNT_DIGITS: std::ops::RangeInclusive<usize> = 3..=9;
const SMALLEST_ARGUMENT: u64 = 6;

/// Whether hiredis, wherever in `data` it may find a header, allocates no more than `data` is worth.
#[pyfunction]
pub fn is_harmless(data: &[u8]) -> bool {
    let mut counted: u64 = 0;
    for (number, block) in data.chunks(BLOCK).enumerate() {
        if block.len() == BLOCK && !has_type(block) {
            continue;
        }
        for (at, kind) in block.iter().enumerate().filter(|(_, byte)| is_type(**byte)) {
            let behind = &data[number * BLOCK + at + 1..];
            match kind {
                b'*' => counted += large_count(behind),
                _ if is_length(behind) => return false,
                _ => {}
            }
        }
    }
    counted * SMALLEST_ARGUMENT <= data.len() as u64
}

/// Without a branch in it this takes many bytes at a time; few blocks of a large value have such a byte.
#[inline]
fn has_type(block: &[u8]) -> bool {
    block.iter().fold(0, |any, byte| any | u8::from(is_type(*byte))) > 0
}

/// Of an aggregate.
#[inline]
fn is_type(byte: u8) -> bool {
    (byte == b'*') | (byte == b'%') | (byte == b'~') | (byte == b'>') | (byte == b'|')
}

/// What stands there, if it has as many digits as matter; of more the first.
fn large_count(data: &[u8]) -> u64 {
    let digits = digits(data, *LARGE_COUNT_DIGITS.end());
    match LARGE_COUNT_DIGITS.contains(&digits) {
        true => data[..digits].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')),
        false => 0,
    }
}

/// A number as a header has it, and its CRLF.
fn is_length(data: &[u8]) -> bool {
    let data = data.strip_prefix(b"-").unwrap_or(data);
    let digits = digits(data, MAX_LENGTH_DIGITS);
    digits > 0 && data[digits..].starts_with(b"\r\n")
}

fn digits(data: &[u8], most: usize) -> usize {
    data.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count()
}

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
fn behind_header(data: &[u8], kind: u8, number: usize) -> Option<&[u8]> {
    let mut digits = [0; MAX_DIGITS];
    data.strip_prefix(&[kind])?.strip_prefix(spelled(number, &mut digits))?.strip_prefix(b"\r\n")
}
