//! What a 403 means: a missing permission, or a user that Graph protects.
//!
//! A kind of call that has never succeeded and is forbidden ends the run: everybody would be refused. After a success
//! it is about that user (Graph protects administrators); twenty in a row are no coincidence.

use crate::Error;
use contract::Target;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Forbidden users in a row that end the run (`architecture.md`, the worker's procedure).
const STREAK: u32 = 20;

/// A kind of call, with the permission of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Phone,
    Token,
    Default,
    Members,
    Group,
}

impl Call {
    /// The kinds that writes of these methods (the words of slots) prove.
    pub(crate) fn proven_by(methods: &[String]) -> Vec<Self> {
        let kind = |word: &String| match word.as_str() {
            "mobile" | "alternateMobile" | "office" => Some(Self::Phone),
            "hardwareOath" => Some(Self::Token),
            "default" => Some(Self::Default),
            _ => None,
        };
        methods.iter().filter_map(kind).collect()
    }

    /// The kind of a write to this method.
    pub(crate) fn of(method: Target) -> Self {
        match method {
            Target::Mobile | Target::AlternateMobile | Target::Office => Self::Phone,
            Target::HardwareOath => Self::Token,
            Target::Default => Self::Default,
        }
    }

    /// The call in words, as the error has them.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Read => "read users' authentication methods",
            Self::Phone => "write users' phone methods",
            Self::Token => "create and assign hardware OATH tokens",
            Self::Default => "write users' sign-in preferences",
            Self::Members => "read the members of groups",
            Self::Group => "add members to groups and remove them",
        }
    }

    fn permission(self) -> &'static str {
        match self {
            Self::Read => "UserAuthenticationMethod.Read.All",
            Self::Phone | Self::Default => "UserAuthenticationMethod.ReadWrite.All",
            Self::Members => "GroupMember.Read.All",
            Self::Group => {
                "GroupMember.ReadWrite.All (RoleManagement.ReadWrite.Directory for role-assignable groups)"
            }
            Self::Token => "Policy.ReadWrite.AuthenticationMethod and UserAuthenticationMethod.ReadWrite.All",
        }
    }
}

/// What has been allowed and refused so far.
pub(crate) struct Refusals {
    allowed: [AtomicBool; 6],
    /// Users in a row, by kind: that reads go well says nothing about writes.
    streak: [AtomicU32; 6],
}

impl Refusals {
    /// Begun with what has succeeded in this run before this process.
    pub(crate) fn new(proven: &[Call]) -> Self {
        let refusals = Self {
            allowed: std::array::from_fn(|_| AtomicBool::new(false)),
            streak: std::array::from_fn(|_| AtomicU32::new(0)),
        };
        for call in proven {
            refusals.allowed(*call);
        }
        refusals
    }

    /// A call of this kind succeeded.
    pub(crate) fn allowed(&self, call: Call) {
        self.allowed[call as usize].store(true, Ordering::Relaxed);
        self.streak[call as usize].store(0, Ordering::Relaxed);
    }

    /// A user was forbidden a call of this kind; tell it once a user. Ask only after the successes of the same bundle were noted.
    pub(crate) fn forbidden(&self, call: Call) -> Result<(), Error> {
        if !self.allowed[call as usize].load(Ordering::Relaxed) {
            return Err(Error::PermissionMissing { what: call.what(), permission: call.permission() });
        }
        let streak = self.streak[call as usize].fetch_add(1, Ordering::Relaxed) + 1;
        if streak >= STREAK { Err(Error::ForbiddenStreak(streak)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_never_succeeded_ends_the_run_and_names_the_permission() {
        let refusals = Refusals::new(&[]);
        refusals.allowed(Call::Read);
        let error = refusals.forbidden(Call::Token).unwrap_err();
        assert!(error.to_string().contains("Policy.ReadWrite.AuthenticationMethod"));
    }

    #[test]
    fn after_a_success_one_user_is_refused_and_twenty_in_a_row_end_the_run() {
        let refusals = Refusals::new(&[]);
        refusals.allowed(Call::Phone);
        for _ in 0..19 {
            refusals.forbidden(Call::Phone).unwrap();
        }
        assert!(matches!(refusals.forbidden(Call::Phone), Err(Error::ForbiddenStreak(20))));
        refusals.allowed(Call::Phone);
        refusals.forbidden(Call::Phone).unwrap();
    }

    #[test]
    fn reads_that_go_well_do_not_hide_a_permission_that_was_taken_away() {
        let refusals = Refusals::new(&[Call::Phone]);
        for _ in 0..19 {
            refusals.allowed(Call::Read);
            refusals.forbidden(Call::Phone).unwrap();
        }
        refusals.allowed(Call::Read);
        assert!(refusals.forbidden(Call::Phone).is_err());
    }

    #[test]
    fn what_succeeded_before_this_process_counts_and_nothing_else() {
        let refusals = Refusals::new(&[Call::Phone]);
        refusals.forbidden(Call::Phone).unwrap();
        assert!(refusals.forbidden(Call::Token).is_err());
    }
}
