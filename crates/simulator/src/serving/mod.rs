//! What stands around the tenant: quota, faults, statistics, journal, bundles, HTTP.
//!
//! One mutex guards the tenant and all of it; it is held for one request at a time and never across an await. The
//! clock is read here, at the edge, and handed down.

mod batch;
mod chaos;
mod connection;
mod desk;
mod http;
mod journal;
mod options;
mod stats;
mod throttle;

#[cfg(test)]
mod tests;

pub use http::{Error, serve};
pub use options::{Faults, Options, OptionsError, Throttle};
