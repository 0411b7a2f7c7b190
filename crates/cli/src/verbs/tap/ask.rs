//! What is asked for, and whether it may be: the flags, the tenant's policy and its groups, and what the file was begun for.

use crate::args::TapIssue;
use crate::engine::Engine;
use crate::passes::Book;
use crate::verbs::batch::who;
use crate::{Usage, lines};
use anyhow::{Context, bail};
use contract::{EntraId, Sealer};
use graph::{PassPolicy, Reader};
use ledger::PassIssue;
use std::collections::BTreeSet;

/// What is asked for: lifetime, once or not, start; refused where the policy would.
pub(super) fn wanted(verb: &TapIssue, policy: &PassPolicy) -> anyhow::Result<PassIssue> {
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
pub(super) async fn begin(
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
pub(super) struct Includes {
    only: Option<BTreeSet<EntraId>>,
    except: BTreeSet<EntraId>,
}

impl Includes {
    pub(super) fn has(&self, user: &EntraId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(user)) && !self.except.contains(user)
    }
}

pub(super) async fn includes(reader: &Reader, policy: &PassPolicy) -> anyhow::Result<Includes> {
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
