//! `tap`: Temporary Access Passes for users who must register their app again, into one file and nowhere else, and the way
//! to take them away.
//!
//! Where the ledger is a file, one of these runs at a time, beside whatever else works on it; where it is a server, any
//! number: each user is in one pair of hands.

use crate::args::{TapIssue, TapRevoke, TapVerb};
use crate::config::{BrokerKind, Config, LedgerKind};
use crate::engine::{self, Engine};
use crate::lock::Lock;
use crate::notices::Notices;
use crate::passes::{Book, Selected, select_to_issue, select_to_revoke};
use crate::verbs::batch::who;
use crate::{Exit, Usage, lines};
use anyhow::{Context, bail};
use contract::{EntraId, PassEnding, Sealer};
use graph::{Pace, PassPolicy, Reader, Writer};
use ledger::PassIssue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;
use telemetry::{Shutdown, shutdown_on_signal};
use worker::{Ended, Issued, PassDesk, Progress, Refused};

/// Users who were left that are named on the screen; JSON has all.
const SHOWN: usize = 20;
const PERMISSION: &str = "takes the application permissions UserAuthenticationMethod.ReadWrite.All, Policy.Read.All and User.Read.All";

/// What both verbs work with.
struct Office {
    engine: Engine,
    writer: Writer,
    pace: Pace,
    /// Present where the ledger is a file.
    _lock: Option<Lock>,
}

pub(crate) async fn run(verb: &TapVerb, config: &Config, json: bool) -> anyhow::Result<Exit> {
    match verb {
        TapVerb::Issue(verb) => issue(verb, config, json).await,
        TapVerb::Revoke(verb) => revoke(verb, config, json).await,
    }
}

impl Office {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        let graph = config.graph()?;
        let engine = Engine::beside(config).await?;
        let lock = match config.ledger_kind()? {
            LedgerKind::Sqlite(path) => {
                let lock = Lock::take(&path.with_extension("passes")).await.map_err(|error| {
                    if error.is::<Usage>() { anyhow::Error::from(Usage(BUSY.to_owned())) } else { error }
                })?;
                // Nobody else is at this file's passes: whoever was is gone.
                engine.ledger.void_pass_claims().await?;
                Some(lock)
            }
            LedgerKind::Postgres(_) => None,
        };
        let pace = match config.broker_kind()? {
            BrokerKind::Rabbit(_) => Pace::shared(Arc::new(crate::quota::Book(Arc::clone(&engine.ledger)))),
            BrokerKind::Embedded => {
                let pace = Pace::new();
                for (bucket, rate) in engine.ledger.learned_rates().await? {
                    pace.restore(&bucket, rate);
                }
                pace
            }
        };
        let writer = Writer::new(graph, pace.clone())?;
        Ok(Self { engine, writer, pace, _lock: lock })
    }

    fn desk(&self) -> PassDesk {
        let settings = self.engine.config().worker_settings();
        PassDesk::new(Arc::clone(&self.engine.ledger), self.writer.clone(), settings, engine::name())
    }

    async fn note(&self, selected: &Selected, what: &str, why: &str) -> anyhow::Result<()> {
        self.engine.note_event(&selected.batch, None, what, why).await
    }
}

const BUSY: &str = "another `mfa-migrate tap` is at the passes of this ledger; nothing was done: wait for its end, and run this again";

async fn issue(verb: &TapIssue, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("tap");
    let office = Office::open(config).await?;
    let reader = office.writer.reader().clone();
    let policy = reader.pass_policy().await.context(PERMISSION)?;
    let wanted = wanted(verb, &policy)?;
    let includes = includes(&reader, &policy).await?;
    notices.step("reading who is meant");
    let selected = select_to_issue(&office.engine, &reader, &verb.users).await?;
    let mut book = Book::open(&verb.out)?;
    let issue = begin(&office.engine, &mut book, wanted, verb).await?;
    let (n, minutes) = (selected.users.len(), issue.lifetime_minutes);
    let once = if issue.once { "once" } else { "many times" };
    office
        .note(&selected, "tap-issue", &format!("{n} users, {minutes} min, usable {once}, issue {}", issue.id))
        .await?;
    telemetry::crash_point("tap.begun");
    let users = selected.users.clone();
    let is_included = |user: &EntraId| includes.has(user);
    let desk = office.desk();
    let issued =
        desk.issue(&issue, users, &is_included, &mut book, &shutdown, &mut |p| tell(&notices, p)).await;
    notices.end();
    let issued = issued?;
    let why = format!(
        "{} issued, {} issued before, {} left, issue {}",
        issued.issued,
        issued.before,
        issued.refused.len(),
        issue.id
    );
    office.note(&selected, "tap-issued", &why).await?;
    if json {
        let mut object = common(&office, &selected, &issued.refused, began);
        object["issue"] = issue.id.as_str().into();
        object["file"] = verb.out.display().to_string().into();
        object["lifetimeMinutes"] = minutes.into();
        object["once"] = issue.once.into();
        object["issued"] = issued.issued.into();
        object["issuedBefore"] = issued.before.into();
        object["lost"] = issued.lost.into();
        object["left"] = issued.left.into();
        println!("{object}");
    } else {
        print_issued(verb, &selected, &issued);
    }
    Ok(exit(issued.left, &issued.refused, &selected))
}

