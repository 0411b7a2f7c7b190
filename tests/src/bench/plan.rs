//! `plan`: users planned a second on one core, from parsed records and mixed states of the tenant.

use crate::figures::{Report, median};
use crate::synthetic::Synthetic;
use contract::{
    Allowed, Authenticator, DefaultMethod, EntraId, FingerprintKey, History, Observed, Policy, Record,
    Target, UserMethods,
};
use extractor::{Item, Source};
use serde_json::Value;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

const USERS: u32 = 20_000;
const ROUNDS: usize = 9;

pub(crate) fn measure() -> anyhow::Result<Report> {
    let synthetic = Synthetic::users(USERS)?;
    let users = users(&synthetic)?;
    let policy = Policy::default();
    let history = History::default();
    let keys = FingerprintKey::new(b"bench");
    let mut rates = Vec::with_capacity(ROUNDS);
    let mut changes = 0;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        changes = 0;
        for (record, observed) in &users {
            let plan = black_box(rules::plan(black_box(record), observed, &policy, &history, &keys));
            changes += plan.changes.len();
        }
        rates.push(users.len() as f64 / started.elapsed().as_secs_f64());
    }
    Ok(Report::new("plan")
        .at_least("users_per_s", median(rates), 20_000.0)
        .told("users", users.len() as f64)
        .told("changes_per_user", changes as f64 / users.len() as f64))
}

/// Every accepted record beside what the tenant holds of its user; nothing where no user has its name.
fn users(synthetic: &Synthetic) -> anyhow::Result<Vec<(Record, Observed)>> {
    let mut tenant = methods_by_upn(synthetic)?;
    let source = Source { datafile: synthetic.datafile.clone(), devices: None, token_seeds: None };
    let survey = extractor::survey(&source)?;
    let mut users = Vec::new();
    for item in extractor::records(&source, &survey)? {
        match item? {
            Item::Accepted(row, _) => {
                let methods = tenant.remove(&row.record.username.trim().to_lowercase()).unwrap_or_default();
                let observed = Observed {
                    user: EntraId(format!("user-{}", row.ordinal)),
                    methods,
                    guest: false,
                    allowed: Allowed::ALL,
                    inventory: Vec::new(),
                    contested_serials: Vec::new(),
                };
                users.push((row.record, observed));
            }
            Item::Rejected(_) | Item::SideRejected(_) => {}
        }
    }
    Ok(users)
}

fn methods_by_upn(synthetic: &Synthetic) -> anyhow::Result<HashMap<String, UserMethods>> {
    let state: Value = serde_json::from_slice(&std::fs::read(&synthetic.tenant)?)?;
    let users = state["users"].as_array().into_iter().flatten();
    Ok(users
        .filter_map(|u| {
            let upn = u["userPrincipalName"].as_str()?.to_lowercase();
            Some((upn, methods(&u["authentication"])))
        })
        .collect())
}

fn methods(authentication: &Value) -> UserMethods {
    let list = |name: &str| authentication[name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let target = |kind: &str| {
        [Target::Mobile, Target::AlternateMobile, Target::Office].into_iter().find(|t| t.as_str() == kind)
    };
    let preferences = &authentication["signInPreferences"];
    UserMethods {
        phones: list("phoneMethods")
            .iter()
            .filter_map(|p| Some((target(p["phoneType"].as_str()?)?, text(&p["phoneNumber"])?)))
            .collect(),
        authenticators: list("microsoftAuthenticatorMethods")
            .iter()
            .filter_map(|a| Some(Authenticator { id: text(&a["id"])?, name: text(&a["displayName"]) }))
            .collect(),
        software_oath: u32::try_from(list("softwareOathMethods").len()).unwrap_or(u32::MAX),
        hardware_oath: Vec::new(),
        default: preferences["userPreferredMethodForSecondaryAuthentication"]
            .as_str()
            .and_then(DefaultMethod::parse),
        system_preferred: preferences["isSystemPreferredAuthenticationMethodEnabled"].as_bool() == Some(true),
    }
}
