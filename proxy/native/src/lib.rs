//! The native engine of flask-cache-proxy: payloads, stored values and replies. What it does, and why it does it so, the
//! reference in Python says (`proxy/codec`, `proxy/resp/replies.py`); the two must not be told apart but by their speed.

#![forbid(unsafe_code)]
#![cfg_attr(not(feature = "python"), allow(dead_code))]

mod bigint;
mod body;
mod code;
mod collisions;
mod dates;
mod decimal;
mod encode;
#[cfg(feature = "python")]
mod framer;
#[cfg(feature = "python")]
mod framing;
#[cfg(feature = "python")]
mod glue;
#[cfg(feature = "python")]
mod heads;
mod iso;
mod json_read;
mod json_write;
mod limits;
mod machine;
mod msgpack_read;
mod msgpack_write;
mod node;
mod opcodes;
mod pickle_write;
mod pickler;
mod plain;
mod present;
#[cfg(feature = "python")]
mod proofs;
mod shapes;
mod sink;
mod spelled;
mod stored;
mod tagged;
mod tags;
mod tape;
mod view;
#[cfg(feature = "python")]
mod writers;
