//! One user's features, and the counts of all: a fold that may be cut into shares and added up.

use super::features::{FEATURES, Feature};
use contract::{
    Allowed, Change, Code, DefaultMethod, EntraId, FingerprintKey, History, Mode, Observed, Plan, Policy,
    Record, SmsDirection, Target, UserMethods,
};
use std::collections::BTreeMap;

/// Languages that are counted by name; users of further ones are counted together.
const LANGUAGES: usize = 100;

/// How a user's methods are used, as far as the source tells; never a PIN or an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "five answers of the source, nothing of them excludes another"
)]
pub struct Habits<'a> {
    /// Calls ask for a PIN.
    pub call_pin: bool,
    /// Calls know the voice.
    pub call_voiceprint: bool,
    /// Text messages ask for a PIN.
    pub text_pin: bool,
    /// The app asks for a PIN.
    pub app_pin: bool,
    /// The app knows the voice.
    pub app_voiceprint: bool,
    /// The language that is on file.
    pub language: Option<&'a str>,
    /// Security questions were chosen.
    pub security_questions: bool,
}

/// What Network Policy Server can do with a user's default method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nps {
    /// A call or a notification: any RADIUS client.
    Served,
    /// A code must be typed: only clients that speak access-challenge.
    Typed,
    /// There is no method: the extension turns the user away.
    Nothing,
}

impl Nps {
    /// Every answer.
    pub const ALL: [Self; 3] = [Self::Served, Self::Typed, Self::Nothing];

    /// Its place among counts.
    pub fn place(self) -> usize {
        match self {
            Self::Served => 0,
            Self::Typed => 1,
            Self::Nothing => 2,
        }
    }

    fn of(default: DefaultMethod) -> Self {
        match default {
            DefaultMethod::Push
            | DefaultMethod::VoiceMobile
            | DefaultMethod::VoiceOffice
            | DefaultMethod::VoiceAlternateMobile => Self::Served,
            DefaultMethod::Oath | DefaultMethod::Sms => Self::Typed,
        }
    }
}

macro_rules! lists {
    ($($(#[doc = $doc:literal])+ $variant:ident $id:literal,)*) => {
        /// Users whom somebody has to look after.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum List { $($(#[doc = $doc])+ $variant,)* }

        impl List {
            /// Every list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name for scripts.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),* }
            }

            /// What it holds.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii()),* }
            }

            /// Reads a name.
            pub fn parse(id: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|list| list.id() == id)
            }
        }
    };
}

lists! {
    /// Their default method needs something typed, or there is none: Network Policy Server cannot serve them behind a
    /// client without access-challenge.
    NpsCannotServe "nps-cannot-serve",
    /// They have nothing but telephones.
    PhoneOnly "phone-only",
    /// They use a PIN, which is not moved.
    Pin "pin",
    /// They must register the Authenticator app again.
    RegisterAgain "must-register-again",
    /// They are disabled in MFA Server.
    Disabled "disabled",
    /// A language is on file for them, which is dropped.
    Language "language",
    /// They have chosen security questions, which are not moved.
    SecurityQuestions "security-questions",
    /// They have no method that can be moved.
    Nothing "nothing",
}

/// What is to be said of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessed {
    features: u64,
    lists: u64,
    /// What Network Policy Server can do for the user; absent for those who are left out.
    pub nps: Option<Nps>,
    /// The default method after the move, as far as the datafile alone tells; absent where there is none.
    pub default: Option<DefaultMethod>,
}

impl Assessed {
    /// Whether the user uses a feature.
    pub fn uses(&self, feature: Feature) -> bool {
        self.features & bit(feature) != 0
    }

    /// Whether the user is on a list.
    pub fn is_on(&self, list: List) -> bool {
        self.lists & list_bit(list) != 0
    }
}

fn bit(feature: Feature) -> u64 {
    1 << feature as u32
}

fn list_bit(list: List) -> u64 {
    1 << list as u32
}