/// What is asked for: lifetime, once or not, start; refused where the policy would.
fn wanted(verb: &TapIssue, policy: &PassPolicy) -> anyhow::Result<PassIssue> {
    let lifetime_minutes = match &verb.lifetime {
        Some(text) => minutes(text)?,
        None => policy.default_minutes.or(policy.minimum_minutes).unwrap_or(60),
    };
    let once = verb.once || !verb.many;
    let bounds = rules::PassBounds {
        enabled: policy.enabled,
        minimum_minutes: policy.minimum_minutes,
        maximum_minutes: policy.maximum_minutes,
        once_only: policy.once_only,
    };
    rules::pass_allowed(&bounds, lifetime_minutes, once).map_err(|refusal| {
        Usage(format!(
            "{refusal}, and this asks for {lifetime_minutes} minutes, usable {}: nothing was issued; change the flags, or the \
             policy under Entra's authentication methods",
            if once { "once" } else { "many times" }
        ))
    })?;
    let start_ms = verb.start.as_deref().map(start).transpose()?;
    let id = hex::encode(Sealer::new_key()?.get(..16).unwrap_or_default());
    Ok(PassIssue { id, lifetime_minutes, once, start_ms, by: who() })
}

fn minutes(text: &str) -> anyhow::Result<u32> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("m" | "min") => Some(1),
        Some("h") => Some(60),
        Some("d") => Some(24 * 60),
        Some(_) | None => None,
    };
    let minutes = unit.and_then(|unit: u32| digits.parse::<u32>().ok()?.checked_mul(unit));
    match minutes.filter(|minutes| *minutes > 0) {
        Some(minutes) => Ok(minutes),
        None => {
            bail!(Usage(format!("--lifetime takes minutes, hours or days, as 60m, 8h or 2d, not \"{text}\"")))
        }
    }
}

fn start(text: &str) -> anyhow::Result<i64> {
    let Some(at_ms) = lines::unix_ms(text) else {
        bail!(Usage(format!("--start takes a time such as 2026-12-01T07:00:00Z, not \"{text}\"")));
    };
    if at_ms < lines::now_ms() {
        bail!(Usage(format!(
            "--start {text} lies in the past; leave it out for passes that can be used at once"
        )));
    }
    Ok(at_ms)
}

/// The issue that the file was begun for, or a new one.
async fn begin(
    engine: &Engine,
    book: &mut Book,
    wanted: PassIssue,
    verb: &TapIssue,
) -> anyhow::Result<PassIssue> {
    let Some(begun) = book.issue().map(str::to_owned) else {
        engine.ledger.begin_pass_issue(&wanted).await?;
        book.is_of(&wanted.id);
        return Ok(wanted);
    };
    let Some(issue) = engine.ledger.pass_issue(&begun).await? else {
        bail!(Usage(format!(
            "{} holds passes that another ledger has issued: nothing was written; name another file with --out",
            verb.out.display()
        )));
    };
    let is_same = (issue.lifetime_minutes, issue.once, issue.start_ms)
        == (wanted.lifetime_minutes, wanted.once, wanted.start_ms);
    if !is_same {
        let once = if issue.once { "--once" } else { "--many" };
        let start = issue.start_ms.map(|at| format!(" --start {}", lines::time(at))).unwrap_or_default();
        bail!(Usage(format!(
            "{} was begun with --lifetime {}m {once}{start}: nothing was written; go on with these, or name another file with \
             --out",
            verb.out.display(),
            issue.lifetime_minutes
        )));
    }
    Ok(issue)
}

/// Whom the policy's groups include; absent lists include everybody, and nobody is left out.
#[derive(Default)]
struct Includes {
    only: Option<BTreeSet<EntraId>>,
    except: BTreeSet<EntraId>,
}

impl Includes {
    fn has(&self, user: &EntraId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(user)) && !self.except.contains(user)
    }
}

async fn includes(reader: &Reader, policy: &PassPolicy) -> anyhow::Result<Includes> {
    Ok(Includes {
        only: match &policy.groups {
            Some(groups) => Some(members(reader, groups).await?),
            None => None,
        },
        except: members(reader, &policy.except_groups).await?,
    })
}

