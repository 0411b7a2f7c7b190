//! What the operator says while a run is under way: pause, abort, and how fast all runs together may write.
//!
//! Every worker looks by itself, so that nothing but the ledger need reach it. A run that is halted or over has its shift
//! ended: nothing new is written, who waits for quota gives up, and what is in hand goes back. Resumed, its orders come
//! anew and its shift is looked up again. A look that fails ends nothing.

use crate::Worker;
use contract::RunId;
use ledger::Control;
use std::time::Duration;
use telemetry::Shutdown;

/// Between two looks. A pause must be in force within two seconds, of which a call under way may take most.
const EVERY: Duration = Duration::from_millis(500);

impl Worker {
    /// Looks at the controls until the worker's day is over. A look is never cut off: it may hold a connection.
    pub(crate) async fn heed(&self, over: &Shutdown) {
        while !over.is_requested() {
            // Those known before the look: a run that is opened after it is not missing from it.
            let known = self.shifts.runs();
            match self.ledger.controls().await {
                Ok(controls) => {
                    for bucket in [graph::Bucket::Writes, graph::Bucket::Groups] {
                        self.pace.cap(bucket, cap(&controls));
                    }
                    for run in known.into_iter().filter(|run| is_stopped(&controls, *run)) {
                        if controls.iter().any(|control| control.run == run) {
                            tracing::info!(%run, "the run is paused; nothing more of it is written");
                        }
                        self.shifts.end(run);
                    }
                }
                Err(error) => {
                    tracing::debug!(error = %telemetry::causes(&error), "the controls could not be read");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = over.requested() => {}
            }
        }
    }
}

/// Writes a second that all runs together may have: the strictest wish holds, since they share one quota. A run that stands
/// writes nothing, and holds nobody else.
fn cap(controls: &[Control]) -> Option<f64> {
    let running = controls.iter().filter(|control| !control.halted);
    running.filter_map(|control| control.max_rate).min().map(f64::from)
}

/// Whether nothing new of a run may be written.
fn is_stopped(controls: &[Control], run: RunId) -> bool {
    controls.iter().find(|control| control.run == run).is_none_or(|control| control.halted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(run: i64, halted: bool, max_rate: Option<u32>) -> Control {
        Control { run: RunId(run), halted, max_rate }
    }

    #[test]
    fn a_run_that_is_halted_or_no_longer_listed_is_stopped_and_others_go_on() {
        let controls = [control(1, false, None), control(2, true, None)];
        assert!(!is_stopped(&controls, RunId(1)));
        assert!(is_stopped(&controls, RunId(2)));
        assert!(is_stopped(&controls, RunId(3)));
    }

    #[test]
    fn the_strictest_wish_caps_all_and_no_wish_caps_nothing() {
        assert_eq!(
            cap(&[control(1, false, Some(30)), control(2, false, Some(5)), control(3, true, Some(1))]),
            Some(5.0)
        );
        assert_eq!(cap(&[control(1, false, None)]), None);
        assert_eq!(cap(&[]), None);
    }
}
