//! The features of MFA Server that Microsoft's two guides name, each with what Entra has in its place and what to do.
//!
//! Words and ids are promises: the file in which an operator states what is in use names features by their id.

/// Where a feature is set up in MFA Server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Company settings: how people prove who they are.
    Methods,
    /// The user portal, where they register.
    Portal,
    /// What asks MFA Server for a second factor.
    Services,
    /// What the guides say beside their tables.
    Further,
}

impl Section {
    /// Every section, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Methods, Self::Portal, Self::Services, Self::Further];

    /// As a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Methods => "MFA methods",
            Self::Portal => "User portal",
            Self::Services => "Authentication services",
            Self::Further => "Further",
        }
    }
}

/// Where it is known from whether a feature is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From the datafile: users are counted.
    Records,
    /// From what the operator states.
    Stated,
    /// It needs no asking: it goes away, whether it was used or not.
    Always,
}

macro_rules! features {
    ($($variant:ident $id:literal $section:ident $source:ident $name:literal => $equivalent:literal; $action:literal,)*) => {
        /// A feature of MFA Server.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Feature { $(#[doc = $name] $variant,)* }

        /// Every feature, in the order of the table.
        pub const FEATURES: &[Feature] = &[$(Feature::$variant),*];

        impl Feature {
            /// Its name for scripts and files.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),* }
            }

            /// Where it is set up.
            pub fn section(self) -> Section {
                match self { $(Self::$variant => Section::$section),* }
            }

            /// Where it is known from.
            pub fn source(self) -> Source {
                match self { $(Self::$variant => Source::$source),* }
            }

            /// What people call it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What Entra has in its place.
            pub fn equivalent(self) -> &'static str {
                match self { $(Self::$variant => $equivalent),* }
            }

            /// What to do.
            pub fn action(self) -> &'static str {
                match self { $(Self::$variant => $action),* }
            }
        }
    };
}

/// The feature of an id.
pub fn feature(id: &str) -> Option<Feature> {
    FEATURES.iter().copied().find(|feature| feature.id() == id)
}

