//! The pickle instructions for classes and objects: `proxy/codec/unpickle/opcodes.py`.

use crate::limits::{undecodable, Verdict};
use crate::unpickle::known_classes;
use crate::unpickle::machine::{Machine, COLLECTION_COST, OBJECT_COST, WORD};
use crate::unpickle::node::{Node, Piece};
use crate::unpickle::scalar_opcodes::after;
use crate::unpickle::symbols::{self, FEW_NAMES};

/// So many arguments are free of cost.
const FEW_ARGS: usize = 3;

const NO_CLASS: &str = "corrupt pickle: an object of what is no class";
const NO_FUNCTION: &str = "corrupt pickle: a call of what is no function";
const NO_NAME: &str = "corrupt pickle: a class without a name";

impl Machine<'_> {
    pub fn object_step(&mut self, opcode: u8, pos: usize) -> Verdict<usize> {
        match opcode {
            b'c' => {
                let (module, name) = self.two_lines(pos)?;
                self.push_symbol(module, name)?;
                return Ok(after(name));
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Node::Str { piece: name, .. }, Node::Str { piece: module, .. }) => self.push_symbol(module, name)?,
                _ => return undecodable(NO_NAME),
            },
            b'R' => self.reduce()?,
            b'i' => {
                let (module, name) = self.two_lines(pos)?;
                let symbol = self.symbol(module, name)?;
                let args = self.items()?;
                self.make(symbol, args)?;
                return Ok(after(name));
            }
            b'o' => self.obj()?,
            0x81 => {
                let args = self.pop()?;
                let class = self.pop()?;
                self.new_object(class, args)?;
            }
            0x92 => self.new_object_with_keywords()?,
            b'b' => self.build()?,
            _ => return self.scalar_step(opcode, pos),
        }
        Ok(pos)
    }

    // -- classes -------------------------------------------------------------------------------------------

    /// The class or function of a name.
    fn symbol(&mut self, module: Piece, name: Piece) -> Verdict<u32> {
        if let Some(known) = self.names.find(&self.arena.texts, module, name) {
            return Ok(known);
        }
        let text = |piece| std::str::from_utf8(self.arena.bytes(piece)).unwrap_or("");
        let symbol = symbols::symbol(text(module), text(name), self.protocol)?;
        let size = symbol.text.len() as u64;
        let symbol = self.arena.symbol(symbol);
        self.names.add(&self.arena.texts, module, name, symbol);
        if self.names.len() > FEW_NAMES {
            self.placed += OBJECT_COST;
            self.grow(size)?;
        }
        Ok(symbol)
    }

    fn push_symbol(&mut self, module: Piece, name: Piece) -> Verdict<()> {
        self.natural = false;
        self.placed += 1; // it takes the same time
        let symbol = self.symbol(module, name)?;
        self.stack.push(Node::Symbol(symbol));
        Ok(())
    }

    /// A module and a name.
    fn two_lines(&mut self, pos: usize) -> Verdict<(Piece, Piece)> {
        let module = self.line(pos)?;
        let name = self.line(after(module))?;
        for piece in [module, name] {
            if std::str::from_utf8(self.slice(piece)).is_err() {
                return undecodable(NO_NAME);
            }
        }
        Ok((module, name))
    }

    // -- calls ---------------------------------------------------------------------------------------------

    fn reduce(&mut self) -> Verdict<()> {
        let args = self.pop()?;
        let function = self.pop()?;
        let args = match args {
            Node::Tuple(args) => args,
            _ => return undecodable(NO_FUNCTION),
        };
        self.count_copies(args)?;
        let made = match function {
            Node::Symbol(function) => known_classes::reduce(&mut self.arena, function, args)?,
            Node::Instance(function) => {
                // The result of a call: its class is that of the innermost function.
                let symbol = self.arena.instances[function as usize].symbol;
                self.arena.instance(symbol, args, true)
            }
            _ => return undecodable(NO_FUNCTION),
        };
        self.push_made(made)
    }

    fn push_made(&mut self, made: Node) -> Verdict<()> {
        self.placed += match made {
            Node::Scalar { .. } | Node::Delta { .. } | Node::Complex(_) | Node::Instance(_) | Node::Symbol(_) => {
                OBJECT_COST
            }
            made if is_collection(made) => COLLECTION_COST,
            _ => 0,
        };
        if let Node::Symbol(symbol) = made {
            let size = self.arena.symbols[symbol as usize].text.len();
            self.grow(size as u64)?;
        }
        self.stack.push(made);
        Ok(())
    }

    /// The call may copy an argument, and its tuple may come from the memo. So the arguments count again.
    fn count_copies(&mut self, args: u32) -> Verdict<()> {
        let count = self.arena.lists[args as usize].len();
        if count > FEW_ARGS {
            self.place(count as u64)?;
        }
        for at in 0..count {
            match self.arena.lists[args as usize][at] {
                Node::List(list) => self.place(self.arena.lists[list as usize].len() as u64)?,
                Node::Dict(dict) => self.place(self.arena.dicts[dict as usize].items.len() as u64)?,
                Node::Big(number) if self.arena.bigs[number as usize].bit_length() > WORD => {
                    self.copy(self.arena.bigs[number as usize].about_digits())?
                }
                text => self.copy(self.length(text))?,
            }
        }
        Ok(())
    }

    /// INST and OBJ: an object of a class of Python 2, or the result of a function.
    fn make(&mut self, symbol: u32, args: u32) -> Verdict<()> {
        self.natural = false;
        self.count_copies(args)?;
        let made = known_classes::reduce(&mut self.arena, symbol, args)?;
        if let Node::Instance(instance) = made {
            self.arena.instances[instance as usize].is_called = false;
        }
        self.push_made(made)
    }

    fn obj(&mut self) -> Verdict<()> {
        let mark = self.take_items()?;
        let symbol = match self.stack.get(mark) {
            Some(Node::Symbol(symbol)) => *symbol,
            _ => return undecodable(NO_CLASS),
        };
        let args = self.stack.split_off(mark + 1);
        self.stack.pop();
        let args = self.arena.list(args);
        self.make(symbol, args)
    }

    // -- objects -------------------------------------------------------------------------------------------

    fn new_object(&mut self, class: Node, args: Node) -> Verdict<Node> {
        let args = match (class, args) {
            (Node::Symbol(_) | Node::Instance(_), Node::Tuple(args)) => args,
            _ => return undecodable(NO_CLASS),
        };
        self.count_copies(args)?;
        let made = match class {
            Node::Symbol(class) => known_classes::new(&mut self.arena, class, args)?,
            Node::Instance(maker) => {
                let symbol = self.arena.instances[maker as usize].symbol;
                self.arena.instance(symbol, args, false)
            }
            _ => return undecodable(NO_CLASS),
        };
        self.placed += OBJECT_COST;
        self.stack.push(made);
        Ok(made)
    }

    fn new_object_with_keywords(&mut self) -> Verdict<()> {
        let keywords = self.pop()?;
        let args = self.pop()?;
        let class = self.pop()?;
        match (keywords, self.new_object(class, args)?) {
            (Node::Dict(keywords), Node::Instance(made)) => {
                self.placed += self.arena.dicts[keywords as usize].items.len() as u64;
                self.arena.instances[made as usize].kwargs = Some(keywords);
                Ok(())
            }
            _ => undecodable(NO_CLASS),
        }
    }

    fn build(&mut self) -> Verdict<()> {
        let state = self.pop()?;
        let instance = match (self.top()?, state) {
            (Node::Instance(instance), _) => instance as usize,
            // Attributes do not make a container another: Python compares only its items.
            (top, Node::Dict(_)) if is_collection(top) => return Ok(()),
            _ => return undecodable("corrupt pickle: state for what has none"),
        };
        if !matches!(self.arena.instances[instance].state, Node::Null) {
            return undecodable("corrupt pickle: state for what has none");
        }
        self.grown(Node::Instance(instance as u32))?;
        let class = self.arena.symbol_of(&self.arena.instances[instance]).class;
        let built = known_classes::build(&mut self.arena, class, state)?;
        self.arena.instances[instance].state = built;
        let is_copy = match (state, built) {
            (Node::Dict(state), Node::Dict(built)) => state != built,
            _ => true,
        };
        if let (true, Node::Dict(state)) = (is_copy, state) {
            self.placed += self.arena.dicts[state as usize].items.len() as u64;
        }
        Ok(())
    }
}

fn is_collection(node: Node) -> bool {
    matches!(
        node,
        Node::Set(_)
            | Node::FrozenSet(_)
            | Node::OrderedDict(_)
            | Node::Counter(_)
            | Node::DefaultDict { .. }
            | Node::Deque(_)
    )
}
