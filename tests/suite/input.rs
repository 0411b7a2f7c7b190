//! Bad input, bad configuration, an unreachable or unwilling Graph, and the verbs that only look: through the binary.

use harness::{Outcome, Recorder, Site, Tenant, read_lines};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

const HELGA: &str = r#"{"username":"helga@contoso.example","settings":{"enabled":true,"countryCode":"1","phone":"4255550100","mode":"voiceCall"}}"#;

fn tenant() -> Tenant {
    Tenant::with(
        &json!({ "users": [
        { "id": "u1", "userPrincipalName": "helga@contoso.example" },
        { "id": "u2", "userPrincipalName": "bernd@contoso.example" },
    ] }),
        &[],
    )
}

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cases").join(name)
}

/// A Graph that says the same to everybody.
fn saying(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 8192];
            let Ok(_) = stream.read(&mut request) else { continue };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())));
        }
    });
    url
}

fn write(site: &Site, name: &str, content: &[u8]) -> String {
    let path = site.path(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Every file of a site but its configuration and the inputs.
fn left_behind(site: &Site) -> Vec<String> {
    let names =
        std::fs::read_dir(site.folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|n| n.starts_with("mfa-migrate.") && n != "mfa-migrate.toml").collect()
}

fn no_panic(outcome: &Outcome) {
    assert!(!outcome.err.contains("panicked"), "{}", outcome.err);
}

#[test]
fn a_file_that_is_no_dump_is_refused_and_nothing_is_made() {
    let tenant = tenant();
    let site = Site::new(&tenant);
    std::fs::create_dir(site.path("empty-folder")).unwrap();
    let utf16: Vec<u8> = "\u{feff}username,enabled\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let files = [
        (write(&site, "empty.ndjson", b""), "is empty"),
        (write(&site, "blank.ndjson", b"\n  \n\n"), "is empty"),
        (write(&site, "utf16.csv", &utf16), "UTF-8"),
        (write(&site, "PhoneFactor.pfdata", &[0, 1, 2, 3, 0xff, 0, 9, 9, 0]), "pfdata"),
        (write(&site, "photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "not a dump"),
        (write(&site, "letter.txt", b"Dear Sir or Madam,\nplease find attached.\n"), "is"),
        (site.path("empty-folder").to_str().unwrap().to_owned(), "holds no"),
        (site.path("missing.ndjson").to_str().unwrap().to_owned(), "cannot read"),
        ("/etc/passwd/users.ndjson".to_owned(), "cannot read"),
    ];
    for (file, says) in &files {
        for verb in ["inspect", "rehearse", "migrate"] {
            let args = if verb == "inspect" { vec![verb, file] } else { vec![verb, "--datafile", file] };
            let outcome = site.run(&args).expect(&[2]);
            assert!(outcome.err.contains(says), "{verb} {file}: {}", outcome.err);
            no_panic(&outcome);
            assert_eq!(left_behind(&site), Vec::<String>::new(), "{verb} {file}");
        }
    }
    assert_eq!(tenant.stats()["requests"], 0, "Graph was never asked");
}

#[test]
fn bad_records_are_rejected_with_their_reason_and_the_rest_goes_on() {
    let tenant = tenant();
    let site = Site::new(&tenant);
    let mut data = HELGA.as_bytes().to_vec();
    data.extend(b"\n{\"username\":\"big@contoso.example\",\"userGroup\":\"");
    data.extend(vec![b'x'; 10 << 20]);
    data.extend(
        b"\"}\n{\"settings\":{\"enabled\":true}}\n{\"username\":\"x\xff\",\"settings\":{\"enabled\":true}}\n",
    );
    data.extend(b"{\"username\":\"d@x\",\"settings\":{\"enabled\":true,\"mode\":\"fax\"}}\n");
    data.extend(b"{\"username\":\"twin@x\",\"settings\":{\"enabled\":true}}\n{\"username\":\"TWIN@x\",\"settings\":{\"enabled\":true}}\n");
    data.extend(b"{\"username\":\"cut@x\",\"settings\":{\"ena");
    let file = write(&site, "users.ndjson", &data);
    let outcome = site.run(&["migrate", "--json", "--datafile", &file]).expect(&[0, 3]);
    no_panic(&outcome);
    let end = outcome.json();
    assert_eq!(
        (&end["read"], &end["accepted"], &end["rejected"]),
        (&json!(8), &json!(1), &json!(7)),
        "{end}"
    );
    let rejects = std::fs::read_to_string(format!("{file}.rejects.csv")).unwrap();
    let rows: Vec<&str> = rejects.lines().collect();
    assert_eq!(rows[0], "file,line,field,code");
    let expected = [
        "2,-,record-too-large",
        "3,username,field-missing",
        "4,-,not-utf8",
        "5,mode,field-invalid",
        "6,username,duplicate-username",
        "7,username,duplicate-username",
        "8,-,malformed",
    ];
    for (row, expected) in rows.iter().skip(1).zip(expected) {
        assert!(row.ends_with(expected), "{row} is not {expected}");
    }
    assert_eq!(rows.len(), 8);
    assert_eq!(
        tenant.user("helga@contoso.example")["authentication"]["phoneMethods"][0]["phoneNumber"],
        "+1 4255550100"
    );
}

#[test]
fn every_format_says_the_same_of_the_same_user() {
    let tenant = tenant();
    let site = Site::new(&tenant);
    let fields =
        "username,enabled,countryCode,phone,mode\nhelga@contoso.example,true,1,4255550100,phoneApp\n";
    write(&site, "users.devices.csv", b"username,userDeviceId,deviceName\nhelga@contoso.example,1,iPhone\n");
    let folder = site.path("soap");
    std::fs::create_dir(&folder).unwrap();
    let ns = "xmlns=\"http://www.phonefactor.com/PfWsSdk\"";
    std::fs::write(folder.join("helga.settings.xml"), format!("<GetUserSettings_3Response {ns}><username>helga@contoso.example</username><settings><enabled>true</enabled><countryCode>1</countryCode><phone>4255550100</phone><mode>phoneApp</mode></settings></GetUserSettings_3Response>")).unwrap();
    std::fs::write(folder.join("helga.devices.xml"), format!("<GetUserDevicesResponse {ns}><devices><UserDevice><userDeviceId>1</userDeviceId><deviceName>iPhone</deviceName></UserDevice></devices></GetUserDevicesResponse>")).unwrap();
    let ndjson = HELGA.replace("voiceCall", "phoneApp").trim_end_matches('}').to_owned()
        + "},\"devices\":[{\"userDeviceId\":\"1\",\"deviceName\":\"iPhone\"}]}";
    let sources = [
        write(&site, "users.csv", fields.as_bytes()),
        write(&site, "users.ndjson", ndjson.as_bytes()),
        folder.to_str().unwrap().to_owned(),
    ];
    let mut lines: Vec<Vec<Value>> = Vec::new();
    for source in &sources {
        lines.push(site.run(&["rehearse", "--json", "--datafile", source]).expect(&[0]).json_lines());
    }
    let semicolons = write(&site, "other.csv", format!("\u{feff}{}", fields.replace(',', ";")).as_bytes());
    let devices = site.path("users.devices.csv");
    let args = ["rehearse", "--json", "--datafile", &semicolons, "--devices", devices.to_str().unwrap()];
    lines.push(site.run(&args).expect(&[0]).json_lines());
    let codes = lines[0][0]["codes"].to_string();
    assert!(codes.contains("app-reregister") && codes.contains("iPhone"), "{codes}");
    assert!(lines.windows(2).all(|pair| pair[0] == pair[1]), "{lines:#?}");
}

#[test]
fn wrong_calls_and_settings_are_usage_errors() {
    let tenant = tenant();
    let site = Site::new(&tenant);
    let file = write(&site, "users.ndjson", HELGA.as_bytes());
    for args in [
        vec!["rehearse", "--nope"],
        vec!["nope"],
        vec![],
        vec!["rehearse"],
        vec!["migrate"],
        vec!["status"],
        vec!["report"],
        vec!["show", "helga@contoso.example"],
        vec!["rehearse", "--datafile", &file, "--ledger", "mysql://x"],
        vec!["rehearse", "--datafile", &file, "--config", "missing.toml"],
        vec!["rehearse", "--datafile", &file, "--graph-url", "not a url"],
    ] {
        no_panic(&site.run(&args).expect(&[2]));
        assert_eq!(left_behind(&site), Vec::<String>::new(), "{args:?}");
    }
    for toml in [
        "nope = 1",
        "[policy]\nmethod = []",
        "[policy]\nmatch = []",
        "[policy]\non_existing = \"maybe\"",
        "[graph]\ncloud = \"mars\"",
        "[worker]\nlease_s = 1",
        "this is not toml",
    ] {
        site.configure(toml);
        no_panic(&site.run(&["rehearse", "--datafile", &file]).expect(&[2]));
        assert_eq!(left_behind(&site), Vec::<String>::new(), "{toml}");
    }
}

#[test]
fn the_configuration_is_shown_with_origins_and_without_secrets() {
    let mut site = Site::at("http://127.0.0.1:9");
    site.configure("[policy]\non_existing = \"keep\"\n[graph.identity]\nkind = \"secret\"\ntenant = \"t\"\nclient_id = \"c\"\nsecret = \"hunter2-in-the-file\"\n");
    site.env("MFA_MIGRATE_GRAPH_CLOUD", "china");
    let rows = site.run(&["config", "show", "--json", "--ledger", "sqlite:./other.db"]).expect(&[0]).json();
    let of = |key: &str| {
        rows.as_array().unwrap().iter().find(|r| r["key"] == key).unwrap_or_else(|| panic!("{key}")).clone()
    };
    assert!(of("ledger")["from"].as_str().unwrap().contains("--ledger"));
    assert!(of("graph.cloud")["from"].as_str().unwrap().contains("MFA_MIGRATE_GRAPH_CLOUD"));
    assert!(of("policy.on_existing")["from"].as_str().unwrap().contains("mfa-migrate.toml"));
    assert_eq!(of("policy.match")["from"], "default");
    for outcome in [site.run(&["config", "show"]), site.run(&["config", "show", "--json"])] {
        let all = format!("{}{}", outcome.out, outcome.err);
        assert!(!all.contains("hunter2") && !all.contains("test-token"), "{all}");
    }
}

#[test]
fn a_graph_that_is_not_there_or_not_willing_ends_the_run_with_its_reason() {
    let file_of = |site: &Site| write(site, "users.ndjson", HELGA.as_bytes());
    let unauthorised =
        saying("401 Unauthorized", r#"{"error":{"code":"InvalidAuthenticationToken","message":"no"}}"#);
    let forbidden =
        saying("403 Forbidden", r#"{"error":{"code":"Authorization_RequestDenied","message":"no"}}"#);
    for (url, says) in [
        ("http://127.0.0.1:9".to_owned(), "no connection"),
        (unauthorised, "token"),
        (forbidden, "permission"),
    ] {
        let site = Site::at(&url);
        let file = file_of(&site);
        for verb in ["rehearse", "migrate"] {
            let outcome = site.run(&[verb, "--datafile", &file]).expect(&[1]);
            assert!(
                outcome.err.to_lowercase().contains(says),
                "{verb} {url}: wanted {says:?}: {}",
                outcome.err
            );
            assert!(!outcome.err.contains("test-token"));
            no_panic(&outcome);
        }
    }
}

#[test]
fn a_permission_that_nobody_has_is_named_and_stops_the_run() {
    let tenant = tenant();
    // Every item of every bundle is forbidden.
    let recorder = Recorder::swapping(&tenant.url, &[("\"status\":200", "\"status\":403")]);
    let site = Site::at(&recorder.url);
    let file = write(&site, "users.ndjson", HELGA.as_bytes());
    let outcome = site.run(&["migrate", "--datafile", &file]).expect(&[1]);
    assert!(outcome.err.contains("UserAuthenticationMethod.Read.All"), "{}", outcome.err);
    assert!(tenant.journal().is_empty());
    // With the permission the same command goes on.
    let mut site = site;
    site.env("MFA_MIGRATE_GRAPH_URL", &tenant.url);
    site.run(&["migrate", "--datafile", &file]).expect(&[0]);
    assert_eq!(tenant.journal().len(), 2);
}

#[test]
fn what_was_done_can_be_looked_at_in_every_form() {
    let folder = case("app-codes-kept");
    let tenant = Tenant::start(&folder.join("tenant.json"), &[]);
    let site = Site::new(&tenant);
    site.configure(&std::fs::read_to_string(folder.join("policy.toml")).unwrap());
    let data = folder.join("users.ndjson");
    site.run(&["check"]).expect(&[0]);
    assert_eq!(left_behind(&site), Vec::<String>::new(), "check makes nothing");
    site.run(&["migrate", "--datafile", data.to_str().unwrap()]).expect(&[0, 3]);

    let status = site.run(&["status", "--json"]).expect(&[0]).json();
    assert_eq!(
        (&status["kind"], &status["state"], &status["waits"]),
        (&json!("migrate"), &json!("done"), &Value::Null)
    );
    let entries: u64 = status["entries"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(entries, 6, "entries add up to the users");
    assert!(!status["checkpoints"].as_array().unwrap().is_empty());

    let report = site.run(&["report", "--format", "json"]).expect(&[0]).json();
    assert!(report["rows"].as_array().unwrap().len() >= 6);
    let lists: Vec<&String> = report["lists"].as_object().unwrap().keys().collect();
    assert_eq!(lists.len(), 4, "{lists:?}");
    let csv = site.run(&["report", "--format", "csv"]).expect(&[0]).out;
    assert!(csv.starts_with("user,userPrincipalName,state,method"));
    assert_eq!(csv.lines().count(), report["rows"].as_array().unwrap().len() + 1);
    let page = site.path("report.html");
    site.run(&["report", "--format", "html", "--out", page.to_str().unwrap()]).expect(&[0]);
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("a@contoso.example") && html.contains("</html>"));
    for outside in ["http://", "https://", "src=", "@import", "<link"] {
        assert!(!html.contains(outside), "the page needs {outside}");
    }

    let shown = site.run(&["show", "a@contoso.example"]).expect(&[0]).out;
    assert!(
        shown.contains("MFA Server") && shown.contains("Entra now") && shown.contains("applied"),
        "{shown}"
    );
    let shown = site.run(&["show", "a@contoso.example", "--json"]).expect(&[0]).json();
    assert!(shown["record"].is_object() && shown["entra"].is_object() && shown["runs"].is_array());
    let secret = read_lines(&data)[0]["devices"][0]["oathTokenSecretKey"].as_str().unwrap().to_owned();
    assert!(!shown.to_string().contains(&secret), "a secret is never shown");
    site.run(&["show", "nobody@contoso.example"]).expect(&[2]);
}

#[test]
fn a_bad_row_of_a_side_file_is_listed_and_stops_nobody() {
    let tenant = tenant();
    let site = Site::new(&tenant);
    write(
        &site,
        "users.csv",
        b"username,enabled,mode,countrycode,phone\na@x.example,true,voiceCall,1,4255550100\n",
    );
    write(&site, "users.devices.csv", b"username,devicename\nnobody@x.example,iPhone\n");
    write(&site, "seeds.csv", b"serial number,secret key,time interval,manufacturer,model\n,AAAA,45,x,y\n");
    let run = site.run(&["rehearse", "--datafile", "users.csv", "--token-seeds", "seeds.csv", "--json"]);
    assert_eq!(run.expect(&[0, 3]).json_lines().len(), 1);
    let rejects = std::fs::read_to_string(site.path("users.csv.rejects.csv")).unwrap();
    assert!(rejects.contains("users.devices.csv,2,username,incomplete"), "{rejects}");
    assert!(rejects.lines().any(|line| line.starts_with("seeds.csv,2,")), "{rejects}");
}
