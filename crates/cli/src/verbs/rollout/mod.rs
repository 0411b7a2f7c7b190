//! `rollout`: reroutes users whose methods are in place to Entra's MFA, group by group within Microsoft's limits, and back.
//!
//! The groups are the operator's: none is made, and none is taken out of the policy. Who gets in is decided by the
//! coordinator; here the policy is seen to, the run is opened, and what it came to is said.

mod groups;
mod say;
mod status;

use crate::args::{RolloutRemove, RolloutVerb, RolloutWish};
use crate::config::{BrokerKind, Config};
use crate::engine::{ALL, Engine};
use crate::notices::Notices;
use crate::work::Finished;
use crate::{Exit, Stopped, Usage};
use anyhow::{Context, bail};
use contract::{EntryState, RolloutTerms, RunId, RunKind, RunState, SnapshotManifest};
use graph::{Pace, Reader, RolloutPolicy, Writer};
use groups::{Applied, Fillable};
use ledger::{Run, RunSpec};
use telemetry::{Shutdown, shutdown_on_signal};
use worker::{RolloutDesk, RolloutDeskError};

/// What the policy is called where we make it.
const NAME: &str = "MFA rollout policy";
const PERMISSION: &str = "the staged rollout takes the application permissions Policy.ReadWrite.FeatureRollout, GroupMember.ReadWrite.All \
                          and User.Read.All; where an administrator has made the policy and applied it to the groups, \
                          --policy-unseen does without the first";

pub(crate) async fn run(verb: &RolloutVerb, config: &Config, json: bool) -> anyhow::Result<Exit> {
    match verb {
        RolloutVerb::Plan(wish) => plan(wish, config, json).await,
        RolloutVerb::Apply(wish) => apply(wish, config, json).await,
        RolloutVerb::Remove(wish) => remove(wish, config, json).await,
        RolloutVerb::Status => status::run(config, json).await,
    }
}

/// What a plan and a rollout are made from.
struct Ground {
    engine: Engine,
    notices: Notices,
    shutdown: Shutdown,
    manifest: SnapshotManifest,
    batch: String,
    policy: Option<RolloutPolicy>,
    groups: Vec<Fillable>,
    /// An unfinished run of this batch, and the users whom it has put in before: they are among the groups' users already.
    put_in: Option<(RunId, u64)>,
}

async fn ground(
    wish: &RolloutWish,
    config: &Config,
    reader: &Reader,
    verb: &'static str,
) -> anyhow::Result<Ground> {
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new(verb);
    let engine = Engine::open_existing(config).await?;
    let manifest = super::rollback::last_moved(&engine).await?;
    let batch = engine.batch_name(wish.batch.as_deref()).await?;
    super::rollback::must_not_be_on_its_way_back(&engine, &batch).await?;
    must_hold_nobody(&engine, &batch).await?;
    let policy = match wish.policy_unseen {
        true => None,
        false => reader.rollout_policy().await.context(PERMISSION)?,
    };
    if policy.as_ref().is_some_and(|policy| policy.for_everyone) {
        bail!(Usage(
            "the policy of the staged rollout is applied to the whole organization: everybody is rerouted already, and groups \
             decide nothing; nothing was written"
                .to_owned()
        ));
    }
    let given = if wish.group.is_empty() { &config.rollout.groups } else { &wish.group };
    notices.step("looking at the groups");
    let applied = match (&policy, wish.policy_unseen) {
        (_, true) => Applied::ToAll,
        (Some(policy), false) => Applied::To(&policy.groups),
        (None, false) => Applied::To(&[]),
    };
    let groups = groups::fillable(&engine, reader, given, &applied).await?;
    let runs = engine.ledger.runs_of(&batch).await?;
    let unfinished = runs.iter().find(|run| {
        run.spec.kind == RunKind::Rollout && matches!(run.state, RunState::Preparing | RunState::Open)
    });
    let put_in = match unfinished {
        Some(run) => {
            let counts = engine.ledger.counts(run.id).await?;
            Some((run.id, counts.get(&EntryState::Applied).copied().unwrap_or(0)))
        }
        None => None,
    };
    Ok(Ground { engine, notices, shutdown, manifest, batch, policy, groups, put_in })
}

impl Ground {
    /// The run of a kind on these terms.
    fn spec(&self, kind: RunKind, policy: &str, wish: &RolloutWish) -> anyhow::Result<RunSpec> {
        let terms = RolloutTerms {
            v: RolloutTerms::VERSION,
            groups: self.groups.iter().map(|known| known.group.clone()).collect(),
            policy: policy.to_owned(),
            stay_s: self.engine.config().rollout.stay_s,
            put_back: wish.put_back,
            unseen: wish.policy_unseen,
        };
        spec(&self.engine, kind, &self.batch, &self.manifest, &terms)
    }
}

