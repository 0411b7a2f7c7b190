//! The binary `mfa-migrate`: parses, composes, prints. It decides nothing about users and keeps nothing.

#![expect(clippy::print_stderr, reason = "what the operator reads while it runs goes to standard error")]

/// Prints a line of a result. Unlike the library's own it does not panic when the reader has gone, as `head` does.
macro_rules! println {
    () => { $crate::print_line(format_args!("")) };
    ($($part:tt)*) => { $crate::print_line(format_args!($($part)*)) };
}

/// A line for the operator on standard error; where the log is one of JSON lines, one of them.
macro_rules! say {
    ($($part:tt)*) => {
        if telemetry::log_is_json() { tracing::info!($($part)*) } else { eprintln!($($part)*) }
    };
}

mod args;
mod assess;
mod config;
mod engine;
mod keys;
mod lines;
mod lock;
mod meter;
mod notices;
mod passes;
mod plan_file;
mod probe;
mod quota;
mod report;
mod services;
mod verbs;
mod work;

use args::{Args, Verb};
use clap::Parser;
use std::process::ExitCode;

/// How a call ended (`cli`: exit codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Usage or configuration; nothing was written.
    Usage,
    /// Done, but some users are blocked, parked or in conflict.
    Remainder,
    /// Stopped before the end, and resumable.
    Stopped,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Usage => 2,
            Exit::Remainder => 3,
            Exit::Stopped => 4,
        })
    }
}

/// An error of usage or configuration: exit code 2, and nothing was written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// A stop that was wished for before there was a result: exit code 4, and the same command goes on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Stopped(pub(crate) &'static str);

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no errors; clap knows which stream each belongs to.
            drop(error.print());
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let loaded = match config::load(&args) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("mfa-migrate: {:#}", anyhow::Error::from(error));
            return Exit::Usage.into();
        }
    };
    let seen = listens(&args.verb, &loaded.config).and_then(|at| Ok((at, loaded.config.log_format()?)));
    let (metrics_listen, log_format) = match seen {
        Ok(seen) => seen,
        Err(error) => {
            eprintln!("mfa-migrate: {error}");
            return Exit::Usage.into();
        }
    };
    let installed = telemetry::install(&telemetry::Settings {
        service: service(&args.verb),
        level: args
            .log
            .clone()
            // What the two libraries say of a lost connection, our own crates say in words for operators.
            .unwrap_or_else(|| format!("{},lapin=off,sqlx=warn", level(&args.verb, log_format))),
        otlp_endpoint: loaded.config.otlp_endpoint.clone(),
        metrics_listen,
        log_format,
    });
    let endpoint = installed.endpoint();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("mfa-migrate: no threads can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        if let Some(endpoint) = endpoint {
            endpoint.serve().await?;
        }
        run(args, &loaded).await
    });
    // A reader thread may still wait for a datafile; it holds nothing that matters.
    runtime.shutdown_background();
    drop(installed);
    match outcome {
        Ok(exit) => exit.into(),
        // Whoever read our output has read enough.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<Stopped>() => {
            say_failure(&error.to_string());
            Exit::Stopped.into()
        }
        Err(error) => {
            say_failure(&format!("{error:#}"));
            if is_usage(&error) { Exit::Usage.into() } else { ExitCode::FAILURE }
        }
    }
}

/// Where metrics and probes are shown. Only by who works for long: a verb beside the services reads the same file as they,
/// and must not be in their way.
fn listens(verb: &Verb, config: &config::Config) -> Result<Option<std::net::SocketAddr>, config::Error> {
    let works = match verb {
        Verb::Serve(_) => true,
        Verb::Rehearse(_)
        | Verb::Migrate(_)
        | Verb::Verify(_)
        | Verb::Rollback(_)
        | Verb::Rollout(
            args::RolloutVerb::Plan(_) | args::RolloutVerb::Apply(_) | args::RolloutVerb::Remove(_),
        ) => config.broker_kind()? == config::BrokerKind::Embedded,
        Verb::Demo(_)
        | Verb::Generate(_)
        | Verb::Inspect(_)
        | Verb::Assess(_)
        | Verb::Forget(_)
        | Verb::Tap(_)
        | Verb::Rollout(args::RolloutVerb::Status)
        | Verb::Cutover(_)
        | Verb::Ledger(_)
        | Verb::Batch(_)
        | Verb::Status(_)
        | Verb::Show(_)
        | Verb::Report(_)
        | Verb::Simulate(_)
        | Verb::Config(_)
        | Verb::Check => false,
    };
    if works { config.metrics_listen() } else { Ok(None) }
}

/// Says why a call failed; where the log is one of JSON lines, as one of them.
fn say_failure(what: &str) {
    if telemetry::log_is_json() { tracing::error!("{what}") } else { eprintln!("mfa-migrate: {what}") }
}

