//! The flat way of the usual requests and replies: `proxy/session/fastpath`. One call for each read.

#[cfg(feature = "python")]
mod by_node;
#[cfg(feature = "python")]
mod commands;
#[cfg(feature = "python")]
mod counts;
#[cfg(feature = "python")]
pub mod flat_lane_replies;
#[cfg(feature = "python")]
pub mod flat_lane_requests;
#[cfg(feature = "python")]
pub mod flat_replies;
#[cfg(feature = "python")]
pub mod flat_requests;
#[cfg(feature = "python")]
pub mod hot_state;
#[cfg(feature = "python")]
pub mod joined_replies;
#[cfg(feature = "python")]
pub mod kept;
#[cfg(feature = "python")]
mod lane_state;
#[cfg(feature = "python")]
mod passing;
#[cfg(feature = "python")]
pub mod replies;
#[cfg(feature = "python")]
pub mod requests;
#[cfg(feature = "python")]
pub mod runs;
#[cfg(feature = "python")]
mod servable;
mod slots;
