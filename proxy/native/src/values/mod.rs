pub mod base64;
pub mod bigint;
pub mod dates;
pub mod decimal;
pub mod glob;
pub mod iso;
pub mod tags;
