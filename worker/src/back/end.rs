//! Step 7 of the way back: the end of a user of whom nothing is left to take back.

use crate::Error;
use crate::case::Case;
use crate::shift::Shift;
use ledger::Finish;

impl Shift {
    /// The run is done with the user.
    pub(crate) fn settle_taken_back(&self, mut case: Case) -> Result<Finish, Error> {
        let state = case.state_taken_back();
        case.tell_restored(state);
        self.settle(case, state)
    }
}