features! {
    CallStandard "call" Methods Records "Phone call (standard)"
        => "Voice call"; "Allow Voice in the authentication methods policy; the numbers are moved.",
    CallPin "call-pin" Methods Records "Phone call (PIN)"
        => "Voice OTP, or a stronger method"; "PINs are not moved, and no call asks for one: enable Voice OTP, or move these users to the Authenticator app with number matching.",
    CallVoiceprint "call-voiceprint" Methods Records "Phone call (voiceprint)"
        => "None"; "Voiceprints are not moved; the call becomes a plain one. Offer these users the Authenticator app.",
    TextOneTimeCode "text" Methods Records "Text message (one-time code)"
        => "Text message"; "Allow SMS in the authentication methods policy; the numbers are moved, and extensions are dropped.",
    TextPin "text-pin" Methods Records "Text message (one-time code and PIN)"
        => "Text message; the code that is typed proves presence"; "Nothing for the code; the PIN goes. Where it protected against a stolen SIM card, move these users to the Authenticator app.",
    TextTwoWay "text-two-way" Methods Records "Text message (two-way)"
        => "One-way text message"; "Tell these users: the code is typed where they sign in and no longer sent back.",
    AppStandard "app" Methods Records "Mobile app (standard)"
        => "Microsoft Authenticator"; "No interface creates a push registration: these users register the app again. Issue Temporary Access Passes, or let a registration campaign ask them.",
    AppPin "app-pin" Methods Records "Mobile app (PIN)"
        => "Microsoft Authenticator with number matching"; "Number matching takes the place of the PIN; the app itself must be registered again.",
    AppVoiceprint "app-voiceprint" Methods Records "Mobile app (voiceprint)"
        => "Microsoft Authenticator with number matching"; "Number matching or the phone's own biometrics take its place; the app must be registered again.",
    OathToken "oath-token" Methods Records "OATH token"
        => "Hardware OATH token"; "Bring the seed file (--token-seeds): secrets cannot be exported from MFA Server, only serials. Without it, ask the vendor. Needs Entra ID P1.",
    CompanyDefault "company-default" Methods Records "Method left to the company's default"
        => "The default that is moved"; "State the company's default: policy.company_default_mode.",
    BackupPhone "backup-phone" Methods Records "Backup phone"
        => "Alternate mobile, or office phone"; "Nothing: it is moved where a slot is free; `rehearse` says for whom it is not.",
    Extension "extension" Methods Records "Phone with an extension"
        => "Office phone, the only one with an extension"; "Allow office phones for Voice in the methods policy.",
    Language "language" Methods Records "Language of calls, messages, app and tokens"
        => "The language of the browser"; "Nothing can be set: the language that is on file is dropped. Tell users of regions where browsers speak another one.",
    DisabledUser "disabled-user" Methods Records "Account disabled in MFA Server"
        => "None for the account; Conditional Access decides who is asked"; "Left out, unless policy.include_disabled says otherwise. Clean up first: whoever was exempt by it will be asked in Entra.",
    PinRules "pin-rules" Methods Always "Default PIN rules"
        => "Not applicable: there are no PINs"; "Nothing.",
    UsernameResolution "username-resolution" Methods Always "Username resolution"
        => "Not applicable: users sign in by their UPN"; "See that usernames match a UPN, or name further stages in policy.match.",
    TextMessages "message-texts" Methods Stated "Own texts of text messages and token prompts"
        => "Microsoft's own texts"; "Nothing can be set; tell the service desk what users will read.",
    Reports "reports" Methods Stated "Reports"
        => "Authentication methods activity, sign-in logs"; "Rebuild what auditors rely on there; keep MFA Server's logs for as long as they must be kept.",

    UserPortal "user-portal" Portal Stated "User portal"
        => "My Sign-Ins, aka.ms/mfasetup"; "Redirect the portal's address. Close it only when every dependency is moved: changes in Entra never come back to MFA Server.",
    Enrollment "enrollment" Portal Stated "Enrolment by the users themselves"
        => "Combined registration of security information"; "Turn it on, and protect it by Conditional Access.",
    BackupPrompt "prompt-backup-phone" Portal Stated "Prompt for a backup phone"
        => "Registration campaign and methods policy"; "Nothing asks for a second phone; ask for the app instead.",
    TokenPrompt "prompt-oath-token" Portal Stated "Prompt for, or registration of, a third-party OATH token"
        => "Hardware OATH tokens in the methods policy"; "Hand tokens out by upload; whether users may bring their own is the policy's to say.",
    OneTimeBypass "one-time-bypass" Portal Stated "One-time bypass"
        => "Temporary Access Pass"; "Enable it in the methods policy, give the service desk the right to issue it: `mfa-migrate tap issue`.",
    MethodChoice "method-choice" Portal Stated "Users choose their method"
        => "Methods policy, and the default in My Sign-Ins"; "Allow each method there for the groups that may use it.",
    LanguageChoice "language-choice" Portal Stated "Users choose their language"
        => "The language of the browser"; "Nothing.",
    AppActivation "app-activation" Portal Stated "Users activate the mobile app"
        => "Registration of Microsoft Authenticator"; "Rename the account in MFA Server's app beforehand, so that users can tell the two apart.",
    DeviceLimit "device-limit" Portal Records "More than five app devices and tokens"
        => "Five, apps and tokens of a user together"; "The newest stay; these users lose the oldest. Tell them which.",
    SecurityQuestions "security-questions" Portal Records "Security questions as a fallback or to enter the portal"
        => "Another registered method; questions serve self-service password reset alone"; "No interface sets them: users answer them again, if self-service password reset is to use them at all.",
    TokenFallback "oath-fallback" Portal Stated "OATH token as a fallback"
        => "Users choose another method while they sign in"; "Nothing.",
    SessionTimeout "session-timeout" Portal Stated "Session timeout of the portal, cached sessions"
        => "Sign-in frequency in Conditional Access"; "Set it there where it matters.",
    TrustedIps "trusted-ips" Portal Stated "Trusted IPs"
        => "Named locations in Conditional Access"; "Enter the ranges there; bypass as few as you can.",

    Radius "radius" Services Stated "RADIUS clients"
        => "SAML or OpenID Connect; else Network Policy Server with the Entra MFA extension"; "See the table of your RADIUS clients.",
    Ldap "ldap" Services Stated "LDAP clients"
        => "Modern authentication, RADIUS, or Entra Domain Services"; "See the table of your LDAP clients.",
    AdFs "adfs" Services Stated "AD FS relying parties beside Office 365"
        => "Federation with Entra itself; else AD FS of Windows Server 2016 or later"; "See the table of your relying parties.",
    Iis "iis" Services Stated "IIS plug-in"
        => "Entra application proxy"; "Publish these sites by the application proxy before the server goes; nothing else stands in for the plug-in.",
    MimReset "mim-password-reset" Services Stated "Password reset of Identity Manager (MIM) by text message"
        => "Entra self-service password reset"; "MIM cannot use Entra MFA: move to self-service password reset, or take another provider of MFA for it.",
    MimAccess "mim-privileged-access" Services Stated "Privileged access management (PAM) of MIM"
        => "Privileged Identity Management"; "MIM cannot use Entra MFA: take another provider of MFA for it.",
    WebSdk "web-sdk" Services Stated "Programs that call the Web Service SDK"
        => "Microsoft Graph"; "Find their owners before the server goes.",

    StaleNumbers "phone-only" Further Records "Users with nothing but telephones"
        => "Microsoft Authenticator, passkeys"; "Moved as they are. Have all users look at their security information: numbers grow old, and Microsoft retires telephone methods from 1 February 2027.",
    Nothing "nothing" Further Records "Users with no method that can be moved"
        => "Registration by the users themselves"; "They must register before MFA is asked of them; Network Policy Server fails for them until then.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_told_by_its_id_alone_and_says_what_to_do() {
        for one in FEATURES {
            assert_eq!(feature(one.id()), Some(*one));
            assert!(!one.equivalent().is_empty() && one.action().ends_with('.'), "{}", one.id());
        }
        assert!(FEATURES.len() <= 64, "a user's features are one word of bits");
    }
}
