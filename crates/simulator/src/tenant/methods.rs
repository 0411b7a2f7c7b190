//! One user's registered methods, and the two rules that look at all of them: what a default stands on, and the
//! limit of five.
//!
//! Invariant: a device is held by at most one user, and a held device's index is in that user's `tokens` exactly once.

use contract::DefaultMethod;

/// The three kinds of phone, in Graph's spelling and with Graph's fixed method ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PhoneType {
    /// Text messages and calls.
    Mobile,
    /// Calls alone; needs a mobile.
    AlternateMobile,
    /// Calls alone; may have an extension.
    Office,
}

impl PhoneType {
    /// In the order in which Graph lists them.
    pub(crate) const ALL: [Self; 3] = [Self::Mobile, Self::AlternateMobile, Self::Office];

    /// Graph's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::AlternateMobile => "alternateMobile",
            Self::Office => "office",
        }
    }

    /// Graph's fixed id.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Mobile => "3179e48a-750b-4051-897c-87b9720928f7",
            Self::AlternateMobile => "b6332ec1-7057-4abe-9331-3d72feddfe41",
            Self::Office => "e37fc753-ff3b-4958-9484-eaa9425c82bc",
        }
    }

    /// Reads Graph's word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str().eq_ignore_ascii_case(word))
    }

    /// Reads Graph's fixed id.
    pub(crate) fn by_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.id().eq_ignore_ascii_case(id))
    }
}

/// The three numbers, each there or not.
#[derive(Clone, Default)]
pub(crate) struct Phones {
    mobile: Option<Box<str>>,
    alternate_mobile: Option<Box<str>>,
    office: Option<Box<str>>,
}

impl Phones {
    /// The number of a type.
    pub(crate) fn get(&self, of: PhoneType) -> Option<&str> {
        match of {
            PhoneType::Mobile => self.mobile.as_deref(),
            PhoneType::AlternateMobile => self.alternate_mobile.as_deref(),
            PhoneType::Office => self.office.as_deref(),
        }
    }

    /// Sets or removes the number of a type.
    pub(crate) fn set(&mut self, of: PhoneType, number: Option<Box<str>>) {
        match of {
            PhoneType::Mobile => self.mobile = number,
            PhoneType::AlternateMobile => self.alternate_mobile = number,
            PhoneType::Office => self.office = number,
        }
    }

    /// The numbers that are there, in Graph's order.
    pub(crate) fn present(&self) -> impl Iterator<Item = (PhoneType, &str)> {
        PhoneType::ALL.into_iter().filter_map(|t| Some((t, self.get(t)?)))
    }
}

/// An Authenticator registration.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) id: Box<str>,
    pub(crate) display_name: Option<Box<str>>,
    pub(crate) phone_app_version: Option<Box<str>>,
    pub(crate) device_tag: Option<Box<str>>,
    pub(crate) created: Option<Box<str>>,
}

/// A hardware token in a user's hands.
#[derive(Clone)]
pub(crate) struct Held {
    /// Id of the method; never the id of the device.
    pub(crate) method_id: Box<str>,
    /// Index of the device in the inventory.
    pub(crate) device: u32,
    /// When it was assigned, in Graph's notation; absent when the state file brought it.
    pub(crate) created: Option<Box<str>>,
}

/// Everything registered for one user.
#[derive(Clone, Default)]
pub(crate) struct Methods {
    pub(crate) phones: Phones,
    pub(crate) apps: Vec<App>,
    /// Ids of software OATH methods.
    pub(crate) software: Vec<Box<str>>,
    pub(crate) tokens: Vec<Held>,
    pub(crate) default: Option<DefaultMethod>,
    pub(crate) system_preferred: bool,
    /// The one Temporary Access Pass that a user may have; boxed, since hardly anybody has one.
    pub(crate) pass: Option<Box<super::passes::Pass>>,
    /// Per-user MFA: `disabled`, `enabled` or `enforced`; disabled when absent.
    pub(crate) per_user_mfa: Option<Box<str>>,
}

/// The largest number of Authenticator registrations, software and hardware OATH methods together.
pub(crate) const DEVICE_LIMIT: usize = 5;

impl Methods {
    /// How many of the five places are taken.
    pub(crate) fn devices(&self) -> usize {
        self.apps.len() + self.software.len() + self.tokens.len()
    }

    /// How many methods there are, the password aside.
    pub(crate) fn count(&self) -> usize {
        self.phones.present().count() + self.devices()
    }

    /// Whether a default could stand on what is there. `token_in_use` answers for hardware tokens, whose status
    /// lies in the inventory.
    pub(crate) fn supports(&self, method: DefaultMethod, token_in_use: bool) -> bool {
        match method {
            DefaultMethod::Push => !self.apps.is_empty(),
            DefaultMethod::Oath => !self.software.is_empty() || token_in_use,
            DefaultMethod::Sms | DefaultMethod::VoiceMobile => self.phones.get(PhoneType::Mobile).is_some(),
            DefaultMethod::VoiceOffice => self.phones.get(PhoneType::Office).is_some(),
            DefaultMethod::VoiceAlternateMobile => self.phones.get(PhoneType::AlternateMobile).is_some(),
        }
    }
}
