//! Signatures of files that are no UTF-8 text.
//!
//! Only what is certain is named; the rest is left to the caller.

/// The encoding of a text that is not UTF-8, by its byte order mark or by the NUL in every other byte.
pub(super) fn encoding(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some("UTF-16"),
        _ => {}
    }
    let pairs = || head.get(..64).unwrap_or(head).chunks_exact(2);
    let text = |byte: u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let wide = |low: usize, high: usize| {
        let fits = |pair: &[u8]| pair.get(high) == Some(&0) && pair.get(low).is_some_and(|b| text(*b));
        pairs().len() >= 4 && pairs().all(fits)
    };
    (wide(0, 1) || wide(1, 0)).then_some("UTF-16 without a byte order mark")
}

/// The kind of a binary file.
pub(super) fn binary(head: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 14] = [
        (b"PK\x03\x04", "a zip archive or an Office workbook"),
        (b"PK\x05\x06", "an empty zip archive"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"BZh", "a bzip2 archive"),
        (b"\xfd7zXZ\0", "an xz archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive"),
        (b"bplist", "a binary property list"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office or other compound document"),
        (b"%PDF-", "a PDF document"),
        (b"\x7fELF", "a program"),
        (b"MZ\x90", "a Windows program"),
        (b"\0\x01\0\0Standard ", "an Access database"),
    ];
    SIGNATURES.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, saw)| *saw)
}
