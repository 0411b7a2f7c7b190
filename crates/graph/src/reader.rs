//! The reading half of Graph. It has no method that writes and cannot become something that has: a rehearsal holds
//! this type alone (invariant 14).
//!
//! Every read is tried again here, within the bounds of `patience`; callers do not retry reads.

mod directory;
mod federation;
mod inventory;
mod observe;
mod passes;
mod policy;
mod rollout;

pub use directory::DirectoryUser;
pub use observe::Ask;
pub use policy::{Grant, GrantTo, MethodsPolicy};
pub(crate) use rollout::FEATURE;
pub use rollout::{GroupFacts, GroupMember, MemberKind, RolloutPolicy, UserFacts};

use crate::client::{Body, Call, Client, Failure, Version};
use crate::pace::{Bucket, Counts, Pace, Verdict};
use crate::patience::Patience;
use crate::wire::{self, Collection};
use crate::{Config, Error};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

/// Reads from Graph; clones share one client and one pace.
#[derive(Debug, Clone)]
pub struct Reader {
    client: Arc<Client>,
}

/// A question that is put again until its answer stands.
struct Read {
    bucket: Bucket,
    url: Url,
    eventual: bool,
    prefer: Option<&'static str>,
    /// A body makes it a POST, which must be one that changes nothing.
    body: Option<Vec<u8>>,
}

impl Read {
    /// A GET without any header of its own.
    fn plain(bucket: Bucket, url: Url) -> Self {
        Self { bucket, url, eventual: false, prefer: None, body: None }
    }
}

impl Reader {
    /// Builds the client; checks the configuration, does not connect.
    pub fn new(config: Config, pace: Pace) -> Result<Self, Error> {
        Ok(Self { client: Client::new(&config, pace)? })
    }

    pub(crate) fn over(client: Arc<Client>) -> Self {
        Self { client }
    }

    /// What went over the wire so far, counted with everyone who shares the pace.
    pub fn counts(&self) -> Counts {
        self.client.pace().counts()
    }

    /// The pace that this client keeps.
    pub fn pace(&self) -> &Pace {
        self.client.pace()
    }

    /// How far this machine's clock is from Graph's, to the second: a token's code is computed from it.
    ///
    /// # Errors
    /// As for any read; `Shape` when the answer carries no date that can be read.
    pub async fn clock_offset(&self) -> Result<Duration, Error> {
        let url = self.client.url(Version::V1, "users?$select=id&$top=1")?;
        let patience = Patience::new();
        let bucket = Bucket::Directory;
        let call = Call {
            url,
            body: None,
            eventual: false,
            prefer: None,
            bucket,
            n: 1,
            not_after: patience.ends(),
            stops: Vec::new(),
        };
        let reply = match self.client.send(&call).await {
            Ok(reply) => reply,
            Err(Failure::Held(held)) => return Err(Patience::held(held)),
            Err(Failure::NoToken(error) | Failure::Lost(error)) => return Err(error),
        };
        self.client.pace().settled(reply.grant, &Verdict { accepted: 1, ..Verdict::default() });
        if !(200..300).contains(&reply.status) {
            return Err(reply.error());
        }
        let theirs = reply.date.as_deref().and_then(|d| OffsetDateTime::parse(d, &Rfc2822).ok());
        let theirs = theirs.ok_or(Error::Shape { what: "Date header" })?;
        Ok((OffsetDateTime::now_utc() - theirs).unsigned_abs())
    }

    /// Gets a page of a collection: the first by its address, later ones by the link of the one before.
    async fn collection<T: DeserializeOwned>(
        &self,
        bucket: Bucket,
        first: Url,
        next: Option<&str>,
        eventual: bool,
        what: &'static str,
    ) -> Result<Collection<T>, Error> {
        let url = match next {
            Some(link) => self.client.link(link)?,
            None => first,
        };
        let body = self.get(bucket, url, eventual).await?;
        wire::read(&body, what)
    }

    /// Every page of a collection; the headers go with each of them.
    async fn all<T: DeserializeOwned>(&self, first: Read, what: &'static str) -> Result<Vec<T>, Error> {
        let mut read = first;
        let mut found = Vec::new();
        loop {
            let page: Collection<T> = wire::read(&self.ask(&read).await?, what)?;
            found.extend(page.value);
            let Some(next) = page.next else { return Ok(found) };
            read = Read { url: self.client.link(&next)?, body: None, ..read };
        }
    }

    /// Gets one resource's body, with patience.
    async fn get(&self, bucket: Bucket, url: Url, eventual: bool) -> Result<Vec<u8>, Error> {
        self.ask(&Read { eventual, ..Read::plain(bucket, url) }).await
    }

    /// The body of the answer, with patience.
    async fn ask(&self, read: &Read) -> Result<Vec<u8>, Error> {
        let bucket = read.bucket;
        let mut patience = Patience::new();
        loop {
            let body = read.body.clone().map(|bytes| -> Body { Box::new(move || Ok(bytes.clone())) });
            let call = Call {
                url: read.url.clone(),
                body,
                eventual: read.eventual,
                prefer: read.prefer,
                bucket,
                n: 1,
                not_after: patience.ends(),
                stops: Vec::new(),
            };
            let error = match self.client.send(&call).await {
                Ok(reply) if reply.status == 429 => {
                    let (retry_after, scope) = (reply.retry_after, reply.scope);
                    let verdict = Verdict { accepted: 0, rejected: 1, retry_after, scope };
                    self.client.pace().settled(reply.grant, &verdict);
                    Error::Throttled { after: self.client.pace().held_for(bucket).unwrap_or_default() }
                }
                Ok(reply) => {
                    self.client.pace().settled(reply.grant, &Verdict { accepted: 1, ..Verdict::default() });
                    if (200..300).contains(&reply.status) {
                        return Ok(reply.body);
                    }
                    reply.error()
                }
                Err(Failure::Held(held)) => return Err(Patience::held(held)),
                Err(Failure::NoToken(error) | Failure::Lost(error)) => error,
            };
            patience.after(error).await?;
        }
    }
}
