//! The end of a rehearsal: what it says a migration will take is what the tenant counts, where nothing fails.

use harness::{Company, Expected, Outcome, Site, Tenant};
use serde_json::{Value, json};

/// The forecast that a rehearsal with `--json` puts on standard error, its last line.
fn forecast(rehearsed: &Outcome) -> Value {
    let last = rehearsed.err.lines().last().unwrap_or_default();
    let object: Value =
        serde_json::from_str(last).unwrap_or_else(|_| panic!("no forecast in {}", rehearsed.err));
    object["forecast"].clone()
}

fn rehearse(site: &Site, flags: &[&str]) -> Outcome {
    site.run(&[&["rehearse", "--json"], flags].concat()).expect(&[0, 3])
}

/// What the tenant has counted since.
fn counted(tenant: &Tenant, before: &Value) -> (u64, u64) {
    let of = |stats: &Value, what: &str| stats[what].as_u64().unwrap();
    let now = tenant.stats();
    (of(&now, "requests") - of(before, "requests"), of(&now, "writes") - of(before, "writes"))
}

#[track_caller]
fn must_come_true(tenant: &Tenant, datafile: &str) {
    let site = Site::new(tenant);
    let rehearsed = rehearse(&site, &["--datafile", datafile]);
    rehearsed
        .json_lines()
        .iter()
        .for_each(|line| assert!(line["user"].is_string(), "one line a user: {line}"));
    let told = forecast(&rehearsed);
    let before = tenant.stats();
    site.run(&["migrate", "--datafile", datafile]).expect(&[0, 3]);
    let (requests, writes) = counted(tenant, &before);
    assert_eq!(
        (told["requests"].as_u64(), told["writes"].as_u64()),
        (Some(requests), Some(writes)),
        "{told}"
    );
    assert!(writes > 0);
}

#[test]
fn numbers_defaults_and_tokens_are_foretold_to_the_request() {
    let expected = Expected::dense(60);
    must_come_true(&expected.tenant(&[]), expected.datafile());
}

#[test]
fn a_company_with_the_dirt_of_real_life_is_foretold_to_the_request() {
    let company = Company::of(400, &[]);
    must_come_true(&company.tenant, company.datafile());
}

#[test]
fn codes_of_apps_that_become_tokens_are_foretold_to_the_request() {
    let company = Company::of(200, &[]);
    let site = Site::new(&company.tenant);
    site.configure("[policy]\napp_codes = \"hardware-oath\"\n");
    let told = forecast(&rehearse(&site, &["--datafile", company.datafile()]));
    let before = company.tenant.stats();
    site.run(&["migrate", "--datafile", company.datafile()]).expect(&[0, 3]);
    let (requests, writes) = counted(&company.tenant, &before);
    assert_eq!(
        (told["requests"].as_u64(), told["writes"].as_u64()),
        (Some(requests), Some(writes)),
        "{told}"
    );
}

#[test]
fn nothing_left_to_write_takes_no_writes() {
    let expected = Expected::dense(8);
    let tenant = expected.tenant(&[]);
    let site = Site::new(&tenant);
    site.run(&["migrate", "--datafile", expected.datafile()]).expect(&[0, 3]);
    assert_eq!(forecast(&rehearse(&site, &["--datafile", expected.datafile()]))["writes"], 0);
}

#[test]
fn nights_are_those_of_the_windows_and_every_rate_is_named() {
    let expected = Expected::dense(60);
    let tenant = expected.tenant(&[]);
    let site = Site::new(&tenant);
    let windows = ["--datafile", expected.datafile(), "--window", "02:00-02:01", "--tz", "Europe/Berlin"];
    let told = forecast(&rehearse(&site, &windows));
    let writes = told["writes"].as_f64().unwrap();
    assert_eq!((&told["windows"], &told["tz"]), (&json!(["02:00-02:01"]), &json!("Europe/Berlin")));
    let rates = &told["rates"];
    assert_eq!(rates["learned"], Value::Null, "nothing was written yet");
    assert_eq!(rates["publishedMost"]["writesPerSecond"], 20.0);
    // A minute a night, at a write in two seconds.
    let least = &rates["publishedLeast"];
    let nights = (writes * 2.0 / 60.0).ceil();
    assert!(nights >= 2.0 && least["nights"].as_f64() == Some(nights), "{told}");
    assert!(least["doneAt"].as_str() > least["beginsAt"].as_str(), "{told}");
    let text = site.run(&[&["rehearse"], &windows[..]].concat()).expect(&[0, 3]).out;
    for word in [
        "forecast",
        "3,000 in 150 s",
        "windows of 02:00-02:01 (Europe/Berlin)",
        "no rate was learned here yet",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    site.run(&["rehearse", "--datafile", expected.datafile(), "--window", "late"]).expect(&[2]);
    site.run(&["rehearse", "--datafile", expected.datafile(), "--tz", "Mars/Base"]).expect(&[2]);
}

#[test]
fn a_batchs_own_windows_and_limit_count_where_nothing_else_is_said() {
    let company = Company::of(200, &[]);
    let site = Site::new(&company.tenant);
    let flags = ["--window", "22:00-06:00", "--tz", "Europe/Berlin", "--max-rate", "5"];
    site.run(&company.create("de", "DE", &flags)).expect(&[0]);
    let told = forecast(&rehearse(&site, &["--batch", "de"]));
    assert_eq!((&told["windows"], &told["maxRate"]), (&json!(["22:00-06:00"]), &json!(5)), "{told}");
    assert_eq!(told["rates"]["publishedMost"]["writesPerSecond"], 5.0, "the batch's limit holds");
    assert_eq!(told["rates"]["publishedMost"]["nights"], 1);
    let other = forecast(&rehearse(&site, &["--batch", "de", "--window", "Sat,Sun 00:00-24:00"]));
    assert_eq!(other["windows"], json!(["Sat,Sun 00:00-24:00"]));
}
