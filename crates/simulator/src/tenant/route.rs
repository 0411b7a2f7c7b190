//! Paths of Graph as values, and which of them exist in which version.
//!
//! The set is that of the published API descriptions (v1.0 and beta slices) as far as this tenant serves them; a
//! segment that a version lacks is refused as Graph does, so that a client cannot rely on beta in v1.0.

use super::query::decode;
use super::refusal::Refusal;

/// Graph's two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    Beta,
}

impl Version {
    /// As in paths.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1.0",
            Self::Beta => "beta",
        }
    }
}

/// HTTP methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Patch,
    Put,
    Delete,
}

impl Verb {
    /// Reads the method of a request or of an item.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Get, Self::Post, Self::Patch, Self::Put, Self::Delete]
            .into_iter()
            .find(|v| v.as_str().eq_ignore_ascii_case(word))
    }

    /// In capitals.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident $(($($arg:ident),+))? $versions:ident $template:literal;)*) => {
        /// A path that this tenant serves; arguments are decoded keys.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum Route { $($(#[$doc])* $name $(($(routes!(@ty $arg)),+))?,)* }

        impl Route {
            /// The path with its keys left open, as in the statistics.
            pub(crate) fn template(&self) -> &'static str {
                match self { $(Self::$name $((routes!(@any $($arg)+)))? => $template,)* }
            }

            fn versions(&self) -> Versions {
                match self { $(Self::$name $((routes!(@any $($arg)+)))? => Versions::$versions,)* }
            }
        }
    };
    (@ty $arg:ident) => { String };
    (@any $($arg:ident)+) => { .. };
}

enum Versions {
    Both,
    V1,
    Beta,
}

routes! {
    Users Both "/users";
    User(user) Both "/users/{id}";
    Methods(user) Both "/users/{id}/authentication/methods";
    Method(user, method) Both "/users/{id}/authentication/methods/{id}";
    Phones(user) Both "/users/{id}/authentication/phoneMethods";
    Phone(user, method) Both "/users/{id}/authentication/phoneMethods/{id}";
    EnableSmsSignIn(user, method) Both "/users/{id}/authentication/phoneMethods/{id}/enableSmsSignIn";
    DisableSmsSignIn(user, method) Both "/users/{id}/authentication/phoneMethods/{id}/disableSmsSignIn";
    Apps(user) Both "/users/{id}/authentication/microsoftAuthenticatorMethods";
    App(user, method) Both "/users/{id}/authentication/microsoftAuthenticatorMethods/{id}";
    Softwares(user) Both "/users/{id}/authentication/softwareOathMethods";
    Software(user, method) Both "/users/{id}/authentication/softwareOathMethods/{id}";
    Tokens(user) Beta "/users/{id}/authentication/hardwareOathMethods";
    Token(user, method) Beta "/users/{id}/authentication/hardwareOathMethods/{id}";
    Activate(user, method) Beta "/users/{id}/authentication/hardwareOathMethods/{id}/activate";
    Deactivate(user, method) Beta "/users/{id}/authentication/hardwareOathMethods/{id}/deactivate";
    AssignAndActivate(user) Beta "/users/{id}/authentication/hardwareOathMethods/assignAndActivate";
    AssignAndActivateBySerial(user) Beta "/users/{id}/authentication/hardwareOathMethods/assignAndActivateBySerialNumber";
    Preferences(user) Beta "/users/{id}/authentication/signInPreferences";
    Requirements(user) Beta "/users/{id}/authentication/requirements";
    Devices Beta "/directory/authenticationMethodDevices/hardwareOathDevices";
    Device(device) Beta "/directory/authenticationMethodDevices/hardwareOathDevices/{id}";
    Groups Both "/groups";
    Group(group) Both "/groups/{id}";
    Members(group) V1 "/groups/{id}/members";
    MemberRefs(group) V1 "/groups/{id}/members/$ref";
    /// Without `$ref` behind it the member itself is meant, not its membership: nothing is granted here.
    Member(group, member) V1 "/groups/{id}/members/{id}";
    MemberRef(group, member) V1 "/groups/{id}/members/{id}/$ref";
    TransitiveMembers(group) Both "/groups/{id}/transitiveMembers";
    TransitiveUsers(group) V1 "/groups/{id}/transitiveMembers/microsoft.graph.user";
    GetByIds V1 "/directoryObjects/getByIds";
    Passes(user) Both "/users/{id}/authentication/temporaryAccessPassMethods";
    Pass(user, method) Both "/users/{id}/authentication/temporaryAccessPassMethods/{id}";
    Policy Both "/policies/authenticationMethodsPolicy";
    PolicyConfigurations Both "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations";
    PolicyConfiguration(method) Both "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/{id}";
    Rollouts V1 "/policies/featureRolloutPolicies";
    Rollout(policy) V1 "/policies/featureRolloutPolicies/{id}";
    RolloutAppliesTo(policy) V1 "/policies/featureRolloutPolicies/{id}/appliesTo";
    RolloutRefs(policy) V1 "/policies/featureRolloutPolicies/{id}/appliesTo/$ref";
    RolloutRef(policy, group) V1 "/policies/featureRolloutPolicies/{id}/appliesTo/{id}/$ref";
    Domains V1 "/domains";
    Domain(domain) V1 "/domains/{id}";
    Federations(domain) V1 "/domains/{id}/federationConfiguration";
    Federation(domain, federation) V1 "/domains/{id}/federationConfiguration/{id}";
}

