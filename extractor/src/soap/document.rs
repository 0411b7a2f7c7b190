//! One SOAP response into a [`WireUser`].
//!
//! Elements are met by local name in any case, under any prefix and at any depth, so that what wraps the values does
//! not matter; only the response element must be of the SDK's namespace. No entity is expanded but the five of XML and
//! characters by number, and a document type is refused.

use crate::keys::{DeviceField, SettingsField, UserField};
use crate::limits;
use crate::wire::{Misplaced, Scalar, WireDevice, WireSettings, WireUser};
use contract::RejectCode;
use quick_xml::NsReader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};
use quick_xml::name::{Namespace, ResolveResult};

const NAMESPACE: &[u8] = b"http://www.phonefactor.com/PfWsSdk";
const MALFORMED: (&str, RejectCode) = ("-", RejectCode::Malformed);

/// Which half of a user a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Half {
    Settings,
    Devices,
}

impl Half {
    fn of(local_name: &str) -> Option<Self> {
        match local_name {
            "getusersettings_3response" => Some(Self::Settings),
            "getuserdevicesresponse" => Some(Self::Devices),
            _ => None,
        }
    }
}

/// Whether the start of a file looks like one of the two responses, well-formed or not.
pub(crate) fn is_response(head: &[u8]) -> bool {
    let has = |needle: &[u8]| memchr::memmem::find(head, needle).is_some();
    let lower = head.to_ascii_lowercase();
    let has_lower = |needle: &[u8]| memchr::memmem::find(&lower, needle).is_some();
    has(NAMESPACE) && (has_lower(b"getusersettings_3response") || has_lower(b"getuserdevicesresponse"))
}

/// What a document says.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) half: Half,
    pub(crate) user: WireUser,
}

/// Parses a document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Document, (&'static str, RejectCode)> {
    let text = std::str::from_utf8(bytes).map_err(|_| ("-", RejectCode::NotUtf8))?;
    let mut reader = NsReader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    reader.config_mut().expand_empty_elements = true;
    let mut walk = Walk::default();
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(|_| MALFORMED)?;
        match event {
            Event::Start(start) => {
                let ours = namespace == ResolveResult::Bound(Namespace(NAMESPACE));
                let name = std::str::from_utf8(start.local_name().into_inner()).map_err(|_| MALFORMED)?;
                walk.open(name.to_ascii_lowercase(), ours)?;
            }
            Event::End(_) => walk.close()?,
            Event::Text(piece) => walk.text.push_str(&piece.decode().map_err(|_| MALFORMED)?),
            Event::CData(piece) => walk.text.push_str(&piece.decode().map_err(|_| MALFORMED)?),
            Event::GeneralRef(reference) => resolve(&reference, &mut walk.text)?,
            Event::DocType(_) => return Err(MALFORMED),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if !walk.stack.is_empty() {
        return Err(MALFORMED);
    }
    walk.finish()
}

fn resolve(reference: &BytesRef<'_>, text: &mut String) -> Result<(), (&'static str, RejectCode)> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| MALFORMED)? {
        text.push(character);
        return Ok(());
    }
    let name = reference.decode().map_err(|_| MALFORMED)?;
    text.push_str(resolve_predefined_entity(&name).ok_or(MALFORMED)?);
    Ok(())
}

/// An open element.
struct Open {
    name: String,
    /// Tells it from all others of the document.
    number: u64,
    has_children: bool,
}

/// The walk through a document.
#[derive(Default)]
struct Walk {
    stack: Vec<Open>,
    elements: u64,
    text: String,
    half: Option<Half>,
    /// Depth of the response element while it is open.
    response_depth: Option<usize>,
    fault_seen: bool,
    user: WireUser,
    settings: WireSettings,
    /// The element that the last device's values were found in.
    device_element: Option<u64>,
}

impl Walk {
    fn open(&mut self, name: String, ours: bool) -> Result<(), (&'static str, RejectCode)> {
        if let Some(parent) = self.stack.last_mut() {
            parent.has_children = true;
        }
        if self.response_depth.is_none() {
            self.fault_seen |= name == "fault";
            if let Some(half) = Half::of(&name).filter(|_| ours) {
                if self.half.is_some() {
                    return Err(MALFORMED);
                }
                self.half = Some(half);
                self.response_depth = Some(self.stack.len());
            }
        }
        self.elements += 1;
        self.stack.push(Open { name, number: self.elements, has_children: false });
        self.text.clear();
        Ok(())
    }

    fn close(&mut self) -> Result<(), (&'static str, RejectCode)> {
        let element = self.stack.pop().ok_or(MALFORMED)?;
        let text = std::mem::take(&mut self.text);
        if self.response_depth == Some(self.stack.len()) {
            self.response_depth = None;
        } else if self.response_depth.is_some() && !element.has_children {
            self.leaf(&element.name, text);
        }
        Ok(())
    }

