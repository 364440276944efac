//! The msgpack reader, within the limits: all types except ext and keys that are not strings. The reference reads a
//! refused payload again. https://github.com/msgpack/msgpack/blob/master/spec.md

use crate::limits::{Limits, TAG_NODES};
use crate::payload::json_writer::find_either;
use crate::payload::tape::{Tape, Token};
use crate::unpickle::node::Piece;
use crate::values::bigint::BigInt;

/// An open container.
struct Open {
    at: usize,
    count: u32,
    left: u32,
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

/// True if a key may begin with `py/`.
pub fn may_have_tags(payload: &[u8]) -> bool {
    let mut rest = payload;
    while let Some(at) = find_either(rest, b'/', b'/') {
        if rest[..at].ends_with(b"py") {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Read a payload. None if it is refused or over the limits.
pub fn read(payload: &[u8], limits: Limits) -> Option<Tape<'_>> {
    let mut reader =
        Reader { data: payload, pos: 0, tape: Tape::new(payload), open: Vec::with_capacity(8), nodes: 0, limits };
    reader.value()?;
    while let Some(open) = reader.open.last_mut() {
        if open.left == 0 {
            reader.close()?;
            continue;
        }
        open.left -= 1;
        if open.is_dict {
            reader.key()?;
        }
        reader.value()?;
    }
    (reader.pos == payload.len()).then_some(reader.tape)
}

impl<'a> Reader<'a> {
    #[inline]
    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.data.get(self.pos..self.pos + N)?;
        self.pos += N;
        let mut fixed = [0; N];
        fixed.copy_from_slice(bytes);
        Some(fixed)
    }

    /// Read a size of 8, 16 or 32 bits. `code` minus the first of the three codes gives its width.
    #[inline]
    fn size(&mut self, code: u8, first: u8) -> Option<u32> {
        Some(match code - first {
            0 => u32::from(u8::from_be_bytes(self.fixed()?)),
            1 => u32::from(u16::from_be_bytes(self.fixed()?)),
            _ => u32::from_be_bytes(self.fixed()?),
        })
    }

    #[inline]
    fn piece(&mut self, size: u32) -> Option<Piece> {
        let end = self.pos.checked_add(size as usize)?;
        if end > self.data.len() {
            return None;
        }
        let piece = Piece { start: self.pos as u32, size };
        self.pos = end;
        Some(piece)
    }

    #[inline]
    fn text(&mut self, size: u32) -> Option<Piece> {
        let piece = self.piece(size)?;
        std::str::from_utf8(self.tape.bytes(piece)).ok()?;
        Some(piece)
    }

    #[inline]
    fn key(&mut self) -> Option<()> {
        let [code] = self.fixed()?;
        let size = match code {
            0xa0..=0xbf => u32::from(code & 0x1f),
            0xd9..=0xdb => self.size(code, 0xd9)?,
            _ => return None,
        };
        let piece = self.text(size)?;
        self.tape.key(piece);
        Some(())
    }

    #[inline]
    fn count(&mut self, nodes: u64) -> Option<()> {
        self.nodes += nodes;
        (self.nodes <= self.limits.nodes).then_some(())
    }

    /// Read a value, or the beginning of a container.
    #[inline]
    fn value(&mut self) -> Option<()> {
        self.count(1)?;
        let [code] = self.fixed()?;
        let token = match code {
            0x00..=0x7f => Token::Int(i64::from(code)),
            0xe0..=0xff => Token::Int(i64::from(code as i8)),
            0x80..=0x8f => return self.begin(u32::from(code & 0x0f), true),
            0x90..=0x9f => return self.begin(u32::from(code & 0x0f), false),
            0xa0..=0xbf => Token::Str(self.text(u32::from(code & 0x1f))?),
            0xc0 => Token::Null,
            0xc2 | 0xc3 => Token::Bool(code == 0xc3),
            0xc4..=0xc6 => {
                self.count(TAG_NODES)?;
                self.tape.has_bytes = true;
                let size = self.size(code, 0xc4)?;
                Token::Bytes(self.piece(size)?)
            }
            0xca => {
                let value = f32::from_bits(u32::from_be_bytes(self.fixed()?));
                if value.is_nan() {
                    return None; // processors differ in how they widen it
                }
                Token::Float(f64::from(value))
            }
            0xcb => Token::Float(f64::from_bits(u64::from_be_bytes(self.fixed()?))),
            0xcc..=0xce => Token::Int(i64::from(self.size(code, 0xcc)?)),
            0xcf => {
                let value = u64::from_be_bytes(self.fixed()?);
                match i64::try_from(value) {
                    Ok(value) => Token::Int(value),
                    Err(_) => {
                        self.tape.big(BigInt::from_digits(false, value.to_string().as_bytes()));
                        return Some(());
                    }
                }
            }
            0xd0 => Token::Int(i64::from(i8::from_be_bytes(self.fixed()?))),
            0xd1 => Token::Int(i64::from(i16::from_be_bytes(self.fixed()?))),
            0xd2 => Token::Int(i64::from(i32::from_be_bytes(self.fixed()?))),
            0xd3 => Token::Int(i64::from_be_bytes(self.fixed()?)),
            0xd9..=0xdb => {
                let size = self.size(code, 0xd9)?;
                Token::Str(self.text(size)?)
            }
            0xdc | 0xdd => {
                let count = self.size(code, 0xdb)?;
                return self.begin(count, false);
            }
            0xde | 0xdf => {
                let count = self.size(code, 0xdd)?;
                return self.begin(count, true);
            }
            _ => return None,
        };
        self.tape.tokens.push(token);
        Some(())
    }

    #[inline]
    fn begin(&mut self, count: u32, is_dict: bool) -> Option<()> {
        let at = self.tape.tokens.len();
        self.tape.tokens.push(match is_dict {
            true => Token::Dict { count: 0, size: 0 },
            false => Token::List { count: 0, size: 0 },
        });
        if count == 0 {
            return Some(());
        }
        if self.open.len() as u64 >= self.limits.depth {
            return None;
        }
        self.open.push(Open { at, count, left: count, first_key: self.tape.first_key(), is_dict });
        Some(())
    }

    #[inline]
    fn close(&mut self) -> Option<()> {
        let open = self.open.pop()?;
        match open.is_dict {
            true => self.tape.close_dict(open.at, open.count, open.first_key),
            false => self.tape.close_list(open.at, open.count),
        }
        Some(())
    }
}
