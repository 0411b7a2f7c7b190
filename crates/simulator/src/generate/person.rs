//! One synthetic person, drawn from a seed of their own: the datafile and the tenant walk the same people without
//! holding them.
//!
//! Numbers come from ranges that regulators keep for fiction where a country has one (US 555-01xx; Ofcom's drama
//! numbers; the Bundesnetzagentur's for film); PL and NL have none, so theirs only look the part. Shares are those of
//! sites that we know of, rounded.

use super::number::{Number, draw};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const GIVEN: [&str; 24] = [
    "Helga", "Jonas", "Marta", "Piotr", "Anna", "Sanne", "Daan", "Emily", "Oliver", "Grace", "Noah", "Lena",
    "Karl", "Agnes", "Tomasz", "Ewa", "Lotte", "Bram", "Ruth", "Henry", "Ida", "Paul", "Maya", "Victor",
];
const FAMILY: [&str; 24] = [
    "Sand",
    "Berger",
    "Nowak",
    "Zielinski",
    "DeVries",
    "Jansen",
    "Hughes",
    "Carter",
    "Miller",
    "Stone",
    "Vogel",
    "Keller",
    "Wagner",
    "Lis",
    "Mazur",
    "Bakker",
    "Visser",
    "Young",
    "Reed",
    "Brooks",
    "Frost",
    "Hale",
    "Quinn",
    "Lake",
];
const DEPARTMENTS: [&str; 8] =
    ["Finance", "Sales", "Engineering", "Support", "Legal", "Human Resources", "Operations", "IT"];
/// Country, its calling code, its region.
pub(super) const COUNTRIES: [(&str, &str, &str); 5] = [
    ("US", "1", "AMER"),
    ("DE", "49", "EMEA"),
    ("GB", "44", "EMEA"),
    ("PL", "48", "EMEA"),
    ("NL", "31", "EMEA"),
];

/// A device with the mobile app.
#[derive(Clone)]
pub(super) struct Device {
    pub(super) name: &'static str,
    pub(super) activated_at: Option<String>,
    /// Base32; absent where the dump lacks it.
    pub(super) secret: Option<String>,
}

/// An OATH token.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) serial: String,
    /// As the datafile spells it.
    pub(super) secret: String,
    pub(super) interval: u32,
}

/// What the tenant knows of the person already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// In the tenant without any method.
    Bare,
    /// With the same phone as in the datafile.
    SamePhone,
    /// With another phone.
    OtherPhone,
    /// With an Authenticator registration and a default.
    Authenticator,
    /// Not in the tenant.
    Absent,
}

/// One person.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) index: u32,
    pub(super) given: &'static str,
    pub(super) family: &'static str,
    pub(super) upn: String,
    pub(super) sam: String,
    pub(super) sid: String,
    pub(super) country: &'static str,
    pub(super) region: &'static str,
    pub(super) department: &'static str,
    /// The datafile names the person `CONTOSO\sam` and gives the SID.
    pub(super) by_domain: bool,
    pub(super) enabled: bool,
    pub(super) mode: &'static str,
    pub(super) two_way: bool,
    pub(super) phone: Option<Number>,
    pub(super) backup: Option<Number>,
    pub(super) devices: Vec<Device>,
    pub(super) token: Option<Token>,
    pub(super) presence: Presence,
    /// A number for the tenant that is not the datafile's.
    pub(super) other: Number,
    pub(super) id: String,
    pub(super) app_id: String,
}

