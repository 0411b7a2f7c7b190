//! The staged rollout of Entra's MFA, written: its policy, and who is in a group.
//!
//! Each write is sent once, as one bundle; what became of it is told by reading. A member is always named as a reference
//! (`/$ref`): without it, Graph would delete the user and not the membership.

use crate::answer::Answer;
use crate::bundle::{self, Item, ItemReply};
use crate::client::{Body, Version};
use crate::pace::Bucket;
use crate::reader::FEATURE;
use crate::wire::encode;
use crate::writer::{Writer, not_sendable, plain};
use contract::EntraId;
use serde_json::{Value, json};
use telemetry::Shutdown;
use tokio::time::Instant;

/// Where the policies are, below the version.
const POLICIES: &str = "/policies/featureRolloutPolicies";

impl Writer {
    /// Makes the policy for the rollout of MFA. It acts at once, and on nobody until it is applied to a group. With
    /// the answer comes Graph's id of it; absent unless it was made, or where Graph did not tell.
    pub async fn create_rollout_policy(&self, name: &str, not_after: Instant) -> (Answer, Option<String>) {
        let body = json!({
            "displayName": name, "feature": FEATURE, "isEnabled": true, "isAppliedToOrganization": false,
        });
        match self.send_one("POST", POLICIES.to_owned(), body, not_after, &[]).await {
            Ok(reply) => {
                let id = reply.as_ref().and_then(|reply| reply.body.as_ref()?.get("id")?.as_str());
                let id = id.map(str::to_owned);
                let answer = plain(reply);
                let is_made = matches!(answer, Answer::Done { .. });
                (answer, id.filter(|_| is_made))
            }
            Err(whole) => (whole, None),
        }
    }

    /// Lets a policy act.
    pub async fn enable_rollout_policy(&self, policy: &str, not_after: Instant) -> Answer {
        if !is_name(policy) {
            return not_sendable();
        }
        let url = format!("{POLICIES}/{}", encode(policy));
        self.send_one("PATCH", url, json!({ "isEnabled": true }), not_after, &[])
            .await
            .map_or_else(|whole| whole, plain)
    }

    /// Lets a policy act on a group.
    pub async fn apply_rollout_to(&self, policy: &str, group: &str, not_after: Instant) -> Answer {
        if !is_name(policy) || !is_name(group) {
            return not_sendable();
        }
        let Ok(address) = self.address_of(group) else { return Answer::NotSent { held_until: None } };
        let url = format!("{POLICIES}/{}/appliesTo/$ref", encode(policy));
        self.send_one("POST", url, reference(&address), not_after, &[])
            .await
            .map_or_else(|whole| whole, plain)
    }

    /// Adds 1 to 20 users to a group, all or nothing: one who is a member already fails all of them. Nothing is sent
    /// once one of the wishes to stop is heard.
    pub async fn add_members(
        &self,
        group: &str,
        users: &[EntraId],
        not_after: Instant,
        stops: &[Shutdown],
    ) -> Answer {
        // Graph takes so many references in one write; it is the same figure as that for a bundle.
        if users.is_empty() || users.len() > bundle::MAX || !are_names(group, users) {
            return not_sendable();
        }
        let Some(addresses) = self.addresses_of(users) else { return Answer::NotSent { held_until: None } };
        let url = format!("/groups/{}", encode(group));
        self.send_one("PATCH", url, json!({ "members@odata.bind": addresses }), not_after, stops)
            .await
            .map_or_else(|whole| whole, plain)
    }

    /// Adds at most 20 users to a group one after the other, in one bundle; answers stand in the order of the users.
    /// Graph refuses writes to one group at the same time, so each waits for the one before: behind one that failed,
    /// all are `DependencyFailed`, of which nothing was tried and all may be asked for again. Nothing is sent once one
    /// of the wishes to stop is heard.
    pub async fn add_each(
        &self,
        group: &str,
        users: &[EntraId],
        not_after: Instant,
        stops: &[Shutdown],
    ) -> Vec<Answer> {
        if !are_names(group, users) {
            return vec![not_sendable(); users.len()];
        }
        let Some(addresses) = self.addresses_of(users) else {
            return vec![Answer::NotSent { held_until: None }; users.len()];
        };
        let url = format!("/groups/{}/members/$ref", encode(group));
        let body: Body = Box::new(move || bundle::encode(&additions(&url, &addresses)));
        self.send_chain(users.len(), body, not_after, stops).await
    }