impl Route {
    /// The group that a call with this verb changes.
    pub(crate) fn written_group(&self, verb: Verb) -> Option<&str> {
        match (self, verb) {
            (Self::Group(id), Verb::Patch | Verb::Delete)
            | (Self::MemberRefs(id), Verb::Post)
            | (Self::MemberRef(id, _), Verb::Delete) => Some(id),
            _ => None,
        }
    }

    /// Whether answers about it carry `x-ms-resource-unit`, as those about directory objects do.
    pub(crate) fn is_directory(&self) -> bool {
        let template = self.template();
        !template.contains("/authentication/") && !template.contains("hardwareOathDevices")
    }
}

/// Reads a path without its version, such as `/users/x/authentication/methods`.
pub(crate) fn parse(version: Version, path: &str) -> Result<Route, Refusal> {
    let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(decode).collect();
    let words: Vec<&str> = segments.iter().map(String::as_str).collect();
    let unknown = |at: usize| Refusal::Segment(words.get(at).copied().unwrap_or_default().to_owned());
    let own = |s: &&str| (*s).to_owned();
    let route = match words.as_slice() {
        ["users"] => Route::Users,
        ["users", user] => Route::User(own(user)),
        ["users", user, "authentication", rest @ ..] => of_user(own(user), rest)
            .ok_or_else(|| unknown(if rest.is_empty() { 2 } else { words.len() - 1 }))?,
        ["directory", "authenticationMethodDevices", "hardwareOathDevices"] => Route::Devices,
        ["directory", "authenticationMethodDevices", "hardwareOathDevices", device] => {
            Route::Device(own(device))
        }
        ["groups"] => Route::Groups,
        ["groups", group] => Route::Group(own(group)),
        ["groups", group, "members"] => Route::Members(own(group)),
        ["groups", group, "members", "$ref"] => Route::MemberRefs(own(group)),
        ["groups", group, "members", member] => Route::Member(own(group), own(member)),
        ["groups", group, "members", member, "$ref"] => Route::MemberRef(own(group), own(member)),
        ["groups", group, "transitiveMembers"] => Route::TransitiveMembers(own(group)),
        ["groups", group, "transitiveMembers", "microsoft.graph.user" | "graph.user"] => {
            Route::TransitiveUsers(own(group))
        }
        ["directoryObjects", "getByIds" | "microsoft.graph.getByIds"] => Route::GetByIds,
        ["policies", "authenticationMethodsPolicy"] => Route::Policy,
        ["policies", "authenticationMethodsPolicy", "authenticationMethodConfigurations"] => {
            Route::PolicyConfigurations
        }
        ["policies", "authenticationMethodsPolicy", "authenticationMethodConfigurations", method] => {
            Route::PolicyConfiguration(own(method))
        }
        ["policies", "featureRolloutPolicies"] => Route::Rollouts,
        ["policies", "featureRolloutPolicies", policy] => Route::Rollout(own(policy)),
        ["policies", "featureRolloutPolicies", policy, "appliesTo"] => Route::RolloutAppliesTo(own(policy)),
        ["policies", "featureRolloutPolicies", policy, "appliesTo", "$ref"] => {
            Route::RolloutRefs(own(policy))
        }
        ["policies", "featureRolloutPolicies", policy, "appliesTo", group, "$ref"] => {
            Route::RolloutRef(own(policy), own(group))
        }
        ["domains"] => Route::Domains,
        ["domains", domain] => Route::Domain(own(domain)),
        ["domains", domain, "federationConfiguration"] => Route::Federations(own(domain)),
        ["domains", domain, "federationConfiguration", federation] => {
            Route::Federation(own(domain), own(federation))
        }
        _ => return Err(unknown(words.len().saturating_sub(1))),
    };
    match (route.versions(), version) {
        (Versions::Both, _) | (Versions::V1, Version::V1) | (Versions::Beta, Version::Beta) => Ok(route),
        (Versions::V1, Version::Beta) | (Versions::Beta, Version::V1) => {
            let beta_word = words.iter().find(|w| BETA_WORDS.contains(w)).copied();
            Err(Refusal::Segment(beta_word.or(words.last().copied()).unwrap_or_default().to_owned()))
        }
    }
}

