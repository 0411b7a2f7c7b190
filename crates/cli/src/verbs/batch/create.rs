//! `batch create`: surveys the directory, fixes whom the selector takes, and says what that means before anything runs.

use super::settings;
use crate::args::{BatchCreate, Cohorts, Selection};
use crate::config::Config;
use crate::engine::{self, ALL, Engine};
use crate::notices::Notices;
use crate::{Exit, Usage, lines};
use anyhow::{Context, bail};
use contract::{
    BatchSettings, Cohort, EntraId, RunId, RunKind, Selector, SnapshotId, SnapshotManifest, UserKey,
};
use coordinator::{Selected, Sources};
use extractor::CohortRow;
use ledger::{Member, NewBatch};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use telemetry::{Shutdown, shutdown_on_signal};

/// Users added at once.
const PAGE: usize = 1_000;
/// Values that are shown of regions and departments.
const SHOWN: usize = 10;

pub(super) async fn run(verb: &BatchCreate, config: &Config, json: bool) -> anyhow::Result<Exit> {
    must_be_a_name(&verb.name)?;
    let settings = settings::of(verb)?;
    let selector = selector(&verb.cohorts);
    let mut sources = Sources { lists: lists(&verb.cohorts)?, ..Sources::default() };
    if let Some(path) = &verb.cohort_file {
        sources.attributes = attributes(path)?;
    }
    let reader = graph::Reader::new(config.graph()?, graph::Pace::new())?;
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("batch");
    let selection = Selection {
        datafile: verb.datafile.clone(),
        side: verb.side.clone(),
        batch: None,
        all: true,
        rejects: None,
    };
    let surveyed = engine::survey(&selection, config, &notices).await?;
    let engine = Engine::open(config).await?;
    for group in verb.cohorts.entra_group.iter().chain(&verb.cohorts.not_entra_group) {
        notices.step(&format!("reading the members of group {group}"));
        let id = group_of(&reader, group, "--entra-group").await?;
        sources.groups.insert(group.clone(), members(&reader, &id).await?);
    }
    let manifest = engine.snapshot(surveyed, &notices, &shutdown).await?;
    let made = Making { name: &verb.name, selector: &selector, settings: &settings, sources: &sources };
    let Some(selected) = make(&engine, &made, &manifest, &notices, &shutdown).await? else {
        notices.line("stopped before the batch was made; the same command makes it");
        return Ok(Exit::Stopped);
    };
    let overlaps = engine.ledger.overlaps(&verb.name).await?;
    if json {
        println!("{}", as_json(&verb.name, &selected, &overlaps));
    } else {
        print(&verb.name, &selected, &overlaps);
    }
    Ok(Exit::Done)
}

/// What a batch is made of.
struct Making<'a> {
    name: &'a str,
    selector: &'a Selector,
    settings: &'a BatchSettings,
    sources: &'a Sources,
}

