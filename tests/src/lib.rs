//! The harness: the built binary, simulated tenants in processes of their own, and folders that go away.
//!
//! It drives the product as an operator does, by its command line, and looks at the tenant over HTTP. It knows nothing
//! of the product's insides.

#![expect(clippy::expect_used, reason = "a harness that cannot go on fails the test")]

mod checker;
pub mod collector;
mod company;
mod fleet;
mod fleet_sweep;
pub mod history;
pub mod journal;
pub mod page;
mod past;
mod product;
mod proxy;
mod recorder;
pub mod services;
mod sweep;
mod tenant;

pub use checker::{Expected, Verdict};
pub use company::{Company, entries_of};
pub use fleet::{Fleet, Service};
pub use fleet_sweep::sweep_fleet;
pub use past::Past;
pub use product::{Outcome, Running, Site, binary, use_binary};
pub use proxy::Proxy;
pub use recorder::{Exchange, Recorder};
pub use services::until;
pub use sweep::{FAULTS, Sweep, sweep};
pub use tenant::{Tenant, read_lines};
