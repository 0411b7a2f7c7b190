//! Temporary Access Passes: what is asked for, what comes back, and how they are made and taken away, in bundles.
//!
//! Graph shows a pass once, in the answer to its creation. It travels in a type that prints nothing of it and is wiped, and
//! leaves this crate in no other way. A creation is sent once; whether it is sent again is decided elsewhere, after looking.

use crate::answer::Answer;
use crate::bundle::{self, Item, ItemReply};
use crate::client::{Body, Version};
use crate::pace::Bucket;
use crate::wire::{encode, error_code_of};
use crate::writer::{Writer, plain, unsuccessful};
use contract::{EntraId, Secret};
use serde_json::{Value, json};
use telemetry::Shutdown;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

/// A pass that is to be made.
#[derive(Debug, Clone)]
pub struct NewPass {
    /// For whom.
    pub user: EntraId,
    /// How long it can be used, from its start, in minutes.
    pub lifetime_minutes: u32,
    /// It can be used once.
    pub once: bool,
    /// From when, in milliseconds since 1970 UTC; absent means from now.
    pub start_ms: Option<i64>,
}

/// A pass as Graph shows it once.
#[derive(Debug)]
pub struct Pass {
    /// The pass.
    pub secret: Secret,
    /// All else of it.
    pub seen: SeenPass,
}

/// Whether a pass can be used, in Graph's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usability {
    /// It can.
    Usable,
    /// Its start lies in the future.
    NotYet,
    /// Its time is over.
    Expired,
    /// It could be used once, and was.
    Used,
    /// The policy forbids it now, or a word of the future: it is there and may come to be of use.
    Otherwise,
}

/// A pass as Graph shows it ever after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPass {
    /// Graph's id of the method.
    pub id: String,
    /// When it was made, in milliseconds since 1970 UTC by Graph's clock; absent where Graph did not say.
    pub created_ms: Option<i64>,
    /// From when it can be used, in the same way.
    pub start_ms: Option<i64>,
    /// How long, in minutes.
    pub lifetime_minutes: Option<u32>,
    /// Whether it can be used once alone.
    pub once: Option<bool>,
    /// Whether it can be used.
    pub usability: Usability,
}

/// A user, and the passes that are there.
#[derive(Clone, PartialEq, Eq)]
pub struct PassHolder {
    /// Object id.
    pub id: EntraId,
    /// User principal name.
    pub upn: String,
    /// Whether it is a guest.
    pub guest: bool,
    /// The passes; Graph allows one.
    pub passes: Vec<SeenPass>,
}

impl std::fmt::Debug for PassHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PassHolder")
            .field("id", &self.id)
            .field("passes", &self.passes)
            .finish_non_exhaustive()
    }
}

/// What the tenant's policy says of passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassPolicy {
    /// They can be had at all.
    pub enabled: bool,
    /// Bounds of a lifetime, in minutes; absent where Graph did not say.
    pub minimum_minutes: Option<u32>,
    /// The longest.
    pub maximum_minutes: Option<u32>,
    /// What a pass gets that does not say.
    pub default_minutes: Option<u32>,
    /// Every pass can be used once alone.
    pub once_only: bool,
    /// Groups whose members get passes; absent for everybody.
    pub groups: Option<Vec<String>>,
    /// Groups whose members get none.
    pub except_groups: Vec<String>,
}

/// What became of a creation.
#[derive(Debug)]
pub enum PassAnswer {
    /// Here it is; nobody will see it again.
    Made(Box<Pass>),
    /// Anything else; never `Done`, unless Graph made a pass and did not show it.
    Not(Answer),
}

impl Writer {
    /// Makes 1 to 20 passes in one bundle; answers stand in the order of what was asked. Each takes its own quota first; if
    /// it cannot be had before `not_after`, or a wish to stop is heard, nothing is sent.
    pub async fn create_passes(
        &self,
        wanted: &[NewPass],
        not_after: Instant,
        stops: &[Shutdown],
    ) -> Vec<PassAnswer> {
        let owned = wanted.to_vec();
        let body: Body = Box::new(move || bundle::encode(&creations(&owned)));
        match self.send_bundle(Bucket::Writes, Version::V1, wanted.len(), body, not_after, stops).await {
            Ok(replies) => replies.into_iter().map(made).collect(),
            Err(whole) => wanted.iter().map(|_| PassAnswer::Not(whole.clone())).collect(),
        }
    }

