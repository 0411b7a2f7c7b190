//! The SDK's names, in any case, and what each is good for.
//!
//! One table for all formats. Names that are known and never read (PINs, static tokens, security answers, device
//! tokens) are `Ignored`, so that they do not count as unknown. Modes, languages and the numbers of security questions move
//! nothing; they are read for what an assessment counts, and a value of the wrong shape there is as good as none.

macro_rules! keys {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $($lower:literal)|+ => $word:literal,)* } ignored { $($ignored:literal)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($variant,)* Ignored, Unknown }

        impl $name {
            /// Reads a name in any case.
            pub(crate) fn of(name: &str) -> Self {
                let mut buffer = [0_u8; 40];
                let Some(slot) = buffer.get_mut(..name.len()) else { return Self::Unknown };
                slot.copy_from_slice(name.as_bytes());
                slot.make_ascii_lowercase();
                match &*slot {
                    $($($lower)|+ => Self::$variant,)*
                    $($ignored => Self::Ignored,)*
                    _ if is_security_answer(slot) => Self::Ignored,
                    _ => Self::Unknown,
                }
            }

            /// The SDK's spelling, as rejects name the field.
            pub(crate) fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* Self::Ignored | Self::Unknown => "-" }
            }
        }
    };
}

/// `securityAnswer1`, `securityQuestion4Id` and their like.
fn is_security_answer(lower: &[u8]) -> bool {
    lower.starts_with(b"securityanswer") || lower.starts_with(b"securityquestion")
}

keys! {
    /// Names of the user itself.
    UserField {
        Username b"username" => "username",
        Sid b"sid" => "sid",
        Email b"email" => "email",
        UserGroup b"usergroup" => "userGroup",
        Settings b"settings" => "settings",
        Devices b"devices" => "devices",
    }
    ignored { b"pin" b"historicalpinvalues" b"statictoken" b"firstname" b"lastname" }
}

keys! {
    /// Names of the user's settings.
    SettingsField {
        Enabled b"enabled" => "enabled",
        CountryCode b"countrycode" => "countryCode",
        Phone b"phone" => "phone",
        Extension b"extension" => "extension",
        BackupCountryCode b"backupcountrycode" => "backupCountryCode",
        BackupPhone b"backupphone" => "backupPhone",
        BackupExtension b"backupextension" => "backupExtension",
        Mode b"mode" => "mode",
        SmsDirection b"smsdirection" => "smsDirection",
        OathTokenExists b"oathtokenexists" => "oathTokenExists",
        OathTokenSerialNumber b"oathtokenserialnumber" => "oathTokenSerialNumber",
        OathTokenSecretKey b"oathtokensecretkey" => "oathTokenSecretKey",
        OathTokenTimeInterval b"oathtokentimeinterval" => "oathTokenTimeInterval",
        PinMode b"pinmode" => "pinMode",
        SmsMode b"smsmode" => "smsMode",
        PhoneAppMode b"phoneappmode" => "phoneAppMode",
        Language b"language" | b"userlanguage" | b"phonelanguage" | b"voicelanguage" | b"smslanguage"
            | b"phoneapplanguage" | b"oathtokenlanguage" => "language",
        Question b"securityquestion1id" | b"securityquestion2id" | b"securityquestion3id" | b"securityquestion4id"
            => "securityQuestionId",
    }
    ignored {
        b"firstname" b"lastname" b"pin" b"historicalpinvalues" b"statictoken"
    }
}

keys! {
    /// Names of a device.
    DeviceField {
        UserDeviceId b"userdeviceid" => "userDeviceId",
        DeviceName b"devicename" => "deviceName",
        PhoneAppVersion b"phoneappversion" => "phoneAppVersion",
        OathTokenSecretKey b"oathtokensecretkey" => "oathTokenSecretKey",
        ActivatedAt b"activatedat" => "activatedAt",
    }
    ignored { b"devicetoken" b"pin" b"historicalpinvalues" b"statictoken" }
}