/// A service tells who leads and what it waits for; a verb tells its result, and as JSON its progress comes with the log.
fn level(verb: &Verb, format: telemetry::LogFormat) -> &'static str {
    if matches!(verb, Verb::Serve(_)) || format == telemetry::LogFormat::Json { "info" } else { "warn" }
}

/// What the process is called in traces and metrics.
fn service(verb: &Verb) -> &'static str {
    match verb {
        Verb::Serve(args::Serve::Extractor(_)) => "mfa-migrate-extractor",
        Verb::Serve(args::Serve::Worker) => "mfa-migrate-worker",
        Verb::Serve(args::Serve::Coordinator) => "mfa-migrate-coordinator",
        Verb::Demo(_)
        | Verb::Generate(_)
        | Verb::Inspect(_)
        | Verb::Assess(_)
        | Verb::Rehearse(_)
        | Verb::Migrate(_)
        | Verb::Verify(_)
        | Verb::Rollback(_)
        | Verb::Batch(_)
        | Verb::Status(_)
        | Verb::Show(_)
        | Verb::Report(_)
        | Verb::Forget(_)
        | Verb::Simulate(_)
        | Verb::Config(_)
        | Verb::Check
        | Verb::Ledger(_)
        | Verb::Tap(_)
        | Verb::Rollout(_)
        | Verb::Cutover(_) => "mfa-migrate",
    }
}

async fn run(args: Args, loaded: &config::Loaded) -> anyhow::Result<Exit> {
    let json = args.json;
    match args.verb {
        Verb::Demo(verb) => verbs::demo::run(&verb, json).await,
        Verb::Generate(verb) => verbs::generate::run(&verb, json),
        Verb::Inspect(verb) => verbs::inspect::run(&verb, &loaded.config, json),
        Verb::Assess(verb) => verbs::assess::run(&verb, &loaded.config, json),
        Verb::Rehearse(verb) => verbs::rehearse::run(&verb, &loaded.config, json).await,
        Verb::Migrate(verb) => verbs::migrate::run(&verb, &loaded.config, json).await,
        Verb::Verify(verb) => verbs::verify::run(&verb, &loaded.config, json).await,
        Verb::Rollback(verb) => verbs::rollback::run(&verb, &loaded.config, json).await,
        Verb::Batch(verb) => verbs::batch::run(&verb, &loaded.config, json).await,
        Verb::Status(verb) => verbs::status::run(&verb, &loaded.config, json).await,
        Verb::Show(verb) => verbs::show::run(&verb, &loaded.config, json).await,
        Verb::Report(verb) => verbs::report::run(&verb, &loaded.config, json).await,
        Verb::Forget(verb) => verbs::forget::run(&verb, &loaded.config, json).await,
        Verb::Serve(verb) => verbs::serve::run(&verb, &loaded.config, json).await,
        Verb::Simulate(args::Simulate::Tenant(verb)) => verbs::simulate::run(&verb).await,
        Verb::Config(args::ConfigVerb::Show) => verbs::config_show::run(loaded, json),
        Verb::Ledger(args::LedgerVerb::Prepare) => verbs::prepare::run(&loaded.config, json).await,
        Verb::Check => verbs::check::run(&loaded.config, json).await,
        Verb::Tap(verb) => verbs::tap::run(&verb, &loaded.config, json).await,
        Verb::Rollout(verb) => verbs::rollout::run(&verb, &loaded.config, json).await,
        Verb::Cutover(verb) => verbs::cutover::run(&verb, &loaded.config, json).await,
    }
}

/// A line on standard output; the process ends quietly when nobody reads it any more.
fn print_line(line: std::fmt::Arguments<'_>) {
    use std::io::Write;
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// A ledger that cannot be opened as named.
fn is_wrong_ledger(error: &ledger::Error) -> bool {
    matches!(
        error,
        ledger::Error::Open { .. }
            | ledger::Error::Server { .. }
            | ledger::Error::Denied { .. }
            | ledger::Error::NotALedger { .. }
            | ledger::Error::Newer { .. }
    )
}

/// A broker that cannot be used as named.
fn is_wrong_broker(error: &broker::Error) -> bool {
    matches!(
        error,
        broker::Error::Address { .. }
            | broker::Error::Clear { .. }
            | broker::Error::Certificate { .. }
            | broker::Error::Refused { .. }
            | broker::Error::VirtualHost { .. }
            | broker::Error::Topology { .. }
    )
}

/// Whether nothing was written and the call itself is at fault.
fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Usage>()
            || cause.is::<config::Error>()
            || cause.is::<telemetry::EndpointError>()
            || cause.is::<extractor::Error>()
            || cause.is::<simulator::OptionsError>()
            || cause.is::<contract::PolicyError>()
            || cause.downcast_ref::<graph::Error>().is_some_and(|e| matches!(e, graph::Error::Config { .. }))
            || cause.downcast_ref::<ledger::Error>().is_some_and(is_wrong_ledger)
            || cause.downcast_ref::<broker::Error>().is_some_and(is_wrong_broker)
    })
}
