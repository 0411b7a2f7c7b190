//! Taking back where somebody was there in the meantime.

use super::case::{Case, device, token};
use crate::{RevertPlan, RevertStep, Written, revert};
use contract::{DefaultMethod, Target, TokenStatus};

fn number(method: Target, pre_image: Option<&str>, ours: &str) -> Written {
    Written {
        method,
        serial: None,
        pre_image: pre_image.map(str::to_owned),
        ours: ours.into(),
        created_device: false,
    }
}

fn serial(pre_image: Option<&str>, created_device: bool) -> Written {
    Written {
        method: Target::HardwareOath,
        serial: Some("T1".into()),
        pre_image: pre_image.map(str::to_owned),
        ours: "activated".into(),
        created_device,
    }
}

fn shown(way: &RevertPlan) -> Vec<String> {
    way.steps.iter().map(|s| format!("{s:?}")).collect()
}

const OURS: &str = "+1 4255550100";

#[test]
fn a_number_that_somebody_changed_is_left_alone() {
    let mut case = Case::empty();
    case.has(Target::Mobile, "+1 4255559999");
    let way = revert(&[number(Target::Mobile, None, OURS)], &case.observed);
    assert_eq!((way.steps.len(), way.conflicts.as_slice()), (0, &["mobile".to_owned()][..]));
}

#[test]
fn a_number_that_is_back_already_needs_no_step() {
    let mut case = Case::empty();
    case.has(Target::Mobile, "+14255559999");
    let way = revert(&[number(Target::Mobile, Some("+1 4255559999"), OURS)], &case.observed);
    assert_eq!(way, RevertPlan::default());
}

#[test]
fn a_token_that_we_did_not_create_keeps_its_device() {
    let mut case = Case::empty();
    case.has_token("T1", TokenStatus::Activated);
    let way = revert(&[serial(Some("available"), false)], &case.observed);
    assert_eq!(shown(&way), ["UnassignToken(T1)"]);
    let way = revert(&[serial(None, true)], &case.observed);
    assert_eq!(shown(&way), ["UnassignToken(T1)", "DeleteDevice(T1)"]);
    let way = revert(&[serial(Some("assigned"), false)], &case.observed);
    assert_eq!(shown(&way), ["DeactivateToken(T1)"]);
}

#[test]
fn a_token_that_moved_on_to_somebody_else_is_a_conflict() {
    let mut case = Case::empty();
    case.stocks("T1", Some("user-2"), TokenStatus::Activated);
    let way = revert(&[serial(None, true)], &case.observed);
    assert_eq!((way.steps.len(), way.conflicts.as_slice()), (0, &["hardwareOath:T1".to_owned()][..]));
}

#[test]
fn a_device_whose_user_is_off_it_already_is_still_deleted() {
    let mut case = Case::empty();
    case.stocks("T1", None, TokenStatus::Available);
    let way = revert(&[serial(None, true)], &case.observed);
    let id = Some("device-T1".to_owned());
    assert_eq!(way.steps, [RevertStep::DeleteDevice { serial: "T1".into(), device_id: id }]);
}

#[test]
fn a_mobile_stays_under_an_alternate_mobile_that_stays() {
    let mut case = Case::empty();
    case.has(Target::Mobile, OURS);
    case.has(Target::AlternateMobile, "+1 4255559999");
    let way = revert(
        &[number(Target::Mobile, None, OURS), number(Target::AlternateMobile, None, "+1 4255550111")],
        &case.observed,
    );
    assert!(way.steps.is_empty());
    assert_eq!(way.conflicts, ["alternateMobile", "mobile"]);
}

#[test]
fn a_default_that_somebody_chose_stays_while_it_can() {
    let mut case = Case::empty();
    case.has(Target::Mobile, OURS);
    case.has_app();
    case.observed.methods.default = Some(DefaultMethod::Push);
    let written = [number(Target::Mobile, None, OURS), number(Target::Default, Some("oath"), "voiceMobile")];
    case.observed.methods.software_oath = 1;
    let way = revert(&written, &case.observed);
    assert_eq!(shown(&way), ["DeletePhone(mobile)"]);
    assert_eq!(way.conflicts, ["default"]);
    case.observed.methods.default = Some(DefaultMethod::Sms);
    let way = revert(&written, &case.observed);
    assert_eq!(shown(&way), ["SetDefault(oath)", "DeletePhone(mobile)"]);
    assert!(way.conflicts.is_empty());
}

#[test]
fn a_default_that_somebody_unset_is_a_conflict_while_what_was_before_could_be_had() {
    let mut case = Case::empty();
    case.has(Target::Mobile, OURS);
    case.observed.methods.software_oath = 1;
    let written = [number(Target::Mobile, None, OURS), number(Target::Default, Some("oath"), "voiceMobile")];
    let way = revert(&written, &case.observed);
    assert_eq!(
        (shown(&way), way.conflicts.as_slice()),
        (vec!["DeletePhone(mobile)".into()], &["default".to_owned()][..])
    );
    // Where nothing could carry it, it went with what did: our own steps look like that half-way.
    case.observed.methods.software_oath = 0;
    assert!(revert(&written, &case.observed).conflicts.is_empty());
    let unset_before = [number(Target::Mobile, None, OURS), number(Target::Default, None, "voiceMobile")];
    case.observed.methods.software_oath = 1;
    assert!(revert(&unset_before, &case.observed).conflicts.is_empty());
}

#[test]
fn what_carries_the_default_goes_last_where_everything_goes() {
    let mut case = Case::empty();
    case.has(Target::Mobile, OURS);
    case.has(Target::AlternateMobile, OURS);
    case.has_token("T1", TokenStatus::Activated);
    case.observed.methods.default = Some(DefaultMethod::VoiceAlternateMobile);
    let written =
        [number(Target::Mobile, None, OURS), number(Target::AlternateMobile, None, OURS), serial(None, true)];
    assert_eq!(
        shown(&revert(&written, &case.observed)),
        [
            "SetDefault(voiceMobile)",
            "DeletePhone(alternateMobile)",
            "UnassignToken(T1)",
            "DeleteDevice(T1)",
            "DeletePhone(mobile)"
        ]
    );
}

#[test]
fn nothing_of_a_plan_shows_a_number_or_a_secret() {
    let mut case = Case::empty();
    case.record.phone = super::case::phone("1", "4255550100", "");
    case.record.oath_token = token("T1", super::case::SECRET);
    case.record.devices = vec![device("a", None, None)];
    let plan = case.plan();
    let step = RevertStep::PatchPhone { target: Target::Mobile, to: OURS.into() };
    let shown = format!("{plan:?} {step:?} {:?}", number(Target::Mobile, Some(OURS), OURS));
    assert!(!shown.contains("4255550100") && !shown.contains(super::case::SECRET), "{shown}");
}