fn spec(
    engine: &Engine,
    kind: RunKind,
    batch: &str,
    manifest: &SnapshotManifest,
    terms: &RolloutTerms,
) -> anyhow::Result<RunSpec> {
    let terms = serde_json::to_string(terms)?;
    Ok(RunSpec {
        kind,
        batch: batch.to_owned(),
        snapshot: manifest.id.clone(),
        policy_hash: engine.keys.of("rollout terms", terms.as_bytes()).to_hex(),
        policy: terms,
        plan_hash: None,
        include_unchanged: true,
    })
}

async fn plan(wish: &RolloutWish, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let reader = Reader::new(config.graph()?, Pace::new())?;
    let ground = ground(wish, config, &reader, "rollout plan").await?;
    let policy = ground.policy.as_ref().map_or("", |policy| policy.id.as_str());
    let spec = ground.spec(RunKind::RolloutPlan, policy, wish)?;
    let finished = ground.engine.work(&spec, None, &ground.notices, &ground.shutdown).await?;
    let told = say::Told::of(&ground, &reader, &finished).await?;
    if json {
        println!("{}", told.json())
    } else {
        told.print_plan()
    }
    Ok(if finished.done { told.exit() } else { Exit::Stopped })
}

async fn apply(wish: &RolloutWish, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let writer = Writer::new(config.graph()?, Pace::new())?;
    let reader = writer.reader().clone();
    let ground = ground(wish, config, &reader, "rollout apply").await?;
    let desk = RolloutDesk::new(writer, config.worker_settings());
    let policy = match wish.policy_unseen {
        true => String::new(),
        false => tokio::select! {
            () = ground.shutdown.requested() => bail!(Stopped(
                "stopped while the policy of the staged rollout was seen to; the same command goes on with it"
            )),
            seen_to = see_to_policy(&ground, &desk, &reader) => seen_to?.id,
        },
    };
    let spec = ground.spec(RunKind::Rollout, &policy, wish)?;
    let finished = ground.engine.work(&spec, None, &ground.notices, &ground.shutdown).await?;
    let told = say::Told::of(&ground, &reader, &finished).await?;
    if json {
        let mut object = super::migrate::end_object(&finished, &ground.manifest);
        object["rollout"] = told.json();
        println!("{object}");
    } else {
        told.print_applied(&finished).await?;
    }
    Ok(super::migrate::exit_of(&finished))
}

/// The policy, acting, and applied to every group; each step is on record with who took it.
async fn see_to_policy(
    ground: &Ground,
    desk: &RolloutDesk,
    reader: &Reader,
) -> anyhow::Result<RolloutPolicy> {
    let note = async |what: &str| ground.engine.note_event(&ground.batch, None, "rollout", what).await;
    let mut policy = match &ground.policy {
        Some(policy) => policy.clone(),
        None => {
            ground.notices.step("making the policy of the staged rollout");
            note(&format!("the policy \"{NAME}\" is made")).await?;
            desk.make(NAME).await.map_err(told)?
        }
    };
    if !policy.enabled {
        let mut members = 0;
        for group in &policy.groups {
            members += groups::users_of(reader, &group.0).await?.unwrap_or(0);
        }
        if members > 0 {
            bail!(Usage(format!(
                "the policy \"{}\" is not enabled, and there are {members} users in its groups, who would all be rerouted the moment that \
                 it is; look at them, enable it in Entra or empty its groups, and run this again; nothing was written",
                policy.name
            )));
        }
        note(&format!("the policy \"{}\" is enabled; its groups are empty", policy.name)).await?;
        policy = desk.enable(&policy.id).await.map_err(told)?;
    }
    for known in ground.groups.iter().filter(|known| !known.applied) {
        ground.notices.step(&format!("applying the staged rollout to {}", known.group.name));
        note(&format!(
            "the policy \"{}\" is applied to group {} ({})",
            policy.name, known.group.name, known.group.id
        ))
        .await?;
        policy = desk.apply(&policy.id, &known.group.id).await.map_err(told)?;
    }
    Ok(policy)
}

/// A failure in the operator's words.
fn told(error: RolloutDeskError) -> anyhow::Error {
    match &error {
        RolloutDeskError::Refused { status: 403, .. }
        | RolloutDeskError::Graph(graph::Error::Forbidden { .. }) => {
            anyhow::Error::from(error).context(PERMISSION)
        }
        RolloutDeskError::Refused { .. }
        | RolloutDeskError::Graph(_)
        | RolloutDeskError::NotVisible { .. } => error.into(),
    }
}

