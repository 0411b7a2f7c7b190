//! The keys of a ledger: the sealing key from its file, and the fingerprint key that the ledger keeps, sealed.

use crate::Usage;
use crate::config::{Config, LedgerKind};
use anyhow::{Context, bail};
use contract::{FingerprintKey, Sealer, context};
use ledger::Ledger;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The sealing keys: the first seals, the old ones still open. Embedded mode makes one beside a new ledger, readable by
/// its owner alone; a ledger that exists without its key is never given a new one.
pub(crate) fn sealer(config: &Config, may_create: bool) -> anyhow::Result<Sealer> {
    let (path, newest) = match (&config.key_file, config.ledger_kind()?) {
        (Some(path), _) => (path.clone(), read(path)?),
        (None, LedgerKind::Sqlite(ledger)) => {
            let path = beside(&ledger);
            let key = if path.exists() { read(&path)? } else { first(&ledger, &path, may_create)? };
            (path, key)
        }
        (None, LedgerKind::Postgres(_)) => bail!(no_shared_key()),
    };
    let mut keys = vec![newest];
    for old in &config.old_key_files {
        keys.push(read(old)?);
    }
    Sealer::new(&keys).map_err(|error| {
        Usage(format!("the key file {} (or one of old_key_files) cannot be used: {error}", path.display()))
            .into()
    })
}

/// The sealing keys of a service: several machines seal with one key, so it must be named.
pub(crate) fn shared_sealer(config: &Config) -> anyhow::Result<Sealer> {
    if config.key_file.is_none() {
        bail!(no_shared_key());
    }
    sealer(config, false)
}

fn no_shared_key() -> Usage {
    Usage(
        "several machines must seal with one key: put 32 random bytes in a file that its owner alone can read \
         (head -c 32 /dev/urandom), bring it to each of them, and name it with MFA_MIGRATE_KEY_FILE"
            .to_owned(),
    )
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    match std::fs::read(path) {
        Ok(key) => Ok(key),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(Usage(format!(
            "the key file {} does not exist; it must hold the 32 bytes that the ledger was sealed with",
            path.display()
        ))),
        Err(error) => Err(error).with_context(|| format!("the key file {} cannot be read", path.display())),
    }
}

/// The key of a ledger that has none beside it: made for a new ledger alone.
fn first(ledger: &Path, path: &Path, may_create: bool) -> anyhow::Result<Vec<u8>> {
    if ledger.exists() {
        bail!(Usage(format!(
            "the ledger {} exists but its key {} does not: nothing in it can be opened; bring the key back, or name it \
             with MFA_MIGRATE_KEY_FILE",
            ledger.display(),
            path.display()
        )));
    }
    if !may_create {
        bail!(Usage(format!(
            "there is no ledger at {} yet; `mfa-migrate rehearse --datafile FILE` makes one",
            ledger.display()
        )));
    }
    create(path)
}

/// The fingerprint key: made once for a ledger, and never changed.
pub(crate) async fn fingerprints(ledger: &dyn Ledger, sealer: &Sealer) -> anyhow::Result<FingerprintKey> {
    let candidate = sealer.seal(context::FINGERPRINT_KEY, &Sealer::new_key()?)?;
    let kept = ledger.keep(context::FINGERPRINT_KEY, &candidate).await?;
    open_fingerprints(sealer, &kept.0)
}

/// Opens the fingerprint key that a ledger holds.
fn open_fingerprints(sealer: &Sealer, sealed: &[u8]) -> anyhow::Result<FingerprintKey> {
    let bytes = sealer.open(context::FINGERPRINT_KEY, sealed).map_err(|error| {
        Usage(format!(
            "this ledger was sealed with another key ({error}); name the right one with MFA_MIGRATE_KEY_FILE"
        ))
    })?;
    Ok(FingerprintKey::new(&bytes))
}

fn beside(ledger: &Path) -> PathBuf {
    ledger.with_extension("key")
}

/// Makes the key under another name first, so that a process that dies in between leaves no half of a key. The lock of
/// the ledger is held: nobody else makes one at the same time.
fn create(path: &Path) -> anyhow::Result<Vec<u8>> {
    let key = Sealer::new_key()?;
    let unfinished = path.with_extension("key.new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options
        .open(&unfinished)
        .with_context(|| format!("the key file {} cannot be created", path.display()))?;
    file.write_all(&key)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&unfinished, path))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(key)
}

/// The fingerprint key of a ledger that is only looked at.
pub(crate) async fn kept_fingerprints(
    ledger: &dyn Ledger,
    sealer: &Sealer,
) -> anyhow::Result<FingerprintKey> {
    match ledger.kept(context::FINGERPRINT_KEY).await? {
        Some(kept) => open_fingerprints(sealer, &kept.0),
        None => bail!(Usage("the ledger is empty: no run was begun in it yet".to_owned())),
    }
}