fn dice(seed: u64, index: u32) -> SmallRng {
    // A stride of the golden ratio keeps the streams of neighbours apart.
    SmallRng::seed_from_u64(seed ^ (u64::from(index) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn pick<T: Copy>(dice: &mut SmallRng, from: &[T], fallback: T) -> T {
    from.get(dice.random_range(0..from.len().max(1))).copied().unwrap_or(fallback)
}

fn uuid(dice: &mut SmallRng) -> String {
    uuid::Builder::from_random_bytes(dice.random()).into_uuid().to_string()
}

impl Person {
    /// The person at an index; the same for the same seed, wherever it is asked.
    pub(super) fn at(seed: u64, index: u32) -> Self {
        let dice = &mut dice(seed, index);
        let (given, family) = (pick(dice, &GIVEN, "Helga"), pick(dice, &FAMILY, "Sand"));
        let (country, code, home) = pick(dice, &COUNTRIES, ("US", "1", "AMER"));
        // A tenth of the people outside America report to the third region.
        let region = if home != "AMER" && dice.random_bool(0.1) { "APAC" } else { home };
        let sam = format!("{}.{}{index}", given.to_lowercase(), family.to_lowercase());
        let mode = mode(dice);
        let has_phone = dice.random_bool(match mode {
            "oathToken" => 0.5,
            "phoneApp" => 0.8,
            _ => 0.97,
        });
        let phone = has_phone.then(|| draw(dice, country, code));
        let backup = dice.random_bool(0.2).then(|| draw(dice, country, code));
        let devices = devices(dice, mode);
        let token =
            dice.random_bool(if mode == "oathToken" { 0.9 } else { 0.02 }).then(|| token(dice, index));
        let presence = match dice.random_range(0..100) {
            0..3 => Presence::Absent,
            3..15 => Presence::SamePhone,
            15..22 => Presence::OtherPhone,
            22..34 => Presence::Authenticator,
            _ => Presence::Bare,
        };
        Self {
            index,
            given,
            family,
            upn: format!("{sam}@contoso.example"),
            sid: format!("S-1-5-21-1004336348-1177238915-682003330-{}", 10_000 + u64::from(index)),
            sam,
            country,
            region,
            department: pick(dice, &DEPARTMENTS, "IT"),
            by_domain: dice.random_bool(0.05),
            enabled: !dice.random_bool(0.04),
            mode,
            two_way: mode == "smsText" && dice.random_bool(0.3),
            phone,
            backup,
            devices,
            token,
            presence,
            other: draw(dice, country, code),
            id: uuid(dice),
            app_id: uuid(dice),
        }
    }
}

fn mode(dice: &mut SmallRng) -> &'static str {
    match dice.random_range(0..100) {
        0..40 => "voiceCall",
        40..65 => "smsText",
        65..91 => "phoneApp",
        91..96 => "oathToken",
        96..99 => "unspecified",
        _ => "invalid",
    }
}

fn devices(dice: &mut SmallRng, mode: &str) -> Vec<Device> {
    if !dice.random_bool(if mode == "phoneApp" { 0.98 } else { 0.08 }) {
        return Vec::new();
    }
    // Seven is over Graph's limit of five, as some real users are.
    let count = match dice.random_range(0..100) {
        0..75 => 1,
        75..93 => 2,
        93..98 => 3,
        _ => 7,
    };
    let names = ["iPhone", "iPhone", "Pixel 8", "SM-S911B", "NO_DEVICE", ""];
    (0..count)
        .map(|_| Device {
            name: pick(dice, &names, "iPhone"),
            activated_at: dice.random_bool(0.8).then(|| {
                let (year, month, day) =
                    (dice.random_range(2016..2025), dice.random_range(1..13), dice.random_range(1..29));
                format!("{year}-{month:02}-{day:02}T{:02}:06:07Z", dice.random_range(0..24))
            }),
            secret: dice.random_bool(0.7).then(|| base32(dice, 20)),
        })
        .collect()
}

fn base32(dice: &mut SmallRng, bytes: usize) -> String {
    let secret: Vec<u8> = (0..bytes).map(|_| dice.random()).collect();
    crate::tenant::to_base32(&secret)
}

fn token(dice: &mut SmallRng, index: u32) -> Token {
    let plain = base32(dice, 20);
    let secret = match dice.random_range(0..100) {
        0..50 => plain,
        50..70 => plain.to_lowercase(),
        70..85 => in_fours(&plain),
        85..97 => (0..20).map(|_| format!("{:02x}", dice.random::<u8>())).collect(),
        _ => String::new(),
    };
    Token {
        serial: format!("{}", 10_000_000 + index),
        secret,
        interval: if dice.random_bool(0.3) { 60 } else { 30 },
    }
}

fn in_fours(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    for (n, c) in text.chars().enumerate() {
        if n > 0 && n % 4 == 0 {
            out.push(' ');
        }
        out.push(c);
    }
    out
}
