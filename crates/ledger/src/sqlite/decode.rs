//! From columns to values. A word or a length that this build does not know is an error that names the column.

use super::fault::Fault;
use crate::{Intent, PreImage};
use contract::{
    Allowed, EntraId, EntryState, Fingerprint, IntentOutcome, Match, Outcome, RunId, RunKind, RunState,
    Sealed, SnapshotId, UserKey,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use std::time::Duration;

/// The rest of a row, by column.
pub(super) trait Columns {
    /// Any SQL value.
    fn value<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(&'r self, column: &'static str) -> Result<T, Fault>;

    /// A count.
    fn count<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, Fault>;

    /// A word of one of our enums.
    fn word<T>(&self, column: &'static str, parse: fn(&str) -> Option<T>) -> Result<T, Fault>;

    /// The same, or null.
    fn maybe_word<T>(&self, column: &'static str, parse: fn(&str) -> Option<T>) -> Result<Option<T>, Fault>;

    /// 16 bytes.
    fn fingerprint(&self, column: &'static str) -> Result<Fingerprint, Fault>;

    /// The same, or null.
    fn maybe_fingerprint(&self, column: &'static str) -> Result<Option<Fingerprint>, Fault>;

    /// An envelope.
    fn sealed(&self, column: &'static str) -> Result<Sealed, Fault>;

    /// The same, or null.
    fn maybe_sealed(&self, column: &'static str) -> Result<Option<Sealed>, Fault>;

    /// A user of Entra.
    fn entra(&self, column: &'static str) -> Result<EntraId, Fault> {
        self.value(column).map(EntraId)
    }

    /// A run.
    fn run(&self, column: &'static str) -> Result<RunId, Fault> {
        self.value(column).map(RunId)
    }

    /// A user of the source.
    fn user_key(&self, column: &'static str) -> Result<UserKey, Fault> {
        self.fingerprint(column).map(UserKey)
    }

    /// A snapshot.
    fn snapshot(&self, column: &'static str) -> Result<SnapshotId, Fault> {
        self.value(column).map(SnapshotId)
    }

    /// What the policy allows.
    fn allowed(&self, column: &'static str) -> Result<Allowed, Fault> {
        self.count(column).map(Allowed)
    }

    /// The state of an entry.
    fn entry_state(&self, column: &'static str) -> Result<EntryState, Fault> {
        self.word(column, EntryState::parse)
    }

    /// What a plan meant.
    fn maybe_outcome(&self, column: &'static str) -> Result<Option<Outcome>, Fault> {
        self.maybe_word(column, Outcome::parse)
    }

    /// The kind of a run.
    fn run_kind(&self, column: &'static str) -> Result<RunKind, Fault> {
        self.word(column, RunKind::parse)
    }

    /// The state of a run.
    fn run_state(&self, column: &'static str) -> Result<RunState, Fault> {
        self.word(column, RunState::parse)
    }

    /// A stage of matching, stored by its position in `Match::ALL`.
    fn maybe_stage(&self, column: &'static str) -> Result<Option<Match>, Fault> {
        let Some(position) = self.value::<Option<i64>>(column)? else { return Ok(None) };
        let stage = usize::try_from(position).ok().and_then(|p| Match::ALL.get(p)).copied();
        stage.map(Some).ok_or(Fault::Column(column))
    }
}

impl Columns for SqliteRow {
    fn value<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(&'r self, column: &'static str) -> Result<T, Fault> {
        self.try_get(column).map_err(|_| Fault::Column(column))
    }

    fn count<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, Fault> {
        T::try_from(self.value::<i64>(column)?).map_err(|_| Fault::Column(column))
    }

    fn word<T>(&self, column: &'static str, parse: fn(&str) -> Option<T>) -> Result<T, Fault> {
        parse(self.value(column)?).ok_or(Fault::Column(column))
    }

    fn maybe_word<T>(&self, column: &'static str, parse: fn(&str) -> Option<T>) -> Result<Option<T>, Fault> {
        match self.value::<Option<&str>>(column)? {
            Some(word) => parse(word).map(Some).ok_or(Fault::Column(column)),
            None => Ok(None),
        }
    }

    fn fingerprint(&self, column: &'static str) -> Result<Fingerprint, Fault> {
        Fingerprint::from_slice(self.value(column)?).ok_or(Fault::Column(column))
    }

    fn maybe_fingerprint(&self, column: &'static str) -> Result<Option<Fingerprint>, Fault> {
        match self.value::<Option<&[u8]>>(column)? {
            Some(bytes) => Fingerprint::from_slice(bytes).map(Some).ok_or(Fault::Column(column)),
            None => Ok(None),
        }
    }

    fn sealed(&self, column: &'static str) -> Result<Sealed, Fault> {
        self.value(column).map(Sealed)
    }

    fn maybe_sealed(&self, column: &'static str) -> Result<Option<Sealed>, Fault> {
        Ok(self.value::<Option<Vec<u8>>>(column)?.map(Sealed))
    }
}

/// A pre-image, from the columns of its table.
pub(super) fn pre_image(row: &SqliteRow) -> Result<PreImage, Fault> {
    Ok(PreImage {
        slot: row.value("slot")?,
        value: row.maybe_sealed("value")?,
        run: row.run("run")?,
        filed_at_ms: row.value("filed_at")?,
        maybe_landed: row.value("maybe_landed")?,
    })
}

/// An intent, from the columns of its table and its age.
pub(super) fn intent(row: &SqliteRow) -> Result<Intent, Fault> {
    Ok(Intent {
        run: row.run("run")?,
        slot: row.value("slot")?,
        to: row.maybe_sealed("value")?,
        age: duration(row.value("age")?),
        filed_at_ms: row.value("filed_at")?,
        outcome: row.maybe_word("outcome", IntentOutcome::parse)?,
    })
}

/// Milliseconds for a statement; what does not fit is cut to some hundred thousand years.
pub(super) fn milliseconds(duration: Duration) -> i64 {
    const LONGEST_MS: i64 = i64::MAX / 1024;
    i64::try_from(duration.as_millis()).map_or(LONGEST_MS, |ms| ms.min(LONGEST_MS))
}

/// A duration from the difference of two times; a clock that was set back gives zero.
pub(super) fn duration(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Ordinals, users or tuples as one bind parameter, read by `json_each` on the other side.
pub(super) fn json<T: Into<serde_json::Value>>(values: impl IntoIterator<Item = T>) -> String {
    serde_json::Value::Array(values.into_iter().map(Into::into).collect()).to_string()
}
