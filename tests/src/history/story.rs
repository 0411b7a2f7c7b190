//! What a history was made of, and how it is told.

use std::fmt;

/// What happened, in words, one line a step.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// The seed.
    pub seed: u64,
    /// The steps.
    pub lines: Vec<String>,
}

/// Why a history failed.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What happened until then.
    pub story: Story,
    /// What must not have been.
    pub found: Vec<String>,
}

/// What histories were made of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Histories.
    pub histories: u64,
    /// Steps.
    pub steps: u64,
    /// Processes that died.
    pub deaths: u64,
    /// Effects of the product in the tenant.
    pub writes: u64,
    /// Rollbacks that came to their end.
    pub rollbacks: u64,
    /// Users whom a rollback left in conflict.
    pub conflicts: u64,
    /// Users who were set aside.
    pub parked: u64,
}

impl Totals {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.steps += other.steps;
        self.deaths += other.deaths;
        self.writes += other.writes;
        self.rollbacks += other.rollbacks;
        self.conflicts += other.conflicts;
        self.parked += other.parked;
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.story)?;
        self.found.iter().try_for_each(|found| writeln!(f, "  FOUND {found}"))?;
        write!(f, "again: tests/simulate --seed {}", self.story.seed)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} histories, {} steps, {} deaths, {} writes, {} rollbacks, {} conflicts, {} parked",
            self.histories, self.steps, self.deaths, self.writes, self.rollbacks, self.conflicts, self.parked
        )
    }
}
