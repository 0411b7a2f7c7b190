//! Rows of the table for whole users and the default method (§2, §7).

use super::case::{Case, SECRET, phone, token};
use super::table::{Row, row};
use contract::{
    Allowed, CompanyDefaultMode, DefaultMethod, DefaultMethodPolicy, Method, Mode, OnExisting, Target,
};

const MOBILE: &str = "mobile - > +1 4255550100";
const ALONE: &str = "phone-only user";
const ABSENT: &str = "phone-absent phone";
const SUBSTITUTED: &str = "default-substituted default";

fn mobile(c: &mut Case) {
    c.record.phone = phone("1", "4255550100", "");
}

fn default_only(c: &mut Case, mode: Mode) {
    c.policy.methods = vec![Method::Default];
    c.record.mode = mode;
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = users();
    rows.extend(wanted());
    rows.extend(defaults());
    rows
}

fn users() -> Vec<Row> {
    vec![
        row(
            "U4",
            |c| {
                mobile(c);
                c.record.enabled = false;
            },
            &[],
            &["source-disabled user"],
        ),
        row(
            "U4",
            |c| {
                mobile(c);
                c.record.enabled = false;
                c.policy.include_disabled = true;
            },
            &[MOBILE, "default - > voiceMobile"],
            &[ALONE],
        ),
        row(
            "U6",
            |c| {
                c.record.phone = phone("1", "1", "");
                c.record.oath_token = token("T1", SECRET);
            },
            &["hardwareOath:T1 - > activated", "default - > oath"],
            &["phone-invalid phone", SUBSTITUTED],
        ),
        row(
            "U7",
            |c| {
                c.has(Target::Mobile, "+1 4255559999");
                c.has(Target::Office, "+1 4255559998");
                c.policy.methods = vec![Method::Phone, Method::Backup];
            },
            &[],
            &[ABSENT, ALONE],
        ),
        row(
            "U8",
            |c| {
                mobile(c);
                c.has_app();
            },
            &[MOBILE, "default - > voiceMobile"],
            &[],
        ),
    ]
}

fn wanted() -> Vec<Row> {
    vec![
        row(
            "§7",
            |c| c.record.phone = phone("1", "4255550100", "7"),
            &["office - > +1 4255550100x7", "default - > voiceOffice"],
            &[ALONE],
        ),
        row(
            "§7",
            |c| {
                default_only(c, Mode::PhoneApp);
                c.has_app();
                c.observed.methods.software_oath = 1;
            },
            &["default - > push"],
            &[],
        ),
        row(
            "§7",
            |c| {
                default_only(c, Mode::PhoneApp);
                c.observed.methods.software_oath = 1;
            },
            &["default - > oath"],
            &[],
        ),
        row(
            "§7",
            |c| {
                c.record.mode = Mode::OathToken;
                c.record.oath_token = token("T1", SECRET);
            },
            &["hardwareOath:T1 - > activated", "default - > oath"],
            &[ABSENT],
        ),
        row(
            "§7",
            |c| {
                mobile(c);
                c.record.mode = Mode::Unspecified;
                c.policy.company_default_mode = CompanyDefaultMode::SmsText;
            },
            &[MOBILE, "default - > sms"],
            &["mode-unspecified default", ALONE],
        ),
        row(
            "§7 D2",
            |c| {
                mobile(c);
                c.has(Target::Mobile, "+1 4255559999");
                c.policy.on_existing = OnExisting::Keep;
            },
            &["default - > voiceMobile"],
            &["kept-existing mobile", SUBSTITUTED, ALONE],
        ),
    ]
}

fn defaults() -> Vec<Row> {
    vec![
        row(
            "D1",
            |c| {
                mobile(c);
                c.observed.methods.default = Some(DefaultMethod::Sms);
            },
            &[MOBILE],
            &[ALONE],
        ),
        row(
            "D1",
            |c| {
                mobile(c);
                c.observed.methods.default = Some(DefaultMethod::Sms);
                c.policy.default_method = DefaultMethodPolicy::Always;
            },
            &[MOBILE, "default sms > voiceMobile"],
            &[ALONE],
        ),
        row(
            "D1",
            |c| {
                mobile(c);
                c.observed.methods.default = Some(DefaultMethod::VoiceMobile);
                c.policy.default_method = DefaultMethodPolicy::Always;
            },
            &[MOBILE],
            &[ALONE],
        ),
        row(
            "D1",
            |c| {
                default_only(c, Mode::OathToken);
                c.has_app();
                c.observed.methods.software_oath = 1;
                c.policy.default_method = DefaultMethodPolicy::MostSecureIfUnset;
            },
            &["default - > push"],
            &[],
        ),
        row(
            "D1",
            |c| {
                default_only(c, Mode::OathToken);
                c.has_app();
                c.observed.methods.default = Some(DefaultMethod::Oath);
                c.policy.default_method = DefaultMethodPolicy::MostSecureIfUnset;
            },
            &[],
            &[],
        ),
        row(
            "D2",
            |c| {
                default_only(c, Mode::SmsText);
                c.has(Target::Office, "+1 4255550100");
                c.observed.methods.software_oath = 1;
            },
            &["default - > oath"],
            &[SUBSTITUTED],
        ),
        row(
            "D2",
            |c| {
                mobile(c);
                c.record.backup = phone("1", "4255550111", "7");
                c.observed.allowed = Allowed::ALL.without(Allowed::VOICE_MOBILE);
            },
            &[MOBILE, "office - > +1 4255550111x7", "default - > voiceOffice"],
            &[SUBSTITUTED, ALONE],
        ),
        row(
            "D2",
            |c| {
                mobile(c);
                c.record.mode = Mode::OathToken;
                c.has_token("T9", contract::TokenStatus::FailedActivation);
            },
            &[MOBILE, "default - > sms"],
            &[SUBSTITUTED, ALONE],
        ),
        row(
            "D2",
            |c| {
                mobile(c);
                c.record.mode = Mode::PhoneApp;
            },
            &[MOBILE, "default - > sms"],
            &[SUBSTITUTED, ALONE],
        ),
        row(
            "D2",
            |c| {
                default_only(c, Mode::PhoneApp);
                c.observed.methods.software_oath = 1;
                c.has(Target::Mobile, "+1 4255550100");
                c.observed.allowed = Allowed::ALL.without(Allowed::SOFTWARE_OATH);
            },
            &["default - > sms"],
            &[SUBSTITUTED],
        ),
        row(
            "D3",
            |c| {
                mobile(c);
                c.observed.allowed = Allowed::PUSH;
            },
            &[MOBILE],
            &["default-unavailable default", ALONE],
        ),
        row("D4", |_| {}, &[], &[ABSENT]),
        row(
            "D5",
            |c| {
                mobile(c);
                c.observed.methods.system_preferred = true;
            },
            &[MOBILE, "default - > voiceMobile"],
            &["system-preferred-on default", ALONE],
        ),
    ]
}
