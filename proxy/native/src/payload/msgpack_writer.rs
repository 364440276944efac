//! The msgpack writer. Like the msgpack library, it writes each value in the fewest bytes.
//! https://github.com/msgpack/msgpack/blob/master/spec.md

use crate::payload::sink::Sink;
use crate::values::bigint::BigInt;

pub struct MsgpackWriter {
    pub out: Vec<u8>,
}

impl MsgpackWriter {
    pub fn new(capacity: usize) -> Self {
        MsgpackWriter { out: Vec::with_capacity(capacity) }
    }

    /// A header with a size of 16 or 32 bits after it.
    fn sized(&mut self, codes: [u8; 2], size: usize) {
        match u16::try_from(size) {
            Ok(small) => {
                self.out.push(codes[0]);
                self.out.extend_from_slice(&small.to_be_bytes());
            }
            Err(_) => {
                self.out.push(codes[1]);
                self.out.extend_from_slice(&(size as u32).to_be_bytes());
            }
        }
    }

    fn unsigned(&mut self, value: u64) {
        match value {
            0..=0x7f => self.out.push(value as u8),
            0x80..=0xff => self.out.extend_from_slice(&[0xcc, value as u8]),
            0x100..=0xffff => {
                self.out.push(0xcd);
                self.out.extend_from_slice(&(value as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.out.push(0xce);
                self.out.extend_from_slice(&(value as u32).to_be_bytes());
            }
            _ => {
                self.out.push(0xcf);
                self.out.extend_from_slice(&value.to_be_bytes());
            }
        }
    }
}

impl Sink for MsgpackWriter {
    const HAS_BINARY: bool = true;

    fn null(&mut self) {
        self.out.push(0xc0);
    }

    fn boolean(&mut self, value: bool) {
        self.out.push(0xc2 + u8::from(value));
    }

    #[inline]
    fn integer(&mut self, value: i64) {
        if let Ok(unsigned) = u64::try_from(value) {
            return self.unsigned(unsigned);
        }
        if value >= -32 {
            self.out.push(value as u8);
        } else if let Ok(small) = i8::try_from(value) {
            self.out.extend_from_slice(&[0xd0, small as u8]);
        } else if let Ok(small) = i16::try_from(value) {
            self.out.push(0xd1);
            self.out.extend_from_slice(&small.to_be_bytes());
        } else if let Ok(small) = i32::try_from(value) {
            self.out.push(0xd2);
            self.out.extend_from_slice(&small.to_be_bytes());
        } else {
            self.out.push(0xd3);
            self.out.extend_from_slice(&value.to_be_bytes());
        }
    }

    fn big(&mut self, value: &BigInt) {
        match value.to_u64() {
            Some(unsigned) => self.unsigned(unsigned),
            None => unreachable!("msgpack has ints of 64 bits"),
        }
    }

    fn float(&mut self, value: f64) {
        self.out.push(0xcb);
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    fn text(&mut self, utf8: &[u8]) {
        match utf8.len() {
            size @ 0..=31 => self.out.push(0xa0 | size as u8),
            size @ 32..=255 => self.out.extend_from_slice(&[0xd9, size as u8]),
            size => self.sized([0xda, 0xdb], size),
        }
        self.out.extend_from_slice(utf8);
    }

    fn binary(&mut self, raw: &[u8]) {
        match raw.len() {
            size @ 0..=255 => self.out.extend_from_slice(&[0xc4, size as u8]),
            size => self.sized([0xc5, 0xc6], size),
        }
        self.out.extend_from_slice(raw);
    }

    #[inline]
    fn open_array(&mut self, size: usize) {
        match size {
            0..=15 => self.out.push(0x90 | size as u8),
            _ => self.sized([0xdc, 0xdd], size),
        }
    }

    fn item(&mut self, _at: usize) {}

    fn close_array(&mut self) {}

    #[inline]
    fn open_map(&mut self, size: usize) {
        match size {
            0..=15 => self.out.push(0x80 | size as u8),
            _ => self.sized([0xde, 0xdf], size),
        }
    }

    #[inline]
    fn key(&mut self, _at: usize, utf8: &[u8]) {
        self.text(utf8);
    }

    fn close_map(&mut self) {}

    fn written(&self) -> usize {
        self.out.len()
    }

    fn take_back(&mut self, to: usize) {
        self.out.truncate(to);
    }
}
