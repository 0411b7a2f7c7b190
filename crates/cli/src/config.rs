//! Configuration: flags, then environment, then the file, then defaults; read once, here and nowhere deeper.
//!
//! Every setting is known by its path in the file (`graph.cloud`); its environment variable is the path in capitals
//! (`MFA_MIGRATE_GRAPH_CLOUD`). Unknown keys are errors. Where each value came from is kept, so that it can be shown.

mod settings;

use settings::without_credentials;
pub(crate) use settings::{BrokerKind, Config, LedgerKind};

use crate::args::Args;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

const DEFAULT_FILE: &str = "mfa-migrate.toml";
const PREFIX: &str = "MFA_MIGRATE_";

/// How a variable of the environment is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Secret,
    Number,
    Flag,
    List,
}

/// Every setting, with its kind. The order is that of `config show`.
const SETTINGS: &[(&str, Kind)] = &[
    ("ledger", Kind::Text),
    ("broker", Kind::Text),
    ("key_file", Kind::Text),
    ("old_key_files", Kind::List),
    ("queue_prefix", Kind::Text),
    ("otlp_endpoint", Kind::Text),
    ("telemetry.listen", Kind::Text),
    ("telemetry.log_format", Kind::Text),
    ("tls.ca_file", Kind::Text),
    ("tls.certificate_file", Kind::Text),
    ("tls.key_file", Kind::Text),
    ("graph.url", Kind::Text),
    ("graph.token", Kind::Secret),
    ("graph.cloud", Kind::Text),
    ("graph.request_timeout_s", Kind::Number),
    ("graph.visibility_deadline_s", Kind::Number),
    ("graph.clock_skew_s", Kind::Number),
    ("graph.identity.kind", Kind::Text),
    ("graph.identity.tenant", Kind::Text),
    ("graph.identity.client_id", Kind::Text),
    ("graph.identity.certificate_file", Kind::Text),
    ("graph.identity.token_file", Kind::Text),
    ("graph.identity.secret", Kind::Secret),
    ("graph.identity.token", Kind::Secret),
    ("rollout.groups", Kind::List),
    ("rollout.stay_s", Kind::Number),
    ("cutover.identity.kind", Kind::Text),
    ("cutover.identity.tenant", Kind::Text),
    ("cutover.identity.client_id", Kind::Text),
    ("cutover.identity.certificate_file", Kind::Text),
    ("cutover.identity.token_file", Kind::Text),
    ("cutover.identity.secret", Kind::Secret),
    ("cutover.identity.token", Kind::Secret),
    ("worker.lease_s", Kind::Number),
    ("policy.methods", Kind::List),
    ("policy.default_method", Kind::Text),
    ("policy.on_existing", Kind::Text),
    ("policy.on_drift", Kind::Text),
    ("policy.include_disabled", Kind::Flag),
    ("policy.company_default_mode", Kind::Text),
    ("policy.default_country_code", Kind::Text),
    ("policy.promote_backup_to_mobile", Kind::Flag),
    ("policy.backup_to_free_office", Kind::Flag),
    ("policy.app_codes", Kind::Text),
    ("policy.match", Kind::List),
];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(PathBuf),
    Environment(String),
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A configuration that cannot be used. Exit code 2; nothing was opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the configuration file {} cannot be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is not valid TOML", path.display())]
    Syntax { path: PathBuf, source: Box<toml::de::Error> },
    #[error("unknown setting `{key}` in {origin}; `mfa-migrate config show` lists the settings there are")]
    Unknown { key: String, origin: Origin },
    #[error("{key} ({origin}) cannot be {found}; it takes {expected}")]
    Value { key: &'static str, origin: Origin, found: String, expected: &'static str },
    #[error("the configuration cannot be used")]
    Shape(#[from] Box<toml::de::Error>),
    #[error(transparent)]
    Policy(#[from] contract::PolicyError),
    #[error("{0}")]
    Invalid(String),
}

/// The configuration and the origin of each value.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// Path, value as printed (redacted), origin; in the order of `config show`.
    pub(crate) shown: Vec<(&'static str, String, Origin)>,
}

/// Reads everything once.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub(crate) fn load(args: &Args) -> Result<Loaded, Error> {
    let named = args.config.as_deref();
    let file = read_file(named.unwrap_or(Path::new(DEFAULT_FILE)), named.is_some())?;
    let flags = [
        ("ledger", "--ledger", &args.ledger),
        ("broker", "--broker", &args.broker),
        ("graph.url", "--graph-url", &args.graph_url),
        ("graph.token", "--graph-token", &args.graph_token),
        ("telemetry.listen", "--metrics-listen", &args.metrics_listen),
        ("telemetry.log_format", "--log-format", &args.log_format),
    ];
    for (name, _) in std::env::vars_os() {
        refuse_unknown_variable(&name.to_string_lossy())?;
    }
    merge(file, |name| std::env::var(name).ok(), &flags)
}

