//! Shares the lines of NDJSON out to threads, page by page.
//!
//! Lines travel as bytes in a few pages that are used over and over, so that memory is bounded and no thread frees what
//! another one took. The calling thread reads; the source is still read once, front to back.

use crate::lines::Line;
use crate::wire::Entry;
use crate::{Error, ndjson};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// A page goes out when it holds this much; one long line more at the most.
const PAGE_BYTES: usize = 128 * 1024;
/// Pages read ahead.
const AHEAD: usize = 4;

/// Some lines that are records.
#[derive(Default)]
struct Page {
    bytes: Vec<u8>,
    /// The line's number, and where it ends in `bytes`; no end where it was too long.
    lines: Vec<(u64, Option<usize>)>,
    /// Records before this page.
    before: i64,
}

impl Page {
    fn clear(&mut self, before: i64) {
        self.bytes.clear();
        self.lines.clear();
        self.before = before;
    }

    fn push(&mut self, line: Line<'_>) {
        match line {
            Line::TooLong(number) => self.lines.push((number, None)),
            Line::Text(number, bytes) => {
                self.bytes.extend_from_slice(bytes);
                self.lines.push((number, Some(self.bytes.len())));
            }
        }
    }

    /// The lines with their places among the records read.
    fn lines(&self) -> impl Iterator<Item = (i64, Line<'_>)> {
        let mut start = 0;
        (self.before + 1..).zip(&self.lines).map(move |(ordinal, (number, end))| match *end {
            None => (ordinal, Line::TooLong(*number)),
            Some(end) => {
                let bytes = self.bytes.get(start..end).unwrap_or_default();
                start = end;
                (ordinal, Line::Text(*number, bytes))
            }
        })
    }
}

/// Reads all lines and hands each entry, with its place from 1, to one of the shares; a thread a share.
///
/// # Errors
/// The source cannot be read.
pub(crate) fn share_out<T: Send>(
    lines: &mut ndjson::Reader,
    shares: Vec<T>,
    take: impl Fn(&mut T, i64, Entry) + Sync,
) -> Result<Vec<T>, Error> {
    let (pages, read) = sync_channel(AHEAD);
    let (spent, spent_pages) = channel();
    let read = Arc::new(Mutex::new(read));
    std::thread::scope(|scope| {
        let take = &take;
        let threads: Vec<_> = shares
            .into_iter()
            .map(|mut share| {
                let (read, spent) = (Arc::clone(&read), spent.clone());
                scope.spawn(move || {
                    take_pages(&read, &spent, |ordinal, entry| take(&mut share, ordinal, entry));
                    share
                })
            })
            .collect();
        // The threads alone hold it now, so that sending fails where all of them have panicked.
        drop(read);
        let outcome = read_pages(lines, pages, &spent_pages);
        let mut shares = Vec::with_capacity(threads.len());
        for thread in threads {
            match thread.join() {
                Ok(share) => shares.push(share),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        outcome.map(|()| shares)
    })
}

fn read_pages(
    lines: &mut ndjson::Reader,
    pages: SyncSender<Page>,
    spent: &Receiver<Page>,
) -> Result<(), Error> {
    let mut before = 0;
    loop {
        let mut page: Page = spent.try_recv().unwrap_or_default();
        page.clear(before);
        let mut ended = false;
        while page.bytes.len() < PAGE_BYTES && !ended {
            match lines.line()? {
                None => ended = true,
                Some(line) if ndjson::is_blank(line) => {}
                Some(line) => {
                    page.push(line);
                    before += 1;
                }
            }
        }
        // Every thread has panicked, which is told when they are joined.
        if pages.send(page).is_err() || ended {
            return Ok(());
        }
    }
}

fn take_pages(read: &Mutex<Receiver<Page>>, spent: &Sender<Page>, mut take: impl FnMut(i64, Entry)) {
    loop {
        let page = read.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(page) = page else { return };
        for (ordinal, line) in page.lines() {
            take(ordinal, ndjson::entry(line));
        }
        // The reader is done with pages before we are.
        drop(spent.send(page));
    }
}
