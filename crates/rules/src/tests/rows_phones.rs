//! Rows of the table for numbers, Phone and Backup Phone (§3, §4).

use super::case::phone;
use super::table::{Row, row};
use contract::{Method, Mode, OnExisting, SmsDirection, Target};

const A: &str = "mobile - > +1 4255550100";
const ALONE: &str = "phone-only user";

pub(super) fn rows() -> Vec<Row> {
    vec![
        row(
            "N1 P2",
            |c| {
                c.record.phone = phone("1", "(425) 555-01.00", "");
                c.policy.methods = vec![Method::Phone];
            },
            &[A],
            &[ALONE],
        ),
        row(
            "N2",
            |c| {
                c.record.phone = phone("", "+14255550100", "");
                c.policy.methods = vec![Method::Phone];
            },
            &[A],
            &[ALONE],
        ),
        row(
            "N2",
            |c| {
                c.record.phone = phone("", "4255550100", "");
                c.policy.default_country_code = Some("1".into());
                c.policy.methods = vec![Method::Phone];
            },
            &[A],
            &[ALONE],
        ),
        row("N3", |c| c.record.phone = phone("", "4255550100", ""), &[], &["country-code-missing phone"]),
        row(
            "N3",
            |c| {
                c.record.backup = phone("", "4255550100", "");
                c.policy.methods = vec![Method::Backup];
            },
            &[],
            &["country-code-missing backup"],
        ),
        row(
            "N4",
            |c| {
                c.record.phone = phone("48", "0048 601 234 567", "");
                c.policy.methods = vec![Method::Phone];
            },
            &["mobile - > +48 601234567"],
            &["prefix-repaired mobile", ALONE],
        ),
        row(
            "N5",
            |c| {
                c.record.phone = phone("", "+310612345678", "");
                c.policy.methods = vec![Method::Phone];
            },
            &["mobile - > +31 612345678"],
            &["trunk-prefix-removed mobile", ALONE],
        ),
        row("N6", |c| c.record.phone = phone("1", "12345", ""), &[], &["phone-invalid phone"]),
        row(
            "N7",
            |c| {
                c.record.phone = phone("1", "1234567890", "");
                c.policy.methods = vec![Method::Phone];
            },
            &["mobile - > +1 1234567890"],
            &["phone-doubtful mobile", ALONE],
        ),
        row(
            "N8 P3",
            |c| {
                c.record.phone = phone("1", "425-555-0100 x890", "");
                c.policy.methods = vec![Method::Phone];
            },
            &["office - > +1 4255550100x890"],
            &[ALONE],
        ),
        row(
            "N9",
            |c| c.record.phone = phone("1", "4255550100", "89,,1"),
            &[],
            &["extension-unrepresentable phone"],
        ),
        row(
            "N9",
            |c| {
                c.record.backup = phone("1", "4255550100", "89,,1");
                c.policy.methods = vec![Method::Backup];
            },
            &[],
            &["extension-unrepresentable backup"],
        ),
        row(
            "N9 P4",
            |c| {
                c.record.phone = phone("1", "4255550100", "89,,1");
                c.record.mode = Mode::SmsText;
                c.policy.methods = vec![Method::Phone];
            },
            &[A],
            &["extension-dropped mobile", ALONE],
        ),
        row(
            "§3",
            |c| {
                c.record.phone = phone("1", "4255550100", "");
                c.has(Target::Mobile, "+1 (425) 5550100");
                c.policy.methods = vec![Method::Phone];
            },
            &[],
            &["unchanged mobile", ALONE],
        ),
        row(
            "§3",
            |c| {
                c.record.phone = phone("1", "4255550100", "4021");
                c.has(Target::Office, "+1 4255550100 X4021");
                c.policy.methods = vec![Method::Phone];
            },
            &[],
            &["unchanged office", ALONE],
        ),
        row(
            "§3",
            |c| {
                c.record.phone = phone("1", "4255550100", "");
                c.has(Target::Mobile, "+14255559999");
                c.policy.methods = vec![Method::Phone];
            },
            &["mobile +14255559999 > +1 4255550100"],
            &[ALONE],
        ),
        row(
            "§3",
            |c| {
                c.record.phone = phone("1", "4255550100", "");
                c.has(Target::Mobile, "+1 4255559999");
                c.policy.on_existing = OnExisting::Keep;
                c.policy.methods = vec![Method::Phone];
            },
            &[],
            &["kept-existing mobile", ALONE],
        ),
        row(
            "P1",
            |c| {
                c.record.phone = phone("1", "  ", "12");
                c.policy.methods = vec![Method::Phone];
            },
            &[],
            &["phone-absent phone"],
        ),
        row(
            "P4 P5",
            |c| {
                c.record.phone = phone("1", "4255550100", "4021");
                c.record.mode = Mode::SmsText;
                c.record.sms_direction = SmsDirection::TwoWay;
            },
            &[A, "default - > sms"],
            &["extension-dropped mobile", "two-way-sms-becomes-one-way mobile", ALONE],
        ),
        row(
            "P5",
            |c| {
                c.record.phone = phone("1", "4255550100", "");
                c.record.sms_direction = SmsDirection::TwoWay;
            },
            &[A, "default - > voiceMobile"],
            &[ALONE],
        ),
        row(
            "B1",
            |c| {
                c.record.phone = phone("1", "4255550100", "");
                c.record.backup = phone("1", "4255550111", "");
            },
            &[A, "alternateMobile - > +1 4255550111", "default - > voiceMobile"],
            &[ALONE],
        ),
        row(
            "B2",
            |c| {
                c.record.phone = phone("1", "4255550100", "");
                c.record.backup = phone("1", "4255550111", "7");
            },
            &[A, "office - > +1 4255550111x7", "default - > voiceMobile"],
            &[ALONE],
        ),
        row(
            "B3",
            |c| {
                c.record.phone = phone("1", "4255550100", "4021");
                c.record.backup = phone("1", "4255550111", "7");
            },
            &["office - > +1 4255550100x4021", "default - > voiceOffice"],
            &["backup-skipped-both-extensions backup", ALONE],
        ),
        row(
            "B3 P4",
            |c| {
                c.record.phone = phone("1", "4255550100", "4021");
                c.record.backup = phone("1", "4255550111", "7");
                c.record.mode = Mode::SmsText;
            },
            &[A, "default - > sms"],
            &["extension-dropped mobile", "backup-skipped-both-extensions backup", ALONE],
        ),
        row(
            "B3 P4",
            |c| {
                c.record.phone = phone("1", "4255550100", "4021");
                c.record.backup = phone("1", "4255550111", "7");
                c.record.mode = Mode::SmsText;
                c.policy.backup_to_free_office = true;
            },
            &[A, "office - > +1 4255550111x7", "default - > sms"],
            &["extension-dropped mobile", ALONE],
        ),
        row(
            "B3",
            |c| {
                c.record.phone = phone("1", "4255550100", "4021");
                c.record.backup = phone("1", "4255550111", "7");
                c.policy.backup_to_free_office = true;
            },
            &["office - > +1 4255550100x4021", "default - > voiceOffice"],
            &["backup-skipped-both-extensions backup", ALONE],
        ),
        row(
            "B3 U6",
            |c| {
                c.record.phone = phone("1", "12345", "4021");
                c.record.backup = phone("1", "4255550111", "7");
                c.policy.methods = vec![Method::Phone, Method::Backup];
            },
            &[],
            &["phone-invalid phone", "backup-skipped-both-extensions backup"],
        ),
        row(
            "B4",
            |c| {
                c.record.backup = phone("1", "4255550111", "");
                c.policy.methods = vec![Method::Backup];
            },
            &[],
            &["alternate-needs-mobile backup"],
        ),
        row(
            "B4",
            |c| {
                c.record.backup = phone("1", "4255550111", "");
                c.has(Target::Mobile, "+1 4255559999");
                c.policy.methods = vec![Method::Backup];
            },
            &["alternateMobile - > +1 4255550111"],
            &[ALONE],
        ),
        row(
            "B4",
            |c| {
                c.record.backup = phone("1", "4255550111", "");
                c.policy.promote_backup_to_mobile = true;
                c.policy.methods = vec![Method::Backup];
            },
            &["mobile - > +1 4255550111"],
            &["backup-promoted-to-mobile mobile", ALONE],
        ),
        row(
            "B4",
            |c| {
                c.record.backup = phone("1", "4255550111", "");
                c.has(Target::Mobile, "+1 4255550111");
                c.policy.promote_backup_to_mobile = true;
                c.policy.methods = vec![Method::Backup];
            },
            &[],
            &["backup-promoted-to-mobile mobile", "unchanged mobile", ALONE],
        ),
        row(
            "B4",
            |c| {
                c.record.phone = phone("1", "4255550111", "");
                c.record.backup = phone("1", "4255550111", "");
                c.has(Target::Mobile, "+1 4255550111");
                c.policy.promote_backup_to_mobile = true;
                c.policy.methods = vec![Method::Backup];
            },
            &[],
            &["backup-promoted-to-mobile mobile", "unchanged mobile", ALONE],
        ),
        row(
            "B4",
            |c| {
                c.record.phone = phone("1", "4255550100", "");
                c.record.backup = phone("1", "4255550111", "");
                c.has(Target::Mobile, "+1 4255550111");
                c.policy.on_existing = OnExisting::Keep;
                c.policy.promote_backup_to_mobile = true;
                c.policy.methods = vec![Method::Phone, Method::Backup];
            },
            &["alternateMobile - > +1 4255550111"],
            &["kept-existing mobile", ALONE],
        ),
        row(
            "B5",
            |c| {
                c.record.phone = phone("1", "4255550100", "");
                c.record.backup = phone("", "+1 425 555 0100", "");
                c.policy.methods = vec![Method::Phone, Method::Backup];
            },
            &[A, "alternateMobile - > +1 4255550100"],
            &["backup-duplicates-phone alternateMobile", ALONE],
        ),
    ]
}
