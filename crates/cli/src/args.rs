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
    /// What a site uses of MFA Server, what Entra has in its place, whom it touches, what to do; asks nobody.
    ///
    /// The datafile shows methods, PIN modes, languages and the like (a PIN itself is never read). What it does not show
    /// (RADIUS, LDAP, AD FS, the portal) is stated in a TOML file: `[mfa_server] in_use = […], not_in_use = […]` with ids of
    /// features, and a table `[[radius]]`, `[[ldap]]` or `[[adfs]]` for each of what hangs on MFA Server. `assess --template`
    /// prints one with every key explained; unknown keys are errors, and what is not stated is reported as not known.
    Assess(Box<Assess>),
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
    /// Removes the sealed values of a closed batch or an old snapshot; what was done stays on record, the way back does not.
    ///
    /// Gone afterwards: the records as the datafile stated them, the values before our first write, the values that we meant to
    /// write, and those in results. Kept: who was moved and when, every code and outcome, the serials of tokens that we made,
    /// and the journal, whose chain stays whole. It says first what can no longer be taken back, and asks for the name to be
    /// typed, or given by --confirm.
    ///
    /// Refused while a run is not over, while anybody is in doubt or unsettled, while a batch that is kept in step needs it, and
    /// for a batch that was never moved. It may be killed at any moment: the same command goes on.
    ///
    /// A ledger in a file is written anew at the end, so that no byte stays behind; that takes as much room again for a while.
    /// In PostgreSQL removed rows stay in the tables until VACUUM (autovacuum does it by itself, `VACUUM FULL` gives the room
    /// back), and in the write-ahead log and in backups for as long as those are kept. Saved plans, reports and lists of rejects
    /// are files of yours, and yours to delete.
    Forget(Forget),
    /// The three services, for RabbitMQ and PostgreSQL
    #[command(subcommand)]
    Serve(Serve),
    /// The simulated tenant
    #[command(subcommand)]
    Simulate(Simulate),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigVerb),
    /// The ledger itself
    #[command(subcommand)]
    Ledger(LedgerVerb),
    /// Opens everything (key, ledger, Graph, permissions, methods policy, clock) and says what is missing
    Check,
    /// Temporary Access Passes for users who must register their app again
    #[command(subcommand)]
    Tap(TapVerb),
    /// Staged rollout: Entra does the MFA of those whose methods are in place, group by group, and back
    #[command(subcommand)]
    Rollout(RolloutVerb),
    /// The end of a migration: Entra does MFA for a federated domain by itself
    #[command(subcommand)]
    Cutover(CutoverVerb),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutVerb {
    /// Who would be rerouted, into which group, and who stays out and why; writes nothing to Entra
    Plan(RolloutWish),
    /// Puts users into groups of the staged rollout, within the batch's steps and windows; the same command resumes
    Apply(RolloutWish),
    /// Takes users out again: MFA Server does their MFA from then on; nobody whom somebody else put in
    Remove(RolloutRemove),
    /// The policy, its groups and how full they are; writes nothing
    Status,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RolloutWish {
    /// The batch
    #[arg(long, value_name = "NAME", required_unless_present = "all")]
    pub(crate) batch: Option<String>,
    /// Everybody
    #[arg(long, conflicts_with = "batch")]
    pub(crate) all: bool,
    /// A group to fill, by its name or its object id; several are filled one after the other [default: `rollout.groups`]
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Vec<String>,
    /// Also users whom somebody took out since we put them in
    #[arg(long)]
    pub(crate) put_back: bool,
    /// The application may not see the policy: an administrator has made it and applied it to these groups, and to no others
    #[arg(long)]
    pub(crate) policy_unseen: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RolloutRemove {
    /// The batch
    #[arg(long, value_name = "NAME", required_unless_present = "all")]
    pub(crate) batch: Option<String>,
    /// Everybody
    #[arg(long, conflicts_with = "batch")]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TapVerb {
    /// Makes passes and puts them into one file; the same command goes on where it was cut off
    Issue(TapIssue),
    /// Takes passes away that were issued and that are still there
    Revoke(TapRevoke),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct PassUsers {
    /// Users of this batch
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    /// The users listed in this file, one username or user principal name a line
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// Everybody
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TapIssue {
    #[command(flatten)]
    pub(crate) users: PassUsers,
    /// The file that the passes go to: made readable by its owner alone, or the one that the same command has begun
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// How long a pass can be used, such as `60m`, `8h` or `2d` [default: that of the tenant's policy]
    #[arg(long, value_name = "TIME")]
    pub(crate) lifetime: Option<String>,
    /// A pass can be used once (the default)
    #[arg(long, conflicts_with = "many")]
    pub(crate) once: bool,
    /// A pass can be used again and again while it lives
    #[arg(long)]
    pub(crate) many: bool,
    /// From when passes can be used, such as `2026-12-01T07:00:00Z` [default: at once]
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TapRevoke {
    #[command(flatten)]
    pub(crate) users: PassUsers,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CutoverVerb {
    /// What is set for the domain, what was before, and who is not migrated yet; writes nothing
    Status(CutoverDomain),
    /// Sets `rejectMfaByFederatedIdp`; takes up to 24 hours to act
    Apply(CutoverApply),
    /// Brings back what was set before; takes up to 24 hours to act
    Revert(CutoverRevert),
}

#[derive(Debug, clap::Args)]
pub(crate) struct CutoverDomain {
    /// The federated domain
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) domain: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CutoverApply {
    #[command(flatten)]
    pub(crate) of: CutoverDomain,
    /// The domain's name once more, instead of typing it when asked
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) confirm: Option<String>,
    /// Although users of the domain are not migrated: they may not be able to sign in any more
    #[arg(long)]
    pub(crate) despite_unmigrated: bool,
    /// Although somebody else has changed the setting since
    #[arg(long)]
    pub(crate) despite_change: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CutoverRevert {
    #[command(flatten)]
    pub(crate) of: CutoverDomain,
    /// The domain's name once more, instead of typing it when asked
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) confirm: Option<String>,
    /// Set this instead of what was before
    #[arg(long, value_name = "VALUE", value_parser = ["acceptIfMfaDoneByFederatedIdp", "enforceMfaByFederatedIdp"])]
    pub(crate) to: Option<String>,
    /// Although somebody else has changed the setting since
    #[arg(long)]
    pub(crate) despite_change: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerVerb {
    /// Makes the ledger, or brings it to the shape of this version; only the user that owns a database's schema can
    Prepare,
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

/// How an assessment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AssessFormat {
    /// For a ticket, a wiki, a terminal
    Markdown,
    /// One page that needs nothing from the network
    Html,
    /// One object
    Json,
}

/// What an assessment is of, and how it is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Assess {
    /// The datafile: an NDJSON dump, a CSV, or a folder of SOAP responses
    #[arg(long, value_name = "FILE")]
    pub(crate) datafile: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) side: SideFiles,
    /// What hangs on MFA Server, stated in TOML; `--template` prints one to fill in
    #[arg(long, value_name = "FILE")]
    pub(crate) dependencies: Option<PathBuf>,
    /// Print a file of dependencies to fill in, and nothing else
    #[arg(long, conflicts_with_all = ["datafile", "dependencies", "list"])]
    pub(crate) template: bool,
    /// The format
    #[arg(long, value_enum, default_value = "markdown")]
    pub(crate) format: AssessFormat,
    /// One list alone with everybody on it, as CSV, or with --json as an array: nps-cannot-serve, phone-only, pin,
    /// must-register-again, disabled, language, security-questions, nothing
    #[arg(long, value_name = "LIST", value_parser = list_of_assessment)]
    pub(crate) list: Option<rules::assess::List>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

fn list_of_assessment(id: &str) -> Result<rules::assess::List, String> {
    let all: Vec<&str> = rules::assess::List::ALL.iter().map(|list| list.id()).collect();
    rules::assess::List::parse(id).ok_or_else(|| format!("there are {}", all.join(", ")))
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
    /// In the forecast, when the migration may work, such as `22:00-06:00`; may be repeated [default: the batch's own]
    #[arg(long, value_name = "WINDOW")]
    pub(crate) window: Vec<String>,
    /// The windows' time zone, such as Europe/Berlin [default: the batch's own, else UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) tz: Option<String>,
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

/// What is forgotten.
#[derive(Debug, clap::Args)]
pub(crate) struct Forget {
    /// The users of this batch, in every snapshot and run; `all`: everybody
    #[arg(long, value_name = "NAME", required_unless_present = "snapshot")]
    pub(crate) batch: Option<String>,
    /// What this snapshot brought, by its id or the beginning of it; values before that a later run still needs stay
    #[arg(long, value_name = "ID", conflicts_with = "batch")]
    pub(crate) snapshot: Option<String>,
    /// The name of the batch or the id of the snapshot again, where nobody is there to type it
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
    /// Why, for those who read it later
    #[arg(long, default_value = "")]
    pub(crate) why: String,
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