    /// Takes at most 20 users out of a group one after the other, in one bundle, as `add_each` adds them. The users
    /// themselves are not touched.
    pub async fn remove_each(
        &self,
        group: &str,
        users: &[EntraId],
        not_after: Instant,
        stops: &[Shutdown],
    ) -> Vec<Answer> {
        if !are_names(group, users) {
            return vec![not_sendable(); users.len()];
        }
        let (group, owned) = (group.to_owned(), users.to_vec());
        let body: Body = Box::new(move || bundle::encode(&removals(&group, &owned)));
        self.send_chain(users.len(), body, not_after, stops).await
    }

    fn addresses_of(&self, users: &[EntraId]) -> Option<Vec<String>> {
        users.iter().map(|user| self.address_of(&user.0).ok()).collect()
    }

    /// Sends one write: its answer if there was one, or what became of the bundle.
    async fn send_one(
        &self,
        method: &'static str,
        url: String,
        body: Value,
        not_after: Instant,
        stops: &[Shutdown],
    ) -> Result<Option<ItemReply>, Answer> {
        let body: Body =
            Box::new(move || bundle::encode(&[Item::new(0, method, url.clone(), Some(body.clone()))]));
        let replies = self.send_bundle(Bucket::Groups, Version::V1, 1, body, not_after, stops).await;
        replies.map(|mut replies| replies.pop().flatten())
    }

    async fn send_chain(
        &self,
        items: usize,
        body: Body,
        not_after: Instant,
        stops: &[Shutdown],
    ) -> Vec<Answer> {
        match self.send_bundle(Bucket::Groups, Version::V1, items, body, not_after, stops).await {
            Ok(replies) => replies.into_iter().map(plain).collect(),
            Err(whole) => vec![whole; items],
        }
    }
}

/// How a body names an object.
fn reference(address: &str) -> Value {
    json!({ "@odata.id": address })
}

/// Whether it can stand in an address as one part: nothing at all, or dots alone, would name something else.
fn is_name(id: &str) -> bool {
    id.chars().any(|c| c != '.')
}

fn are_names(group: &str, users: &[EntraId]) -> bool {
    is_name(group) && users.iter().all(|user| is_name(&user.0))
}

fn additions(url: &str, addresses: &[String]) -> Vec<Item> {
    let one = |(position, address): (usize, &String)| {
        let item = Item::new(position, "POST", url.to_owned(), Some(reference(address)));
        item.after(position.checked_sub(1))
    };
    addresses.iter().enumerate().map(one).collect()
}

fn removals(group: &str, users: &[EntraId]) -> Vec<Item> {
    let one = |(position, user): (usize, &EntraId)| {
        let item = Item::new(position, "DELETE", removal(group, &user.0), None);
        item.after(position.checked_sub(1))
    };
    users.iter().enumerate().map(one).collect()
}

/// The membership and never the member: what ends in the user's own id deletes the user.
fn removal(group: &str, user: &str) -> String {
    format!("/groups/{}/members/{}/$ref", encode(group), encode(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deleted_is_the_membership_and_never_the_user() {
        for user in ["8b1f", "a/b", "u?x=1", "u#x", "$ref", "u/$ref?x"] {
            let url = removal("g/1", user);
            assert!(url.starts_with("/groups/g%2F1/members/") && url.ends_with("/$ref"), "{url}");
            assert_eq!(url.matches('/').count(), 5, "{url}");
            assert!(!url.contains(['?', '#']), "{url}");
        }
        let users: Vec<EntraId> = (0..bundle::MAX).map(|n| EntraId(format!("u{n}"))).collect();
        let items = serde_json::to_value(removals("g", &users)).expect("items");
        for item in items.as_array().expect("a list") {
            assert_eq!(item["method"], "DELETE");
            assert!(item["url"].as_str().is_some_and(|url| url.ends_with("/$ref")), "{item}");
        }
    }

    #[test]
    fn what_would_name_something_else_is_no_name() {
        for id in ["", ".", ".."] {
            assert!(!is_name(id), "{id}");
        }
        assert!(is_name("8b1f") && is_name(".x"));
    }
}
