//! A look at users: their methods, their default, and where asked their tokens' devices, in beta bundles.
//!
//! An item that failed in passing is asked again alone; the others keep their answers.

use super::Reader;
use super::inventory::WireDevice;
use crate::Error;
use crate::bundle::{self, Item, ItemReply};
use crate::client::{Call, Failure, Version};
use crate::pace::{Bucket, Verdict};
use crate::patience::Patience;
use crate::wire::{encode, error_code_of};
use contract::{Authenticator, DefaultMethod, Disposition, EntraId, HardwareOath, Target, UserMethods};
use serde::Deserialize;
use serde_json::Value;
use telemetry::Instrument;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Most bundles of one call under way at a time; beyond it the pace, not the latency, is the limit.
const BUNDLES_AT_ONCE: usize = 4;

/// Whom to look at, and how closely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The user.
    pub user: EntraId,
    /// Whether the devices of the user's hardware tokens (serial, status) are wanted: a third request.
    pub tokens: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Methods,
    Preferences,
    Tokens,
}

struct Pending<'a> {
    ask: usize,
    user: &'a EntraId,
    question: Question,
}

impl Pending<'_> {
    fn path(&self) -> String {
        let tail = match self.question {
            Question::Methods => "methods",
            Question::Preferences => "signInPreferences",
            Question::Tokens => "hardwareOathMethods?$expand=device",
        };
        format!("/users/{}/authentication/{tail}", encode(&self.user.0))
    }
}

pub(super) type Found = Result<Option<Value>, Error>;

impl Reader {
    /// Looks at users; answers stand in the order of the asks. A user without sign-in preferences (404) has no
    /// default; a user that is gone is `Error::NotFound`.
    pub async fn observe(&self, asks: &[Ask]) -> Vec<Result<UserMethods, Error>> {
        let mut pending = Vec::new();
        for (ask, Ask { user, tokens }) in asks.iter().enumerate() {
            pending.push(Pending { ask, user, question: Question::Methods });
            pending.push(Pending { ask, user, question: Question::Preferences });
            if *tokens {
                pending.push(Pending { ask, user, question: Question::Tokens });
            }
        }
        let found = self.answers(&pending).await;
        let mut views: Vec<View> = asks.iter().map(|_| View::default()).collect();
        for (pending, found) in pending.iter().zip(found) {
            if let Some(view) = views.get_mut(pending.ask) {
                view.add(pending.question, found);
            }
        }
        views.into_iter().map(View::read).collect()
    }
}

impl Reader {
    /// The answer to each question, in order, a few bundles at a time.
    async fn answers(&self, pending: &[Pending<'_>]) -> Vec<Found> {
        let mut bundles = pending
            .chunks(bundle::MAX)
            .map(|chunk| chunk.iter().map(Pending::path).collect::<Vec<_>>())
            .enumerate();
        // A bundle whose task ends early, as it can with its runtime alone, leaves these.
        let lost = |chunk: &[Pending<'_>]| chunk.iter().map(|_| Err(Error::Broken(None))).collect();
        let mut answers: Vec<Vec<Found>> = pending.chunks(bundle::MAX).map(lost).collect();
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < BUNDLES_AT_ONCE
                && let Some((position, paths)) = bundles.next()
            {
                let reader = self.clone();
                let look = async move { (position, reader.bundle(Version::Beta, paths).await) };
                // A task of its own is in no span by itself, and its requests would belong to nobody.
                under_way.spawn(look.in_current_span());
            }
            let Some(done) = under_way.join_next().await else { break };
            if let Ok((position, found)) = done
                && let Some(slot) = answers.get_mut(position)
            {
                *slot = found;
            }
        }
        answers.into_iter().flatten().collect()
    }

    /// Asks one bundle until every item has an answer that stands.
    pub(super) async fn bundle(&self, version: Version, paths: Vec<String>) -> Vec<Found> {
        let mut found: Vec<Option<Found>> = paths.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..paths.len()).collect();
        let mut patience = Patience::new();
        while !open.is_empty() {
            let asked: Vec<&String> = open.iter().filter_map(|at| paths.get(*at)).collect();
            let mut again = Vec::new();
            let mut cause = None;
            match self.bundle_once(version, &asked, patience.ends()).await {
                Ok(replies) => {
                    for (at, reply) in open.iter().zip(replies) {
                        match item(reply) {
                            Err(error) if passing(&error) => {
                                again.push(*at);
                                // A throttle must not use up the attempts that another item's failure is worth.
                                if !matches!(cause, Some(Error::Server { .. } | Error::Broken(_))) {
                                    cause = Some(error);
                                }
                            }
                            settled => set(&mut found, *at, settled),
                        }
                    }
                }
                Err(error) => {
                    again.clone_from(&open);
                    cause = Some(error);
                }
            }
            open = again;
            if let Some(cause) = cause
                && let Err(last) = patience.after(cause).await
            {
                give_up(&mut found, &open, last);
                open.clear();
            }
        }
        found.into_iter().map(|f| f.unwrap_or(Err(Error::Broken(None)))).collect()
    }

