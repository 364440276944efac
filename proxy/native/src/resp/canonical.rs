//! Checks of a client's bytes for hiredis. `proxy/resp/canonical.py` explains them.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::resp::encode::{spelled, MAX_DIGITS};

/// Longer numbers cannot be true in one chunk. Sums of two shorter ones do not overflow.
const MAX_NUMBER_DIGITS: usize = 9;

/// The number of bytes of `data` that hiredis may parse: the complete canonical commands at its head.
#[pyfunction]
pub fn harmless_bytes(data: &[u8]) -> usize {
    whole_commands(data).0
}

/// The number of canonical commands in `data`, if it has nothing else; else -1.
#[pyfunction]
pub fn count_commands(data: &[u8]) -> isize {
    match whole_commands(data) {
        (size, count) if size == data.len() => isize::try_from(count).unwrap_or(-1),
        _ => -1,
    }
}

/// The bytes of the complete canonical commands at the head of `data`, and the number of these commands.
pub fn whole_commands(data: &[u8]) -> (usize, usize) {
    let (mut rest, mut count) = (data, 0);
    while let Some(behind) = behind_whole_command(rest) {
        rest = behind;
        count += 1;
    }
    (data.len() - rest.len(), count)
}

fn behind_whole_command(data: &[u8]) -> Option<&[u8]> {
    let (count, mut rest) = number(data, b'*')?;
    if count == 0 {
        return None;
    }
    for _ in 0..count {
        rest = whole_bulk(rest)?.1;
    }
    Some(rest)
}

/// Count the complete canonical bulk strings at the head of `data`: at most `most`, within `room` bytes. Returns their
/// number, the end of the last one, and whether a valid beginning of another one follows.
#[pyfunction]
pub fn whole_bulks(data: &[u8], most: usize, room: usize) -> (usize, usize, bool) {
    let within = &data[..data.len().min(room)];
    let (mut count, mut rest) = (0, within);
    while count < most {
        match whole_bulk(rest) {
            Some((_, behind)) => rest = behind,
            None => break,
        }
        count += 1;
    }
    let end = within.len() - rest.len();
    (count, end, count < most && begins_bulk(&data[end..], room - end))
}

fn begins_bulk(data: &[u8], room: usize) -> bool {
    match number(data, b'$') {
        Some((length, body)) => body.len() < length + 2 && data.len() - body.len() + length + 2 <= room,
        None => data.len() <= room && (data.is_empty() || (data[0] == b'$' && is_cut_header(&data[1..]))),
    }
}

/// True if `data` is the valid beginning of an incomplete canonical command, within the limits so far.
#[pyfunction]
pub fn begins_command(data: &[u8], arguments: usize, room: usize) -> bool {
    let (count, rest) = match number(data, b'*') {
        Some((0, _)) => return false,
        Some(header) => header,
        None => return data.first() == Some(&b'*') && is_cut_header(&data[1..]) && !data.starts_with(b"*0"),
    };
    let (_, _, begins) = whole_bulks(rest, count, room.saturating_sub(data.len() - rest.len()));
    count <= arguments && begins
}

/// A cut header: digits, maybe no digits yet, and maybe a CR.
fn is_cut_header(text: &[u8]) -> bool {
    let digits = digits(text);
    let is_number = digits > 0 && (digits == 1 || text[0] != b'0');
    text.is_empty() || (is_number && (text.len() == digits || &text[digits..] == b"\r"))
}

/// The payload of the whole bulk string at the head, and the bytes behind it.
#[inline]
pub fn whole_bulk(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(data, b'$')?;
    Some((rest.get(..length)?, rest.get(length..)?.strip_prefix(b"\r\n")?))
}

/// The number in a canonical header, and the bytes after the header.
#[inline]
pub fn number(data: &[u8], kind: u8) -> Option<(usize, &[u8])> {
    let text = data.strip_prefix(&[kind])?;
    let digits = digits(text);
    if digits == 0 || (digits > 1 && text[0] == b'0') {
        return None;
    }
    let number = text[..digits].iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    Some((number, text[digits..].strip_prefix(b"\r\n")?))
}

#[inline]
fn digits(text: &[u8]) -> usize {
    text.iter().take(MAX_NUMBER_DIGITS).take_while(|byte| byte.is_ascii_digit()).count()
}

/// The end of each command in `data`, if `data` has their canonical encodings from `start` on. Otherwise None.
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

pub fn behind_command<'a>(data: &'a [u8], args: &Bound<'_, PyList>) -> PyResult<Option<&'a [u8]>> {
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
