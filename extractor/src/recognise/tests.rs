//! Every kind of file, and every refusal with what it must say.
//!
//! Refusals are compared by what they saw, and each message must name a way out.

use super::*;

fn of(bytes: &[u8]) -> Result<Format, Error> {
    of_bytes(Path::new("dump"), bytes, true)
}

#[test]
fn files_are_known_by_their_content() {
    let (comma, semicolon) = (b',', b';');
    for (text, wanted) in [
        ("\u{feff}{\"Username\":\"a\"}\r\n", Format::Ndjson),
        ("\n\n {\"settings\":null}", Format::Ndjson),
        ("{\"username\":\"a\"", Format::Ndjson),
        ("garbage\n{\"username\":\"a\"}\n", Format::Ndjson),
        ("\u{feff}USERNAME;Enabled;Phone\r\n", Format::Csv { delimiter: semicolon }),
        ("username,mode", Format::Csv { delimiter: comma }),
        ("\"username\",\"phone\"\n\"a\",\"1\"", Format::Csv { delimiter: comma }),
        ("username,userDeviceId,deviceName\n", Format::Devices { delimiter: comma }),
        (
            "serial number,secret key,time interval,manufacturer,model\n",
            Format::TokenSeeds { delimiter: comma },
        ),
        (
            "UPN;Serial Number;Secret Key;TimeInterval;Manufacturer;Model",
            Format::TokenSeeds { delimiter: semicolon },
        ),
        ("username,region,department\n", Format::Cohorts { delimiter: comma }),
    ] {
        assert_eq!(of(text.as_bytes()).unwrap(), wanted, "{text}");
    }
    // One line that is not UTF-8 does not make a dump a binary.
    assert_eq!(of(b"\xff\xfe\xff\n{\"username\":\"a\"}\n").map_err(|_| ()), Err(()));
    assert_eq!(of(b"{\"username\":\"\xff\"}\n{\"username\":\"a\"}\n").unwrap(), Format::Ndjson);
    assert_eq!(of(b"\0\0\n{\"username\":\"a\"}\n").unwrap(), Format::Ndjson);
}

#[test]
fn every_other_file_is_refused_by_name_and_with_a_way_out() {
    let utf16: Vec<u8> = "username,phone".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, saw) in [
        (&b""[..], "empty"),
        (b" \r\n\xef\xbb\xbf", "not a dump"),
        (b"\xef\xbb\xbf\n \n", "empty"),
        (b"\xff\xfeu\0", "UTF-16"),
        (b"\xfe\xff\0u", "UTF-16"),
        (&utf16, "UTF-16 without a byte order mark"),
        (b"\xff\xfe\0\0u\0\0\0", "UTF-32"),
        (b"[{\"username\":\"a\"}]", "JSON array"),
        (b"{\n  \"username\": \"a\"\n}\n", "spread over many lines"),
        (b"{\"level\":\"info\"}\n{\"level\":\"warn\"}\n", "name no user"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"bplist00", "binary property list"),
        (b"SQLite format 3\0", "SQLite"),
        (b"<?xml version=\"1.0\"?><!DOCTYPE plist><plist/>", "property list"),
        (b"<GetUserDevicesResponse xmlns=\"http://www.phonefactor.com/PfWsSdk\"/>", "folder"),
        (b"<html>", "HTML"),
        (b"<other/>", "another kind"),
        (b"\0\x01\x02\x03\x04\x05\x06\xff", "unknown binary"),
        (b"a,b,c\n1,2,3\n", "without a known header"),
        (b"username\nhelga\n", "without a known header"),
    ] {
        let error = of(bytes).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(saw) || saw == "not a dump", "{saw}: {message}");
        assert!(
            message.contains("README")
                || message.contains(" it again")
                || message.contains("jq")
                || message.contains("give the folder"),
            "{message}"
        );
    }
}

#[test]
fn the_servers_own_datafile_is_called_by_its_name() {
    for (name, bytes) in
        [("PhoneFactor.pfdata", &b"\x01\0\x02\xff\xfe\x00stuff"[..]), ("x.PFDATA", b"PK\x03\x04")]
    {
        let error = of_bytes(Path::new(name), bytes, true).unwrap_err();
        assert!(matches!(error, Error::Pfdata { .. }), "{error}");
    }
    let error = of(b"\x01\0\x02\xff\xfe\x00stuff").unwrap_err();
    assert!(error.to_string().contains("PhoneFactor.pfdata"), "{error}");
}

#[test]
fn a_folder_without_responses_and_a_path_that_is_not_there_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("other.xml"), "<other/>").unwrap();
    assert!(matches!(recognise(folder.path()), Err(Error::NoDocuments { .. })));
    assert!(matches!(recognise(&folder.path().join("absent")), Err(Error::Io { .. })));
}
