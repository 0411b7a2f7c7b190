//! What a bench may be told: by the flags it is tried out smaller; without them it measures what the targets are about.

use anyhow::{Context, bail};

/// The flags, as text for people.
pub(crate) const FLAGS: &str = "[--json] [--users N] [--seconds N] [--rounds N] [--sizes N,N,…]";

/// The words of the command line.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The bench; absent when none was named.
    pub(crate) name: Option<String>,
    /// One line of JSON instead of a table.
    pub(crate) json: bool,
    users: Option<u32>,
    seconds: Option<u64>,
    rounds: Option<usize>,
    sizes: Option<Vec<u32>>,
}

impl Options {
    /// Reads the command line.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let mut number = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--json" => options.json = true,
                "--users" => options.users = Some(number()?.parse()?),
                "--seconds" => options.seconds = Some(number()?.parse()?),
                "--rounds" => options.rounds = Some(number()?.parse()?),
                "--sizes" => {
                    let sizes: Result<Vec<u32>, _> = number()?.split(',').map(str::parse).collect();
                    options.sizes = Some(sizes?);
                }
                _ if options.name.is_none() && !word.starts_with('-') => options.name = Some(word),
                _ => bail!("{word} is not understood; run: tests/bench NAME {FLAGS}"),
            }
        }
        Ok(options)
    }

    /// How many users, or the number the target is about.
    pub(crate) fn users(&self, target: u32) -> u32 {
        self.users.unwrap_or(target)
    }

    /// Seconds of the window, or those the target is about.
    pub(crate) fn seconds(&self, target: u64) -> u64 {
        self.seconds.unwrap_or(target)
    }

    /// How often, the middle of which counts.
    pub(crate) fn rounds(&self, usual: usize) -> usize {
        self.rounds.unwrap_or(usual).max(1)
    }

    /// Sizes, or those the target is about.
    pub(crate) fn sizes(&self, target: &[u32]) -> Vec<u32> {
        self.sizes.clone().unwrap_or_else(|| target.to_vec())
    }
}
