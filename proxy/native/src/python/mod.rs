#[cfg(feature = "python")]
pub mod codec;
#[cfg(feature = "python")]
pub mod reply_framer;
#[cfg(feature = "python")]
pub mod reply_splitter;
