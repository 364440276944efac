//! The splitter of a shared connection. `proxy/resp/reply_splitter.py` has the contract. This part knows no owners: it
//! finds the ends of replies.

use crate::resp::headers::{elements_per_count, find, find_end, is_line, is_right_bulk, MAX_HEADER_BYTES};

const MAX_DIGITS: usize = 15;

/// The texts of errors.
pub type Fault = String;

#[derive(Default)]
pub struct Splitter {
    /// Unfinished values in the reply that has begun, with nested ones.
    values_left: i64,
    /// Remaining bytes of its current bulk string, with the CRLF.
    pub bulk_left: usize,
    /// A line is partly handed on, and whether its last byte was a CR.
    in_line: bool,
    after_cr: bool,
}

impl Splitter {
    /// Go on with the reply at `pos`. Returns where its received bytes end, and whether it does.
    pub fn reply(&mut self, data: &[u8], start: usize) -> Result<(usize, bool), Fault> {
        let mut pos = start;
        let mut left = self.values_left.max(1);
        while left > 0 && pos < data.len() {
            if self.bulk_left > 0 {
                pos = self.skip_bulk(data, pos)?;
                left -= i64::from(self.bulk_left == 0);
                continue;
            }
            let kind = data[pos];
            if self.in_line || is_line(kind) {
                pos = self.skip_line(data, pos)?;
                left -= i64::from(!self.in_line);
                continue;
            }
            let end = match find_end(&data[pos..], MAX_HEADER_BYTES) {
                Some(end) => pos + end,
                None if data.len() - pos >= MAX_HEADER_BYTES => return Err("a header without end".into()),
                None => break,
            };
            let count = number(data.get(pos + 1..end).unwrap_or(b""))?;
            match (kind, elements_per_count(kind)) {
                (b'>' | b'|', _) => return Err(out_of_turn(kind)),
                (_, Some(elements)) => left = left.saturating_add(count.unwrap_or(0) * elements - 1),
                (b'$' | b'=' | b'!', None) => match count {
                    None => left -= 1,
                    Some(size) => self.bulk_left = usize::try_from(size).unwrap_or(usize::MAX - 2) + 2,
                },
                _ => return Err(format!("unknown reply type {:#04x}", kind)),
            }
            pos = end + 2;
        }
        if pos > start {
            self.values_left = left;
        }
        Ok((pos, left == 0))
    }

    /// The position after the received bytes of the bulk string. It must end in CRLF.
    fn skip_bulk(&mut self, data: &[u8], pos: usize) -> Result<usize, Fault> {
        let step = self.bulk_left.min(data.len() - pos);
        let stop = pos + step;
        self.bulk_left -= step;
        if is_right_bulk(data, stop, step, self.bulk_left) {
            Ok(stop)
        } else {
            Err("a bulk without its CRLF".into())
        }
    }

    /// The position after the received bytes of the line.
    fn skip_line(&mut self, data: &[u8], pos: usize) -> Result<usize, Fault> {
        let rest = &data[pos..];
        let end = match find(rest, b'\n') {
            Some(end) => end,
            None => {
                self.in_line = true;
                self.after_cr = rest.ends_with(b"\r");
                return Ok(data.len());
            }
        };
        if !(if end > 0 { rest[end - 1] == b'\r' } else { self.after_cr }) {
            return Err("a line without its CR".into());
        }
        self.in_line = false;
        Ok(pos + end + 1)
    }
}

fn out_of_turn(kind: u8) -> Fault {
    if kind == b'>' { "a push" } else { "an attribute" }.into()
}

/// Digits, or None for -1.
fn number(text: &[u8]) -> Result<Option<i64>, Fault> {
    if text == b"-1" {
        return Ok(None);
    }
    if text.is_empty() || text.len() > MAX_DIGITS || !text.iter().all(u8::is_ascii_digit) {
        return Err("a header without a number".into());
    }
    Ok(Some(text.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))))
}
