//! The native engine of flask-cache-proxy: payloads, stored values and replies. Its behaviour is documented in the
//! Python reference (`proxy/codec`, `proxy/resp/reply_framer.py`). The two engines may differ only in speed.

#![forbid(unsafe_code)]
// `pickler/pickler.rs` has its name from the reference, `proxy/codec/pickler/pickler.py`.
#![allow(clippy::module_inception)]
#![cfg_attr(not(feature = "python"), allow(dead_code))]

mod decode;
mod encode;
mod fastpath;
mod frames;
mod limits;
mod options;
mod payload;
mod pickler;
mod python;
mod resp;
mod unpickle;
mod values;
