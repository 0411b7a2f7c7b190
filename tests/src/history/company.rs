//! A small synthetic company, drawn from a seed: the records of a datafile, and the tenant that they are moved into.
//!
//! It is dense on purpose: every kind of method and every way in which a record and the cloud can stand to one another
//! occurs often. Numbers are of the range that is kept for fiction.

use crate::sweep::Dice;
use serde_json::{Value, json};

/// One user of the company, in the datafile and in Entra.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// Position in the company; names the user everywhere.
    pub(super) no: u32,
    /// The line of the datafile; absent while the user is in none.
    pub(super) record: Option<Value>,
    /// The user of the tenant; absent where the record matches nobody.
    pub(super) user: Option<Value>,
    /// Whether the product may touch the user at all.
    pub(super) movable: bool,
}

/// The company.
pub(super) struct Company {
    pub(super) people: Vec<Person>,
    /// Tokens in the inventory, before anything happens.
    pub(super) devices: Vec<Value>,
}

/// What the tenant's phone methods are called.
pub(super) const PHONES: [&str; 3] = ["mobile", "alternateMobile", "office"];

impl Dice {
    /// Below a bound.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// So often in a hundred.
    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// One of several.
    pub(super) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("an index")]
    }
}

/// The object id of a user.
pub(super) fn id_of(no: u32) -> String {
    format!("00000000-0000-4000-8000-{no:012}")
}

/// A number of the range for fiction, without its country code.
pub(super) fn number(dice: &mut Dice) -> String {
    // Few of them, so that two parties sometimes choose the same.
    format!("206555{:04}", 100 + dice.below(30))
}

impl Company {
    /// A company of a seed.
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let count = 3 + u32::try_from(dice.below(6)).expect("a count");
        let mut company = Self { people: Vec::new(), devices: Vec::new() };
        for no in 0..count {
            let person = company.person(no, dice);
            company.people.push(person);
        }
        company
    }

    fn person(&mut self, no: u32, dice: &mut Dice) -> Person {
        let record = record(no, dice);
        let fate = dice.below(20);
        let user = (fate != 0).then(|| {
            let guest = fate == 1;
            self.user(no, &record, guest, dice)
        });
        let movable = user.is_some() && record["settings"]["enabled"] == true;
        Person { no, record: Some(record), user, movable }
    }

    /// The user of Entra, with or without what the record says.
    fn user(&mut self, no: u32, record: &Value, guest: bool, dice: &mut Dice) -> Value {
        let settings = &record["settings"];
        let mut phones = Vec::new();
        let mut kinds = Vec::new();
        if dice.percent(50) {
            let same = settings["phone"].as_str().filter(|phone| !phone.is_empty() && dice.percent(40));
            let mobile = same.map_or_else(|| number(dice), str::to_owned);
            phones.push(json!({ "phoneType": "mobile", "phoneNumber": format!("+1 {mobile}") }));
            kinds.extend(["voiceMobile", "sms"]);
            if dice.percent(25) {
                let other = number(dice);
                phones.push(json!({ "phoneType": "alternateMobile", "phoneNumber": format!("+1 {other}") }));
                kinds.push("voiceAlternateMobile");
            }
        }
        if dice.percent(20) {
            phones.push(json!({ "phoneType": "office", "phoneNumber": format!("+1 {}", number(dice)) }));
            kinds.push("voiceOffice");
        }
        let apps = if dice.percent(20) {
            kinds.push("push");
            json!([{ "id": format!("00000000-0000-4000-7000-{no:012}"), "displayName": "Pixel" }])
        } else {
            json!([])
        };
        let held = self.token(no, settings, guest, dice);
        if held.iter().any(|token| token["status"] == "activated") {
            kinds.push("oath");
        }
        let default =
            if !kinds.is_empty() && dice.percent(45) { json!(dice.one_of(&kinds)) } else { Value::Null };
        json!({
            "id": id_of(no), "userPrincipalName": upn(no),
            "userType": if guest { "Guest" } else { "Member" }, "accountEnabled": true,
            "authentication": {
                "phoneMethods": phones, "microsoftAuthenticatorMethods": apps, "hardwareOathMethods": held,
                "signInPreferences": {
                    "isSystemPreferredAuthenticationMethodEnabled": dice.percent(10),
                    "userPreferredMethodForSecondaryAuthentication": default,
                },
            },
        })
    }

    /// What Entra knows of the record's token: nothing, a spare one, or one in the user's hands. Answers the latter.
    fn token(&mut self, no: u32, settings: &Value, guest: bool, dice: &mut Dice) -> Vec<Value> {
        if settings["oathTokenExists"] != true {
            return Vec::new();
        }
        let mut token = json!({
            "id": format!("00000000-0000-4000-9000-{no:012}"),
            "serialNumber": settings["oathTokenSerialNumber"], "manufacturer": "Contoso", "model": "T",
            "secretKey": settings["oathTokenSecretKey"], "timeIntervalInSeconds": 30, "status": "available",
        });
        match dice.below(8) {
            0 | 1 => {
                self.devices.push(token);
                Vec::new()
            }
            kind @ (2 | 3) if !guest => {
                token["status"] = json!(if kind == 2 { "assigned" } else { "activated" });
                vec![token]
            }
            _ => Vec::new(),
        }
    }

    /// The datafile as it is now.
    pub(super) fn datafile(&self) -> String {
        self.people.iter().filter_map(|p| p.record.as_ref()).map(|record| format!("{record}\n")).collect()
    }

    /// The tenant's state at the beginning.
    pub(super) fn state(&self) -> Value {
        let users: Vec<&Value> = self.people.iter().filter_map(|p| p.user.as_ref()).collect();
        json!({ "users": users, "hardwareOathDevices": self.devices })
    }

    /// Lets some records change, as a second datafile of the same site has them.
    pub(super) fn change_records(&mut self, dice: &mut Dice) {
        for person in &mut self.people {
            match (dice.below(6), person.record.is_some()) {
                (0 | 1, true) => person.record = Some(record(person.no, dice)),
                (2, true) => person.record = None,
                (2 | 3, false) => person.record = Some(record(person.no, dice)),
                _ => {}
            }
        }
        if self.people.iter().all(|person| person.record.is_none())
            && let Some(person) = self.people.first_mut()
        {
            person.record = Some(record(person.no, dice));
        }
        for person in &mut self.people {
            let enabled = person.record.as_ref().is_some_and(|r| r["settings"]["enabled"] == true);
            person.movable |= person.user.is_some() && enabled;
        }
    }
}

