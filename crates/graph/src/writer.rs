//! The writing half of Graph. A write is sent once; whether it is sent again is decided elsewhere, after looking.
//!
//! The one exception is a whole bundle refused with 401, which nothing of has been applied: it is sent again with a
//! renewed token.

use crate::answer::Answer;
use crate::bundle::{self, Item, ItemReply};
use crate::client::{Body, Call, Client, Failure, Version};
use crate::pace::{Bucket, Counts, Pace, Verdict};
use crate::reader::Reader;
use crate::wire::{encode, error_code, error_code_of};
use crate::write_call::WriteCall;
use crate::{Config, Error};
use std::sync::Arc;
use telemetry::Shutdown;
use tokio::time::Instant;
use zeroize::Zeroize;

/// A write in a bundle.
#[derive(Debug, Clone)]
pub struct WriteItem {
    /// The write.
    pub call: WriteCall,
    /// The position, in the same slice, of an earlier item that must have succeeded first.
    pub after: Option<usize>,
}

/// Writes to Graph; clones share one client and one pace.
#[derive(Debug, Clone)]
pub struct Writer {
    client: Arc<Client>,
    reader: Reader,
}

impl Writer {
    /// Builds the client; checks the configuration, does not connect.
    pub fn new(config: Config, pace: Pace) -> Result<Self, Error> {
        let client = Client::new(&config, pace)?;
        Ok(Self { reader: Reader::over(Arc::clone(&client)), client })
    }

    /// The reading half, over the same client.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// What went over the wire so far, counted with everyone who shares the pace.
    pub fn counts(&self) -> Counts {
        self.client.pace().counts()
    }

    /// Sends 1 to 20 writes of one version as one bundle; answers stand in the order of the items. Each item takes
    /// its own quota first; if it cannot be had before `not_after`, nothing is sent.
    pub async fn write(&self, items: &[WriteItem], not_after: Instant) -> Vec<Answer> {
        self.write_unless(items, not_after, &[]).await
    }

    /// The same, but nothing is sent once one of the wishes to stop is heard, and who waits for quota gives up at once
    /// (`NotSent`). What is under way ends.
    pub async fn write_unless(
        &self,
        items: &[WriteItem],
        not_after: Instant,
        stops: &[Shutdown],
    ) -> Vec<Answer> {
        let all = |answer: Answer| vec![answer; items.len()];
        let Some((version, _)) = requests(items) else {
            return all(not_sendable());
        };
        let owned = items.to_vec();
        let body: Body = Box::new(move || {
            let requests = requests(&owned).map(|(_, requests)| requests).unwrap_or_default();
            bundle::encode(&requests)
        });
        match self.send_bundle(Bucket::Writes, version, items.len(), body, not_after, stops).await {
            Ok(replies) => items.iter().zip(replies).map(|(item, reply)| answer(&item.call, reply)).collect(),
            Err(whole) => all(whole),
        }
    }

    /// How a body names an object of the directory: its address in this cloud (`@odata.id`).
    pub(crate) fn address_of(&self, id: &str) -> Result<String, Error> {
        let url = self.client.url(Version::V1, &format!("directoryObjects/{}", encode(id)))?;
        Ok(url.into())
    }