/// Looks at one user: what it uses of MFA Server, and what becomes of it in a tenant that allows everything and holds
/// nothing yet.
pub fn assess(record: &Record, habits: &Habits<'_>, policy: &Policy, keys: &FingerprintKey) -> Assessed {
    let mut found = Assessed { features: 0, lists: 0, nps: None, default: None };
    if !record.enabled {
        found.features |= bit(Feature::DisabledUser);
        found.lists |= list_bit(List::Disabled);
        if !policy.include_disabled {
            return found;
        }
    }
    let plan = crate::plan(record, &nobody(), policy, &History::default(), keys);
    let has = |code: Code| plan.notes.iter().any(|note| note.code == code);
    found.default = default_of(&plan.changes);
    let is_served = found.default.map(Nps::of);
    found.nps = Some(is_served.unwrap_or(without_default(&plan)));
    let mode =
        if record.mode == Mode::Unspecified { policy.company_default_mode.mode() } else { record.mode };
    let uses = [
        (method_of(mode, habits), true),
        // Whoever holds an app or a token uses it, whatever else is asked for first.
        (method_of(Mode::PhoneApp, habits), !record.devices.is_empty()),
        (Feature::OathToken, record.oath_token.is_some()),
        (Feature::CompanyDefault, record.mode == Mode::Unspecified),
        (Feature::TextTwoWay, mode == Mode::SmsText && record.sms_direction == SmsDirection::TwoWay),
        (Feature::BackupPhone, !record.backup.number.is_empty()),
        (Feature::Extension, has_extension(record)),
        (Feature::Language, habits.language.is_some()),
        (Feature::DeviceLimit, has(Code::DeviceOverLimit) || has(Code::OathOverLimit)),
        (Feature::SecurityQuestions, habits.security_questions),
        (Feature::StaleNumbers, has(Code::PhoneOnly)),
        (Feature::Nothing, plan.changes.is_empty()),
    ];
    for (feature, _) in uses.into_iter().filter(|(_, is_used)| *is_used) {
        found.features |= bit(feature);
    }
    let pins = [Feature::CallPin, Feature::TextPin, Feature::AppPin];
    let is_pin = pins.into_iter().any(|one| found.uses(one));
    let lists = [
        (List::NpsCannotServe, found.nps != Some(Nps::Served)),
        (List::PhoneOnly, has(Code::PhoneOnly)),
        (List::Pin, is_pin),
        (List::RegisterAgain, has(Code::AppReregister)),
        (List::Language, habits.language.is_some()),
        (List::SecurityQuestions, habits.security_questions),
        (List::Nothing, plan.changes.is_empty()),
    ];
    for (list, _) in lists.into_iter().filter(|(_, is_on)| *is_on) {
        found.lists |= list_bit(list);
    }
    found
}

/// A user of whom Entra holds nothing, in a tenant that allows everything.
fn nobody() -> Observed {
    Observed {
        user: EntraId(String::new()),
        methods: UserMethods::default(),
        guest: false,
        allowed: Allowed::ALL,
        inventory: Vec::new(),
        contested_serials: Vec::new(),
    }
}

fn default_of(changes: &[Change]) -> Option<DefaultMethod> {
    let default = changes.iter().find(|change| change.method == Target::Default)?;
    DefaultMethod::parse(default.to.as_deref()?)
}

/// Where no default is moved Graph chooses one: a telephone can be called, a token alone needs its code.
fn without_default(plan: &Plan) -> Nps {
    let phone = |change: &Change| match change.method {
        Target::Mobile | Target::AlternateMobile | Target::Office => true,
        Target::HardwareOath | Target::Default => false,
    };
    match (plan.changes.iter().any(phone), plan.changes.is_empty()) {
        (true, _) => Nps::Served,
        (false, false) => Nps::Typed,
        (false, true) => Nps::Nothing,
    }
}

fn has_extension(record: &Record) -> bool {
    [&record.phone, &record.backup]
        .iter()
        .any(|phone| !phone.number.is_empty() && !phone.extension.is_empty())
}

