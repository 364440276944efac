//! The pickle instructions that push a number or a string, as in `proxy/codec/unpickle/scalar_opcodes.py`.

use crate::limits::{undecodable, Verdict};
use crate::unpickle::machine::Machine;
use crate::unpickle::node::{Node, Piece};
use crate::unpickle::text_literals;
use crate::values::bigint::BigInt;

/// The bytes of an int with 4300 digits and a sign.
const MAX_INT_BYTES: u64 = (14_285 + 8) / 8;
const NEGATIVE: &str = "corrupt pickle: a negative length";

impl Machine<'_> {
    /// The instructions that push a number or a string.
    pub fn scalar_step(&mut self, opcode: u8, pos: usize) -> Verdict<usize> {
        match opcode {
            0x8a => {
                let [size] = self.fixed(pos)?;
                self.long(pos + 1, u64::from(size))
            }
            0x8b => {
                let size = i32::from_le_bytes(self.fixed(pos)?);
                match u64::try_from(size) {
                    Ok(size) => self.long(pos + 4, size),
                    Err(_) => undecodable(NEGATIVE),
                }
            }
            b'I' | b'L' => self.int_line(opcode, pos),
            b'F' => {
                let line = self.line(pos)?;
                let number = text_literals::real(self.slice(line))?;
                self.real(number);
                Ok(after(line))
            }
            0x8d => {
                let size = u64::from_le_bytes(self.fixed(pos)?);
                self.text(pos + 8, size)
            }
            b'C' => {
                let [size] = self.fixed(pos)?;
                self.bytes(pos + 1, u64::from(size))
            }
            b'B' => {
                let size = u32::from_le_bytes(self.fixed(pos)?);
                self.bytes(pos + 4, u64::from(size))
            }
            0x8e => {
                let size = u64::from_le_bytes(self.fixed(pos)?);
                self.bytes(pos + 8, size)
            }
            0x96 => {
                let size = u64::from_le_bytes(self.fixed(pos)?);
                let piece = self.piece(pos + 8, size)?;
                self.stack.push(Node::ByteArray(piece));
                self.natural = false;
                self.grow(size)?;
                Ok(pos + 8 + size as usize)
            }
            b'V' => {
                let line = self.line(pos)?;
                let text = text_literals::raw_unicode(self.slice(line))?;
                self.grow(text.len() as u64)?;
                let node = self.arena.text(&text);
                self.stack.push(node);
                Ok(after(line))
            }
            b'S' => {
                let line = self.line(pos)?;
                let piece = match text_literals::string(self.slice(line))? {
                    Some(bytes) => self.arena.keep(&bytes),
                    None => Piece { start: line.start + 1, size: line.size - 2 },
                };
                self.old_string(piece)?;
                Ok(after(line))
            }
            b'U' => {
                let [size] = self.fixed(pos)?;
                let piece = self.piece(pos + 1, u64::from(size))?;
                self.old_string(piece)?;
                Ok(pos + 1 + usize::from(size))
            }
            b'T' => {
                let size = i32::from_le_bytes(self.fixed(pos)?);
                let size = match u64::try_from(size) {
                    Ok(size) => size,
                    Err(_) => return undecodable(NEGATIVE),
                };
                let piece = self.piece(pos + 4, size)?;
                self.old_string(piece)?;
                Ok(pos + 4 + size as usize)
            }
            _ => undecodable("corrupt pickle: an instruction that no cache library writes"),
        }
    }

    fn long(&mut self, pos: usize, size: u64) -> Verdict<usize> {
        if size > MAX_INT_BYTES {
            return undecodable("an int of more than 4300 digits");
        }
        let piece = self.piece(pos, size)?;
        self.integer(BigInt::from_le_bytes(self.slice(piece)))?;
        Ok(pos + size as usize)
    }

    fn int_line(&mut self, opcode: u8, pos: usize) -> Verdict<usize> {
        let line = self.line(pos)?;
        let text = self.slice(line);
        let digits = match (opcode, text.split_last()) {
            (b'L', Some((b'L', digits))) => digits,
            _ => text,
        };
        if opcode == b'I' && (text == b"00" || text == b"01") {
            self.stack.push(Node::Bool(text == b"01"));
        } else if let Some(number) = text_literals::small_integer(digits) {
            self.stack.push(Node::Int(number));
        } else {
            self.integer(text_literals::integer(digits)?)?;
        }
        Ok(after(line))
    }

    /// The most frequent instruction.
    #[inline]
    pub fn short_text(&mut self, pos: usize) -> Verdict<usize> {
        let [size] = self.fixed(pos)?;
        let piece = self.piece(pos + 1, u64::from(size))?;
        self.grow_unseen(u64::from(size));
        self.push_text(piece)?;
        Ok(pos + 1 + usize::from(size))
    }

    pub fn text(&mut self, pos: usize, size: u64) -> Verdict<usize> {
        let piece = self.piece(pos, size)?;
        self.grow(size)?;
        self.push_text(piece)?;
        Ok(pos + size as usize)
    }

    #[inline]
    pub fn push_text(&mut self, piece: Piece) -> Verdict<()> {
        let text = self.slice(piece);
        let ascii = text.is_ascii();
        if !ascii && std::str::from_utf8(text).is_err() {
            return undecodable("a string that is not UTF-8 or has a lone surrogate");
        }
        self.stack.push(Node::Str { piece, ascii });
        Ok(())
    }

    fn bytes(&mut self, pos: usize, size: u64) -> Verdict<usize> {
        let piece = self.piece(pos, size)?;
        self.stack.push(Node::Bytes(piece));
        self.grow(size)?;
        self.binary = true;
        Ok(pos + size as usize)
    }
}

/// The position of the next line.
pub fn after(line: Piece) -> usize {
    (line.start + line.size) as usize + 1
}