/// Surveys, selects and freezes; nothing where it was stopped before.
async fn make(
    engine: &Engine,
    making: &Making<'_>,
    manifest: &SnapshotManifest,
    notices: &Notices,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Selected>> {
    let batch = NewBatch {
        name: making.name.to_owned(),
        snapshot: manifest.id.clone(),
        selector: serde_json::to_string(making.selector)?,
        settings: serde_json::to_string(making.settings)?,
        by: super::who(),
    };
    engine.ledger.create_batch(&batch).await?;
    let spec = engine.spec(RunKind::Survey, ALL, &manifest.id, None, false)?;
    let survey = engine.work(&spec, None, notices, shutdown).await?;
    if !survey.done {
        return Ok(None);
    }
    let selected = select(engine, making, survey.run.id).await?;
    // A survey has an entry of every record. Counting its entries would not do: another survey clears them away.
    if selected.seen != manifest.accepted {
        bail!(
            "another survey has begun while the users of batch \"{}\" were being selected; nothing was fixed, and the same \
             command makes it",
            making.name
        );
    }
    engine.ledger.freeze_batch(making.name).await?;
    let why = format!("{} users, {} of them without a match", selected.users, selected.unmatched);
    engine.note_event(making.name, None, "created", &why).await?;
    Ok(Some(selected))
}

async fn select(engine: &Engine, making: &Making<'_>, survey: RunId) -> anyhow::Result<Selected> {
    let selected = engine.coordinator.select(making.name, survey, making.selector, making.sources).await?;
    if selected.users == 0 && selected.seen > 0 {
        bail!(Usage(format!(
            "nobody of the datafile meets the selection, so no batch \"{}\" was made; `mfa-migrate inspect FILE` counts groups, and \
             regions and departments come from Entra or --cohorts FILE",
            making.name
        )));
    }
    Ok(selected)
}

/// A batch of the users in a file, for verbs that take a list: the same list is the same batch, so that calling it again
/// resumes. Nobody is surveyed: whoever has left the datafile since is a user of it all the same.
pub(crate) async fn of_list(
    engine: &Engine,
    path: &Path,
    manifest: &SnapshotManifest,
) -> anyhow::Result<String> {
    let listed = listed(path)?;
    let text = listed.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    let name = format!("users-{}", &engine.keys.of("list", text.as_bytes()).to_hex()[..12]);
    if engine.ledger.batch(&name).await?.is_some_and(|batch| batch.frozen) {
        return Ok(name);
    }
    let users: Vec<UserKey> = listed.iter().map(|user| engine.coordinator.user_key(user)).collect();
    made_of(
        engine,
        &name,
        &manifest.id,
        &users,
        &format!("{} users listed in {}", users.len(), path.display()),
    )
    .await?;
    Ok(name)
}

/// A batch of just these users, for runs that are about them alone; one of that name that is fixed is left as it is.
pub(crate) async fn made_of(
    engine: &Engine,
    name: &str,
    snapshot: &SnapshotId,
    users: &[UserKey],
    why: &str,
) -> anyhow::Result<()> {
    if engine.ledger.batch(name).await?.is_some_and(|batch| batch.frozen) {
        return Ok(());
    }
    let only = Cohort { users: vec![why.to_owned()], ..Cohort::default() };
    let batch = NewBatch {
        name: name.to_owned(),
        snapshot: snapshot.clone(),
        selector: serde_json::to_string(&Selector { only, ..Selector::default() })?,
        settings: serde_json::to_string(&BatchSettings::default())?,
        by: super::who(),
    };
    engine.ledger.create_batch(&batch).await?;
    let members: Vec<Member> = users.iter().map(|user| Member { user: *user, matched: true }).collect();
    for page in members.chunks(PAGE) {
        engine.ledger.add_members(name, page).await?;
    }
    engine.ledger.freeze_batch(name).await?;
    engine.note_event(name, None, "created", why).await
}

/// Makes a batch of a region, for the demo.
pub(crate) async fn make_of_region(
    engine: &Engine,
    (name, region): (&str, &str),
    settings: &BatchSettings,
    manifest: &SnapshotManifest,
    notices: &Notices,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Selected>> {
    let only = Cohort { region: vec![region.to_owned()], ..Cohort::default() };
    let selector = Selector { only, ..Selector::default() };
    let sources = Sources::default();
    make(
        engine,
        &Making { name, selector: &selector, settings, sources: &sources },
        manifest,
        notices,
        shutdown,
    )
    .await
}

fn must_be_a_name(name: &str) -> anyhow::Result<()> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name == ALL {
        bail!(Usage(format!("\"{ALL}\" is everybody's batch and is there already; take another name")));
    }
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        bail!(Usage("a batch's name has 1 to 64 letters, digits, dashes, dots or underscores".to_owned()));
    }
    Ok(())
}

fn selector(cohorts: &Cohorts) -> Selector {
    let names = |paths: &[PathBuf]| paths.iter().map(|p| p.display().to_string()).collect();
    Selector {
        only: Cohort {
            region: cohorts.region.clone(),
            department: cohorts.department.clone(),
            group: cohorts.group.clone(),
            entra_group: cohorts.entra_group.clone(),
            users: names(&cohorts.users),
        },
        except: Cohort {
            region: cohorts.not_region.clone(),
            department: cohorts.not_department.clone(),
            group: cohorts.not_group.clone(),
            entra_group: cohorts.not_entra_group.clone(),
            users: names(&cohorts.not_users),
        },
    }
}

