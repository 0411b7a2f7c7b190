//! `simulate tenant`: the simulated tenant as a process of its own.

use crate::args::SimulateTenant;
use crate::{Exit, Usage};
use telemetry::{Shutdown, shutdown_on_signal};

pub(crate) async fn run(verb: &SimulateTenant) -> anyhow::Result<Exit> {
    let options = simulator::Options {
        latency_ms: verb.latency_ms,
        throttle: simulator::Throttle::parse(&verb.throttle)?,
        faults: simulator::Faults::parse(&verb.faults)?,
        journal: verb.journal.clone(),
        ..simulator::Options::default()
    };
    let file = std::fs::File::open(&verb.seed)
        .map_err(|e| Usage(format!("the tenant {} cannot be opened ({e})", verb.seed.display())))?;
    let state: simulator::State = simulator::State::read(file)
        .map_err(|e| Usage(format!("{} is not the state of a tenant: {e}", verb.seed.display())))?;
    let users = state.user_count();
    let listener = tokio::net::TcpListener::bind(&verb.listen)
        .await
        .map_err(|e| Usage(format!("{} cannot be listened on ({e})", verb.listen)))?;
    let address = listener.local_addr()?;
    println!(
        "simulated tenant of {users} users on http://{address}; state at /simulator/state, Ctrl-C ends it"
    );
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    simulator::serve(listener, state, options, async move { shutdown.requested().await }).await?;
    Ok(Exit::Done)
}
