//! What comes next in a cut-over, forward and back.

use crate::{CUT_OVER, CutoverStep, DomainStanding, InDoubt, cutover_step};
use std::time::Duration;

const HORIZON: Duration = Duration::from_secs(600);
const BEFORE: &str = "enforceMfaByFederatedIdp";
const OTHER: &str = "acceptIfMfaDoneByFederatedIdp";

fn step<'a>(
    now: Option<&'a str>,
    before: Option<Option<&'a str>>,
    doubt: Option<(&'a str, u64)>,
    wanted: &str,
) -> CutoverStep {
    let in_doubt = doubt.map(|(to, age)| InDoubt { to, age: Duration::from_secs(age) });
    cutover_step(&DomainStanding { now, before, in_doubt }, wanted, HORIZON)
}

#[test]
fn forward() {
    use CutoverStep::{Conflict, Done, Set, Wait};
    assert_eq!(step(Some(BEFORE), None, None, CUT_OVER), Set);
    assert_eq!(step(None, None, None, CUT_OVER), Set, "it was never set");
    assert_eq!(step(Some(CUT_OVER), None, None, CUT_OVER), Done, "somebody else has done it");
    assert_eq!(step(Some(BEFORE), Some(Some(BEFORE)), Some((CUT_OVER, 10)), CUT_OVER), Wait);
    assert_eq!(step(Some(CUT_OVER), Some(Some(BEFORE)), Some((CUT_OVER, 10)), CUT_OVER), Done);
    assert_eq!(step(Some(BEFORE), Some(Some(BEFORE)), Some((CUT_OVER, 600)), CUT_OVER), Set);
    assert_eq!(step(Some(CUT_OVER), Some(Some(BEFORE)), Some((BEFORE, 10)), CUT_OVER), Wait);
    assert_eq!(step(Some(OTHER), Some(Some(BEFORE)), None, CUT_OVER), Conflict);
    assert_eq!(step(None, Some(Some(BEFORE)), None, CUT_OVER), Conflict);
}

#[test]
fn back() {
    use CutoverStep::{Conflict, Done, Set, Wait};
    assert_eq!(step(Some(CUT_OVER), Some(Some(BEFORE)), None, BEFORE), Set);
    assert_eq!(step(Some(BEFORE), Some(Some(BEFORE)), None, BEFORE), Done);
    assert_eq!(step(Some(OTHER), Some(Some(BEFORE)), None, BEFORE), Conflict);
    assert_eq!(step(Some(BEFORE), Some(Some(BEFORE)), Some((CUT_OVER, 10)), BEFORE), Wait);
    assert_eq!(step(Some(BEFORE), Some(Some(BEFORE)), Some((CUT_OVER, 601)), BEFORE), Done);
}
