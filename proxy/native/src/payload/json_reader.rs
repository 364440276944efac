//! The strict JSON reader: RFC 8259, within the limits. The reference reads a refused payload again and makes the error.

use crate::limits::{Limits, MAX_INT_DIGITS};
use crate::payload::json_writer::{find_either, plain_prefix};
use crate::payload::tape::{Tape, Token};
use crate::unpickle::node::Piece;
use crate::values::bigint::BigInt;

/// A number of so many digits always fits into 64 bits.
const FEW_DIGITS: usize = 18;

/// An open container.
struct Open {
    at: usize,
    count: u32,
    first_key: usize,
    is_dict: bool,
}

struct Reader<'a> {
    data: &'a [u8],
    pos: usize,
    tape: Tape<'a>,
    open: Vec<Open>,
    nodes: u64,
    limits: Limits,
}

/// True if a key may begin with `py/`, directly or in escapes.
pub fn may_have_tags(payload: &[u8]) -> bool {
    let mut rest = payload;
    while let Some(at) = find_either(rest, b'/', b'\\') {
        let found = match rest[at] {
            b'/' => rest[..at].ends_with(b"py"),
            _ => rest[at + 1..].starts_with(b"/") || rest[at + 1..].starts_with(b"u00"),
        };
        if found {
            return true;
        }
        // The search looks at the bytes before a slash, so the text ends after the slash.
        rest = &rest[at + 1..];
    }
    false
}

/// Read a payload. None if it is not JSON or over the limits.
pub fn read(payload: &[u8], limits: Limits) -> Option<Tape<'_>> {
    std::str::from_utf8(payload).ok()?;
    let reader =
        Reader { data: payload, pos: 0, tape: Tape::new(payload), open: Vec::with_capacity(8), nodes: 0, limits };
    reader.read()
}