fn method_of(mode: Mode, habits: &Habits<'_>) -> Feature {
    match mode {
        Mode::VoiceCall | Mode::Unspecified if habits.call_pin => Feature::CallPin,
        Mode::VoiceCall | Mode::Unspecified if habits.call_voiceprint => Feature::CallVoiceprint,
        Mode::VoiceCall | Mode::Unspecified => Feature::CallStandard,
        Mode::SmsText if habits.text_pin => Feature::TextPin,
        Mode::SmsText => Feature::TextOneTimeCode,
        Mode::PhoneApp if habits.app_pin => Feature::AppPin,
        Mode::PhoneApp if habits.app_voiceprint => Feature::AppVoiceprint,
        Mode::PhoneApp => Feature::AppStandard,
        Mode::OathToken => Feature::OathToken,
    }
}

/// The counts of all users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Users looked at.
    pub users: u64,
    features: Vec<u64>,
    lists: Vec<u64>,
    /// By what Network Policy Server can do for them; those left out are in none.
    pub nps: [u64; 3],
    /// The same of the users behind each RADIUS client.
    pub behind: Vec<[u64; 3]>,
    /// Users by the language on file.
    pub languages: BTreeMap<String, u64>,
    /// Users of languages beyond those counted by name.
    pub in_further_languages: u64,
}

impl Tally {
    /// Nobody yet; `clients` RADIUS clients are counted apart.
    pub fn new(clients: usize) -> Self {
        Self {
            users: 0,
            features: vec![0; FEATURES.len()],
            lists: vec![0; List::ALL.len()],
            nps: [0; 3],
            behind: vec![[0; 3]; clients],
            languages: BTreeMap::new(),
            in_further_languages: 0,
        }
    }

    /// Counts a user; `behind` tells of each client whether the user signs in through it.
    pub fn add(&mut self, user: &Assessed, habits: &Habits<'_>, behind: impl Fn(usize) -> bool) {
        self.users += 1;
        for (count, feature) in self.features.iter_mut().zip(FEATURES) {
            *count += u64::from(user.uses(*feature));
        }
        for (count, list) in self.lists.iter_mut().zip(List::ALL) {
            *count += u64::from(user.is_on(*list));
        }
        let Some(nps) = user.nps else { return };
        bump(&mut self.nps, nps);
        for (client, counts) in self.behind.iter_mut().enumerate() {
            if behind(client) {
                bump(counts, nps);
            }
        }
        if let Some(language) = habits.language {
            self.add_language(language, 1);
        }
    }

    fn add_language(&mut self, language: &str, users: u64) {
        let has_room = self.languages.len() < LANGUAGES;
        match self.languages.get_mut(language) {
            Some(count) => *count += users,
            None if has_room => {
                self.languages.insert(language.to_owned(), users);
            }
            None => self.in_further_languages += users,
        }
    }

    /// Takes over what another one counted.
    pub fn add_all(&mut self, other: Self) {
        self.users += other.users;
        add_up(&mut self.features, &other.features);
        add_up(&mut self.lists, &other.lists);
        add_up(&mut self.nps, &other.nps);
        for (mine, theirs) in self.behind.iter_mut().zip(&other.behind) {
            add_up(mine, theirs);
        }
        for (language, users) in other.languages {
            self.add_language(&language, users);
        }
        self.in_further_languages += other.in_further_languages;
    }

    /// Users of a feature.
    pub fn of(&self, feature: Feature) -> u64 {
        self.features.get(feature as usize).copied().unwrap_or(0)
    }

    /// Users on a list.
    pub fn on(&self, list: List) -> u64 {
        self.lists.get(list as usize).copied().unwrap_or(0)
    }
}

fn bump(counts: &mut [u64; 3], nps: Nps) {
    if let Some(count) = counts.get_mut(nps.place()) {
        *count += 1;
    }
}

fn add_up(mine: &mut [u64], theirs: &[u64]) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine += theirs;
    }
}