/// The name that a record and a user share.
pub(super) fn upn(no: u32) -> String {
    format!("user{no:02}@contoso.example")
}

/// A record of the datafile.
fn record(no: u32, dice: &mut Dice) -> Value {
    let name = upn(no);
    let (phone, backup) = (dice.percent(85).then(|| number(dice)), dice.percent(35).then(|| number(dice)));
    let token = dice.percent(35);
    let mode = dice.one_of(&["oathToken", "voiceCall", "smsText", "phoneApp", "unspecified", "voiceCall"]);
    // A token's serial stays with its user, whose later record may carry another secret for it no more than a site would.
    let extension = if dice.percent(20) { "4021" } else { "" };
    let backup_extension = if dice.percent(10) { "77" } else { "" };
    let devices = if dice.percent(20) {
        json!([{ "id": format!("app-{no}"), "deviceName": "iPhone", "oathTokenSecret": base32_of(no + 100) }])
    } else {
        json!([])
    };
    json!({
        "username": name, "email": name, "userGroup": "EMEA",
        "settings": {
            "enabled": !dice.percent(7), "countryCode": "1", "phone": phone.unwrap_or_default(), "extension": extension,
            "backupCountryCode": "1", "backupPhone": backup.unwrap_or_default(),
            "backupExtension": backup_extension, "mode": mode, "pinMode": "standard", "smsDirection": "oneWay",
            "smsMode": "otp", "phoneAppMode": "standard", "oathTokenExists": token,
            "oathTokenSerialNumber": if token { format!("90{no:05}") } else { String::new() },
            "oathTokenSecretKey": if token { base32_of(no) } else { String::new() },
            "oathTokenTimeInterval": 30,
        },
        "devices": devices,
    })
}

/// Twenty bytes of a secret in base32, another one a number.
pub(super) fn base32_of(no: u32) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    (0..32_u32)
        .map(|at| {
            LETTERS[((no.wrapping_add(7).wrapping_mul(2_654_435_761).rotate_left(at) >> 3) & 31) as usize]
                as char
        })
        .collect()
}
