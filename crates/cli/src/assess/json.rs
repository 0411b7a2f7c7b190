//! The assessment as one object. Names are promises.

use super::{Assessment, Line, SHOWN};
use rules::assess::{List, Section};
use serde_json::{Value, json};

pub(super) fn object(found: &Assessment) -> Value {
    let tally = &found.tally;
    json!({
        "snapshot": found.manifest.id, "read": found.manifest.read, "accepted": found.manifest.accepted,
        "rejected": found.manifest.rejected, "includesDisabled": found.includes_disabled,
        "features": Section::ALL.iter().flat_map(|section| found.lines_of(*section)).map(|line| feature(&line)).collect::<Vec<_>>(),
        "nps": nps(&tally.nps),
        "radius": radius(found), "ldap": ldap(found), "adfs": adfs(found),
        "languages": tally.languages, "inFurtherLanguages": tally.in_further_languages,
        "lists": found.first.iter().map(|(list, people)| {
            let first: Vec<_> = people
                .iter()
                .map(|p| json!({ "user": p.user, "group": p.group, "defaultAfter": p.default }))
                .collect();
            (list.id().to_owned(), json!({ "users": tally.on(*list), "meaning": List::meaning(*list), "first": first }))
        }).collect::<serde_json::Map<_, _>>(),
        "listed": SHOWN,
    })
}

fn feature(line: &Line) -> Value {
    let one = line.feature;
    json!({
        "id": one.id(), "section": one.section().title(), "feature": one.name(), "standing": line.standing.as_str(),
        "users": line.users, "entra": one.equivalent(), "action": one.action(),
    })
}

fn nps(counts: &[u64; 3]) -> Value {
    let [served, typed, nothing] = counts;
    json!({ "served": served, "mustType": typed, "noMethod": nothing })
}

fn radius(found: &Assessment) -> Vec<Value> {
    let clients = found.dependencies.radius.iter().enumerate();
    clients
        .map(|(i, client)| {
            let (unserved, users) = found.behind(i);
            json!({
                "name": client.name, "accessChallenge": client.access_challenge, "takesCodes": client.takes_codes(),
                "passwordProtocol": client.password_protocol.map(super::dependencies::Protocol::as_str),
                "modernAuthentication": client.modern_authentication.as_str(), "groups": client.groups,
                "users": users, "cannotServe": unserved, "action": client.action(),
            })
        })
        .collect()
}

fn ldap(found: &Assessment) -> Vec<Value> {
    let clients = found.dependencies.ldap.iter();
    clients.map(|one| json!({ "name": one.name, "modernAuthentication": one.modern_authentication.as_str(), "action": one.action() })).collect()
}

fn adfs(found: &Assessment) -> Vec<Value> {
    let parties = found.dependencies.adfs.iter();
    parties
        .map(|one| {
            json!({
                "name": one.name, "windowsServer": one.windows_server,
                "modernAuthentication": one.modern_authentication.as_str(), "action": one.action(),
            })
        })
        .collect()
}
