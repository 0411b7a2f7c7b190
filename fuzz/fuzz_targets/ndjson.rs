//! Any bytes behind one good line of a dump: never a panic, and every record accounted for.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(extractor::parse_line(bytes));
    let folder = fuzz::folder();
    let head = "{\"username\":\"first\",\"settings\":{\"enabled\":true}}\n";
    fuzz::datafile(&fuzz::file(&folder, "dump", head, bytes));
});
