//! The assessment as one page in the look of the report: no script, no font, no image, every text escaped.

use super::{Assessment, Person, SHOWN, Standing};
use crate::report::html::look::STYLE;
use crate::report::html::text::{escape, number};
use rules::assess::Section;

pub(super) fn page(found: &Assessment) -> String {
    let title = "mfa-migrate: what moves from MFA Server to Entra";
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body><h1>{title}</h1>\
         <p class=\"lead\"><b>{}</b> users read = {} accepted + {} rejected</p><p class=\"soft\">snapshot <code>{}</code>{}</p>\n",
        number(found.manifest.read),
        number(found.manifest.accepted),
        number(found.manifest.rejected),
        found.manifest.id,
        if found.includes_disabled {
            ""
        } else {
            "; users who are disabled in MFA Server are left out and counted as that alone"
        }
    );
    out += "<nav>";
    for section in Section::ALL {
        out += &format!("<a href=\"#{0}\">{1}</a>", anchor(section), section.title());
    }
    out += "<a href=\"#lists\">Users to look after</a></nav>\n";
    for section in Section::ALL {
        out += &table(found, section);
        if section == Section::Services {
            out += &services(found);
        }
    }
    out += &languages(found);
    out += &lists(found);
    out + "</body></html>\n"
}

fn anchor(section: Section) -> &'static str {
    match section {
        Section::Methods => "methods",
        Section::Portal => "portal",
        Section::Services => "services",
        Section::Further => "further",
    }
}

/// The colour of a standing is that of a state of the report.
fn colour(standing: Standing) -> &'static str {
    match standing {
        Standing::InUse => "applied",
        Standing::NotInUse => "skipped",
        Standing::NotKnown => "blocked",
        Standing::GoesAway => "unchanged",
    }
}

fn table(found: &Assessment, section: Section) -> String {
    let mut out = format!(
        "<h2 id=\"{}\">{}</h2><div class=\"wide\"><table><thead><tr><th>Feature<th>Standing<th class=\"n\">Users<th>In Entra<th>What to do</tr></thead><tbody>\n",
        anchor(section),
        section.title()
    );
    for line in found.lines_of(section) {
        let one = line.feature;
        out += &format!(
            "<tr><td>{}<td><span class=\"word {}\">{}</span><td class=\"n\">{}<td class=\"w\">{}<td class=\"w\">{}</tr>\n",
            escape(one.name()),
            colour(line.standing),
            line.standing.as_str(),
            line.users.map(number).unwrap_or_default(),
            escape(one.equivalent()),
            escape(one.action())
        );
    }
    out + "</tbody></table></div>\n"
}

fn services(found: &Assessment) -> String {
    let stated = &found.dependencies;
    let mut out = String::new();
    if !stated.radius.is_empty() {
        let rows: Vec<Vec<String>> = stated
            .radius
            .iter()
            .enumerate()
            .map(|(i, client)| {
                let (unserved, users) = found.behind(i);
                vec![
                    client.name.clone(),
                    if client.access_challenge { "yes" } else { "no" }.to_owned(),
                    client
                        .password_protocol
                        .map_or("not stated", super::dependencies::Protocol::as_str)
                        .to_owned(),
                    client.modern_authentication.as_str().to_owned(),
                    number(users),
                    number(unserved),
                    client.action(),
                ]
            })
            .collect();
        out += &plain(
            "RADIUS clients",
            &[
                "Client",
                "Access-challenge",
                "Password by",
                "Modern",
                "Users",
                "Cannot be served",
                "What to do",
            ],
            &rows,
        );
    }
    if !stated.ldap.is_empty() {
        let rows: Vec<Vec<String>> = stated
            .ldap
            .iter()
            .map(|one| vec![one.name.clone(), one.modern_authentication.as_str().to_owned(), one.action()])
            .collect();
        out += &plain("LDAP clients", &["Client", "Modern", "What to do"], &rows);
    }
    if !stated.adfs.is_empty() {
        let year = |year: Option<u16>| year.map_or_else(|| "not stated".to_owned(), |year| year.to_string());
        let rows: Vec<Vec<String>> = stated
            .adfs
            .iter()
            .map(|one| {
                vec![
                    one.name.clone(),
                    year(one.windows_server),
                    one.modern_authentication.as_str().to_owned(),
                    one.action(),
                ]
            })
            .collect();
        out += &plain(
            "AD FS relying parties",
            &["Relying party", "Windows Server", "Modern", "What to do"],
            &rows,
        );
    }
    out
}

fn plain(title: &str, heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: String = heads.iter().map(|head| format!("<th>{head}")).collect();
    let mut out =
        format!("<p><b>{title}</b></p><div class=\"wide\"><table><thead><tr>{heads}</tr></thead><tbody>\n");
    for row in rows {
        let cells: String = row.iter().map(|cell| format!("<td class=\"w\">{}", escape(cell))).collect();
        out += &format!("<tr>{cells}</tr>\n");
    }
    out + "</tbody></table></div>\n"
}

fn languages(found: &Assessment) -> String {
    let tally = &found.tally;
    if tally.languages.is_empty() {
        return String::new();
    }
    let mut rows: Vec<Vec<String>> =
        tally.languages.iter().map(|(language, users)| vec![language.clone(), number(*users)]).collect();
    if tally.in_further_languages > 0 {
        rows.push(vec!["further ones".to_owned(), number(tally.in_further_languages)]);
    }
    format!("<h2>Languages on file, which are dropped</h2>{}", plain("", &["Language", "Users"], &rows))
}

fn lists(found: &Assessment) -> String {
    let mut out = "<h2 id=\"lists\">Users to look after</h2>\n".to_owned();
    for (list, people) in &found.first {
        let users = found.tally.on(*list);
        out += &format!(
            "<details{}><summary><b>{}</b> {}</summary><p class=\"do\">{}</p>",
            if users == 0 { " class=\"calm\"" } else { "" },
            number(users),
            list.id(),
            escape(list.meaning())
        );
        if !people.is_empty() {
            let rows: Vec<Vec<String>> = people
                .iter()
                .map(|Person { user, group, default, .. }| {
                    vec![
                        user.clone(),
                        group.clone().unwrap_or_default(),
                        default.unwrap_or("none").to_owned(),
                    ]
                })
                .collect();
            out += &plain("", &["User", "Group", "Default after"], &rows);
        }
        if users > SHOWN as u64 {
            out += &format!(
                "<p class=\"soft\">and {} more; <code>mfa-migrate assess … --list {}</code> has them all</p>",
                number(users - SHOWN as u64),
                list.id()
            );
        }
        out += "</details>\n";
    }
    out
}
