//! Any bytes behind the header of a CSV of users, and behind that of its devices.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = fuzz::folder();
    fuzz::file(&folder, "users.devices.csv", "username,userDeviceId,deviceName,activatedAt\n", bytes);
    fuzz::datafile(&fuzz::file(&folder, "users.csv", "username,enabled,phone,mode\n", bytes));
});