async fn members(reader: &Reader, groups: &[String]) -> anyhow::Result<BTreeSet<EntraId>> {
    let mut members = BTreeSet::new();
    for group in groups {
        let mut next: Option<String> = None;
        loop {
            let page = match reader.group_members_page(group, next.as_deref()).await {
                // A group that is gone has nobody in it.
                Err(graph::Error::NotFound) => break,
                other => other.with_context(|| format!("the members of group {group} could not be read"))?,
            };
            members.extend(page.items);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
    }
    Ok(members)
}

fn tell(notices: &Notices, progress: Progress) {
    notices.passes(progress.done, progress.of, progress.in_doubt);
}

fn exit(left: u64, refused: &[Refused], selected: &Selected) -> Exit {
    if left > 0 {
        Exit::Stopped
    } else if !refused.is_empty() || !selected.unknown.is_empty() {
        Exit::Remainder
    } else {
        Exit::Done
    }
}

fn common(office: &Office, selected: &Selected, refused: &[Refused], began: Instant) -> serde_json::Value {
    let counts = office.pace.counts();
    let unknown =
        selected.unknown.iter().map(|name| serde_json::json!({ "user": name, "code": "user-unknown" }));
    let refused = refused.iter().map(|refused| {
        serde_json::json!({
            "user": refused.user.name, "id": refused.user.id, "code": refused.word.as_str(), "graphCode": refused.graph_code,
        })
    });
    serde_json::json!({
        "users": selected.users.len() + selected.unknown.len(),
        "refused": refused.chain(unknown).collect::<Vec<_>>(),
        "graph": { "requests": counts.requests, "writes": counts.writes, "throttled": counts.throttled },
        "seconds": began.elapsed().as_secs_f64(),
    })
}

fn print_issued(verb: &TapIssue, selected: &Selected, issued: &Issued) {
    println!(
        "{} passes issued, {} issued before, of {} users",
        issued.issued,
        issued.before,
        selected.users.len()
    );
    if issued.lost > 0 {
        println!("  {} that had been made and that nobody had were taken away, and made anew", issued.lost);
    }
    print_refused(selected, &issued.refused);
    println!(
        "  the passes are in {}, which its owner alone can read; Entra never shows them again",
        verb.out.display()
    );
    if issued.left > 0 {
        println!("stopped; {} users are left. The same command goes on with them", issued.left);
    } else {
        println!(
            "next: hand each user the pass over a safe way, then delete the file; `mfa-migrate tap revoke` takes passes back"
        );
    }
}

fn print_refused(selected: &Selected, refused: &[Refused]) {
    let mut by_word: BTreeMap<&str, (&str, Vec<String>)> = BTreeMap::new();
    for refused in refused {
        let code = refused.graph_code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
        let (_, names) = by_word.entry(refused.word.as_str()).or_insert((refused.word.meaning(), Vec::new()));
        names.push(format!("{}{code}", refused.user.name));
    }
    if !selected.unknown.is_empty() {
        by_word.insert(
            "user-unknown",
            ("is in no datafile, and no user principal name in Entra", selected.unknown.clone()),
        );
    }
    for (word, (meaning, names)) in by_word {
        println!("  {} {word}: {meaning}", names.len());
        for name in names.iter().take(SHOWN) {
            println!("    {name}");
        }
        if names.len() > SHOWN {
            println!("    and {} more (--json has all)", names.len() - SHOWN);
        }
    }
}

async fn revoke(verb: &TapRevoke, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("tap");
    let office = Office::open(config).await?;
    let reader = office.writer.reader().clone();
    let selected = select_to_revoke(&office.engine, &reader, &verb.users).await?;
    office.note(&selected, "tap-revoke", &format!("{} users with passes", selected.users.len())).await?;
    let desk = office.desk();
    let ended = desk.revoke(selected.users.clone(), &shutdown, &mut |p| tell(&notices, p)).await;
    notices.end();
    let ended = ended?;
    let counts = counts(&ended);
    let told: Vec<String> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
    office.note(&selected, "tap-revoked", &told.join(", ")).await?;
    if json {
        let mut object = common(&office, &selected, &ended.refused, began);
        for (word, n) in &counts {
            object[*word] = (*n).into();
        }
        object["left"] = ended.left.into();
        println!("{object}");
    } else {
        let told = if told.is_empty() { "no pass of ours was there".to_owned() } else { told.join(", ") };
        println!("passes of {} users: {told}", selected.users.len());
        print_refused(&selected, &ended.refused);
        if ended.left > 0 {
            println!("stopped; {} users are left. The same command goes on with them", ended.left);
        }
    }
    Ok(exit(ended.left, &ended.refused, &selected))
}

/// Passes by how they ended, every word that occurred.
fn counts(ended: &Ended) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (_, ending) in &ended.endings {
        *counts.entry(PassEnding::as_str(*ending)).or_default() += 1;
    }
    if ended.lost > 0 {
        counts.insert("lost", ended.lost);
    }
    counts
}
