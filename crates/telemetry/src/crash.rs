//! Crash points: places where a test build can be made to die as if by `kill -9`.
//!
//! `MFA_MIGRATE_CRASH_AT=name:n` aborts at the n-th passage of that point. In release builds the function is empty.

/// Every crash point of the way forward, in the order in which a user meets them. A test walks all of them.
pub const CRASH_POINTS: &[&str] = &[
    "extract.page-sent",
    "extract.before-end",
    "extract.end-sent",
    "intake.page-filed",
    "intake.before-complete",
    "intake.completed",
    "directory.page-filed",
    "match.before",
    "match.after",
    "release.page",
    "worker.claimed",
    "worker.observed",
    "worker.planned",
    "worker.intents-filed",
    "worker.phones-sent",
    "worker.tokens-created",
    "worker.tokens-activated",
    "worker.default-sent",
    "worker.before-finish",
    "worker.finished",
    "run.before-done",
    "run.done",
];

/// The same on the way back, which a migration never passes.
pub const ROLLBACK_CRASH_POINTS: &[&str] = &[
    "touched.before",
    "touched.after",
    "rollback.claimed",
    "rollback.planned",
    "rollback.intents-filed",
    "rollback.between-writes",
    "rollback.before-finish",
    "rollback.finished",
];

/// Every crash point of issuing and revoking passes, in the order in which a user meets them.
pub const PASS_CRASH_POINTS: &[&str] = &[
    "tap.begun",
    "tap.claimed",
    "tap.intents-filed",
    "tap.sent",
    "tap.file-written",
    "tap.finished",
    "tap.deleted",
];

/// Every crash point of a cut-over, forward and back.
pub const CUTOVER_CRASH_POINTS: &[&str] =
    &["cutover.intent-filed", "cutover.sent", "cutover.before-outcome", "cutover.ended"];

/// The same of the staged rollout, in the order in which a run meets them.
pub const ROLLOUT_CRASH_POINTS: &[&str] = &[
    "rollout.policy-asked",
    "rollout.freezing",
    "rollout.admitted",
    "rollout.placed",
    "rollout.claimed",
    "rollout.filed",
    "rollout.asked",
    "rollout.before-finish",
    "rollout.finished",
];

/// And on the way out of it.
pub const ROLLOUT_REMOVE_CRASH_POINTS: &[&str] = &[
    "rollout-remove.claimed",
    "rollout-remove.filed",
    "rollout-remove.asked",
    "rollout-remove.before-finish",
    "rollout-remove.finished",
];

/// The same of forgetting.
pub const FORGET_CRASH_POINTS: &[&str] =
    &["forget.users", "forget.records", "forget.before-reclaim", "forget.reclaimed"];

/// Dies here when a test build was told to.
#[cfg(debug_assertions)]
pub fn crash_point(name: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    static WANTED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);

    let lists = [
        CRASH_POINTS,
        ROLLBACK_CRASH_POINTS,
        PASS_CRASH_POINTS,
        CUTOVER_CRASH_POINTS,
        ROLLOUT_CRASH_POINTS,
        ROLLOUT_REMOVE_CRASH_POINTS,
        FORGET_CRASH_POINTS,
    ];
    let is_listed = lists.iter().any(|list| list.contains(&name));
    debug_assert!(is_listed, "{name} is not in the list that the tests walk");
    #[expect(clippy::disallowed_methods, reason = "a switch for tests, no configuration")]
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("MFA_MIGRATE_CRASH_AT").ok()?;
        let (point, n) = text.rsplit_once(':')?;
        Some((point.to_owned(), n.parse().ok()?))
    });
    if let Some((point, n)) = wanted
        && point == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *n
    {
        std::process::abort();
    }
}

/// Release builds have no crash points.
#[cfg(not(debug_assertions))]
pub fn crash_point(_name: &'static str) {}
