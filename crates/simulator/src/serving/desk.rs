//! The desk: takes one call, lets quota and fate judge it, and has the tenant answer it.
//!
//! Order: the path must exist, then quota, then fate, then Graph's rules. Invariant: an effect is journalled in the
//! same turn in which it happens, whatever the caller is told, or whether anybody is.

use super::chaos::{Chaos, Fate};
use super::journal::Journal;
use super::options::{Faults, Options};
use super::stats::Stats;
use super::throttle::{Quota, Rejected};
use crate::tenant::{
    Answer, Call, Content, Ids, Kind, Now, Query, Refusal, State, Tenant, Verb, Version, error_body, parse,
};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// A call as it came, on its own or in a bundle.
pub(super) struct Asked {
    pub(super) version: Version,
    pub(super) verb: Verb,
    /// Path and query without the version.
    pub(super) url: String,
    pub(super) content: Content,
    pub(super) eventual: bool,
    pub(super) unknown_members: bool,
    /// An item before it in the bundle writes to the same group, and neither waits for the other.
    pub(super) collides: bool,
    pub(super) base: String,
    pub(super) client_request_id: Option<String>,
}

/// What the desk says.
pub(super) struct Said {
    pub(super) answer: Answer,
    pub(super) request_id: String,
    /// Nobody is to hear it: the connection is cut.
    pub(super) cut: bool,
}

struct Late {
    due: Duration,
    call: Call,
    request_id: String,
    client_request_id: Option<String>,
}

/// Everything behind the mutex.
pub(super) struct Desk {
    pub(super) tenant: Tenant,
    pub(super) stats: Stats,
    quota: Quota,
    chaos: Chaos,
    faults: Faults,
    journal: Journal,
    late: VecDeque<Late>,
    /// Waits given in this turn: bucket and length. They begin when the answer leaves.
    waits: Vec<(&'static str, Duration)>,
    ids: Ids,
    app_id: String,
    tenant_id: String,
}

impl Desk {
    /// Opens the journal and lays the tenant out. `run` sets the ids of two runs apart.
    pub(super) fn new(state: State, options: &Options, run: u64) -> io::Result<Self> {
        let faults = options.faults;
        let visible_after = Duration::from_millis(faults.not_yet_visible_ms);
        let tenant = Tenant::new(state, visible_after, run, faults.auto_default);
        let mut ids = Ids::new(run ^ 1);
        Ok(Self {
            quota: Quota::new(options.throttle, tenant.user_count()),
            tenant,
            stats: Stats::default(),
            chaos: Chaos::new(faults),
            faults,
            journal: Journal::open(options.journal.as_deref())?,
            late: VecDeque::new(),
            waits: Vec::new(),
            app_id: ids.fresh(),
            tenant_id: ids.fresh(),
            ids,
        })
    }

    /// An id for a request.
    pub(super) fn fresh_id(&mut self) -> String {
        self.ids.fresh()
    }

    /// Judges and answers one call. `received` is when its request came in.
    pub(super) fn take(&mut self, asked: Asked, received: Duration, now: Now) -> io::Result<Said> {
        let request_id = self.ids.fresh();
        let said = |answer: Answer, request_id: String| Said { answer, request_id, cut: false };
        let client_request_id = asked.client_request_id.clone();
        let collides = asked.collides;
        let call = match understand(asked) {
            Ok(call) => call,
            Err(answer) => {
                self.stats.reads += 1;
                return Ok(said(answer, request_id));
            }
        };
        self.stats.count(call.version, call.verb, call.route.template());
        let cost = call.cost();
        if self.quota.is_early(cost.is_write, received) {
            self.stats.early_retries += 1;
        }
        if let Some(rejected) = self.quota.charge(cost.resource_units, cost.is_write, now.uptime) {
            self.stats.throttled += 1;
            return Ok(said(self.reject(rejected), request_id));
        }
        if cost.is_write {
            self.stats.writes += 1;
        } else {
            self.stats.reads += 1;
        }
        if collides {
            return Ok(said(Answer::from(&Refusal::Concurrency), request_id));
        }
        let kind = call.kind();
        let fate = self.chaos.draw(kind);
        if fate != Fate::Normal {
            self.stats.errors_injected += 1;
        }
        let mut cut = false;
        let mut answer = match fate {
            Fate::Normal => self.apply(&call, now, &request_id, client_request_id.as_deref())?,
            Fate::Fail(status) => fail(status),
            Fate::TimeoutButApplied => {
                self.apply(&call, now, &request_id, client_request_id.as_deref())?;
                fail(504)
            }
            Fate::ApplyLate => {
                let due = now.uptime + Duration::from_millis(self.faults.late_apply_ms.unwrap_or_default());
                let request_id = request_id.clone();
                self.late.push_back(Late { due, call: call.clone(), request_id, client_request_id });
                fail(504)
            }
            Fate::ConflictButApplied => {
                let answer = self.apply(&call, now, &request_id, client_request_id.as_deref())?;
                if answer.is_success() { conflict(kind) } else { answer }
            }
            Fate::Conflict => Answer::from(&Refusal::Concurrency),
            Fate::Drop { applied } => {
                cut = true;
                if applied {
                    self.apply(&call, now, &request_id, client_request_id.as_deref())?
                } else {
                    fail(503)
                }
            }
        };
        if call.route.is_directory() && answer.is_success() {
            answer.headers.push(("x-ms-resource-unit", cost.resource_units.to_string()));
        }
        Ok(Said { answer, request_id, cut })
    }