    fn leaf(&mut self, name: &str, text: String) {
        let blank = text.trim().is_empty();
        if name.ends_with("result") {
            // The SDK answers `false` where it could not answer; then nothing in the document is the user's.
            if text.trim().eq_ignore_ascii_case("false") {
                self.user.blame("result");
            }
            return;
        }
        match (self.half, UserField::of(name)) {
            (_, field @ (UserField::Username | UserField::Sid | UserField::Email | UserField::UserGroup)) => {
                if !blank {
                    self.user.put(field, Scalar::Text(text));
                }
            }
            // An empty list, or an empty answer.
            (_, UserField::Settings | UserField::Devices) => {}
            (Some(Half::Settings), _) => {
                let field = SettingsField::of(name);
                let counts = field == SettingsField::Unknown && !blank && name != "error";
                self.user.unknown_keys += u64::from(counts);
                if self.settings.put(field, Scalar::Text(text)) == Err(Misplaced) {
                    self.user.blame(field.word());
                }
            }
            (Some(Half::Devices), _) => self.device_leaf(name, text, blank),
            (None, _) => {}
        }
    }

    fn device_leaf(&mut self, name: &str, text: String, blank: bool) {
        let field = DeviceField::of(name);
        if matches!(field, DeviceField::Unknown | DeviceField::Ignored) {
            self.user.unknown_keys += u64::from(field == DeviceField::Unknown && !blank && name != "error");
            return;
        }
        let element = self.stack.last().map(|parent| parent.number);
        if self.device_element != element {
            self.device_element = element;
            if self.user.devices.len() == limits::DEVICES {
                self.user.too_many_devices = true;
            } else {
                self.user.devices.push(WireDevice::default());
            }
        }
        if self.user.too_many_devices {
            return;
        }
        if let Some(device) = self.user.devices.last_mut()
            && device.put(field, Scalar::Text(text)) == Err(Misplaced)
        {
            self.user.blame(field.word());
        }
    }

    fn finish(mut self) -> Result<Document, (&'static str, RejectCode)> {
        let fault = if self.fault_seen { "Fault" } else { "-" };
        let half = self.half.ok_or((fault, RejectCode::Malformed))?;
        if half == Half::Settings {
            self.user.settings = Some(self.settings);
        }
        Ok(Document { half, user: self.user })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<p:GetUserSettings_3Response xmlns:p="http://www.phonefactor.com/PfWsSdk">
 <p:GetUserSettings_3Result>true</p:GetUserSettings_3Result>
 <p:username>ACME\h&amp;m&#x21;</p:username>
 <p:settings><p:Enabled>true</p:Enabled><p:phone><![CDATA[425 555]]> 01</p:phone><p:novel>1</p:novel><p:pin>1234</p:pin>
 <p:oathTokenSecretKey/></p:settings>
</p:GetUserSettings_3Response></s:Body></s:Envelope>"#;

    #[test]
    fn values_are_found_under_any_prefix_with_references_resolved() {
        let Document { half, user } = parse(SETTINGS.as_bytes()).unwrap();
        assert_eq!(half, Half::Settings);
        assert_eq!(user.username.as_deref(), Some("ACME\\h&m!"));
        let settings = user.settings.unwrap();
        assert_eq!((settings.enabled, settings.phone.as_deref()), (Some(true), Some("425 555 01")));
        assert_eq!(user.unknown_keys, 1);
    }

    #[test]
    fn devices_are_told_apart_by_the_element_around_them() {
        let text = r#"<GetUserDevicesResponse xmlns="http://www.phonefactor.com/PfWsSdk"><devices>
            <d><userDeviceId>1</userDeviceId><deviceName>iPhone</deviceName><deviceToken>x</deviceToken></d>
            <d><userDeviceId>2</userDeviceId><deviceName>iPhone</deviceName></d></devices></GetUserDevicesResponse>"#;
        let Document { half, user } = parse(text.as_bytes()).unwrap();
        assert_eq!((half, user.devices.len(), user.unknown_keys), (Half::Devices, 2, 0));
        assert_eq!(user.devices[1].id.as_deref(), Some("2"));
    }

    #[test]
    fn what_is_not_a_response_is_malformed() {
        let open = r#"<GetUserDevicesResponse xmlns="http://www.phonefactor.com/PfWsSdk">"#;
        let close = "</GetUserDevicesResponse>";
        for text in [
            String::new(),
            "<a/>".into(),
            open.into(),
            format!("{open}<a>&bomb;</a>{close}"),
            format!("<!DOCTYPE a [<!ENTITY bomb 'x'>]>{open}{close}"),
            format!("<r>{open}{close}{open}{close}</r>"),
            open.replace("phonefactor", "elsewhere") + close,
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().1, RejectCode::Malformed, "{text}");
        }
        let fault = "<e><Body><Fault><faultstring>no</faultstring></Fault></Body></e>";
        assert_eq!(parse(fault.as_bytes()).unwrap_err(), ("Fault", RejectCode::Malformed));
        assert_eq!(parse(b"<a>\xff</a>").unwrap_err().1, RejectCode::NotUtf8);
    }
}
