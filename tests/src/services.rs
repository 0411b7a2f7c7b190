//! Private RabbitMQ, PostgreSQL and Prometheus from the packages of the machine, on free ports and in folders that go away.
//!
//! Nothing stays behind, however the test process ends: each server has a guard, a process of its own that waits for
//! the end of a pipe only we hold. Servers sync to disk as they do in earnest; nothing of them is mocked.

mod certificates;
mod ear;
mod guard;
mod ports;
mod postgres;
mod prometheus;
mod rabbit;

pub use certificates::{Authority, Pair};
pub use ear::{Ear, Opening};
pub use guard::until;
pub(crate) use guard::{Guard, output_within, signal};
pub use ports::free as free_port;
pub use postgres::Postgres;
pub use prometheus::Prometheus;
pub use rabbit::Rabbit;

use std::sync::OnceLock;

/// The broker that the tests of this process share; each takes a virtual host of its own.
pub fn rabbit() -> &'static Rabbit {
    static SHARED: OnceLock<Rabbit> = OnceLock::new();
    SHARED.get_or_init(Rabbit::start)
}

/// The database server that the tests of this process share; each takes a database of its own.
pub fn postgres() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(Postgres::start)
}
