//! Any bytes as either half of a user's SOAP responses, beside a good other half.
#![no_main]

use libfuzzer_sys::fuzz_target;

const SETTINGS: &str = r#"<GetUserSettings_3Response xmlns="http://www.phonefactor.com/PfWsSdk"><enabled>true</enabled></GetUserSettings_3Response>"#;
const DEVICES: &str = r#"<GetUserDevicesResponse xmlns="http://www.phonefactor.com/PfWsSdk"/>"#;

fuzz_target!(|bytes: &[u8]| {
    let folder = fuzz::folder();
    fuzz::file(&folder, "a.settings.xml", SETTINGS, b"");
    fuzz::file(&folder, "a.devices.xml", "", bytes);
    fuzz::file(&folder, "b.settings.xml", "", bytes);
    fuzz::file(&folder, "b.devices.xml", DEVICES, b"");
    fuzz::datafile(folder.path());
});
