pub mod emitter;
pub mod hash_cost;
pub mod opcodes;
pub mod pickler;
pub mod plain_pickler;
pub mod tags;
