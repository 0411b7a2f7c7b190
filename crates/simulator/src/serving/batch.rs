//! Bundles (`$batch`): up to 20 calls in one request, each judged and answered on its own.
//!
//! The bundle costs no quota. Answers come in another order than asked, so that a client has to look at the ids. A
//! bundle that is malformed is refused as a whole and has no effect. Items that wait for nothing run side by side in the
//! real one: of two that write to one group, the second is refused then.

use super::desk::{Asked, Desk, Said, error_date};
use super::http::wants_unknown_members;
use crate::tenant::{Answer, Content, Now, Verb, Version, parse};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

/// Graph's largest bundle.
const ITEMS_MAX: usize = 20;

/// The request around the items.
pub(super) struct Outer<'o> {
    pub(super) version: Version,
    pub(super) base: &'o str,
    pub(super) client_request_id: Option<&'o str>,
}

struct Item {
    id: String,
    verb: Verb,
    url: String,
    content: Content,
    eventual: bool,
    unknown_members: bool,
    client_request_id: Option<String>,
    /// Positions of the items it waits for.
    depends_on: Vec<usize>,
}

/// Answers a bundle; the flag says that the connection is to be cut.
pub(super) fn take(
    desk: &mut Desk,
    outer: &Outer<'_>,
    body: Value,
    received: Duration,
    now: Now,
) -> io::Result<(Answer, bool)> {
    let items = match read(body) {
        Ok(items) => items,
        Err(message) => return Ok((Answer::error(400, "BadRequest", &message), false)),
    };
    desk.stats.bundles += 1;
    let mut done: Vec<Option<Said>> = items.iter().map(|_| None).collect();
    let ids: Vec<String> = items.iter().map(|i| i.id.clone()).collect();
    let depends: Vec<Vec<usize>> = items.iter().map(|i| i.depends_on.clone()).collect();
    let collides = collisions(&items, outer.version);
    let mut open: Vec<Option<Item>> = items.into_iter().map(Some).collect();
    let is_done = |done: &[Option<Said>], at: &usize| done.get(*at).is_some_and(Option::is_some);
    // `read` has refused circles, so every pass settles at least one item.
    while open.iter().any(Option::is_some) {
        for at in 0..open.len() {
            let waits_for = depends.get(at).map_or(&[][..], Vec::as_slice);
            if !waits_for.iter().all(|d| is_done(&done, d)) {
                continue;
            }
            let Some(item) = open.get_mut(at).and_then(Option::take) else { continue };
            let failed = waits_for
                .iter()
                .any(|d| done.get(*d).is_some_and(|s| s.as_ref().is_some_and(|s| !s.answer.is_success())));
            let said = if failed {
                desk.stats.failed_dependencies += 1;
                Said { answer: failed_dependency(), request_id: desk.fresh_id(), cut: false }
            } else {
                let collides = collides.get(at).copied().unwrap_or(false);
                desk.take(asked(outer, item, collides), received, now)?
            };
            if let Some(place) = done.get_mut(at) {
                *place = Some(said);
            }
        }
    }
    let cut = done.iter().flatten().any(|s| s.cut);
    let date = error_date(now.unix_ms);
    let mut text = String::from("{\"responses\":[");
    for (id, said) in ids.iter().zip(done).rev() {
        if let Some(said) = said {
            if !text.ends_with('[') {
                text.push(',');
            }
            write_item(&mut text, id, said, &date, outer.client_request_id);
        }
    }
    text.push_str("]}");
    Ok((Answer::text(200, text), cut))
}

fn asked(outer: &Outer<'_>, item: Item, collides: bool) -> Asked {
    Asked {
        version: outer.version,
        verb: item.verb,
        url: item.url,
        content: item.content,
        eventual: item.eventual,
        unknown_members: item.unknown_members,
        collides,
        base: outer.base.to_owned(),
        client_request_id: item.client_request_id.or(outer.client_request_id.map(str::to_owned)),
    }
}

fn failed_dependency() -> Answer {
    Answer::error(424, "FailedDependency", "A request that this one depends on has failed.")
}

fn write_item(text: &mut String, id: &str, said: Said, date: &str, client: Option<&str>) {
    let json = |s: &str| serde_json::to_string(s).unwrap_or_default();
    let answer = said.answer.with_ids(date, &said.request_id, client.unwrap_or(&said.request_id));
    text.push_str("{\"id\":");
    text.push_str(&json(id));
    text.push_str(",\"status\":");
    text.push_str(&answer.status.to_string());
    text.push_str(",\"headers\":{\"request-id\":\"");
    text.push_str(&said.request_id);
    text.push('"');
    if answer.body.is_some() {
        text.push_str(",\"Content-Type\":\"application/json\"");
    }
    for (name, value) in &answer.headers {
        text.push_str(",\"");
        text.push_str(name);
        text.push_str("\":");
        text.push_str(&json(value));
    }
    text.push('}');
    if let Some(body) = &answer.body {
        text.push_str(",\"body\":");
        text.push_str(body);
    }
    text.push('}');
}

