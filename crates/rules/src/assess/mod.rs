//! What a site uses of MFA Server, what Entra has in its place, and whom each of it touches.
//!
//! Pure: a table of features and a fold over records. It counts by the rules themselves: what becomes of a user is asked of
//! the plan against an empty tenant, never reckoned a second time. Memory does not grow with the users.

mod count;
mod features;

pub use count::{Assessed, Habits, List, Nps, Tally, assess};
pub use features::{FEATURES, Feature, Section, Source, feature};
