//! What stands in a slot now, and whether two values are the same one. Pure.

use contract::{Change, Target, TokenStatus, UserMethods};

/// The value of a method as Graph shows it; absent where there is none. A token shows its status.
pub(crate) fn current(methods: &UserMethods, method: Target, serial: Option<&str>) -> Option<String> {
    match method {
        Target::Mobile | Target::AlternateMobile | Target::Office => methods.phones.get(&method).cloned(),
        Target::HardwareOath => {
            let serial = serial?.trim();
            methods
                .hardware_oath
                .iter()
                .find(|t| t.serial.as_deref().is_some_and(|s| s.trim().eq_ignore_ascii_case(serial)))
                .map(|t| t.status.unwrap_or(TokenStatus::Activated).as_str().to_owned())
        }
        Target::Default => methods.default.map(|d| d.as_str().to_owned()),
    }
}

/// The value in a change's slot.
pub(crate) fn current_of(methods: &UserMethods, change: &Change) -> Option<String> {
    current(methods, change.method, change.serial.as_deref())
}

/// Whether two values of a method are the same; numbers are compared by what they dial.
pub(crate) fn same(method: Target, a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => match method {
            Target::Mobile | Target::AlternateMobile | Target::Office => a == b || rules::same_number(a, b),
            Target::HardwareOath | Target::Default => a == b,
        },
        (None, Some(_)) | (Some(_), None) => false,
    }
}
