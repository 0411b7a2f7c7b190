//! One row of the decision table: what goes in, and what must come out, in words short enough to read.

use crate::{plan, token};
use contract::{
    Authenticator, Device, EntraId, FingerprintKey, HardwareOath, History, InventoryToken, Mode, OathToken,
    Observed, Plan, Policy, RawPhone, Record, Secret, SmsDirection, Target, TokenStatus, UserMethods,
};

/// The user of every case.
pub(super) const USER: &str = "user-1";
/// Twenty bytes in base32, as apps and tokens have it.
pub(super) const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
pub(super) const OTHER_SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

#[derive(Clone)]
pub(super) struct Case {
    pub(super) record: Record,
    pub(super) observed: Observed,
    pub(super) policy: Policy,
    pub(super) history: History,
}

/// Shows numbers and secrets: those of the tests are nobody's.
impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let record = serde_json::to_string(&self.record).unwrap_or_default();
        let methods = serde_json::to_string(&self.observed.methods).unwrap_or_default();
        write!(f, "{record}\n{methods}\n{:?}\n{:?}\n{:?}", self.observed, self.policy, self.history)
    }
}

pub(super) fn keys() -> FingerprintKey {
    FingerprintKey::new(b"a key for tests, of thirty-two b")
}

pub(super) fn phone(cc: &str, number: &str, extension: &str) -> RawPhone {
    RawPhone { country_code: cc.into(), number: number.into(), extension: extension.into() }
}

pub(super) fn device(name: &str, at: Option<i64>, secret: Option<&str>) -> Device {
    Device {
        id: String::new(),
        name: name.into(),
        app_version: None,
        oath_secret: secret.map(Secret::new),
        activated_at_ms: at,
    }
}

pub(super) fn token(serial: &str, secret: &str) -> Option<OathToken> {
    Some(OathToken {
        serial: Some(serial.into()),
        secret: (!secret.is_empty()).then(|| Secret::new(secret)),
        ..OathToken::default()
    })
}

/// The serial that M8 gives to a secret.
pub(super) fn app_serial(secret: &str) -> String {
    let bytes = crate::secret::read(secret).expect("a secret of the tests is legal");
    token::app_serial(token::fingerprint(&bytes, &keys()))
}

impl Case {
    /// Nothing in the record, nothing in Entra, everything allowed.
    pub(super) fn empty() -> Self {
        Self {
            record: Record {
                v: 1,
                username: "helga@contoso.example".into(),
                sid: None,
                email: None,
                group: None,
                enabled: true,
                mode: Mode::VoiceCall,
                sms_direction: SmsDirection::Unspecified,
                phone: RawPhone::default(),
                backup: RawPhone::default(),
                devices: vec![],
                oath_token: None,
            },
            observed: Observed {
                user: EntraId(USER.into()),
                methods: UserMethods::default(),
                guest: false,
                allowed: contract::Allowed::ALL,
                inventory: vec![],
                contested_serials: vec![],
            },
            policy: Policy::default(),
            history: History::default(),
        }
    }

    pub(super) fn has(&mut self, target: Target, number: &str) {
        self.observed.methods.phones.insert(target, number.into());
    }

    pub(super) fn has_app(&mut self) {
        self.observed.methods.authenticators.push(Authenticator { id: "a".into(), name: None });
    }

    pub(super) fn has_token(&mut self, serial: &str, status: TokenStatus) {
        self.observed.methods.hardware_oath.push(HardwareOath {
            method_id: format!("method-{serial}"),
            device_id: Some(format!("device-{serial}")),
            serial: Some(serial.into()),
            status: Some(status),
        });
    }

    pub(super) fn stocks(&mut self, serial: &str, holder: Option<&str>, status: TokenStatus) {
        self.observed.inventory.push(InventoryToken {
            device_id: format!("device-{serial}"),
            serial: serial.into(),
            holder: holder.map(|h| EntraId(h.into())),
            status,
        });
    }

    pub(super) fn wrote(&mut self, secret: &str, serial: &str) {
        let bytes = crate::secret::read(secret).expect("a secret of the tests is legal");
        self.history.secrets.push((token::fingerprint(&bytes, &keys()), serial.into()));
    }

    pub(super) fn plan(&self) -> Plan {
        plan(&self.record, &self.observed, &self.policy, &self.history, &keys())
    }
}

/// `mobile - > +1 4255550100`, `hardwareOath:123 - > activated`.
pub(super) fn changes(plan: &Plan) -> Vec<String> {
    plan.changes
        .iter()
        .map(|c| {
            let show = |v: &Option<String>| v.clone().unwrap_or_else(|| "-".into());
            format!("{} {} > {}", c.slot(), show(&c.from), show(&c.to))
        })
        .collect()
}

/// `app-reregister mobileApp iPhone`.
pub(super) fn codes(plan: &Plan) -> Vec<String> {
    plan.notes
        .iter()
        .map(|n| {
            let device = n.device.as_ref().map(|d| format!(" {d}")).unwrap_or_default();
            format!("{} {}{device}", n.code.as_str(), n.method.as_str())
        })
        .collect()
}