/// Reads the items, or says why the whole is refused.
fn read(body: Value) -> Result<Vec<Item>, String> {
    let Value::Object(mut body) = body else { return Err("Invalid batch payload format.".to_owned()) };
    let Some(Value::Array(list)) = body.remove("requests") else {
        return Err("Invalid batch payload format.".to_owned());
    };
    if list.is_empty() {
        return Err("The batch request has no items.".to_owned());
    }
    if list.len() > ITEMS_MAX {
        return Err(format!("Number of batch request steps exceeds the maximum value of {ITEMS_MAX}."));
    }
    let mut raw = Vec::with_capacity(list.len());
    let mut places: HashMap<String, usize> = HashMap::new();
    for (at, item) in list.into_iter().enumerate() {
        let Value::Object(item) = item else { return Err("Invalid batch payload format.".to_owned()) };
        let id = item.get("id").and_then(Value::as_str).ok_or("A batch item has no id.")?.to_owned();
        if places.insert(id.to_lowercase(), at).is_some() {
            return Err(format!("Request Id {id} has to be unique in a batch."));
        }
        raw.push((id, item));
    }
    let items: Vec<Item> =
        raw.into_iter().map(|(id, item)| read_item(id, item, &places)).collect::<Result<_, _>>()?;
    refuse_circles(&items)?;
    Ok(items)
}

fn read_item(
    id: String,
    mut item: Map<String, Value>,
    places: &HashMap<String, usize>,
) -> Result<Item, String> {
    let verb = item.get("method").and_then(Value::as_str).and_then(Verb::parse);
    let verb = verb.ok_or_else(|| format!("Request {id} has no valid method."))?;
    let url = item.get("url").and_then(Value::as_str).unwrap_or_default();
    if url.is_empty() || url.contains("://") {
        return Err(format!("Request {id} needs a url that is relative to the version."));
    }
    let url = url.to_owned();
    let mut depends_on = Vec::new();
    if let Some(list) = item.get("dependsOn").filter(|v| !v.is_null()) {
        for name in list.as_array().ok_or_else(|| format!("Request {id} has an invalid dependsOn."))? {
            let place = name.as_str().and_then(|n| places.get(&n.to_lowercase()));
            depends_on
                .push(*place.ok_or_else(|| format!("Request {id} depends on a request that is not there."))?);
        }
    }
    let headers = item.remove("headers");
    let header = |name: &str| {
        let map = headers.as_ref()?.as_object()?;
        map.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).and_then(|(_, v)| v.as_str())
    };
    let content = match item.remove("body") {
        None | Some(Value::Null) => Content::Empty,
        Some(_) if header("Content-Type").is_none() => Content::Unusable(
            "Write requests (excluding DELETE) must contain the Content-Type header declaration.",
        ),
        Some(body) => Content::Json(body),
    };
    let eventual = header("ConsistencyLevel").is_some_and(|v| v.eq_ignore_ascii_case("eventual"));
    let unknown_members = header("Prefer").is_some_and(wants_unknown_members);
    let client_request_id = header("client-request-id").map(str::to_owned);
    Ok(Item { id, verb, url, content, eventual, unknown_members, client_request_id, depends_on })
}

/// For each item, whether one before it writes to the same group and neither waits for the other, by whatever chain.
fn collisions(items: &[Item], version: Version) -> Vec<bool> {
    let groups: Vec<Option<String>> = items
        .iter()
        .map(|item| {
            let path = item.url.split_once('?').map_or(item.url.as_str(), |(path, _)| path);
            let route = parse(version, path).ok()?;
            route.written_group(item.verb).map(str::to_ascii_lowercase)
        })
        .collect();
    let waits: Vec<HashSet<usize>> = (0..items.len()).map(|at| awaited(items, at)).collect();
    let waits_for = |one: usize, other: usize| waits.get(one).is_some_and(|all| all.contains(&other));
    let collides = |(at, group): (usize, &Option<String>)| {
        let before =
            groups.iter().take(at).enumerate().filter(|(_, other)| group.is_some() && *other == group);
        before.into_iter().any(|(other, _)| !waits_for(at, other) && !waits_for(other, at))
    };
    groups.iter().enumerate().map(collides).collect()
}

/// Everything that an item waits for, directly or behind another.
fn awaited(items: &[Item], at: usize) -> HashSet<usize> {
    let mut all = HashSet::new();
    let mut open = vec![at];
    while let Some(item) = open.pop().and_then(|at| items.get(at)) {
        open.extend(item.depends_on.iter().copied().filter(|other| all.insert(*other)));
    }
    all
}

fn refuse_circles(items: &[Item]) -> Result<(), String> {
    let mut settled = vec![false; items.len()];
    for _ in items {
        for (at, item) in items.iter().enumerate() {
            let ready = item.depends_on.iter().all(|d| settled.get(*d).copied().unwrap_or(false));
            if ready && let Some(place) = settled.get_mut(at) {
                *place = true;
            }
        }
    }
    if settled.iter().all(|s| *s) {
        Ok(())
    } else {
        Err("The items depend on each other in a circle.".to_owned())
    }
}