fn lists(cohorts: &Cohorts) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    cohorts
        .users
        .iter()
        .chain(&cohorts.not_users)
        .map(|path| Ok((path.display().to_string(), listed(path)?)))
        .collect()
}

/// The usernames of a list, in lower case; blank lines and those that begin with `#` are nobody.
fn listed(path: &Path) -> anyhow::Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Usage(format!("the list {} cannot be read: {error}", path.display())))?;
    let names: BTreeSet<String> = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(|line| line.trim().to_lowercase())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect();
    if names.is_empty() {
        bail!(Usage(format!("the list {} names nobody; it takes one username a line", path.display())));
    }
    Ok(names)
}

fn attributes(path: &Path) -> anyhow::Result<BTreeMap<String, BTreeMap<String, String>>> {
    let mut found = BTreeMap::new();
    for row in extractor::cohorts(path)? {
        match row? {
            CohortRow::User(name, attributes) => drop(found.insert(name.trim().to_lowercase(), attributes)),
            CohortRow::Rejected(_) => {}
        }
    }
    Ok(found)
}

/// The object id of a group that is given by it or by its name.
pub(crate) async fn group_of(reader: &graph::Reader, given: &str, flag: &str) -> anyhow::Result<String> {
    let is_id = given.len() == 36 && given.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if is_id {
        return Ok(given.to_owned());
    }
    let found = reader
        .groups_called(given)
        .await
        .with_context(|| format!("the group {given} could not be looked up"))?;
    match found.as_slice() {
        [one] => Ok(one.0.clone()),
        [] => bail!(Usage(format!(
            "there is no group called \"{given}\" in Entra; {flag} takes its name or its object id"
        ))),
        [first, second, ..] => bail!(Usage(format!(
            "{} groups in Entra are called \"{given}\", {} and {} among them; name the one that is meant by its object id",
            found.len(),
            first.0,
            second.0
        ))),
    }
}

async fn members(reader: &graph::Reader, group: &str) -> anyhow::Result<BTreeSet<EntraId>> {
    let mut members = BTreeSet::new();
    let mut next: Option<String> = None;
    loop {
        let page = match reader.group_members_page(group, next.as_deref()).await {
            Err(graph::Error::NotFound) => {
                bail!(Usage(format!(
                    "there is no group {group} in Entra; --entra-group takes its name or its object id"
                )))
            }
            other => other.with_context(|| format!("the members of group {group} could not be read"))?,
        };
        members.extend(page.items);
        match page.next {
            Some(link) => next = Some(link),
            None => return Ok(members),
        }
    }
}

fn as_json(name: &str, selected: &Selected, overlaps: &[(String, u64)]) -> serde_json::Value {
    serde_json::json!({
        "batch": name,
        "users": selected.users,
        "unmatched": selected.unmatched,
        "unknown": selected.unknown.len(),
        "regions": selected.regions,
        "departments": selected.departments,
        "overlaps": overlaps.iter().map(|(name, n)| serde_json::json!({ "batch": name, "users": n })).collect::<Vec<_>>(),
    })
}

fn print(name: &str, selected: &Selected, overlaps: &[(String, u64)]) {
    println!("batch {name}: {} users, fixed from now on", selected.users);
    if selected.unmatched > 0 {
        println!(
            "  {} of them match no Entra user, or not one alone: they will be skipped, and a rehearsal says why",
            selected.unmatched
        );
    }
    if !selected.unknown.is_empty() {
        println!("  {} listed names are in no record of the datafile", selected.unknown.len());
    }
    for (what, counts) in [("region", &selected.regions), ("department", &selected.departments)] {
        println!("  by {what}: {}", lines::most(counts, SHOWN));
    }
    for (other, users) in overlaps {
        println!("  {users} of them are in batch {other} too; whichever runs first has them while it runs");
    }
    println!("next: mfa-migrate rehearse --batch {name}   then: mfa-migrate migrate --batch {name}");
}