impl<'a> Reader<'a> {
    fn read(mut self) -> Option<Tape<'a>> {
        loop {
            if self.value()? {
                continue; // a container has begun: continue with its first value
            }
            while self.ends()? {}
            if self.open.is_empty() {
                self.skip_space();
                return (self.pos == self.data.len()).then_some(self.tape);
            }
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.data.get(self.pos).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.pos += 1;
        }
    }

    /// Read a value, or the beginning of a container that has parts. Returns whether it was such a beginning.
    #[inline]
    fn value(&mut self) -> Option<bool> {
        self.skip_space();
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return None;
        }
        match self.peek()? {
            b'"' => {
                let piece = self.string()?;
                self.tape.tokens.push(Token::Str(piece));
            }
            b'{' => return self.begin(true, b'}'),
            b'[' => return self.begin(false, b']'),
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.word(b"true", Token::Bool(true))?,
            b'f' => self.word(b"false", Token::Bool(false))?,
            b'n' => self.word(b"null", Token::Null)?,
            _ => return None,
        }
        Some(false)
    }

    fn word(&mut self, word: &[u8], token: Token) -> Option<()> {
        if !self.data[self.pos..].starts_with(word) {
            return None;
        }
        self.pos += word.len();
        self.tape.tokens.push(token);
        Some(())
    }

    /// Read the beginning of a container. Returns whether it has parts.
    #[inline]
    fn begin(&mut self, is_dict: bool, end: u8) -> Option<bool> {
        self.pos += 1;
        let at = self.tape.tokens.len();
        self.tape.tokens.push(match is_dict {
            true => Token::Dict { count: 0, size: 0 },
            false => Token::List { count: 0, size: 0 },
        });
        self.skip_space();
        if self.peek()? == end {
            self.pos += 1;
            return Some(false);
        }
        if self.open.len() as u64 >= self.limits.depth {
            return None;
        }
        self.open.push(Open { at, count: 0, first_key: self.tape.first_key(), is_dict });
        if is_dict {
            self.key()?;
        }
        Some(true)
    }

    #[inline]
    fn key(&mut self) -> Option<()> {
        self.skip_space();
        if self.peek()? != b'"' {
            return None;
        }
        let piece = self.string()?;
        self.tape.key(piece);
        self.skip_space();
        if self.peek()? != b':' {
            return None;
        }
        self.pos += 1;
        Some(())
    }

    /// After a value: true if its container ends here, so that the container is complete too.
    #[inline]
    fn ends(&mut self) -> Option<bool> {
        let open = match self.open.last_mut() {
            Some(open) => open,
            None => return Some(false),
        };
        open.count += 1;
        let is_dict = open.is_dict;
        self.skip_space();
        let byte = self.peek()?;
        self.pos += 1;
        match (byte, is_dict) {
            (b',', true) => {
                self.key()?;
                Some(false)
            }
            (b',', false) => Some(false),
            (b'}', true) => {
                let open = self.open.pop()?;
                self.tape.close_dict(open.at, open.count, open.first_key);
                Some(true)
            }
            (b']', false) => {
                let open = self.open.pop()?;
                self.tape.close_list(open.at, open.count);
                Some(true)
            }
            _ => None,
        }
    }

    // -- numbers -------------------------------------------------------------------------------------------

    #[inline]
    fn digits(&mut self) -> usize {
        let start = self.pos;
        while let Some(b'0'..=b'9') = self.peek() {
            self.pos += 1;
        }
        self.pos - start
    }

    #[inline]
    fn number(&mut self) -> Option<()> {
        let start = self.pos;
        let negative = self.peek() == Some(b'-');
        self.pos += usize::from(negative);
        let first = self.pos;
        let count = self.digits();
        if count == 0 || (count > 1 && self.data[first] == b'0') {
            return None;
        }
        if let Some(b'.' | b'e' | b'E') = self.peek() {
            return self.float(start);
        }
        let digits = &self.data[first..first + count];
        if count > FEW_DIGITS {
            if count + usize::from(negative) > MAX_INT_DIGITS {
                return None;
            }
            self.tape.big(BigInt::from_digits(negative, digits));
            return Some(());
        }
        let value = digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        self.tape.tokens.push(Token::Int(if negative { -value } else { value }));
        Some(())
    }

    fn float(&mut self, start: usize) -> Option<()> {
        if self.peek() == Some(b'.') {
            self.pos += 1;
            if self.digits() == 0 {
                return None;
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.pos += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.pos += 1;
            }
            if self.digits() == 0 {
                return None;
            }
        }
        let text = std::str::from_utf8(&self.data[start..self.pos]).ok()?;
        let value: f64 = text.parse().ok()?;
        if !value.is_finite() {
            return None;
        }
        self.tape.tokens.push(Token::Float(value));
        Some(())
    }

    // -- strings -------------------------------------------------------------------------------------------

    /// Read a string. Its opening quote is at the current position.
    #[inline(always)] // a returned value would have to go through memory
    fn string(&mut self) -> Option<Piece> {
        let start = self.pos + 1;
        let plain = plain_prefix(&self.data[start..]);
        let end = start + plain;
        match self.data.get(end)? {
            b'"' => {
                self.pos = end + 1;
                Some(Piece { start: start as u32, size: plain as u32 })
            }
            b'\\' => self.escaped(start, end),
            _ => None, // a control character
        }
    }

    /// Read a string with escapes. The first escape is at `at`.
    #[cold]
    fn escaped(&mut self, start: usize, at: usize) -> Option<Piece> {
        let kept = self.tape.extra_size();
        self.tape.extra().extend_from_slice(&self.data[start..at]);
        self.pos = at;
        loop {
            match self.peek()? {
                b'"' => {
                    self.pos += 1;
                    return Some(self.tape.extra_piece(kept));
                }
                b'\\' => self.escape()?,
                0..=0x1f => return None,
                _ => {
                    let plain = plain_prefix(&self.data[self.pos..]);
                    let text = &self.data[self.pos..self.pos + plain];
                    self.tape.extra().extend_from_slice(text);
                    self.pos += plain;
                }
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let code = *self.data.get(self.pos + 1)?;
        self.pos += 2;
        let byte = match code {
            b'"' | b'\\' | b'/' => code,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(),
            _ => return None,
        };
        self.tape.extra().push(byte);
        Some(())
    }

    /// After `\u`: read one escape, or both escapes of a surrogate pair.
    fn unicode(&mut self) -> Option<()> {
        let first = self.hex()?;
        let code = match first {
            0xd800..=0xdbff => {
                if self.data.get(self.pos..self.pos + 2)? != b"\\u" {
                    return None;
                }
                self.pos += 2;
                let second = self.hex()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return None;
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            _ => first,
        };
        let mut buffer = [0; 4];
        let text = char::from_u32(code)?.encode_utf8(&mut buffer).as_bytes();
        self.tape.extra().extend_from_slice(text);
        Some(())
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.data.get(self.pos..self.pos + 4)?;
        let mut code = 0;
        for digit in digits {
            code = code << 4 | char::from(*digit).to_digit(16)?;
        }
        self.pos += 4;
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { payload_bytes: 1 << 20, decoded_bytes: 1 << 20, depth: 3, nodes: 10 };

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "[",
            "[1",
            "[1,",
            "[,]",
            "[1,]",
            "{",
            "{1:2}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "1e",
            "-",
            "+1",
            "tru",
            "nul",
            "\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\n\"",
            "1 2",
            "[1]]",
            "{\"a\":1]",
            "NaN",
            "1e999",
        ] {
            assert!(read(text.as_bytes(), LIMITS).is_none(), "{}", text);
        }
    }

    #[test]
    fn the_limits_hold() {
        assert!(read(b"[[[1]]]", LIMITS).is_some());
        assert!(read(b"[[[[]]]]", LIMITS).is_some());
        assert!(read(b"[[[[1]]]]", LIMITS).is_none());
        assert!(read(b"[1,2,3,4,5,6,7,8,9]", LIMITS).is_some());
        assert!(read(b"[1,2,3,4,5,6,7,8,9,0]", LIMITS).is_none());
    }

    #[test]
    fn of_equal_keys_the_last_wins_in_the_place_of_the_first() {
        let tape = read(br#"{"a":[1],"b":2,"\u0061":{"c":3}}"#, LIMITS).unwrap();
        assert!(matches!(
            tape.tokens[..],
            [
                Token::Dict { count: 2, size: 6 },
                Token::Key(0),
                Token::Dict { count: 1, size: 2 },
                Token::Key(2),
                Token::Int(3),
                Token::Key(1),
                Token::Int(2)
            ]
        ));
    }

    #[test]
    fn tags_are_suspected_wherever_they_may_be() {
        for text in ["py/x", "\\/", "a\\u0070", "/py/"] {
            assert!(may_have_tags(text.as_bytes()), "{}", text);
        }
        for text in ["", "p/y", "\\n", "\\u20ac", "py", "/"] {
            assert!(!may_have_tags(text.as_bytes()), "{}", text);
        }
    }
}
