//! What each pickle instruction does: protocols 0 to 5, as in CPython's pickletools.
//! What is missing (OBJ, PERSID, EXT, NEWOBJ_EX, NEXT_BUFFER ...) no cache library writes, and is refused.

use crate::bigint::BigInt;
use crate::limits::{undecodable, Verdict};
use crate::machine::{truncated, Machine, COLLECTION_COST, OBJECT_COST};
use crate::node::{Dict, Node, Piece, State};
use crate::shapes;
use crate::spelled;

/// Of an int of 4300 digits, its sign included.
const MAX_INT_BYTES: u64 = (14_285 + 8) / 8;
const NEGATIVE: &str = "corrupt pickle: a negative length";

impl Machine<'_> {
    /// Carry out one instruction: given where its argument begins, it says where the next instruction does.
    #[inline]
    pub fn step(&mut self, opcode: u8, pos: usize) -> Verdict<usize> {
        match opcode {
            0x8c => return self.short_text(pos),
            0x94 => self.memoize()?,
            b'h' => {
                let [index] = self.fixed(pos)?;
                self.get(Some(i64::from(index)))?;
                return Ok(pos + 1);
            }
            b'K' => {
                let [number] = self.fixed(pos)?;
                self.stack.push(Node::Int(i64::from(number)));
                return Ok(pos + 1);
            }
            b'M' => {
                let number = u16::from_le_bytes(self.fixed(pos)?);
                self.stack.push(Node::Int(i64::from(number)));
                return Ok(pos + 2);
            }
            b'J' => {
                let number = i32::from_le_bytes(self.fixed(pos)?);
                self.stack.push(Node::Int(i64::from(number)));
                return Ok(pos + 4);
            }
            b'G' => {
                let number = f64::from_bits(u64::from_be_bytes(self.fixed(pos)?));
                self.real(number);
                return Ok(pos + 8);
            }
            b'N' => self.stack.push(Node::Null),
            0x88 => self.stack.push(Node::Bool(true)),
            0x89 => self.stack.push(Node::Bool(false)),
            b'(' => self.mark(),
            b'}' => {
                let dict = self.arena.dict(Dict::default());
                self.stack.push(Node::Dict(dict));
            }
            b']' => {
                let list = self.arena.list(Vec::new());
                self.stack.push(Node::List(list));
            }
            b'u' => {
                let mark = self.take_items()?;
                self.set_items(mark)?;
            }
            b's' => {
                let mark = self.take_top(2)?;
                self.set_items(mark)?;
            }
            b'e' => {
                let mark = self.take_items()?;
                self.append_from(mark)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.placed += 1;
                let list = self.list_on_top()?;
                self.arena.lists[list as usize].push(item);
            }
            b'X' => {
                let size = u32::from_le_bytes(self.fixed(pos)?);
                return self.text(pos + 4, u64::from(size));
            }
            b'j' => {
                let index = u32::from_le_bytes(self.fixed(pos)?);
                self.get(Some(i64::from(index)))?;
                return Ok(pos + 4);
            }
            b'q' => {
                let [index] = self.fixed(pos)?;
                self.put(Some(i64::from(index)))?;
                return Ok(pos + 1);
            }
            b'r' => {
                let index = u32::from_le_bytes(self.fixed(pos)?);
                self.put(Some(i64::from(index)))?;
                return Ok(pos + 4);
            }
            _ => return self.rare_step(opcode, pos),
        }
        Ok(pos)
    }

    fn rare_step(&mut self, opcode: u8, pos: usize) -> Verdict<usize> {
        match opcode {
            0x80 => {
                let [protocol] = self.fixed(pos)?;
                if protocol > 5 {
                    return undecodable("a pickle protocol beyond 5");
                }
                return Ok(pos + 1);
            }
            0x95 => return self.frame(pos),
            b'0' => self.drop_top()?,
            b'1' => {
                let mark = self.take_mark()?;
                self.stack.truncate(mark);
            }
            b'2' => {
                let node = self.top()?;
                self.again(node)?;
            }
            b'l' => {
                let list = self.items()?;
                self.stack.push(Node::List(list));
            }
            b'd' => self.dict()?,
            b')' => self.tuple(0)?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                self.natural = false;
                let items = self.items()?;
                self.stack.push(Node::Tuple(items));
            }
            0x8f => {
                let items = self.arena.list(Vec::new());
                self.collection(Node::Set(items));
            }
            0x90 => self.add_items()?,
            0x91 => {
                let items = self.items()?;
                self.collection(Node::FrozenSet(items));
            }
            b'p' => {
                let line = self.line(pos)?;
                let index = spelled::small_integer(self.slice(line));
                let index = if index.is_some() { index } else { spelled::integer(self.slice(line))?.to_i64() };
                self.put(index)?;
                return Ok(after(line));
            }
            b'g' => {
                let line = self.line(pos)?;
                let index = spelled::small_integer(self.slice(line));
                let index = if index.is_some() { index } else { spelled::integer(self.slice(line))?.to_i64() };
                self.get(index)?;
                return Ok(after(line));
            }
            b'c' => return self.global(pos),
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                self.push_symbol(module, name)?;
            }
            b'R' => self.reduce()?,
            b'i' => return self.inst(pos),
            0x81 => self.new_object()?,
            b'b' => self.build()?,
            _ => return self.scalar_step(opcode, pos),
        }
        Ok(pos)
    }

    /// The instructions that push a number or a string.
    fn scalar_step(&mut self, opcode: u8, pos: usize) -> Verdict<usize> {
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
                let number = spelled::real(self.slice(line))?;
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
                let text = spelled::raw_unicode(self.slice(line))?;
                self.grow(text.len() as u64)?;
                let node = self.arena.text(&text);
                self.stack.push(node);
                Ok(after(line))
            }
            b'S' => {
                let line = self.line(pos)?;
                let piece = match spelled::string(self.slice(line))? {
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

    /// Only a hint for reading ahead: it may be too short, but not lead beyond the end.
    fn frame(&mut self, pos: usize) -> Verdict<usize> {
        self.placed += 1;
        let size = u64::from_le_bytes(self.fixed(pos)?);
        if size > (self.data.len() - pos - 8) as u64 {
            return truncated();
        }
        Ok(pos + 8)
    }

    // -- numbers and strings -------------------------------------------------------------------------------

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
        } else if let Some(number) = spelled::small_integer(digits) {
            self.stack.push(Node::Int(number));
        } else {
            self.integer(spelled::integer(digits)?)?;
        }
        Ok(after(line))
    }

    /// The commonest instruction.
    #[inline]
    fn short_text(&mut self, pos: usize) -> Verdict<usize> {
        let [size] = self.fixed(pos)?;
        let piece = self.piece(pos + 1, u64::from(size))?;
        self.grow_unseen(u64::from(size));
        self.push_text(piece)?;
        Ok(pos + 1 + usize::from(size))
    }

    fn text(&mut self, pos: usize, size: u64) -> Verdict<usize> {
        let piece = self.piece(pos, size)?;
        self.grow(size)?;
        self.push_text(piece)?;
        Ok(pos + size as usize)
    }

    #[inline]
    fn push_text(&mut self, piece: Piece) -> Verdict<()> {
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

    // -- containers ----------------------------------------------------------------------------------------

    fn list_on_top(&self) -> Verdict<u32> {
        match self.top()? {
            Node::List(list) => Ok(list),
            _ => undecodable("corrupt pickle: append to what is no list"),
        }
    }

    fn append_from(&mut self, mark: usize) -> Verdict<()> {
        if mark <= self.floor {
            return undecodable("corrupt pickle: stack underflow");
        }
        match self.stack[mark - 1] {
            Node::List(list) => {
                self.arena.lists[list as usize].extend(self.stack.drain(mark..));
                Ok(())
            }
            _ => undecodable("corrupt pickle: append to what is no list"),
        }
    }

    /// What stands above the last mark, in a list of its own.
    fn items(&mut self) -> Verdict<u32> {
        let mark = self.take_items()?;
        let items = self.stack.split_off(mark);
        Ok(self.arena.list(items))
    }

    fn dict(&mut self) -> Verdict<()> {
        let mark = self.take_items()?;
        let dict = self.arena.dict(Dict::default());
        self.stack.insert(mark, Node::Dict(dict));
        self.set_items(mark + 1)
    }

    fn tuple(&mut self, count: usize) -> Verdict<()> {
        self.natural = false;
        let start = if count > 0 { self.take_top(count)? } else { self.stack.len() };
        let items = self.stack.split_off(start);
        let tuple = self.arena.list(items);
        self.stack.push(Node::Tuple(tuple));
        Ok(())
    }

    fn collection(&mut self, collection: Node) {
        self.natural = false;
        self.placed += COLLECTION_COST;
        self.stack.push(collection);
    }

    fn add_items(&mut self) -> Verdict<()> {
        let mark = self.take_items()?;
        if mark <= self.floor {
            return undecodable("corrupt pickle: stack underflow");
        }
        match self.stack[mark - 1] {
            Node::Set(items) => {
                self.arena.lists[items as usize].extend(self.stack.drain(mark..));
                Ok(())
            }
            _ => undecodable("corrupt pickle: members for what is no set"),
        }
    }

    // -- objects -------------------------------------------------------------------------------------------

    fn push_symbol(&mut self, module: Node, name: Node) -> Verdict<()> {
        match (module, name) {
            (Node::Str { piece: module, .. }, Node::Str { piece: name, .. }) => {
                self.natural = false;
                self.placed += 1; // it takes as long
                let symbol = shapes::symbol(self.arena.bytes(module), self.arena.bytes(name))?;
                self.stack.push(Node::Symbol(symbol));
                Ok(())
            }
            _ => undecodable("corrupt pickle: a class without a name"),
        }
    }

    fn global(&mut self, pos: usize) -> Verdict<usize> {
        let module = self.line(pos)?;
        let name = self.line(after(module))?;
        let as_text = |piece: Piece| match std::str::from_utf8(self.slice(piece)) {
            Ok(_) => Ok(Node::Str { piece, ascii: false }),
            Err(_) => undecodable("corrupt pickle: a class without a name"),
        };
        let (module_text, name_text) = (as_text(module)?, as_text(name)?);
        self.push_symbol(module_text, name_text)?;
        Ok(after(name))
    }

    fn reduce(&mut self) -> Verdict<()> {
        let args = self.pop()?;
        let (function, args) = match (self.pop()?, args) {
            (Node::Symbol(function), Node::Tuple(args)) => (function, args),
            _ => return undecodable("corrupt pickle: a call of what is no function"),
        };
        for at in 0..self.arena.lists[args as usize].len() {
            // The call may copy an argument, and its tuple may come from the memo: it counts again.
            match self.arena.lists[args as usize][at] {
                Node::List(list) => self.place(self.arena.lists[list as usize].len() as u64)?,
                text => self.copy(self.length(text))?,
            }
        }
        let made = shapes::reduce(&mut self.arena, function, args)?;
        self.placed += match made {
            Node::Scalar { .. } | Node::Delta { .. } | Node::Complex(_) => OBJECT_COST,
            Node::Set(_) | Node::FrozenSet(_) | Node::OrderedDict(_) => COLLECTION_COST,
            _ => 0,
        };
        self.stack.push(made);
        Ok(())
    }

    /// Python 2's instances of old-style classes: none is known.
    fn inst(&mut self, pos: usize) -> Verdict<usize> {
        let module = self.line(pos)?;
        let name = self.line(after(module))?;
        let latin1 = |piece: Piece| self.slice(piece).iter().map(|byte| char::from(*byte));
        shapes::unknown_class(latin1(module), latin1(name))
    }

    fn new_object(&mut self) -> Verdict<()> {
        let args = self.pop()?;
        let (class, args) = match (self.pop()?, args) {
            (Node::Symbol(class), Node::Tuple(args)) => (class, args),
            _ => return undecodable("corrupt pickle: an object of what is no class"),
        };
        self.placed += OBJECT_COST;
        let made = shapes::new(&mut self.arena, class, args)?;
        self.stack.push(made);
        Ok(())
    }

    fn build(&mut self) -> Verdict<()> {
        let state = self.pop()?;
        let instance = match self.top()? {
            Node::Instance(instance) => instance as usize,
            _ => return undecodable("corrupt pickle: state for what has none"),
        };
        if !matches!(self.arena.instances[instance].state, State::None) {
            return undecodable("corrupt pickle: state for what has none");
        }
        let class = self.arena.instances[instance].class;
        let (state, size) = shapes::build(&mut self.arena, class, state)?;
        self.arena.instances[instance].state = state;
        self.placed += size; // it is a copy
        Ok(())
    }
}

/// Where the line after this one begins.
fn after(line: Piece) -> usize {
    (line.start + line.size) as usize + 1
}
