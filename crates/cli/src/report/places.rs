//! Where a user belongs: region and department, from a cohort file if one is given, else from the directory as the runs
//! read it.

use crate::Usage;
use anyhow::Context;
use contract::{DirectoryEntry, Selector};
use extractor::CohortRow;
use std::collections::BTreeMap;
use std::path::Path;

/// Regions and departments that the directory does not tell.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Region and department by username in lower case.
    said: BTreeMap<String, (Option<String>, Option<String>)>,
    /// The one region that a batch was selected by: its users are there, even where nothing else says so.
    region: Option<String>,
}

impl Places {
    /// From a cohort file, as `batch create --cohorts` takes it.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let unreadable = |error: &dyn std::fmt::Display| {
            Usage(format!("the cohort file {} cannot be read: {error}", path.display()))
        };
        let mut said = BTreeMap::new();
        for row in extractor::cohorts(path).map_err(|error| unreadable(&error))? {
            match row.with_context(|| format!("the cohort file {}", path.display()))? {
                CohortRow::User(name, mut attributes) => {
                    let place = (attributes.remove("region"), attributes.remove("department"));
                    said.insert(name.trim().to_lowercase(), place);
                }
                CohortRow::Rejected(_) => {}
            }
        }
        Ok(Self { said, region: None })
    }

    /// Takes the region of a batch for those of whom nothing else is known.
    pub(crate) fn selected_by(&mut self, selector: &Selector) {
        if let [region] = selector.only.region.as_slice() {
            self.region = Some(region.clone());
        }
    }

    /// Region and department of a user.
    pub(super) fn of(
        &self,
        username: &str,
        directory: Option<&DirectoryEntry>,
    ) -> (Option<String>, Option<String>) {
        let said = self.said.get(&username.trim().to_lowercase());
        let region = said.and_then(|(region, _)| region.clone());
        let department = said.and_then(|(_, department)| department.clone());
        (
            region.or_else(|| directory?.region.clone()).or_else(|| self.region.clone()),
            department.or_else(|| directory?.department.clone()),
        )
    }
}
