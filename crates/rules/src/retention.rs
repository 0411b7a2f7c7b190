//! Whether something may be forgotten, from what stands of it.
//!
//! Pure. Nothing is forgotten that somebody still needs: a run that is not over, a user whose last write is in doubt, a batch
//! that is kept in step, a batch that was never moved. What a person gives up knowingly, the way back, is no obstacle.

/// What stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Runs that are not over: number, kind, batch.
    pub unfinished: Vec<(i64, &'static str, String)>,
    /// Users of whom an intent has no outcome.
    pub in_doubt: u64,
    /// Users whom the last run that writes has not settled.
    pub unsettled: u64,
    /// Batches that are kept in step and need it.
    pub kept_in_step: Vec<String>,
    /// Batches that were never moved and would be moved from it.
    pub unmoved: Vec<String>,
}

/// Why something may not be forgotten yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A run is not over.
    Unfinished {
        /// Its number.
        run: i64,
        /// What it does.
        kind: &'static str,
        /// Of which batch.
        batch: String,
    },
    /// So many users may still have a write under way, or one of which nobody knows whether it was made.
    InDoubt(u64),
    /// So many users were begun and not settled.
    Unsettled(u64),
    /// A batch is kept in step.
    KeptInStep(String),
    /// A batch was never moved.
    Unmoved(String),
}

/// All that is in the way, the gravest first; nothing where it may be forgotten.
pub fn obstacles(standing: &Standing) -> Vec<Obstacle> {
    let runs = standing.unfinished.iter().map(|(run, kind, batch)| Obstacle::Unfinished {
        run: *run,
        kind,
        batch: batch.clone(),
    });
    let in_doubt = (standing.in_doubt > 0).then_some(Obstacle::InDoubt(standing.in_doubt));
    // While a run is not over its users are unsettled by nature: that run is the thing to tell.
    let is_left = standing.unsettled > 0 && standing.unfinished.is_empty();
    let unsettled = is_left.then_some(Obstacle::Unsettled(standing.unsettled));
    runs.chain(in_doubt)
        .chain(unsettled)
        .chain(standing.kept_in_step.iter().cloned().map(Obstacle::KeptInStep))
        .chain(standing.unmoved.iter().cloned().map(Obstacle::Unmoved))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_in_the_way_is_told_and_nothing_else() {
        assert!(obstacles(&Standing::default()).is_empty());
        let standing = Standing {
            unfinished: vec![(7, "migrate", "north".to_owned())],
            in_doubt: 2,
            unsettled: 5,
            kept_in_step: vec!["south".to_owned()],
            unmoved: vec!["east".to_owned()],
        };
        let found = obstacles(&standing);
        assert_eq!(
            found,
            [
                Obstacle::Unfinished { run: 7, kind: "migrate", batch: "north".to_owned() },
                Obstacle::InDoubt(2),
                Obstacle::KeptInStep("south".to_owned()),
                Obstacle::Unmoved("east".to_owned()),
            ]
        );
        let left = Standing { unfinished: Vec::new(), ..standing };
        assert!(obstacles(&left).contains(&Obstacle::Unsettled(5)));
    }
}
