//! A request as traces and metrics see it: a client span and a duration, named by the conventions for HTTP.
//!
//! Neither holds an address: every part of a path that could name a user is replaced, and the query is left out.

use crate::Error;
use crate::client::{Failure, Reply};
use std::future::Future;
use std::time::Instant;
use telemetry::{Instrument, Request};
use url::Url;

/// Sends and waits, seen from outside.
pub(crate) async fn seen(
    method: &'static str,
    url: &Url,
    exchange: impl Future<Output = Result<Reply, Failure>>,
) -> Result<Reply, Failure> {
    if !telemetry::exports() {
        return exchange.await;
    }
    let template = template(url);
    let request = Request {
        method,
        host: url.host_str().unwrap_or_default(),
        port: url.port_or_known_default().unwrap_or_default(),
        template: &template,
    };
    let span = telemetry::request_span(&request);
    let began = Instant::now();
    let ended = exchange.instrument(span.clone()).await;
    let took = began.elapsed();
    match &ended {
        Ok(reply) => {
            telemetry::answered(&span, reply.status);
            telemetry::record_request(&request, Some(reply.status), None, took);
        }
        Err(failure) => {
            let word = word(failure);
            telemetry::failed(&span, word);
            telemetry::record_request(&request, None, Some(word), took);
        }
    }
    ended
}

/// The path with every identifier replaced: what stands below people and groups, and all that is no word of letters.
fn template(url: &Url) -> String {
    let mut template = String::with_capacity(url.path().len());
    let mut above = "";
    for part in url.path().split('/').filter(|part| !part.is_empty()) {
        let is_word = part == "v1.0" || part.chars().all(|c| c.is_ascii_alphabetic() || c == '$');
        let below_many =
            matches!(above, "members" | "appliesTo" | "featureRolloutPolicies") && !part.starts_with('$');
        let is_identifier = matches!(above, "users" | "groups") || below_many || !is_word;
        template.push('/');
        template.push_str(if is_identifier { "{id}" } else { part });
        above = part;
    }
    template
}

fn word(failure: &Failure) -> &'static str {
    match failure {
        Failure::Lost(Error::Timeout) => "timeout",
        Failure::Lost(Error::Connect(_)) => "connect",
        Failure::Lost(Error::Broken(_)) => "broken",
        // The conventions' word for what has no name of its own.
        Failure::Held(_) | Failure::NoToken(_) | Failure::Lost(_) => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::template;
    use url::Url;

    #[test]
    fn a_path_is_told_without_whom_it_is_about() {
        for (path, told) in [
            ("v1.0/$batch", "/v1.0/$batch"),
            ("v1.0/users?$select=id&$top=1", "/v1.0/users"),
            ("beta/policies/authenticationMethodsPolicy", "/beta/policies/authenticationMethodsPolicy"),
            (
                "v1.0/groups/3179e48a-750b-4051-897c-87b9720928f7/transitiveMembers",
                "/v1.0/groups/{id}/transitiveMembers",
            ),
            ("beta/users/ann@contoso.com/authentication", "/beta/users/{id}/authentication"),
            (
                "beta/users/ann%40contoso.com/phoneMethods/+1%202065550100",
                "/beta/users/{id}/phoneMethods/{id}",
            ),
            ("v1.0/groups/abcdef?$select=id,displayName", "/v1.0/groups/{id}"),
            ("v1.0/groups/abcdef/members?$select=id&$top=999", "/v1.0/groups/{id}/members"),
            ("v1.0/groups/abcdef/members/$ref", "/v1.0/groups/{id}/members/$ref"),
            ("v1.0/groups/abcdef/members/bcdefa/$ref", "/v1.0/groups/{id}/members/{id}/$ref"),
            (
                "v1.0/policies/featureRolloutPolicies?$expand=appliesTo",
                "/v1.0/policies/featureRolloutPolicies",
            ),
            (
                "v1.0/policies/featureRolloutPolicies/abcdef/appliesTo/$ref",
                "/v1.0/policies/featureRolloutPolicies/{id}/appliesTo/$ref",
            ),
            (
                "v1.0/policies/featureRolloutPolicies/abcdef/appliesTo/bcdefa/$ref",
                "/v1.0/policies/featureRolloutPolicies/{id}/appliesTo/{id}/$ref",
            ),
            ("v1.0/directoryObjects/getByIds?$select=id", "/v1.0/directoryObjects/getByIds"),
            ("v1.0/directoryObjects/3179e48a-750b-4051-897c-87b9720928f7", "/v1.0/directoryObjects/{id}"),
            ("beta/users('ann')", "/beta/{id}"),
            ("beta/users/ann/authentication", "/beta/users/{id}/authentication"),
        ] {
            let url = Url::parse(&format!("https://graph.microsoft.com/{path}")).unwrap();
            assert_eq!(template(&url), told);
        }
    }
}