    async fn bundle_once(
        &self,
        version: Version,
        paths: &[&String],
        not_after: Instant,
    ) -> Result<Vec<Option<ItemReply>>, Error> {
        let items: Vec<Item> = paths
            .iter()
            .enumerate()
            .map(|(position, path)| Item::new(position, "GET", (*path).clone(), None))
            .collect();
        let n = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let url = self.client.url(version, "$batch")?;
        let sent = items.len();
        let call = Call {
            url,
            body: Some(Box::new(move || bundle::encode(&items))),
            eventual: false,
            prefer: None,
            bucket: Bucket::Reads,
            n,
            not_after,
            stops: Vec::new(),
        };
        let pace = self.client.pace();
        let reply = match self.client.send(&call).await {
            Ok(reply) => reply,
            Err(Failure::Held(held)) => return Err(Patience::held(held)),
            Err(Failure::NoToken(error) | Failure::Lost(error)) => return Err(error),
        };
        match reply.status {
            200 => {
                let replies = bundle::decode(&reply.body, sent)?;
                pace.settled(reply.grant, &bundle::verdict(&replies));
                Ok(replies)
            }
            429 => {
                let (retry_after, scope) = (reply.retry_after, reply.scope);
                pace.settled(reply.grant, &Verdict { accepted: 0, rejected: n, retry_after, scope });
                Err(Error::Throttled { after: pace.held_for(Bucket::Reads).unwrap_or_default() })
            }
            _ => {
                pace.settled(reply.grant, &Verdict { accepted: n, ..Verdict::default() });
                Err(reply.error())
            }
        }
    }
}

fn set(found: &mut [Option<Found>], at: usize, value: Found) {
    if let Some(slot) = found.get_mut(at) {
        *slot = Some(value);
    }
}

/// Gives every open item an error like the last one: errors cannot be copied, their kind can.
fn give_up(found: &mut [Option<Found>], open: &[usize], last: Error) {
    for at in open {
        set(found, *at, Err(last.alike()));
    }
}

fn passing(error: &Error) -> bool {
    matches!(error.disposition(), Disposition::Retry | Disposition::Snooze { .. })
}

/// An item's answer; a missing one is a call that broke.
fn item(reply: Option<ItemReply>) -> Found {
    let Some(reply) = reply else { return Err(Error::Broken(None)) };
    match reply.status {
        200..300 => Ok(reply.body),
        status => Err(Error::of_status(status, error_code_of(reply.body.as_ref()))),
    }
}

/// One user's answers as they come together.
#[derive(Default)]
struct View {
    methods: UserMethods,
    failed: Option<Error>,
}

