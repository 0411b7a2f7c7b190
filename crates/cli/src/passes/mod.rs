//! What `tap` composes: the operator's file, and whom it is about.

mod book;
mod select;

pub(crate) use book::Book;
pub(crate) use select::{Selected, select_to_issue, select_to_revoke};
