//! One writing process a ledger: a lock on a file beside it.
//!
//! Holding it proves that the process that wrote before is gone, so its claims are void and need not be waited out.
//! Verbs that only look (`status`, `show`, `report`) do without it.

use anyhow::Context;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `status` looks whether somebody holds the lock, and has it for that instant: so it is asked for more than once.
const GLANCES: u32 = 10;
const GLANCE: Duration = Duration::from_millis(20);

/// The held lock; released when dropped, and by the system when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a ledger.
    pub(crate) async fn take(ledger: &Path) -> anyhow::Result<Self> {
        let path = path_of(ledger);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("the lock file {} cannot be opened", path.display()))?;
        let mut taken = file.try_lock();
        for _ in 0..GLANCES {
            if !matches!(taken, Err(TryLockError::WouldBlock)) {
                break;
            }
            tokio::time::sleep(GLANCE).await;
            taken = file.try_lock();
        }
        match taken {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(crate::Usage(format!(
                "another mfa-migrate is working on {}; nothing was done. `mfa-migrate status` shows how far it is; stop it \
                 first (Ctrl-C is safe), or name another ledger with --ledger",
                ledger.display()
            ))
            .into()),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }
}

fn path_of(ledger: &Path) -> PathBuf {
    let mut name = ledger.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    ledger.with_file_name(name)
}

/// Whether some process holds the lock of a ledger.
pub(crate) fn is_held(ledger: &Path) -> bool {
    // A shared lock for an instant tells; it is given back at once.
    File::open(path_of(ledger))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
