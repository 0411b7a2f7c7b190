//! What the source says of how a user's methods are used, beside what moves: for an assessment, and for nothing else.
//!
//! Words of modes alone tell whether a PIN was asked for; a PIN, an answer or anything of them is never read.

use crate::limits::NAME_CHARS;
use crate::wire::WireUser;

/// What proves the person, beside the method itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Proof {
    /// Nothing.
    #[default]
    Standard,
    /// A PIN.
    Pin,
    /// The voice.
    Voiceprint,
}

/// How a user's methods are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    /// In telephone calls.
    pub call: Proof,
    /// In text messages; only a PIN can be.
    pub text: Proof,
    /// In the mobile app.
    pub app: Proof,
    /// The language of calls and messages, as given; absent where nothing is stated.
    pub language: Option<String>,
    /// Security questions were chosen.
    pub security_questions: bool,
}

impl Stated {
    pub(crate) fn of(user: &WireUser) -> Self {
        let Some(settings) = &user.settings else { return Self::default() };
        let lower = |word: &Option<String>| word.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
        let mode = lower(&settings.mode);
        // The older flat words name the method and its proof in one.
        let of_app = mode.strip_prefix("phone_app_").map_or(Proof::Standard, proof);
        let is_text_with_pin = mode.starts_with("sms_") && mode.ends_with("_plus_pin");
        let of_text = if is_text_with_pin { Proof::Pin } else { Proof::Standard };
        Self {
            call: proof(&lower(&settings.pin_mode)).or(proof(&mode)),
            text: proof(&lower(&settings.sms_mode)).or(of_text),
            app: proof(&lower(&settings.phone_app_mode)).or(of_app),
            language: settings.language.as_ref().map(|text| text.trim().chars().take(NAME_CHARS).collect()),
            security_questions: settings.has_questions,
        }
    }
}

impl Proof {
    fn or(self, other: Self) -> Self {
        if self == Self::Standard { other } else { self }
    }
}

fn proof(word: &str) -> Proof {
    match word {
        "pin" | "returnpin" | "return_pin" | "otppluspin" => Proof::Pin,
        "voiceprint" => Proof::Voiceprint,
        _ => Proof::Standard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(settings: &str) -> Stated {
        Stated::of(
            &crate::parse_line(format!(r#"{{"username":"a","settings":{settings}}}"#).as_bytes()).unwrap(),
        )
    }

    #[test]
    fn modes_tell_of_pins_in_new_words_and_old_ones() {
        for (settings, call, text, app) in [
            (r#"{"pinMode":"Pin"}"#, Proof::Pin, Proof::Standard, Proof::Standard),
            (r#"{"pinMode":"returnPin"}"#, Proof::Pin, Proof::Standard, Proof::Standard),
            (r#"{"pinMode":"voiceprint"}"#, Proof::Voiceprint, Proof::Standard, Proof::Standard),
            (r#"{"smsMode":"otpPlusPin"}"#, Proof::Standard, Proof::Pin, Proof::Standard),
            (r#"{"phoneAppMode":"pin"}"#, Proof::Standard, Proof::Standard, Proof::Pin),
            (r#"{"mode":"pin"}"#, Proof::Pin, Proof::Standard, Proof::Standard),
            (r#"{"mode":"sms_one_way_otp_plus_pin"}"#, Proof::Standard, Proof::Pin, Proof::Standard),
            (r#"{"mode":"phone_app_pin"}"#, Proof::Standard, Proof::Standard, Proof::Pin),
            (
                r#"{"mode":"sms_two_way_otp","pinMode":"standard"}"#,
                Proof::Standard,
                Proof::Standard,
                Proof::Standard,
            ),
            (r#"{"pinMode":["pin"],"smsMode":7}"#, Proof::Standard, Proof::Standard, Proof::Standard),
        ] {
            let found = stated(settings);
            assert_eq!((found.call, found.text, found.app), (call, text, app), "{settings}");
        }
    }

    #[test]
    fn a_pin_and_an_answer_are_not_looked_at() {
        let found =
            stated(r#"{"pin":"4711","securityAnswer1":"Rex","historicalPinValues":["1"],"staticToken":"x"}"#);
        assert_eq!(found, Stated::default());
        assert!(stated(r#"{"securityQuestion2Id":3}"#).security_questions);
        assert!(!stated(r#"{"securityQuestion2Id":0,"securityQuestion1Id":""}"#).security_questions);
        assert_eq!(stated(r#"{"smsLanguage":" de "}"#).language.as_deref(), Some("de"));
    }
}