/// A variable of ours that means nothing is a mistake: a mistyped cloud would address another one.
fn refuse_unknown_variable(name: &str) -> Result<(), Error> {
    let Some(rest) = name.strip_prefix(PREFIX) else { return Ok(()) };
    let is_setting = SETTINGS.iter().any(|(key, _)| key.to_uppercase().replace('.', "_") == rest);
    // Not settings: which file to read, what to log, and the switch of test builds.
    if is_setting || matches!(rest, "CONFIG" | "LOG" | "CRASH_AT") {
        return Ok(());
    }
    Err(Error::Unknown { key: name.to_owned(), origin: Origin::Environment(name.to_owned()) })
}

fn read_file(path: &Path, must_exist: bool) -> Result<Option<(PathBuf, Table)>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let table = text
                .parse::<Table>()
                .map_err(|source| Error::Syntax { path: path.to_owned(), source: Box::new(source) })?;
            Ok(Some((path.to_owned(), table)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// Lays the sources over each other. The environment is a function, so that tests need not touch it.
fn merge(
    file: Option<(PathBuf, Table)>,
    environment: impl Fn(&str) -> Option<String>,
    flags: &[(&'static str, &'static str, &Option<String>)],
) -> Result<Loaded, Error> {
    let defaults = Table::try_from(Config::default()).map_err(|e| Error::Invalid(e.to_string()))?;
    if let Some((path, table)) = &file {
        refuse_unknown(table, "", path)?;
    }
    let mut merged = Table::new();
    let mut shown = Vec::with_capacity(SETTINGS.len());
    for (key, kind) in SETTINGS {
        let mut chosen = at(&defaults, key).map(|v| (v.clone(), Origin::Default));
        if let Some((path, table)) = &file
            && let Some(value) = at(table, key)
        {
            chosen = Some((value.clone(), Origin::File(path.clone())));
        }
        let variable = format!("{PREFIX}{}", key.to_uppercase().replace('.', "_"));
        if let Some(text) = environment(&variable).filter(|t| !t.is_empty()) {
            let origin = Origin::Environment(variable);
            chosen = Some((parse(key, *kind, &text, &origin)?, origin));
        }
        if let Some((_, name, Some(text))) = flags.iter().find(|(flag_key, ..)| flag_key == key) {
            let origin = Origin::Flag((*name).to_owned());
            chosen = Some((parse(key, *kind, text, &origin)?, origin));
        }
        match chosen {
            Some((value, origin)) => {
                let print = match (kind, &value) {
                    (Kind::Secret, _) => "[redacted]".to_owned(),
                    (Kind::Text, Value::String(text)) => Value::String(without_credentials(text)).to_string(),
                    (_, value) => value.to_string(),
                };
                put(&mut merged, key, value);
                shown.push((*key, print, origin));
            }
            None => shown.push((*key, "(not set)".to_owned(), Origin::Default)),
        }
    }
    let mut config: Config = merged.try_into().map_err(Box::new)?;
    config.policy = config.policy.validated()?;
    config.check()?;
    Ok(Loaded { config, shown })
}

fn parse(key: &'static str, kind: Kind, text: &str, origin: &Origin) -> Result<Value, Error> {
    let wrong =
        |expected| Error::Value { key, origin: origin.clone(), found: format!("\"{text}\""), expected };
    Ok(match kind {
        Kind::Text | Kind::Secret => Value::String(text.to_owned()),
        Kind::Number => Value::Integer(text.trim().parse().map_err(|_| wrong("a whole number"))?),
        Kind::Flag => Value::Boolean(text.trim().parse().map_err(|_| wrong("true or false"))?),
        Kind::List => {
            Value::Array(text.split(',').map(|part| Value::String(part.trim().to_owned())).collect())
        }
    })
}

fn refuse_unknown(table: &Table, prefix: &str, path: &Path) -> Result<(), Error> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let is_setting = SETTINGS.iter().any(|(known, _)| *known == key);
        let is_section = SETTINGS.iter().any(|(known, _)| known.starts_with(&format!("{key}.")));
        match value.as_table() {
            Some(inner) if is_section => refuse_unknown(inner, &key, path)?,
            None if is_setting => {}
            Some(_) | None => return Err(Error::Unknown { key, origin: Origin::File(path.to_owned()) }),
        }
    }
    Ok(())
}

