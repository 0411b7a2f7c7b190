//! How Entra treats a domain's MFA by its federated identity provider, and the one write that changes it.
//!
//! The write is sent once, as a bundle of one; what became of it is told by reading.

use crate::answer::Answer;
use crate::bundle::{self, Item};
use crate::client::{Body, Version};
use crate::pace::Bucket;
use crate::wire::encode;
use crate::writer::{Writer, plain};
use serde_json::json;
use tokio::time::Instant;

/// A domain's federation, as far as a cut-over goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Federation {
    /// Graph's id of it.
    pub id: String,
    /// `federatedIdpMfaBehavior`, in Graph's words; absent where it was never set.
    pub mfa_behavior: Option<String>,
}

impl Writer {
    /// Sets `federatedIdpMfaBehavior`.
    pub async fn set_mfa_behavior(
        &self,
        domain: &str,
        federation: &str,
        behavior: &str,
        not_after: Instant,
    ) -> Answer {
        let url = format!("/domains/{}/federationConfiguration/{}", encode(domain), encode(federation));
        let behavior = behavior.to_owned();
        let body: Body = Box::new(move || {
            let body = json!({ "federatedIdpMfaBehavior": behavior });
            bundle::encode(&[Item::new(0, "PATCH", url.clone(), Some(body))])
        });
        match self.send_bundle(Bucket::Writes, Version::V1, 1, body, not_after, &[]).await {
            Ok(mut replies) => plain(replies.pop().flatten()),
            Err(whole) => whole,
        }
    }
}
