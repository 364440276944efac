//! Objects and classes in both forms: the parts of `proxy/codec/payload/presenter.py` and `plain_presenter.py` for them.

use crate::limits::{Failure, Verdict, OBJECT_NODES, TAG_NODES};
use crate::payload::presenter::Presenter;
use crate::payload::sink::Sink;
use crate::unpickle::cycles::Showing;
use crate::unpickle::instances::{class_of, is_known, stands_alone, Value};
use crate::unpickle::node::{Instance, Node};
use crate::unpickle::recognised::is_scalar;
use crate::values::tags::Tag;

/// Names of pandas' missing value.
const NOTHING: [&str; 2] = ["pandas._libs.missing.NA", "pandas.NA"];

impl<S: Sink> Presenter<'_, '_, S> {
    #[inline(never)] // values without objects need less stack then
    pub fn object(&mut self, instance: u32, depth: u64, hashed: bool) -> Verdict<()> {
        let value = self.values.of(self.arena, instance)?;
        let object = &self.arena.instances[instance as usize];
        if stands_alone(&value) {
            if self.showings.get(instance as usize).map_or(false, |showing| *showing != Showing::Always) {
                return Err(Failure::NotHandled); // the reference makes the error for an array that holds itself
            }
            return self.alone(object, &value, depth, hashed);
        }
        self.count(OBJECT_NODES)?;
        let is_again = self.is_again(instance);
        let value = if is_again { self.values.rest(self.arena, instance)? } else { value };
        match self.plain {
            true => self.plain_object(object, &value, depth, hashed),
            false => self.tagged_object(object, &value, depth, is_again),
        }
    }

    /// True for an object that reaches itself and has been presented. Otherwise it is presented now.
    fn is_again(&mut self, instance: u32) -> bool {
        match self.showings.get_mut(instance as usize) {
            Some(Showing::Again) => true,
            Some(showing @ Showing::Once) => {
                *showing = Showing::Again;
                false
            }
            Some(Showing::Always) | None => false,
        }
    }

    /// An object that is read without its class.
    fn alone(&mut self, object: &Instance, value: &Value, depth: u64, hashed: bool) -> Verdict<()> {
        let symbol = self.arena.symbol_of(object);
        if !is_known(symbol.class) {
            self.spend_name(&symbol.text)?;
        }
        match value {
            Value::Response(response) if self.plain => self.body(response, depth, hashed),
            Value::Response(response) => self.response(response, hashed),
            Value::Node(node) if self.plain => self.plain_value(*node, depth, hashed),
            Value::Node(node) => self.tagged_value(*node, depth, hashed),
            Value::Numpy(scalar) => self.numpy(scalar, depth, hashed),
            Value::Timestamp(text) => self.timestamp(text),
            _ if hashed => Err(Failure::NotHandled), // an error that names the place
            Value::Array(array) if self.plain => self.plain_array(array, depth),
            Value::Array(array) => self.tagged_array(array, depth),
            Value::Series(series) if self.plain => self.plain_series(series, depth),
            Value::Series(series) => self.tagged_series(series, depth),
            Value::Frame(frame) if self.plain => self.plain_frame(frame, depth),
            Value::Frame(frame) => self.tagged_frame(frame, depth),
            _ => Err(Failure::NotHandled),
        }
    }

    fn tagged_object(&mut self, object: &Instance, value: &Value, depth: u64, is_again: bool) -> Verdict<()> {
        let class = class_of(self.arena, object)?;
        self.readable(&class)?;
        self.spend_text(class.as_bytes())?;
        self.open(Tag::Instance);
        self.sink.open_map(2 + usize::from(is_again));
        self.sink.key(0, b"class");
        self.sink.text(class.as_bytes());
        self.sink.key(1, b"value");
        self.content(value, depth, false)?;
        if is_again {
            self.sink.key(2, b"again");
            self.sink.boolean(true);
        }
        self.sink.close_map();
        self.sink.close_map();
        Ok(())
    }

    fn plain_object(&mut self, object: &Instance, value: &Value, depth: u64, hashed: bool) -> Verdict<()> {
        let class = class_of(self.arena, object)?;
        self.spend_name(&class)?;
        let is_scalar = matches!(value, Value::Node(node) if is_scalar(*node));
        self.content(value, depth, is_scalar && hashed)
    }

    /// The value of an object. Only another object is one level deeper.
    fn content(&mut self, value: &Value, depth: u64, hashed: bool) -> Verdict<()> {
        match value {
            Value::Node(Node::Instance(_)) if depth >= self.limits.depth => self.limits.too_deep(),
            Value::Node(node @ Node::Instance(_)) => self.value(*node, depth + 1, false),
            Value::Node(node) => self.value(*node, depth, hashed),
            Value::Dict(dict) if self.plain => self.plain_dict(dict, depth, false),
            Value::Dict(dict) => self.dict(dict, depth, false),
            Value::List(list) => self.slice(list, depth, false),
            Value::Text(text) => {
                self.check_text(text)?;
                self.sink.text(text);
                Ok(())
            }
            Value::Column(column) => self.column(column, depth, depth + 1),
            _ => Err(Failure::NotHandled),
        }
    }

    /// A class or function as a value.
    pub fn global(&mut self, symbol: u32) -> Verdict<()> {
        let arena = self.arena;
        let name = &arena.symbols[symbol as usize].text;
        if !self.plain {
            self.count(TAG_NODES)?;
        }
        self.readable(name)?;
        self.spend_text(name.as_bytes())?;
        match self.plain {
            true if NOTHING.contains(&&**name) => self.sink.null(),
            true => self.sink.text(name.as_bytes()),
            false => self.tagged_text(Tag::Global, name.as_bytes()),
        }
        Ok(())
    }

    /// Check that a rule reads a class. The reference makes the error, which names the place.
    fn readable(&self, name: &str) -> Verdict<()> {
        match self.reads.has(name) {
            true => Ok(()),
            false => Err(Failure::NotHandled),
        }
    }

    /// Count a name that is not written itself.
    pub fn spend_name(&mut self, name: &str) -> Verdict<()> {
        self.readable(name)?;
        self.spend_unwritten(name.as_bytes())
    }
}
