//! A model of what Entra shows after a plan: what `verify` compares with, and what the tests build on.
//!
//! Only a model: ids of tokens that do not exist yet are made up (`new:` and the serial), and nothing is refused.

use contract::{DefaultMethod, HardwareOath, Plan, Target, Token, TokenStatus, TokenStep, UserMethods};

/// The methods after every change of the plan was written.
pub fn apply(plan: &Plan, before: &UserMethods) -> UserMethods {
    let mut after = before.clone();
    for change in &plan.changes {
        match (change.method, &change.to) {
            (phone @ (Target::Mobile | Target::AlternateMobile | Target::Office), Some(number)) => {
                after.phones.insert(phone, number.clone());
            }
            (phone @ (Target::Mobile | Target::AlternateMobile | Target::Office), None) => {
                after.phones.remove(&phone);
            }
            (Target::Default, to) => after.default = to.as_deref().and_then(DefaultMethod::parse),
            (Target::HardwareOath, _) => {}
        }
    }
    for token in &plan.tokens {
        put(token, &mut after);
    }
    after
}

fn put(token: &Token, after: &mut UserMethods) {
    let (method_id, device_id) = match &token.step {
        TokenStep::Create => (format!("new:{}", token.serial), format!("new:{}", token.serial)),
        TokenStep::Assign { device_id } => (device_id.clone(), device_id.clone()),
        TokenStep::Activate { method_id } => {
            if let Some(held) = after.hardware_oath.iter_mut().find(|t| t.method_id == *method_id) {
                held.status = Some(TokenStatus::Activated);
                return;
            }
            (method_id.clone(), method_id.clone())
        }
    };
    after.hardware_oath.push(HardwareOath {
        method_id,
        device_id: Some(device_id),
        serial: Some(token.serial.clone()),
        status: Some(TokenStatus::Activated),
    });
}
