//! JSON that is read as a value: the body of a response if types are plain, and values of a rule that stores JSON.

use crate::limits::{Failure, Limits, Verdict};
use crate::options::Reading;
use crate::payload::json_reader;
use crate::payload::json_writer::JsonWriter;
use crate::payload::msgpack_writer::MsgpackWriter;
use crate::payload::presenter::{Presenter, Spending};
use crate::payload::sink::Sink;
use crate::payload::tape::{Tape, Token};
use crate::unpickle::node::Arena;

/// A payload in its stored form: the last of equal keys, and no whitespace. None: the reference makes the error.
pub fn rewritten(payload: &[u8], limits: Limits) -> Option<Vec<u8>> {
    let tape = json_reader::read(payload, limits)?;
    let mut sink = JsonWriter::new(payload.len() + 16);
    write(&tape, limits, &mut sink).ok()?;
    Some(sink.out)
}

/// The payload of a stored JSON value. The reference handles values that need tags, and every error.
pub fn value(stored: &[u8], reading: &Reading) -> Verdict<Vec<u8>> {
    if reading.safe_ints || (!reading.plain && json_reader::may_have_tags(stored)) {
        return Err(Failure::NotHandled);
    }
    let tape = json_reader::read(stored, reading.limits).ok_or(Failure::NotHandled)?;
    if reading.msgpack {
        if tape.bigs.iter().any(|number| number.to_u64().is_none()) {
            return Err(Failure::NotHandled);
        }
        let mut sink = MsgpackWriter::new(stored.len() + 16);
        write(&tape, reading.limits, &mut sink)?;
        Ok(sink.out)
    } else {
        let mut sink = JsonWriter::new(stored.len() + 16);
        write(&tape, reading.limits, &mut sink)?;
        Ok(sink.out)
    }
}

fn write<S: Sink>(tape: &Tape, limits: Limits, sink: &mut S) -> Verdict<()> {
    let arena = Arena::new(b"");
    let mut presenter = Presenter::new(&arena, sink, limits, true, false, Spending::Nothing);
    presenter.tape_value(tape, 0).map_err(|_| Failure::NotHandled)?;
    presenter.check_written().map_err(|_| Failure::NotHandled)
}

impl<S: Sink> Presenter<'_, '_, S> {
    /// Write the value in a body. The reference handles a body that is not JSON or is over the limits.
    pub(crate) fn json_body(&mut self, body: &[u8]) -> Verdict<()> {
        let tape = json_reader::read(body, self.limits).ok_or(Failure::NotHandled)?;
        self.bytes_left = self.limits.decoded_bytes;
        self.spending = if S::HAS_BINARY || self.safe_ints { Spending::All } else { Spending::Nothing };
        self.tape_value(&tape, 0)?;
        self.check_written()
    }

    /// Write the value at a token. Returns the index of the next token.
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
            Token::Key(_) | Token::Bytes(_) => return Err(Failure::NotHandled), // a key token is never a value in JSON
        }
        Ok(at + 1)
    }
}
