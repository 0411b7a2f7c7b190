//! Any bytes behind the header of a cohort file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = fuzz::folder();
    let path = fuzz::file(&folder, "cohorts.csv", "username,region,department\n", bytes);
    for row in extractor::cohorts(&path).expect("the header is a cohort file's") {
        row.expect("the file is still there");
    }
});
