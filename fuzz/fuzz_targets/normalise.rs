//! Any texts as a telephone number: normalising is total.
//!
//! The input is split at NUL into country code, number, extension and the site's default country code.
#![no_main]

use contract::RawPhone;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut parts = text.split('\0').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    let phone = RawPhone { country_code: part(), number: part(), extension: part() };
    let default = part();
    drop(rules::normalise(&phone, (!default.is_empty()).then_some(default.as_str())));
});
