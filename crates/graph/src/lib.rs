//! The one crate that speaks to Microsoft Graph: client, identity, bundles, errors with a disposition, and the pace.
//!
//! It must never write what the caller has not asked for, never send a write twice by itself, never let a token leave
//! for another host, and never show a number, a secret or a token in a log, an error or a `Debug` output.
//!
//! Two halves: [`Reader`] cannot write (invariant 14), [`Writer`] can. Both pass the [`Pace`], one gate for everyone.

mod answer;
mod bundle;
mod client;
mod cloud;
mod config;
mod error;
mod exchange;
mod federation;
mod identity;
mod memberships;
mod pace;
mod passes;
mod patience;
mod reader;
#[cfg(test)]
mod tests;
mod wire;
mod write_call;
mod writer;

pub use answer::Answer;
pub use client::Version;
pub use cloud::Cloud;
pub use config::{Config, Credential};
pub use error::Error;
pub use federation::Federation;
pub use pace::{
    Bucket, BucketStatus, Counts, Grant as Quota, Held, Pace, PaceStep, SharedPace, Unavailable, Verdict,
};
pub use passes::{NewPass, Pass, PassAnswer, PassHolder, PassPolicy, SeenPass, Usability};
pub use reader::{
    Ask, DirectoryUser, Grant, GrantTo, GroupFacts, GroupMember, MemberKind, MethodsPolicy, Reader,
    RolloutPolicy, UserFacts,
};
pub use wire::Page;
pub use write_call::{CodeNow, WriteCall};
pub use writer::{WriteItem, Writer};