async fn remove(wish: &RolloutRemove, config: &Config, json: bool) -> anyhow::Result<Exit> {
    Reader::new(config.graph()?, Pace::new())?;
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("rollout remove");
    let engine = Engine::open_existing(config).await?;
    let manifest = super::rollback::last_moved(&engine).await?;
    let batch = engine.batch_name(wish.batch.as_deref()).await?;
    must_not_come_in_elsewhere(&engine, &batch).await?;
    must_hold_nobody(&engine, &batch).await?;
    let finished = take_out(&engine, &batch, &manifest, &notices, &shutdown).await?;
    if json {
        println!("{}", super::migrate::end_object(&finished, &manifest));
    } else {
        say::print_removed(&engine, &finished).await?;
    }
    Ok(super::migrate::exit_of(&finished))
}

/// Another batch's unfinished rollout may put users of this one in again.
async fn must_not_come_in_elsewhere(engine: &Engine, batch: &str) -> anyhow::Result<()> {
    let sharing = super::rollback::sharing(engine, batch).await?;
    let other = sharing.iter().find(|run| run.spec.kind == RunKind::Rollout && run.spec.batch != batch);
    let Some(run) = other else { return Ok(()) };
    let other = &run.spec.batch;
    bail!(Usage(format!(
        "run {} of batch {other} is unfinished and may put users of {batch} in; let it end, or end it with `mfa-migrate batch abort {other}`",
        run.id
    )))
}

/// Users whom a run of methods has in hand and nobody drives could never be claimed here: it goes on first, or is ended.
async fn must_hold_nobody(engine: &Engine, batch: &str) -> anyhow::Result<()> {
    let is_alone = engine.config().broker_kind()? == BrokerKind::Embedded;
    let sharing = super::rollback::sharing(engine, batch).await?;
    let stands = sharing.iter().find(|run| {
        matches!(run.spec.kind, RunKind::Migrate | RunKind::Rollback) && (is_alone || run.halted.is_some())
    });
    let Some(run) = stands else { return Ok(()) };
    let other = &run.spec.batch;
    bail!(Usage(format!(
        "{} {} of batch {other} is unfinished, nobody goes on with it, and it may hold users of {batch}; go on with it, or end it with \
         `mfa-migrate batch abort {other}`, and then run this again",
        run.spec.kind.as_str(),
        run.id
    )))
}

async fn take_out(
    engine: &Engine,
    batch: &str,
    manifest: &SnapshotManifest,
    notices: &Notices,
    shutdown: &Shutdown,
) -> anyhow::Result<Finished> {
    let terms = RolloutTerms {
        v: RolloutTerms::VERSION,
        groups: Vec::new(),
        policy: String::new(),
        stay_s: engine.config().rollout.stay_s,
        put_back: false,
        unseen: false,
    };
    let spec = spec(engine, RunKind::RolloutRemove, batch, manifest, &terms)?;
    engine.work(&spec, None, notices, shutdown).await
}

/// Before a rollback: takes the users of a batch out of the staged rollout, if any of them is in it by our doing. Answers
/// whether nobody is any more.
pub(crate) async fn taken_out_first(
    engine: &Engine,
    batch: &str,
    manifest: &SnapshotManifest,
    notices: &Notices,
    shutdown: &Shutdown,
) -> anyhow::Result<bool> {
    let seated = engine.ledger.seated(batch).await?;
    let is_under_way = |run: &Run| matches!(run.state, RunState::Preparing | RunState::Open);
    let runs = engine.ledger.runs_of(batch).await?;
    let unfinished = runs.iter().any(|run| run.spec.kind == RunKind::Rollout && is_under_way(run));
    if seated == 0 && !unfinished {
        return Ok(true);
    }
    notices.line(&format!(
        "{seated} users of {} are in the staged rollout; they are taken out first, and methods are withdrawn once they are routed back",
        if batch == ALL { "everybody" } else { batch }
    ));
    // The rollback would end it, and until then it may hold users.
    for run in &runs {
        if run.spec.kind == RunKind::Migrate && is_under_way(run) {
            engine.ledger.set_run_state(run.id, RunState::Superseded).await?;
        }
    }
    let finished = take_out(engine, batch, manifest, notices, shutdown).await?;
    if !finished.done {
        return Ok(false);
    }
    let left = engine.ledger.seated(batch).await?;
    if left > 0 {
        notices.line(&format!(
            "{left} users could not be taken out of the staged rollout, so nothing is withdrawn; `mfa-migrate report --run {}` says why",
            finished.run.id
        ));
    }
    Ok(left == 0)
}
