//! The JSON body of a response, which `types = "plain"` reads as the value itself.

use crate::json_read;
use crate::limits::{Failure, Verdict};
use crate::present::{Presenter, Spending};
use crate::sink::Sink;
use crate::tape::{Tape, Token};

impl<S: Sink> Presenter<'_, '_, S> {
    /// Write the value that a body is. If it is none, or beyond the limits, the reference says what becomes of it.
    pub(crate) fn json_body(&mut self, body: &[u8]) -> Verdict<()> {
        let tape = json_read::read(body, self.limits).ok_or(Failure::NotHandled)?;
        self.bytes_left = self.limits.decoded_bytes;
        self.spending = if S::HAS_BINARY || self.safe_ints { Spending::All } else { Spending::Nothing };
        self.tape_value(&tape, 0)?;
        self.check_written()
    }

    /// Write the value at a token; where the next one is.
    pub(crate) fn tape_value(&mut self, tape: &Tape, at: usize) -> Verdict<usize> {
        match tape.tokens[at] {
            Token::Null => self.sink.null(),
            Token::Bool(value) => self.sink.boolean(value),
            Token::Int(value) if self.is_natural(value) => self.sink.integer(value),
            Token::Int(value) => self.sink.text(value.to_string().as_bytes()),
            Token::Big(number) => self.plain_big(&tape.bigs[number as usize])?,
            Token::Float(value) => self.sink.float(value),
            Token::Str(piece) => {
                let text = tape.bytes(piece);
                self.check_text(text)?;
                self.sink.text(text);
            }
            Token::List { count, .. } => {
                self.sink.open_array(count as usize);
                let mut next = at + 1;
                for place in 0..count as usize {
                    self.sink.item(place);
                    next = self.tape_value(tape, next)?;
                }
                self.sink.close_array();
                return Ok(next);
            }
            Token::Dict { count, .. } => {
                self.sink.open_map(count as usize);
                let mut next = at + 1;
                for place in 0..count as usize {
                    if let Token::Key(key) = tape.tokens[next] {
                        let name = tape.bytes(tape.strings.pieces[key as usize]);
                        self.check_text(name)?;
                        self.sink.key(place, name);
                    }
                    next = self.tape_value(tape, next + 1)?;
                }
                self.sink.close_map();
                return Ok(next);
            }
            Token::Key(_) | Token::Bytes(_) => return Err(Failure::NotHandled), // JSON has none as a value
        }
        Ok(at + 1)
    }
}