    /// Sends one bundle of 1 to 20 writes, once: the items' answers by position, or what is true of all of them. Each
    /// takes its own quota of the bucket first. The answer's text is wiped: it may hold what nobody may read a second
    /// time.
    pub(crate) async fn send_bundle(
        &self,
        bucket: Bucket,
        version: Version,
        items: usize,
        body: Body,
        not_after: Instant,
        stops: &[Shutdown],
    ) -> Result<Vec<Option<ItemReply>>, Answer> {
        if items == 0 || items > bundle::MAX {
            return Err(not_sendable());
        }
        let n = u32::try_from(items).unwrap_or(u32::MAX);
        let url = match self.client.url(version, "$batch") {
            Ok(url) => url,
            Err(_) => return Err(Answer::NotSent { held_until: None }),
        };
        let (body, stops) = (Some(body), stops.to_vec());
        let call = Call { url, body, eventual: false, prefer: None, bucket, n, not_after, stops };
        let pace = self.client.pace();
        let mut reply = match self.client.send(&call).await {
            Ok(reply) => reply,
            Err(Failure::Held(held)) => return Err(Answer::NotSent { held_until: Some(held.until) }),
            Err(Failure::NoToken(_) | Failure::Lost(Error::Connect(_))) => {
                return Err(Answer::NotSent { held_until: None });
            }
            Err(Failure::Lost(_)) => return Err(Answer::Doubt { status: None }),
        };
        let outcome = match reply.status {
            200..300 => match bundle::decode(&reply.body, items) {
                Ok(replies) => {
                    pace.settled(reply.grant, &bundle::verdict(&replies));
                    Ok(replies)
                }
                Err(_) => Err(Answer::Doubt { status: Some(reply.status) }),
            },
            429 => {
                let (retry_after, scope) = (reply.retry_after, reply.scope.take());
                pace.settled(reply.grant, &Verdict { accepted: 0, rejected: n, retry_after, scope });
                Err(Answer::Throttled)
            }
            // The documentation also speaks of a throttled bundle that fails as a whole with 424: then nobody knows what
            // of it was done.
            424 => {
                pace.settled(reply.grant, &Verdict { accepted: n, ..Verdict::default() });
                Err(Answer::Doubt { status: Some(424) })
            }
            status => {
                pace.settled(reply.grant, &Verdict { accepted: n, ..Verdict::default() });
                Err(unsuccessful(status, error_code(&reply.body)))
            }
        };
        reply.body.zeroize();
        outcome
    }
}

/// The bundle's requests and version; `None` if they cannot share a bundle or one of them makes no sense.
fn requests(items: &[WriteItem]) -> Option<(Version, Vec<Item>)> {
    let version = items.first()?.call.version();
    if items.len() > bundle::MAX || items.iter().any(|item| item.call.version() != version) {
        return None;
    }
    let requests = items
        .iter()
        .enumerate()
        .map(|(position, item)| {
            let in_order = item.after.is_none_or(|after| after < position);
            item.call.item(position).filter(|_| in_order).map(|request| request.after(item.after))
        })
        .collect::<Option<Vec<_>>>()?;
    Some((version, requests))
}

fn answer(call: &WriteCall, reply: Option<ItemReply>) -> Answer {
    let Some(reply) = reply else { return Answer::Doubt { status: None } };
    match reply.status {
        200..300 => {
            let id =
                reply.body.as_ref().and_then(|b| b.get("id")).and_then(|id| id.as_str()).map(str::to_owned);
            match call {
                WriteCall::CreateToken { .. } => Answer::Done { device_id: id, method_id: None },
                WriteCall::CreatePhone { .. }
                | WriteCall::UpdatePhone { .. }
                | WriteCall::DeletePhone { .. }
                | WriteCall::ActivateToken { .. }
                | WriteCall::AssignToken { .. }
                | WriteCall::UnassignToken { .. }
                | WriteCall::DeactivateToken { .. }
                | WriteCall::DeleteDevice { .. }
                | WriteCall::SetDefault { .. } => Answer::Done { device_id: None, method_id: id },
            }
        }
        status => unsuccessful(status, error_code_of(reply.body.as_ref())),
    }
}

/// The answer to a write of which nothing but its success is of interest.
pub(crate) fn plain(reply: Option<ItemReply>) -> Answer {
    match reply {
        None => Answer::Doubt { status: None },
        Some(reply) if (200..300).contains(&reply.status) => {
            Answer::Done { device_id: None, method_id: None }
        }
        Some(reply) => unsuccessful(reply.status, error_code_of(reply.body.as_ref())),
    }
}

/// The answer to what makes no bundle: it was never sent, and never can be.
pub(crate) fn not_sendable() -> Answer {
    Answer::Refused { status: 0, code: "bundleNotSendable".to_owned() }
}

pub(crate) fn unsuccessful(status: u16, code: String) -> Answer {
    match status {
        // Nobody signed in, so nothing was applied: a new token, not another value, is what it takes.
        401 => Answer::NotSent { held_until: None },
        424 => Answer::DependencyFailed,
        429 => Answer::Throttled,
        // Statuses below 400 that are no success say nothing about what was done; 408 is a time-out.
        ..=399 | 408 | 500.. => Answer::Doubt { status: Some(status) },
        _ => Answer::Refused { status, code },
    }
}