    /// Takes away 1 to 20 passes, by user and Graph's id, in one bundle.
    pub async fn delete_passes(
        &self,
        passes: &[(EntraId, String)],
        not_after: Instant,
        stops: &[Shutdown],
    ) -> Vec<Answer> {
        let owned = passes.to_vec();
        let body: Body = Box::new(move || bundle::encode(&deletions(&owned)));
        match self.send_bundle(Bucket::Writes, Version::V1, passes.len(), body, not_after, stops).await {
            Ok(replies) => replies.into_iter().map(plain).collect(),
            Err(whole) => passes.iter().map(|_| whole.clone()).collect(),
        }
    }
}

/// Where a user's passes are, below the version.
pub(crate) fn path(user: &str) -> String {
    format!("/users/{}/authentication/temporaryAccessPassMethods", encode(user))
}

fn creations(wanted: &[NewPass]) -> Vec<Item> {
    let one = |(position, pass): (usize, &NewPass)| {
        let mut body = json!({ "lifetimeInMinutes": pass.lifetime_minutes, "isUsableOnce": pass.once });
        let start = pass.start_ms.and_then(rfc3339);
        if let (Some(start), Some(map)) = (start, body.as_object_mut()) {
            map.insert("startDateTime".to_owned(), Value::from(start));
        }
        Item::new(position, "POST", path(&pass.user.0), Some(body))
    };
    wanted.iter().enumerate().map(one).collect()
}

fn deletions(passes: &[(EntraId, String)]) -> Vec<Item> {
    let one = |(position, (user, id)): (usize, &(EntraId, String))| {
        Item::new(position, "DELETE", format!("{}/{}", path(&user.0), encode(id)), None)
    };
    passes.iter().enumerate().map(one).collect()
}

fn made(reply: Option<ItemReply>) -> PassAnswer {
    let Some(mut reply) = reply else { return PassAnswer::Not(Answer::Doubt { status: None }) };
    if !(200..300).contains(&reply.status) {
        return PassAnswer::Not(unsuccessful(reply.status, error_code_of(reply.body.as_ref())));
    }
    // The text is moved out of the answer, so that there is no second one.
    let secret =
        match reply.body.as_mut().and_then(|body| body.get_mut("temporaryAccessPass")).map(Value::take) {
            Some(Value::String(text)) if !text.is_empty() => Some(Secret::new(text)),
            Some(_) | None => None,
        };
    match (secret, reply.body.as_ref().and_then(SeenPass::read)) {
        (Some(secret), Some(seen)) => PassAnswer::Made(Box::new(Pass { secret, seen })),
        // Made, and not shown: as good as lost, and the state decides.
        (Some(_) | None, _) => PassAnswer::Not(Answer::Doubt { status: Some(reply.status) }),
    }
}

impl SeenPass {
    /// From Graph's object; `None` where it has no id.
    pub(crate) fn read(body: &Value) -> Option<Self> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let usability = match (body.get("isUsable").and_then(Value::as_bool), text("methodUsabilityReason")) {
            (Some(true), _) => Usability::Usable,
            (_, Some("Expired")) => Usability::Expired,
            (_, Some("OneTimeUsed")) => Usability::Used,
            (_, Some("NotYetValid")) => Usability::NotYet,
            (_, _) => Usability::Otherwise,
        };
        Some(Self {
            id: text("id").filter(|id| !id.is_empty())?.to_owned(),
            created_ms: text("createdDateTime").and_then(unix_ms),
            start_ms: text("startDateTime").and_then(unix_ms),
            lifetime_minutes: body
                .get("lifetimeInMinutes")
                .and_then(Value::as_u64)
                .and_then(|n| u32::try_from(n).ok()),
            once: body.get("isUsableOnce").and_then(Value::as_bool),
            usability,
        })
    }

    /// Whether it can be used, or may come to be: such a pass is never replaced.
    pub fn is_of_use(&self) -> bool {
        match self.usability {
            Usability::Usable | Usability::NotYet | Usability::Otherwise => true,
            Usability::Expired | Usability::Used => false,
        }
    }

    /// When it cannot be used any more, in milliseconds since 1970 UTC.
    pub fn ends_ms(&self) -> Option<i64> {
        Some(self.start_ms? + i64::from(self.lifetime_minutes?) * 60_000)
    }
}

fn unix_ms(text: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

fn rfc3339(unix_ms: i64) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000).ok()?;
    at.format(&Rfc3339).ok()
}
