//! Arrays and frames of numpy, pandas and Arrow, read from their pickles: `proxy/codec/frames`. Nothing of a size that is
//! only said is made: each size is checked against the bytes that are there. The reference reads rare values, and makes
//! the error for corrupt ones.

pub mod arrays;
pub mod arrow;
pub mod columns;
pub mod dtypes;
pub mod elements;
pub mod extensions;
pub mod indexes;
pub mod moments;
pub mod parts;
pub mod readers;
pub mod scalars;
pub mod tables;
