//! The assessment as Markdown: for a ticket, a wiki, a terminal.

use super::{Assessment, Person, SHOWN};
use crate::report::html::text::number;
use rules::assess::Section;

pub(super) fn page(found: &Assessment) -> String {
    let mut out = format!(
        "# What moves from MFA Server to Entra\n\n{} users read = {} accepted + {} rejected (snapshot `{}`).\n",
        number(found.manifest.read),
        number(found.manifest.accepted),
        number(found.manifest.rejected),
        found.manifest.id
    );
    if !found.includes_disabled {
        out += "Users who are disabled in MFA Server are left out and counted as that alone.\n";
    }
    for section in Section::ALL {
        out += &format!(
            "\n## {}\n\n| Feature | Standing | Users | In Entra | What to do |\n|---|---|---:|---|---|\n",
            section.title()
        );
        for line in found.lines_of(section) {
            let one = line.feature;
            out += &format!(
                "| {} | {} | {} | {} | {} |\n",
                one.name(),
                line.standing.as_str(),
                line.users.map(number).unwrap_or_default(),
                one.equivalent(),
                one.action()
            );
        }
        if section == Section::Services {
            out += &services(found);
        }
    }
    out += &languages(found);
    out += &lists(found);
    out
}

/// A cell that cannot end its row.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn services(found: &Assessment) -> String {
    let stated = &found.dependencies;
    let mut out = String::new();
    if !stated.radius.is_empty() {
        out += "\n### RADIUS clients\n\n| Client | Access-challenge | Password by | Modern | Users | Cannot be served | What to do |\n|---|---|---|---|---:|---:|---|\n";
        for (i, client) in stated.radius.iter().enumerate() {
            let (unserved, users) = found.behind(i);
            out += &format!(
                "| {} | {} | {} | {} | {} | {} | {} |\n",
                cell(&client.name),
                if client.access_challenge { "yes" } else { "no" },
                client.password_protocol.map_or("not stated", super::dependencies::Protocol::as_str),
                client.modern_authentication.as_str(),
                number(users),
                number(unserved),
                client.action()
            );
        }
    }
    if !stated.ldap.is_empty() {
        out += "\n### LDAP clients\n\n| Client | Modern | What to do |\n|---|---|---|\n";
        for one in &stated.ldap {
            out += &format!(
                "| {} | {} | {} |\n",
                cell(&one.name),
                one.modern_authentication.as_str(),
                one.action()
            );
        }
    }
    if !stated.adfs.is_empty() {
        out += "\n### AD FS relying parties\n\n| Relying party | Windows Server | Modern | What to do |\n|---|---|---|---|\n";
        for one in &stated.adfs {
            out += &format!(
                "| {} | {} | {} | {} |\n",
                cell(&one.name),
                one.windows_server.map_or_else(|| "not stated".to_owned(), |year| year.to_string()),
                one.modern_authentication.as_str(),
                one.action()
            );
        }
    }
    out
}

fn languages(found: &Assessment) -> String {
    let tally = &found.tally;
    if tally.languages.is_empty() {
        return String::new();
    }
    let mut out =
        "\n## Languages on file, which are dropped\n\n| Language | Users |\n|---|---:|\n".to_owned();
    for (language, users) in &tally.languages {
        out += &format!("| {} | {} |\n", cell(language), number(*users));
    }
    if tally.in_further_languages > 0 {
        out += &format!("| further ones | {} |\n", number(tally.in_further_languages));
    }
    out
}

fn lists(found: &Assessment) -> String {
    let mut out = "\n## Users to look after\n".to_owned();
    for (list, people) in &found.first {
        let users = found.tally.on(*list);
        out += &format!("\n### {} ({})\n\n{}\n", list.id(), number(users), list.meaning());
        if people.is_empty() {
            continue;
        }
        out += "\n| User | Group | Default after |\n|---|---|---|\n";
        for Person { user, group, default, .. } in people {
            out += &format!(
                "| {} | {} | {} |\n",
                cell(user),
                cell(group.as_deref().unwrap_or_default()),
                default.unwrap_or("none")
            );
        }
        if users > SHOWN as u64 {
            out += &format!(
                "\nand {} more: `mfa-migrate assess … --list {}` has them all\n",
                number(users - SHOWN as u64),
                list.id()
            );
        }
    }
    out
}