const BETA_WORDS: [&str; 4] =
    ["hardwareOathMethods", "signInPreferences", "requirements", "authenticationMethodDevices"];

fn of_user(user: String, rest: &[&str]) -> Option<Route> {
    let own = |s: &&str| (*s).to_owned();
    Some(match rest {
        ["methods"] => Route::Methods(user),
        ["methods", method] => Route::Method(user, own(method)),
        ["phoneMethods"] => Route::Phones(user),
        ["phoneMethods", method] => Route::Phone(user, own(method)),
        ["phoneMethods", method, "enableSmsSignIn"] => Route::EnableSmsSignIn(user, own(method)),
        ["phoneMethods", method, "disableSmsSignIn"] => Route::DisableSmsSignIn(user, own(method)),
        ["microsoftAuthenticatorMethods"] => Route::Apps(user),
        ["microsoftAuthenticatorMethods", method] => Route::App(user, own(method)),
        ["softwareOathMethods"] => Route::Softwares(user),
        ["softwareOathMethods", method] => Route::Software(user, own(method)),
        ["hardwareOathMethods"] => Route::Tokens(user),
        ["hardwareOathMethods", "assignAndActivate"] => Route::AssignAndActivate(user),
        ["hardwareOathMethods", "assignAndActivateBySerialNumber"] => Route::AssignAndActivateBySerial(user),
        ["hardwareOathMethods", method] => Route::Token(user, own(method)),
        ["hardwareOathMethods", method, "activate"] => Route::Activate(user, own(method)),
        ["hardwareOathMethods", method, "deactivate"] => Route::Deactivate(user, own(method)),
        ["signInPreferences"] => Route::Preferences(user),
        ["requirements"] => Route::Requirements(user),
        ["temporaryAccessPassMethods"] => Route::Passes(user),
        ["temporaryAccessPassMethods", method] => Route::Pass(user, own(method)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_exists_only_in_its_versions() {
        let tokens = "/users/a%40b.example/authentication/hardwareOathMethods";
        assert_eq!(parse(Version::Beta, tokens), Ok(Route::Tokens("a@b.example".into())));
        assert_eq!(parse(Version::V1, tokens), Err(Refusal::Segment("hardwareOathMethods".into())));
        assert_eq!(parse(Version::Beta, "/domains"), Err(Refusal::Segment("domains".into())));
        assert_eq!(parse(Version::V1, "/nowhere"), Err(Refusal::Segment("nowhere".into())));
    }
}
