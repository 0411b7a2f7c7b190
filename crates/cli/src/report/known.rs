//! What other verbs need of the users of a report: who they are in Entra, where they stand, and why.

use super::lists::List;
use super::person::Person;
use super::{Places, Report, Scope};
use crate::engine::Engine;
use contract::{Code, EntraId, EntryState};

/// A user, as runs have told.
pub(crate) struct Known {
    /// As the datafile has it.
    pub(crate) user: String,
    /// User principal name; absent where nothing matched.
    pub(crate) upn: Option<String>,
    /// Object id; absent where nothing matched, or more than one.
    pub(crate) id: Option<EntraId>,
    /// Where the user stands after all runs.
    pub(crate) standing: EntryState,
    /// The app has to be registered again.
    pub(crate) must_register_again: bool,
    /// The reasons of the run that told most.
    pub(crate) codes: Vec<Code>,
}

impl From<Person> for Known {
    fn from(person: Person) -> Self {
        let must_register_again = List::MustRegisterAgain.line(&person).is_some();
        let told = person.told.as_ref();
        Self {
            id: told.and_then(|told| told.user.clone()),
            codes: told.map(|told| told.notes.iter().map(|note| note.code).collect()).unwrap_or_default(),
            upn: person.user_principal_name,
            user: person.user,
            standing: person.standing,
            must_register_again,
        }
    }
}

impl Known {
    /// Calls `each` for every user of a scope.
    pub(crate) async fn for_each(
        engine: &Engine,
        scope: Scope,
        mut each: impl FnMut(Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let report = Report { engine, scope, places: Places::default() };
        report.for_each(|person| each(person.into()).map(|()| true)).await
    }
}
