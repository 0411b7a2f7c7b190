//! The journal: every effect as a line of JSON, appended before the answer leaves.
//!
//! Lines of one request go to the file in one write, and nothing is held back in this process: a killed server has
//! journalled everything that anybody was told.

use crate::tenant::Effect;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The file and the lines that are not in it yet.
pub(super) struct Journal {
    file: Option<File>,
    lines: Vec<u8>,
}

impl Journal {
    /// Opens the file for appending; without a path nothing is written.
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = path.map(|p| OpenOptions::new().create(true).append(true).open(p)).transpose()?;
        Ok(Self { file, lines: Vec::new() })
    }

    /// Adds the effects of one call.
    pub(super) fn add(
        &mut self,
        effects: &[Effect],
        at: &str,
        request_id: &str,
        client_request_id: Option<&str>,
    ) -> io::Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        for effect in effects {
            serde_json::to_writer(&mut self.lines, &effect.line(at, request_id, client_request_id))?;
            self.lines.push(b'\n');
        }
        Ok(())
    }

    /// Writes what was added.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(file) = &mut self.file
            && !self.lines.is_empty()
        {
            file.write_all(&self.lines)?;
            self.lines.clear();
        }
        Ok(())
    }
}
