//! The objects of a line: the user, its settings, its devices.
//!
//! A part of the wrong shape blames its field and is skipped; only broken JSON fails. At most fifty devices are kept.

use super::values::{Key, other_shapes};
use crate::keys::{DeviceField, SettingsField, UserField};
use crate::limits;
use crate::wire::{Misplaced, Scalar, WireDevice, WireSettings, WireUser};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

impl<'de> Deserialize<'de> for WireUser {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UserVisitor)
    }
}

struct UserVisitor;

impl<'de> Visitor<'de> for UserVisitor {
    type Value = WireUser;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireUser, A::Error> {
        let mut user = WireUser::default();
        let mut devices_seen = false;
        while let Some(Key(field)) = map.next_key::<Key<UserField>>()? {
            user.known_keys += u64::from(field != UserField::Unknown);
            match field {
                UserField::Settings => {
                    let part: Part = map.next_value()?;
                    if part.fault.is_some() || (part.settings.is_some() && user.settings.is_some()) {
                        user.blame(part.fault.unwrap_or(field.word()));
                    }
                    user.unknown_keys += part.unknown_keys;
                    user.settings = user.settings.or(part.settings);
                }
                UserField::Devices => {
                    let list: DeviceList = map.next_value()?;
                    if list.fault.is_some() || devices_seen {
                        user.blame(list.fault.unwrap_or(field.word()));
                    }
                    devices_seen = true;
                    user.unknown_keys += list.unknown_keys;
                    user.too_many_devices |= list.too_many;
                    user.devices = list.devices;
                }
                UserField::Ignored | UserField::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                    user.put(field, Scalar::Absent);
                }
                UserField::Username | UserField::Sid | UserField::Email | UserField::UserGroup => {
                    user.put(field, map.next_value()?);
                }
            }
        }
        Ok(user)
    }
}

/// The settings object, or null, or something that is neither.
#[derive(Default)]
struct Part {
    settings: Option<WireSettings>,
    unknown_keys: u64,
    fault: Option<&'static str>,
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl PartVisitor {
    fn wrong() -> Part {
        Part { fault: Some(UserField::Settings.word()), ..Part::default() }
    }
}

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
        let mut part = Part::default();
        let mut settings = WireSettings::default();
        while let Some(Key(field)) = map.next_key::<Key<SettingsField>>()? {
            if matches!(field, SettingsField::Ignored | SettingsField::Unknown) {
                map.next_value::<IgnoredAny>()?;
                part.unknown_keys += u64::from(field == SettingsField::Unknown);
            } else if settings.put(field, map.next_value()?) == Err(Misplaced) {
                part.fault.get_or_insert(field.word());
            }
        }
        part.settings = Some(settings);
        Ok(part)
    }

    other_shapes!(Part, Part::default(), PartVisitor::wrong());

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Part, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::wrong())
    }
}

/// The list of devices, or null, or something that is neither.
#[derive(Default)]
struct DeviceList {
    devices: Vec<WireDevice>,
    too_many: bool,
    unknown_keys: u64,
    fault: Option<&'static str>,
}

impl<'de> Deserialize<'de> for DeviceList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor)
    }
}

struct ListVisitor;

impl ListVisitor {
    fn wrong() -> DeviceList {
        DeviceList { fault: Some(UserField::Devices.word()), ..DeviceList::default() }
    }
}

impl<'de> Visitor<'de> for ListVisitor {
    type Value = DeviceList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<DeviceList, A::Error> {
        let mut list = DeviceList::default();
        loop {
            if list.devices.len() == limits::DEVICES {
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    list.too_many = true;
                }
                return Ok(list);
            }
            let Some(Element(device)) = seq.next_element::<Element>()? else { return Ok(list) };
            let Some((device, unknown_keys, fault)) = device else {
                list.fault.get_or_insert(UserField::Devices.word());
                continue;
            };
            list.unknown_keys += unknown_keys;
            list.fault = list.fault.or(fault);
            list.devices.push(device);
        }
    }

    other_shapes!(DeviceList, DeviceList::default(), ListVisitor::wrong());

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DeviceList, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::wrong())
    }
}

/// A device with its count of unknown keys and the first field at fault; absent when it is no object.
struct Element(Option<(WireDevice, u64, Option<&'static str>)>);

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
        let (mut device, mut unknown_keys, mut fault) = (WireDevice::default(), 0, None);
        while let Some(Key(field)) = map.next_key::<Key<DeviceField>>()? {
            if matches!(field, DeviceField::Ignored | DeviceField::Unknown) {
                map.next_value::<IgnoredAny>()?;
                unknown_keys += u64::from(field == DeviceField::Unknown);
            } else if device.put(field, map.next_value()?) == Err(Misplaced) {
                fault = fault.or(Some(field.word()));
            }
        }
        Ok(Element(Some((device, unknown_keys, fault))))
    }

    other_shapes!(Element, Element(None), Element(None));

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Element, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Element(None))
    }
}
