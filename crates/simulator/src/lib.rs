//! The simulated tenant, an HTTP server that answers like Microsoft Graph, and the generator of synthetic data.
//!
//! It is a rehearsal room for operators and the far side of every test. The product reaches it over real HTTP and
//! nothing else: no type of the product knows this crate, and this crate knows nothing of plans or ledgers.
//! It never talks to a real tenant and never prints a number or a secret.
//!
//! `tenant/` holds the state and Graph's rules as plain functions of (state, call, now); `serving/` puts quota,
//! faults, journal and HTTP around them; `generate/` makes datafiles and matching tenants.

mod generate;
mod serving;
mod tenant;

pub use generate::{Generated, generate};
pub use serving::{Error, Faults, Options, OptionsError, Throttle, serve};
pub use tenant::State;