#[derive(Deserialize)]
struct WireMethods {
    value: Vec<WireMethod>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMethod {
    #[serde(rename = "@odata.type")]
    kind: Option<String>,
    id: String,
    phone_number: Option<String>,
    phone_type: Option<String>,
    display_name: Option<String>,
    device: Option<WireDevice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePreferences {
    is_system_preferred_authentication_method_enabled: Option<bool>,
    user_preferred_method_for_secondary_authentication: Option<String>,
}

impl View {
    fn add(&mut self, question: Question, found: Found) {
        let added = match (question, found) {
            // Seen on users that have no method yet; if the user is gone, the other question says so.
            (Question::Preferences, Err(Error::NotFound)) => Ok(()),
            (_, Err(error)) => Err(error),
            (Question::Methods, Ok(body)) => self.add_methods(body),
            (Question::Preferences, Ok(body)) => self.add_preferences(body),
            (Question::Tokens, Ok(body)) => self.add_tokens(body),
        };
        if let Err(error) = added
            && self.failed.is_none()
        {
            self.failed = Some(error);
        }
    }

    fn add_methods(&mut self, body: Option<Value>) -> Result<(), Error> {
        for method in methods_of(body, "a user's methods")? {
            match method.kind.as_deref().unwrap_or_default() {
                "#microsoft.graph.phoneAuthenticationMethod" => {
                    if let (Some(number), Some(target)) =
                        (method.phone_number, phone_target(method.phone_type))
                    {
                        self.methods.phones.insert(target, number);
                    }
                }
                "#microsoft.graph.microsoftAuthenticatorAuthenticationMethod" => {
                    self.methods
                        .authenticators
                        .push(Authenticator { id: method.id, name: method.display_name });
                }
                "#microsoft.graph.softwareOathAuthenticationMethod" => self.methods.software_oath += 1,
                "#microsoft.graph.hardwareOathAuthenticationMethod" => {
                    self.add_token(method.id, method.device)
                }
                // Passwords, keys and methods of the future bear on nothing here.
                _ => {}
            }
        }
        Ok(())
    }

    fn add_tokens(&mut self, body: Option<Value>) -> Result<(), Error> {
        for method in methods_of(body, "a user's hardware tokens")? {
            self.add_token(method.id, method.device);
        }
        Ok(())
    }

    /// Adds a token, or fills in the device of one that is there.
    fn add_token(&mut self, method_id: String, device: Option<WireDevice>) {
        let tokens = &mut self.methods.hardware_oath;
        let at = match tokens.iter().position(|t| t.method_id == method_id) {
            Some(at) => at,
            None => {
                tokens.push(HardwareOath { method_id, device_id: None, serial: None, status: None });
                tokens.len() - 1
            }
        };
        if let (Some(token), Some(device)) = (tokens.get_mut(at), device) {
            token.status = device.status();
            token.device_id = Some(device.id);
            token.serial = device.serial_number;
        }
    }

    fn add_preferences(&mut self, body: Option<Value>) -> Result<(), Error> {
        let preferences: WirePreferences = serde_json::from_value(body.unwrap_or_default())
            .map_err(|_| Error::Shape { what: "a user's sign-in preferences" })?;
        self.methods.system_preferred =
            preferences.is_system_preferred_authentication_method_enabled.unwrap_or(false);
        self.methods.default = preferences
            .user_preferred_method_for_secondary_authentication
            .as_deref()
            .and_then(DefaultMethod::parse);
        Ok(())
    }

    fn read(self) -> Result<UserMethods, Error> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.methods),
        }
    }
}

/// The list of methods; one that goes on elsewhere is not understood, since part of a user is worse than none.
fn methods_of(body: Option<Value>, what: &'static str) -> Result<Vec<WireMethod>, Error> {
    let methods: WireMethods =
        serde_json::from_value(body.unwrap_or_default()).map_err(|_| Error::Shape { what })?;
    if methods.next.is_some() { Err(Error::Shape { what }) } else { Ok(methods.value) }
}

fn phone_target(kind: Option<String>) -> Option<Target> {
    [Target::Mobile, Target::AlternateMobile, Target::Office]
        .into_iter()
        .find(|t| Some(t.as_str()) == kind.as_deref())
}
