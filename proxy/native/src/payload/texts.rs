//! The bytes of many texts that are counted together: `Spending.spend_texts` of `proxy/codec/payload/budgets.py`.

use crate::limits::Verdict;
use crate::payload::budgets::escapes;
use crate::payload::presenter::Presenter;
use crate::payload::sink::Sink;

/// Texts that have been written, and a buffer for the next one.
pub struct Texts {
    size: u64,
    escapes: u64,
    /// All of them are printable ASCII. Then escapes are not counted.
    is_printable: bool,
    pub buffer: Vec<u8>,
}

impl Texts {
    pub fn new() -> Self {
        Texts { size: 0, escapes: 0, is_printable: true, buffer: Vec::new() }
    }

    #[inline]
    pub fn add(&mut self, text: &[u8]) {
        self.size += text.len() as u64;
        let unprintable = text.iter().fold(false, |found, byte| found | !(0x20..0x7f).contains(byte));
        self.is_printable &= !unprintable;
        self.escapes += escapes(text);
    }

    /// Bytes of them, at least.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl<S: Sink> Presenter<'_, '_, S> {
    /// Count texts.
    pub fn spend_texts(&mut self, texts: &Texts) -> Verdict<()> {
        let has_escapes = !S::HAS_BINARY && !texts.is_printable;
        self.spend(texts.size + if has_escapes { texts.escapes } else { 0 })
    }

    /// Write a text and add it to others, to be counted with them.
    #[inline]
    pub fn text_of_many(&mut self, texts: &mut Texts, text: &[u8]) -> Verdict<()> {
        texts.add(text);
        self.check_size(text)?;
        self.sink.text(text);
        Ok(())
    }
}
