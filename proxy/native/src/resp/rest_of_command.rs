//! The rest of a command that passes unchanged: `proxy/resp/rest_of_command.py`, which documents it.

use pyo3::prelude::*;

use crate::resp::canonical::number;

/// Redis' default proto-max-bulk-len.
const MAX_BULK: usize = 512 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RestOfCommand {
    /// Missing bytes of the current bulk string, with its CRLF. 0: its header is missing.
    pub left: usize,
    /// Bulk strings behind the current one.
    pub awaited: usize,
    /// The declared bytes of the command so far.
    pub size: usize,
}

impl RestOfCommand {
    pub fn is_over(&self) -> bool {
        self.left == 0 && self.awaited == 0
    }

    /// Take the bytes of the command at the head of `data`. Returns their number.
    pub fn pass(&mut self, data: &[u8], room: usize) -> usize {
        let mut rest = data;
        loop {
            if self.left > rest.len() + 2 {
                self.left -= rest.len();
                return data.len();
            }
            if self.left > 0 {
                rest = &rest[self.left - 2..];
                match rest.strip_prefix(b"\r\n") {
                    Some(behind) => rest = behind,
                    None => {
                        self.left = 2;
                        break;
                    }
                }
                self.left = 0;
            }
            if self.awaited == 0 || !self.enter(&mut rest, room) {
                break;
            }
        }
        data.len() - rest.len()
    }

    /// Take the header of the next bulk string. False: it is not whole or not valid, or the command is too long.
    fn enter(&mut self, rest: &mut &[u8], room: usize) -> bool {
        if let Some((length, body)) = number(rest, b'$') {
            let size = self.size + rest.len() - body.len() + length + 2;
            if length <= MAX_BULK && size <= room {
                *self = RestOfCommand { left: length + 2, awaited: self.awaited - 1, size };
                *rest = body;
                return true;
            }
        }
        false
    }
}

/// Take the bytes of the command at the head of `data`. Returns their number, and the state behind them.
#[pyfunction]
pub fn rest_of_command(
    data: &[u8],
    left: usize,
    awaited: usize,
    size: usize,
    room: usize,
) -> (usize, usize, usize, usize) {
    let mut command = RestOfCommand { left, awaited, size };
    let end = command.pass(data, room);
    (end, command.left, command.awaited, command.size)
}
