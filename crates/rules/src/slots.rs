//! Where a token stands in the tenant, and how many devices a user may still get (rules M9, O4 to O6).
//!
//! A token that is held by somebody else is never touched, and no plan brings a user above five devices.

use contract::{Change, EntraId, InventoryToken, Observed, Secret, Target, Token, TokenStatus, TokenStep};

/// Authenticator registrations, software and hardware OATH of one user, together (`reference/graph.md` §2.4).
const DEVICES: usize = 5;

/// What the user may still get.
pub(crate) struct Slots {
    free: usize,
}

impl Slots {
    /// Counts what is observed.
    pub(crate) fn of(observed: &Observed) -> Self {
        let methods = &observed.methods;
        let taken = methods
            .authenticators
            .len()
            .saturating_add(usize::try_from(methods.software_oath).unwrap_or(usize::MAX))
            .saturating_add(methods.hardware_oath.len());
        Self { free: DEVICES.saturating_sub(taken) }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self) -> bool {
        let had = self.free > 0;
        self.free = self.free.saturating_sub(1);
        had
    }
}

/// Where a token of a serial stands, as seen from one user.
pub(crate) enum Standing {
    /// On the user, in use.
    InUse,
    /// On the user, not in use yet; it takes a slot only where the user's own list does not show it.
    Held { status: TokenStatus, method_id: String, listed: bool },
    /// Somebody else's, or claimed twice with no holder.
    Taken,
    /// In the inventory, nobody's.
    Spare { device_id: String },
    /// Nowhere.
    Nowhere,
}

/// Looks at the user first, then at the inventory.
pub(crate) fn standing(observed: &Observed, serial: &str) -> Standing {
    if let Some(found) = on_user(observed, serial) {
        return found;
    }
    let known: Vec<&InventoryToken> =
        observed.inventory.iter().filter(|t| same_serial(&t.serial, serial)).collect();
    let held_by = |t: &InventoryToken, own: bool| t.holder.as_ref().is_some_and(|h| is(h, observed) == own);
    if let Some(own) = known.iter().find(|t| held_by(t, true)) {
        return match own.status {
            TokenStatus::Activated => Standing::InUse,
            // The method's id equals the device's in all of Graph's examples.
            status @ (TokenStatus::Available | TokenStatus::Assigned | TokenStatus::FailedActivation) => {
                Standing::Held { status, method_id: own.device_id.clone(), listed: false }
            }
        };
    }
    let contested = observed.contested_serials.iter().any(|s| same_serial(s, serial));
    if contested || known.iter().any(|t| held_by(t, false)) {
        return Standing::Taken;
    }
    match known.first() {
        Some(spare) => Standing::Spare { device_id: spare.device_id.clone() },
        None => Standing::Nowhere,
    }
}

/// The token on the user's own list, if it is there. A token whose device was not asked for counts as in use.
pub(crate) fn on_user(observed: &Observed, serial: &str) -> Option<Standing> {
    let token = observed
        .methods
        .hardware_oath
        .iter()
        .find(|t| t.serial.as_deref().is_some_and(|s| same_serial(s, serial)))?;
    Some(match token.status {
        None | Some(TokenStatus::Activated) => Standing::InUse,
        Some(status @ (TokenStatus::Available | TokenStatus::Assigned | TokenStatus::FailedActivation)) => {
            Standing::Held { status, method_id: token.method_id.clone(), listed: true }
        }
    })
}

/// Serials are compared without blanks around them and without case.
pub(crate) fn same_serial(a: &str, b: &str) -> bool {
    a.trim().eq_ignore_ascii_case(b.trim())
}

/// What a token needs to be written, whatever its standing.
pub(crate) struct Wish<'a> {
    pub(crate) serial: &'a str,
    pub(crate) secret: &'a [u8],
    pub(crate) interval_seconds: u32,
    pub(crate) manufacturer: &'a str,
    pub(crate) model: &'a str,
}

impl Wish<'_> {
    /// The change and what the worker needs for it.
    pub(crate) fn change(&self, from: Option<TokenStatus>, step: TokenStep) -> (Change, Token) {
        let change = Change {
            method: Target::HardwareOath,
            serial: Some(self.serial.to_owned()),
            from: from.map(|s| s.as_str().to_owned()),
            to: Some(TokenStatus::Activated.as_str().to_owned()),
        };
        let token = Token {
            serial: self.serial.to_owned(),
            secret: Secret::new(crate::secret::encode(self.secret)),
            interval_seconds: self.interval_seconds,
            manufacturer: self.manufacturer.to_owned(),
            model: self.model.to_owned(),
            step,
        };
        (change, token)
    }
}

fn is(holder: &EntraId, observed: &Observed) -> bool {
    holder.0.eq_ignore_ascii_case(&observed.user.0)
}
