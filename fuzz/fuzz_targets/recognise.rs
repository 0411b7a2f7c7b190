//! Any bytes as a whole file: recognised and read, or refused with a message.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = fuzz::folder();
    let path = fuzz::file(&folder, "any", "", bytes);
    match extractor::recognise(&path) {
        Ok(_) => fuzz::datafile(&path),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
