//! The pickle instructions of protocols 0 to 5, as in CPython's pickletools. Those for numbers and strings are in
//! `scalar_opcodes`, those for objects in `object_opcodes`.
//! An instruction that refers outside the pickle (PERSID, EXT, NEXT_BUFFER ...) is refused.

use crate::limits::{undecodable, Verdict};
use crate::unpickle::dict::Dict;
use crate::unpickle::machine::{truncated, Machine, COLLECTION_COST};
use crate::unpickle::node::Node;
use crate::unpickle::scalar_opcodes::after;
use crate::unpickle::text_literals;

impl Machine<'_> {
    /// Carry out one instruction. It gets the position of its argument, and returns the position of the next instruction.
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
                let target = self.top()?;
                let list = self.list_of(target)?;
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
                self.protocol = protocol;
                self.names.clear();
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
                let index = text_literals::small_integer(self.slice(line));
                let index = if index.is_some() { index } else { text_literals::integer(self.slice(line))?.to_i64() };
                self.put(index)?;
                return Ok(after(line));
            }
            b'g' => {
                let line = self.line(pos)?;
                let index = text_literals::small_integer(self.slice(line));
                let index = if index.is_some() { index } else { text_literals::integer(self.slice(line))?.to_i64() };
                self.get(index)?;
                return Ok(after(line));
            }
            _ => return self.object_step(opcode, pos),
        }
        Ok(pos)
    }

    /// A hint for reading ahead. It may be too short, but it must not exceed the end.
    fn frame(&mut self, pos: usize) -> Verdict<usize> {
        self.placed += 1;
        let size = u64::from_le_bytes(self.fixed(pos)?);
        if size > (self.data.len() - pos - 8) as u64 {
            return truncated();
        }
        Ok(pos + 8)
    }

    // -- containers ----------------------------------------------------------------------------------------

    /// The list that items are appended to. For an object of any class, it is the list in its pickle.
    fn list_of(&mut self, target: Node) -> Verdict<u32> {
        self.grown(target)?;
        match target {
            Node::List(list) => Ok(list),
            Node::Deque(deque) => Ok(self.arena.deques[deque as usize].items),
            Node::Instance(instance) => Ok(self.items_of(instance)),
            _ => undecodable("corrupt pickle: append to what is no list"),
        }
    }

    fn items_of(&mut self, instance: u32) -> u32 {
        let at = instance as usize;
        match self.arena.instances[at].items {
            Some(items) => items,
            None => {
                let items = self.arena.list(Vec::new());
                self.arena.instances[at].items = Some(items);
                items
            }
        }
    }

    fn append_from(&mut self, mark: usize) -> Verdict<()> {
        if mark <= self.floor {
            return undecodable("corrupt pickle: stack underflow");
        }
        let list = self.list_of(self.stack[mark - 1])?;
        self.arena.lists[list as usize].extend(self.stack.drain(mark..));
        Ok(())
    }

    /// Move the objects above the last mark into a new list.
    pub fn items(&mut self) -> Verdict<u32> {
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
        self.grown(self.stack[mark - 1])?;
        let items = match self.stack[mark - 1] {
            Node::Set(items) => items,
            Node::Instance(instance) => self.items_of(instance),
            _ => return undecodable("corrupt pickle: members for what is no set"),
        };
        self.arena.lists[items as usize].extend(self.stack.drain(mark..));
        Ok(())
    }
}