fn at<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let mut value = table.get(parts.next()?)?;
    for part in parts {
        value = value.as_table()?.get(part)?;
    }
    Some(value)
}

fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(file: &str, env: &[(&str, &str)], ledger_flag: Option<&str>) -> Result<Loaded, Error> {
        let flag = ledger_flag.map(str::to_owned);
        let table = file.parse::<Table>().unwrap();
        merge(
            Some(("f.toml".into(), table)),
            |name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()),
            &[("ledger", "--ledger", &flag)],
        )
    }

    fn origin(loaded: &Loaded, key: &str) -> String {
        loaded.shown.iter().find(|(k, ..)| *k == key).unwrap().2.to_string()
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let file = "ledger = \"sqlite:file.db\"\n[worker]\nlease_s = 90\n";
        let env = [("MFA_MIGRATE_LEDGER", "sqlite:env.db"), ("MFA_MIGRATE_GRAPH_CLOUD", "china")];
        let loaded = merged(file, &env, Some("sqlite:flag.db")).unwrap();
        assert_eq!(loaded.config.ledger, "sqlite:flag.db");
        assert_eq!(origin(&loaded, "ledger"), "flag --ledger");
        assert_eq!(origin(&loaded, "graph.cloud"), "environment MFA_MIGRATE_GRAPH_CLOUD");
        assert_eq!(
            (loaded.config.worker.lease_s, origin(&loaded, "worker.lease_s")),
            (90, "f.toml".to_owned())
        );
        assert_eq!(origin(&loaded, "policy.match"), "default");
        assert_eq!(merged(file, &env, None).unwrap().config.ledger, "sqlite:env.db");
    }

    #[test]
    fn unknown_keys_are_errors_at_any_depth() {
        for file in ["nope = 1", "[graph]\nclod = \"china\"", "[graph.identity]\nx = 1", "ledger = { a = 1 }"]
        {
            assert!(merged(file, &[], None).is_err(), "{file}");
        }
    }

    #[test]
    fn a_mistyped_variable_is_an_error() {
        assert!(refuse_unknown_variable("MFA_MIGRATE_GRAPH_CLOUDD").is_err());
        for fine in ["MFA_MIGRATE_GRAPH_CLOUD", "MFA_MIGRATE_KEY_FILE", "MFA_MIGRATE_CONFIG", "PATH"] {
            assert!(refuse_unknown_variable(fine).is_ok(), "{fine}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let loaded = merged("", &[("MFA_MIGRATE_GRAPH_TOKEN", "s3cret")], None).unwrap();
        assert!(!format!("{:?} {:?}", loaded.shown, loaded.config).contains("s3cret"));
        let loaded = merged("[graph]\nurl = \"https://me:s3cret@host/\"", &[], None).unwrap();
        assert!(!format!("{:?}", loaded.shown).contains("s3cret"));
    }

    #[test]
    fn metrics_are_shown_where_it_says_and_nowhere_by_default() {
        let listen =
            |file: &str| merged(file, &[], None).map(|loaded| loaded.config.metrics_listen().unwrap());
        assert_eq!(listen("").unwrap(), None);
        let local = Some("127.0.0.1:9464".parse().unwrap());
        for file in ["listen = 9464", "listen = \"9464\"", "listen = \"127.0.0.1:9464\""] {
            assert_eq!(listen(&format!("[telemetry]\n{file}\n")).unwrap(), local, "{file}");
        }
        assert!(listen("[telemetry]\nlisten = \":9464\"\n").is_err());
        assert!(merged("[telemetry]\nlog_format = \"xml\"\n", &[], None).is_err());
        let loaded = merged("", &[("MFA_MIGRATE_TELEMETRY_LISTEN", "9464")], None).unwrap();
        assert_eq!(origin(&loaded, "telemetry.listen"), "environment MFA_MIGRATE_TELEMETRY_LISTEN");
    }

    #[test]
    fn a_policy_is_read_and_validated() {
        let loaded =
            merged("[policy]\ndefault_method = \"always\"\nmatch = [\"sid\", \"upn\"]\n", &[], None).unwrap();
        assert_eq!(loaded.config.policy.default_method, contract::DefaultMethodPolicy::Always);
        assert!(merged("[policy]\nmatch = []\n", &[], None).is_err());
        assert!(merged("[policy]\non_drift = \"maybe\"\n", &[], None).is_err());
        assert!(merged("", &[("MFA_MIGRATE_POLICY_INCLUDE_DISABLED", "yes")], None).is_err());
    }
}