    fn apply(
        &mut self,
        call: &Call,
        now: Now,
        request_id: &str,
        client_request_id: Option<&str>,
    ) -> io::Result<Answer> {
        let answer = self.tenant.answer(call, now);
        let effects = self.tenant.take_effects();
        if !effects.is_empty() {
            self.journal.add(&effects, &timestamp(now.unix_ms), request_id, client_request_id)?;
        }
        Ok(answer)
    }

    fn reject(&mut self, rejected: Rejected) -> Answer {
        let inner = "\"code\":\"429\",\"message\":\"Please retry after\",\"status\":\"429\"";
        let body = error_body("TooManyRequests", "Please retry again later.", Some(inner));
        let mut answer = Answer::text(429, body);
        let scope = format!("{}/{}/{}", rejected.scope, self.app_id, self.tenant_id);
        answer.headers.push(("x-ms-throttle-scope", scope));
        answer.headers.push(("x-ms-throttle-information", rejected.information.to_owned()));
        if !self.faults.retry_after_missing {
            let (seconds, text) = if self.faults.retry_after_fractional {
                let text = format!("{:.3}", rejected.seconds.max(1.0));
                (text.parse().unwrap_or(1.0), text)
            } else {
                let seconds = rejected.seconds.ceil().max(1.0);
                (seconds, format!("{seconds:.0}"))
            };
            answer.headers.push(("Retry-After", text));
            self.waits.push((rejected.bucket, Duration::from_secs_f64(seconds)));
        }
        answer
    }

    /// Applies what is due of the late writes.
    pub(super) fn apply_due(&mut self, now: Now) -> io::Result<()> {
        while self.late.front().is_some_and(|l| l.due <= now.uptime)
            && let Some(late) = self.late.pop_front()
        {
            self.apply(&late.call, now, &late.request_id, late.client_request_id.as_deref())?;
        }
        self.journal.flush()
    }

    /// When the next late write is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.late.front().map(|l| l.due)
    }

    /// The end of a turn: the journal is on file, and the waits begin.
    pub(super) fn finish(&mut self, left: Duration) -> io::Result<()> {
        for (bucket, wait) in self.waits.drain(..) {
            self.quota.note_wait(bucket, left, wait);
        }
        self.journal.flush()
    }
}

/// Resolves path and query, or answers Graph's refusal.
fn understand(asked: Asked) -> Result<Call, Answer> {
    let (path, query) = asked.url.split_once('?').unwrap_or((&asked.url, ""));
    let route = parse(asked.version, path).map_err(|refusal| Answer::from(&refusal))?;
    let query = Query::parse(query).map_err(|refusal| Answer::from(&refusal))?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path = format!("/{}{slash}{path}", asked.version.as_str());
    Ok(Call {
        version: asked.version,
        verb: asked.verb,
        route,
        path,
        query,
        content: asked.content,
        eventual: asked.eventual,
        unknown_members: asked.unknown_members,
        base: asked.base,
    })
}

fn fail(status: u16) -> Answer {
    let (code, message) = match status {
        500 => ("InternalServerError", "An internal server error occurred."),
        502 => ("BadGateway", "The upstream service gave no usable answer."),
        503 => ("ServiceUnavailable", "The service is temporarily unavailable."),
        _ => ("GatewayTimeout", "The request timed out."),
    };
    Answer::error(status, code, message)
}

/// What is said of a write that was applied.
fn conflict(kind: Kind) -> Answer {
    match kind {
        Kind::GroupWrite | Kind::RolloutWrite => Answer::from(&Refusal::Concurrency),
        Kind::PhoneWrite | Kind::OtherWrite | Kind::Read => {
            Answer::error(409, "phoneNumberNotUnique", "The phone number is not unique for SMS sign-in.")
        }
    }
}

/// The moment with milliseconds, for the journal.
fn timestamp(unix_ms: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

/// The moment in the notation of Graph's errors, which carries no zone.
pub(super) fn error_date(unix_ms: i64) -> String {
    let mut text = timestamp(unix_ms.div_euclid(1000) * 1000);
    text.truncate(19);
    text
}
