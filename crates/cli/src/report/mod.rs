//! Reports: one row a user and method, forward and back, and the lists that people work through.
//!
//! Streamed by pages of users, whatever the format: of lists that grow with the users a first part alone lies in memory.
//! It only looks, and never at Graph.

mod csv;
mod gathered;
mod history;
pub(crate) mod html;
mod json;
mod known;
mod lists;
mod person;
mod places;
mod rows;
mod scope;
mod told;

pub(crate) use csv::harmless;
pub(crate) use known::Known;
pub(crate) use lists::List;
pub(crate) use places::Places;
pub(crate) use scope::Scope;

use crate::engine::Engine;
use std::io::Write;

/// A report that is to be written.
pub(crate) struct Report<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) scope: Scope,
    pub(crate) places: Places,
}

/// Where it goes.
pub(crate) type Out<'a> = dyn Write + Send + 'a;

impl Report<'_> {
    /// Rows, a user and method each.
    pub(crate) async fn csv(&self, out: &mut Out<'_>) -> anyhow::Result<()> {
        csv::write(self, out).await
    }

    /// All of it as one object.
    pub(crate) async fn json(&self, out: &mut Out<'_>) -> anyhow::Result<()> {
        json::write(self, out).await
    }

    /// All of it as one page.
    pub(crate) async fn html(&self, out: &mut Out<'_>) -> anyhow::Result<()> {
        html::write(self, out).await
    }

    /// One list as CSV.
    pub(crate) async fn list_csv(&self, list: List, out: &mut Out<'_>) -> anyhow::Result<()> {
        csv::write_list(self, list, out).await
    }

    /// One list as an array.
    pub(crate) async fn list_json(&self, list: List, out: &mut Out<'_>) -> anyhow::Result<()> {
        json::write_list(self, list, out).await
    }
}
