//! Any bytes behind the header of a token seed file, joined to one record.
#![no_main]

use extractor::Source;
use libfuzzer_sys::fuzz_target;

const DUMP: &str = "{\"username\":\"a\",\"settings\":{\"enabled\":true,\"oathTokenExists\":true,\"oathTokenSerialNumber\":\"1\"}}\n";

fuzz_target!(|bytes: &[u8]| {
    let folder = fuzz::folder();
    let mut source = Source::new(fuzz::file(&folder, "dump", DUMP, b""));
    let head = "upn,serial number,secret key,time interval,manufacturer,model\n";
    source.token_seeds = Some(fuzz::file(&folder, "seeds.csv", head, bytes));
    fuzz::account(&source);
});
