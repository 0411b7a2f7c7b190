//! The command line. Every flag that configures is read through `config`, so that its origin can be shown.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Moves the MFA methods of a company from on-premises Azure MFA Server to Microsoft Entra.
///
/// Rehearse first: it writes nothing. `mfa-migrate demo` shows the whole journey on made-up data.
#[derive(Debug, Parser)]
#[command(name = "mfa-migrate", version, about, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// The ledger: `sqlite:PATH` or `postgres://…` [default: sqlite:./mfa-migrate.db]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) ledger: Option<String>,
    /// The broker: `embedded` or `amqps://…` [default: embedded]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) broker: Option<String>,
    /// Base of Microsoft Graph, without a version [default: that of the cloud]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) graph_url: Option<String>,
    /// A fixed bearer token, for a simulated tenant
    #[arg(long, global = true, value_name = "T", hide_env_values = true)]
    pub(crate) graph_token: Option<String>,
    /// Another file than ./mfa-migrate.toml
    #[arg(long, global = true, value_name = "FILE", env = "MFA_MIGRATE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Results as JSON on standard output; everything else goes to standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What is logged to standard error, such as `info` or `worker=debug` [default: warn]
    #[arg(long, global = true, value_name = "FILTER", env = "MFA_MIGRATE_LOG")]
    pub(crate) log: Option<String>,
    /// How a line of the log looks: `text` or `json` [default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
    /// Show /metrics, /healthz and /readyz there: a port of this machine alone, such as 9464, or an address such as 0.0.0.0:9464 [default: nowhere]
    #[arg(long, global = true, value_name = "ADDR")]
    pub(crate) metrics_listen: Option<String>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// The whole journey against a simulated tenant: generate, inspect, rehearse, migrate, report
    Demo(Demo),
    /// Makes a synthetic datafile and the matching tenant; the same seed gives the same bytes
    Generate(Generate),
    /// Shows what a datafile holds, and every problem, by code; writes nothing
    Inspect(Inspect),
    /// Plans, prints or saves the plans; writes nothing to Graph
    Rehearse(Rehearse),
    /// Extracts, plans, writes, and reads back what ended in doubt; resumes what an earlier call left
    Migrate(Migrate),
    /// Reads back and compares, after the delay Graph needs
    Verify(Verify),
    /// Walks a batch back, resumable, never over a change made since
    Rollback(Rollback),
    /// Batches by region, department, group or list: made, shown, paused, resumed, ended, changed
    #[command(subcommand)]
    Batch(BatchVerb),
    /// Counts by state, rate, ETA, and why it waits
    Status(Status),
    /// One user, side by side: the record, Entra now, the plan, what was done and when
    Show(Show),
    /// One row a user and method, forward and back, with codes, and the lists that people work through
    Report(Report),
    /// The three services, for RabbitMQ and PostgreSQL
    #[command(subcommand)]
    Serve(Serve),
    /// The simulated tenant
    #[command(subcommand)]
    Simulate(Simulate),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Opens everything (key, ledger, Graph, permissions, methods policy, clock) and says what is missing
    Check,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// How many users
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=500_000))]
    pub(crate) users: u32,
    /// Keep the files in this folder [default: a new folder below the system's temporary one]
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Generate {
    /// How many users
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=500_000))]
    pub(crate) users: u32,
    /// The seed
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The datafile to write
    #[arg(long, value_name = "F")]
    pub(crate) datafile: PathBuf,
    /// The tenant to write
    #[arg(long, value_name = "T")]
    pub(crate) tenant: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The datafile: an NDJSON dump, a CSV, or a folder of SOAP responses
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) side: SideFiles,
    /// A CSV with attributes of users (region, department, …), counted beside the datafile
    #[arg(long, value_name = "FILE")]
    pub(crate) cohorts: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SideFiles {
    /// The CSV of devices that belongs to a CSV of users [default: STEM.devices.csv beside it]
    #[arg(long, value_name = "FILE")]
    pub(crate) devices: Option<PathBuf>,
    /// The token seed file
    #[arg(long, value_name = "FILE")]
    pub(crate) token_seeds: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Selection {
    /// The datafile: an NDJSON dump, a CSV, or a folder of SOAP responses [default: that of the last run]
    #[arg(long, value_name = "FILE")]
    pub(crate) datafile: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) side: SideFiles,
    /// The users of this batch; `mfa-migrate batch create` makes one
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    pub(crate) batch: Option<String>,
    /// All users of the datafile (the default)
    #[arg(long)]
    pub(crate) all: bool,
    /// Where rejected records are listed [default: DATAFILE.rejects.csv, only when there are any]
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rehearse {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Save the plans to this file, for `migrate --plan`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Ask Graph also for users that did not change since they were last applied
    #[arg(long)]
    pub(crate) include_unchanged: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Apply exactly this saved plan
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// Ask Graph also for users that did not change since they were last applied
    #[arg(long)]
    pub(crate) include_unchanged: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// The batch [default: everybody]
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    /// Write again what is missing
    #[arg(long)]
    pub(crate) repair: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rollback {
    /// The batch
    #[arg(long, value_name = "NAME", required_unless_present_any = ["users", "all"])]
    pub(crate) batch: Option<String>,
    /// The users listed in this file, one username a line
    #[arg(long, value_name = "FILE", conflicts_with = "batch")]
    pub(crate) users: Option<PathBuf>,
    /// Everybody
    #[arg(long, conflicts_with_all = ["batch", "users"])]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BatchVerb {
    /// Selects users and fixes them under a name; nothing runs yet
    Create(Box<BatchCreate>),
    /// Every batch, and where it stands
    List,
    /// One batch: whom it holds, where it stands, what was done and decided
    Show(BatchName),
    /// Stops it at once: nothing new is written, in all workers, within two seconds
    Pause(BatchControl),
    /// Goes on, after a pause or after a step that waits for a person
    Resume(BatchControl),
    /// Ends its run: what is settled stays, what is left is free for other runs
    Abort(BatchControl),
    /// Changes how it goes about it: `max-rate=10`, `max-rate=none`, `abort-at=5%`, `wait=30m`, `approve=yes`, `window=22:00-06:00`
    Set(BatchSet),
}

#[derive(Debug, clap::Args)]
pub(crate) struct BatchName {
    /// The batch
    pub(crate) name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BatchControl {
    /// The batch
    pub(crate) name: String,
    /// Why, for those who read it later
    #[arg(long, default_value = "")]
    pub(crate) why: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BatchSet {
    /// The batch
    pub(crate) name: String,
    /// `key=value`, one or more
    #[arg(required = true, value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Why, for those who read it later
    #[arg(long, default_value = "")]
    pub(crate) why: String,
}

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Cohorts {
    /// Region: Entra's usage location or country, or the cohort file's; may be repeated, any of them
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Vec<String>,
    /// Department, in Entra or in the cohort file; may be repeated
    #[arg(long, value_name = "DEPARTMENT")]
    pub(crate) department: Vec<String>,
    /// MFA Server's user group; may be repeated
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Vec<String>,
    /// A group in Entra, by its name or object id, its transitive members; may be repeated
    #[arg(long, value_name = "GROUP")]
    pub(crate) entra_group: Vec<String>,
    /// A file with one username a line; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Vec<PathBuf>,
    /// Leave out this region
    #[arg(long, value_name = "REGION")]
    pub(crate) not_region: Vec<String>,
    /// Leave out this department
    #[arg(long, value_name = "DEPARTMENT")]
    pub(crate) not_department: Vec<String>,
    /// Leave out this user group of MFA Server
    #[arg(long, value_name = "GROUP")]
    pub(crate) not_group: Vec<String>,
    /// Leave out the members of this group in Entra
    #[arg(long, value_name = "GROUP")]
    pub(crate) not_entra_group: Vec<String>,
    /// Leave out the users of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) not_users: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BatchCreate {
    /// Its name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) cohorts: Cohorts,
    /// The datafile [default: that of the last run]
    #[arg(long, value_name = "FILE")]
    pub(crate) datafile: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) side: SideFiles,
    /// A CSV with attributes of users (region, department, group), for what the directory does not carry
    #[arg(long = "cohorts", value_name = "FILE")]
    pub(crate) cohort_file: Option<PathBuf>,
    /// Steps: `10,100,1%,10%,100%`, each judged before the next begins
    #[arg(long, value_name = "STEPS")]
    pub(crate) canary: Option<String>,
    /// Share of failures in a step above which the run stops [default: 2%]
    #[arg(long, value_name = "SHARE")]
    pub(crate) abort_at: Option<String>,
    /// How long to wait between steps, such as `30m`
    #[arg(long, value_name = "TIME")]
    pub(crate) wait: Option<String>,
    /// A person lets every further step go on, by `batch resume`
    #[arg(long)]
    pub(crate) approve: bool,
    /// When users may be released, such as `22:00-06:00` or `Mon-Fri 22:00-06:00`; may be repeated
    #[arg(long, value_name = "WINDOW")]
    pub(crate) window: Vec<String>,
    /// The windows' time zone, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) tz: Option<String>,
    /// Writes a second, at most
    #[arg(long, value_name = "N")]
    pub(crate) max_rate: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Print again every two seconds until the run is done
    #[arg(long)]
    pub(crate) watch: bool,
    /// Of this batch alone
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The username, as the datafile has it
    pub(crate) user: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// One row a user and method
    Csv,
    /// One object
    Json,
    /// One page that needs nothing from the network
    Html,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// The format
    #[arg(long, value_enum, default_value = "csv")]
    pub(crate) format: Format,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// This run alone, and nothing that came before or after it
    #[arg(long, value_name = "N", conflicts_with = "batch")]
    pub(crate) run: Option<i64>,
    /// The users of this batch, with all that runs did to them [default: everybody]
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    /// Check instead that nobody has touched the journal of changes
    #[arg(long)]
    pub(crate) verify_journal: bool,
    /// A digest that an earlier check printed: must be in the journal still
    #[arg(long, value_name = "DIGEST", requires = "verify_journal")]
    pub(crate) head: Option<String>,
    /// One list alone, a row a user with what to do, as CSV or JSON
    #[arg(long, value_enum, value_name = "LIST")]
    pub(crate) list: Option<crate::report::List>,
    /// A CSV with attributes of users (region, department), for what the directory does not carry
    #[arg(long, value_name = "FILE")]
    pub(crate) cohorts: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Serve {
    /// Sends a datafile to the broker, sealed; needs the broker and the sealing key alone
    Extractor(ServeExtractor),
    /// Moves users; any number of workers share the tenant's quota
    Worker,
    /// Files snapshots and drives runs; a second one waits to take over
    Coordinator,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServeExtractor {
    /// The datafile: an NDJSON dump, a CSV, or a folder of SOAP responses; it is sent once
    #[arg(long, value_name = "FILE", required_unless_present = "watch")]
    pub(crate) datafile: Option<PathBuf>,
    /// The same, looked at again and again, and sent whenever it is another one and whole
    #[arg(long, value_name = "FILE", conflicts_with = "datafile")]
    pub(crate) watch: Option<PathBuf>,
    /// How often it is looked at: 90s, 15m, 2h
    #[arg(long, value_name = "TIME", default_value = "15m", requires = "watch")]
    pub(crate) every: String,
    /// Where it is kept what was sent last [default: FILE.sent]
    #[arg(long, value_name = "FILE", requires = "watch")]
    pub(crate) sent_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) side: SideFiles,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Simulate {
    /// An HTTP server that answers as Microsoft Graph would, from the state in a file
    Tenant(SimulateTenant),
}

#[derive(Debug, clap::Args)]
pub(crate) struct SimulateTenant {
    /// The state to begin with
    #[arg(long, value_name = "FILE")]
    pub(crate) seed: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,
    /// Milliseconds that every answer takes
    #[arg(long, default_value_t = 0)]
    pub(crate) latency_ms: u64,
    /// `off`, `published` or `writes=N/S`
    #[arg(long, default_value = "off")]
    pub(crate) throttle: String,
    /// Faults, such as `error-rate=0.01,timeout-but-applied=0.005,seed=7`
    #[arg(long, default_value = "")]
    pub(crate) faults: String,
    /// Append every effect to this file, one line each
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// The effective configuration, secrets redacted, and where each value came from
    Show,
}
