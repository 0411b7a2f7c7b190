//! A folder of SOAP responses: settings and devices of a user in two documents.
//!
//! Two documents are one user when they name the same user, or, where one of them names none, when their file names
//! have the same stem (`helga.settings.xml`, `helga.devices.xml`). The SDK's answers need not repeat who was asked for;
//! where neither does, the stem is the username, `%5C` and the like decoded. Documents are read one at a time.

mod document;
mod folder;
mod pairs;

pub(crate) use document::is_response;
pub(crate) use folder::{Folder, Reader, list, scan};
