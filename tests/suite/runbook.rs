//! Every command of `deploy/runbook.md` is run, in the order in which it stands there.
//!
//! A block marked `sh` is run by a shell on one machine, one marked `sh fleet` where services run; one marked `sh example`
//! is none to run, and may hold no command of ours. What a command ends with is 0 or 3, unless its line says otherwise in
//! its comment (`# ends with 4`).

use harness::{Company, Fleet, Site, Tenant, binary};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};

/// The group of the staged rollout that the runbook names.
const ROLLOUT_GROUP: &str = "MFA rollout 1";

/// A block of the runbook: how it is marked, and where it stands.
struct Block {
    mark: String,
    line: usize,
    text: String,
}

fn blocks() -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/runbook.md");
    let (mut all, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for (n, line) in std::fs::read_to_string(path).unwrap().lines().enumerate() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(_), Some(_)) => all.extend(open.take()),
            (Some(mark), None) => {
                open = Some(Block { mark: mark.to_owned(), line: n + 1, text: String::new() });
            }
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block has no end");
    all
}

/// Runs the blocks of a mark where a site is, line by line.
fn run(mark: &str, site: &Site, env: &[(&str, &str)]) -> usize {
    let bin = binary().parent().unwrap().display();
    let mut commands = 0;
    for block in blocks().iter().filter(|block| block.mark == mark) {
        let joined = block.text.replace("\\\n", " ");
        for command in joined.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let wanted = command.split("# ends with ").nth(1).map_or(vec![0, 3], |codes| {
                codes.split_whitespace().take(1).map(|code| code.parse().unwrap()).collect()
            });
            let out = Command::new("bash")
                .args(["-euc", command])
                .current_dir(site.folder())
                .env_clear()
                .env("PATH", format!("{bin}:/usr/bin:/bin"))
                .env("HOME", site.folder())
                .env("USER", "operator")
                .envs(env.iter().copied())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
            let is_as_said = out.status.code().is_some_and(|code| wanted.contains(&code));
            assert!(
                is_as_said,
                "runbook.md, block of line {}: {command}\n{:?}\n{said}",
                block.line, out.status
            );
            commands += 1;
        }
    }
    commands
}

/// The files that the runbook speaks of, for a company.
fn lay_out(site: &Site, company: &Company) {
    let data = std::fs::read_to_string(company.datafile()).unwrap();
    std::fs::write(site.path("users.ndjson"), &data).unwrap();
    let names = data.lines().filter_map(|line| {
        let user: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(user["username"].as_str()?.to_owned())
    });
    let names: Vec<String> = names.take(30).collect();
    std::fs::write(site.path("pilot.txt"), names.join("\n")).unwrap();
    std::fs::write(site.path("some.txt"), names[..3].join("\n")).unwrap();
}

/// Gives the company's tenant an empty group for the staged rollout.
fn make_rollout_group(company: &mut Company) {
    let mut state = company.tenant.state();
    let group =
        json!({ "id": "10000000-0000-4000-8000-000000000000", "displayName": ROLLOUT_GROUP, "members": [] });
    state["groups"].as_array_mut().unwrap().push(group);
    company.tenant = Tenant::with(&state, &[]);
}

#[test]
fn every_block_is_marked_as_one_that_is_run_or_holds_no_command_of_ours() {
    for block in blocks() {
        match block.mark.as_str() {
            "sh" | "sh fleet" => {}
            "sh example" | "toml example" | "text" => {
                let ours = block.text.lines().any(|line| line.starts_with("mfa-migrate "));
                assert!(!ours, "line {}: a command that nobody runs:\n{}", block.line, block.text);
            }
            other => panic!("line {}: a block marked {other:?}", block.line),
        }
    }
}

#[test]
fn every_command_for_one_machine_does_what_it_says() {
    let mut company = Company::of(400, &[]);
    make_rollout_group(&mut company);
    let site = Site::new(&company.tenant);
    lay_out(&site, &company);
    let env = [
        ("MFA_MIGRATE_GRAPH_URL", company.tenant.url.as_str()),
        ("MFA_MIGRATE_GRAPH_TOKEN", "test-token"),
        ("MFA_MIGRATE_GRAPH_VISIBILITY_DEADLINE_S", "4"),
        ("MFA_MIGRATE_ROLLOUT_GROUPS", ROLLOUT_GROUP),
        // Nobody waits a day here.
        ("MFA_MIGRATE_ROLLOUT_STAY_S", "0"),
        ("U", &first_of(&site)),
    ];
    assert!(run("sh", &site, &env) > 30);
}

#[test]
fn every_command_for_many_machines_does_what_it_says() {
    let company = Company::of(200, &[]);
    let fleet = Fleet::new(&company.tenant);
    lay_out(&fleet.site, &company);
    let _services = (fleet.coordinator(), fleet.workers(2));
    let key = fleet.site.path("sealing.key").display().to_string();
    let database = fleet.ledger.rsplit('/').next().unwrap().to_owned();
    let env = [
        ("MFA_MIGRATE_GRAPH_URL", company.tenant.url.as_str()),
        ("MFA_MIGRATE_GRAPH_TOKEN", "test-token"),
        ("MFA_MIGRATE_BROKER", &fleet.broker),
        ("MFA_MIGRATE_LEDGER", &fleet.ledger),
        ("MFA_MIGRATE_KEY_FILE", &key),
        ("DB", &database),
    ];
    // The services have just begun, and may not have made it yet.
    let prepared = Command::new(binary())
        .args(["ledger", "prepare"])
        .current_dir(fleet.site.folder())
        .envs(env.iter().copied())
        .status();
    assert!(prepared.unwrap().success());
    assert!(run("sh fleet", &fleet.site, &env) > 6, "{}", fleet.said());
}

/// Somebody of the pilot.
fn first_of(site: &Site) -> String {
    std::fs::read_to_string(site.path("pilot.txt")).unwrap().lines().next().unwrap().to_owned()
}
