//! The words for modes and directions, new and old.
//!
//! Only the words of the specification are taken, in any case; anything else is the caller's to turn away.

use contract::{Mode, SmsDirection};

/// A mode, and the direction of text messages where the old flat word names one.
pub(crate) fn mode(word: &str) -> Option<(Mode, SmsDirection)> {
    let lower = word.trim().to_ascii_lowercase();
    let calm = SmsDirection::Unspecified;
    Some(match lower.as_str() {
        "voicecall" | "standard" | "pin" | "returnpin" | "return_pin" | "voiceprint" => {
            (Mode::VoiceCall, calm)
        }
        "smstext" => (Mode::SmsText, calm),
        "phoneapp" => (Mode::PhoneApp, calm),
        "oathtoken" => (Mode::OathToken, calm),
        "" | "unspecified" | "invalid" => (Mode::Unspecified, calm),
        old if old.starts_with("sms_two_way") => (Mode::SmsText, SmsDirection::TwoWay),
        old if old.starts_with("sms_one_way") => (Mode::SmsText, SmsDirection::OneWay),
        old if old.starts_with("sms_") => (Mode::SmsText, calm),
        old if old.starts_with("phone_app_") => (Mode::PhoneApp, calm),
        old if old.starts_with("oath_token") => (Mode::OathToken, calm),
        _ => return None,
    })
}

/// A direction of text messages.
pub(crate) fn sms_direction(word: &str) -> Option<SmsDirection> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "oneway" => SmsDirection::OneWay,
        "twoway" => SmsDirection::TwoWay,
        "" | "unspecified" | "invalid" => SmsDirection::Unspecified,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_as_its_mode() {
        use Mode::{OathToken, PhoneApp, SmsText, Unspecified, VoiceCall};
        use SmsDirection::{OneWay, TwoWay, Unspecified as Calm};
        for (word, wanted) in [
            ("voiceCall", (VoiceCall, Calm)),
            ("standard", (VoiceCall, Calm)),
            ("pin", (VoiceCall, Calm)),
            ("smsText", (SmsText, Calm)),
            ("sms_two_way_otp", (SmsText, TwoWay)),
            ("sms_two_way_otp_plus_pin", (SmsText, TwoWay)),
            ("sms_one_way_otp_plus_pin", (SmsText, OneWay)),
            ("phoneApp", (PhoneApp, Calm)),
            ("phone_app_standard", (PhoneApp, Calm)),
            ("phone_app_pin", (PhoneApp, Calm)),
            ("OATHTOKEN", (OathToken, Calm)),
            ("oath_token", (OathToken, Calm)),
            ("invalid", (Unspecified, Calm)),
            ("unspecified", (Unspecified, Calm)),
            ("", (Unspecified, Calm)),
        ] {
            assert_eq!(mode(word), Some(wanted), "{word}");
        }
        for word in ["carrier pigeon", "phoneapps", "sms", "0"] {
            assert_eq!(mode(word), None, "{word}");
        }
        assert_eq!(sms_direction("invalid"), Some(Calm));
        assert_eq!(sms_direction("both"), None);
    }
}
