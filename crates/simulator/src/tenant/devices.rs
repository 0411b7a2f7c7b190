//! The inventory of hardware tokens: who holds which, its secret, its status.
//!
//! A serial may occur twice, as in the real inventory; an id may not. A device that is held has a holder, and the
//! holder's methods name the device; both change together, in `tokens`.

use super::lag::Lag;
use super::{Now, Refusal};
use contract::TokenStatus;
use std::collections::HashMap;
use std::time::Duration;

/// A device.
#[derive(Clone)]
pub(super) struct Device {
    pub(super) id: Box<str>,
    pub(super) serial: Box<str>,
    pub(super) display_name: Option<Box<str>>,
    pub(super) manufacturer: Option<Box<str>>,
    pub(super) model: Option<Box<str>>,
    /// Decoded; absent for devices of a state file that does not know it: those take any six digits.
    pub(super) secret: Option<Box<[u8]>>,
    pub(super) interval_seconds: u32,
    pub(super) sha256: bool,
    pub(super) status: TokenStatus,
    /// Index of the user that holds it.
    pub(super) holder: Option<u32>,
}

/// All devices; deleted ones leave a gap, so that positions stay.
pub(super) struct Inventory {
    devices: Vec<Option<Device>>,
    by_id: HashMap<String, u32>,
    by_serial: HashMap<String, Vec<u32>>,
    hidden: Lag<Option<Device>>,
}

impl Inventory {
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            devices: Vec::new(),
            by_id: HashMap::new(),
            by_serial: HashMap::new(),
            hidden: Lag::new(delay),
        }
    }

    /// Adds a device without anything to hide; for loading.
    pub(super) fn load(&mut self, device: Device) -> u32 {
        let at = self.len();
        self.by_id.insert(device.id.to_ascii_lowercase(), at);
        self.by_serial.entry(device.serial.to_ascii_lowercase()).or_default().push(at);
        self.devices.push(Some(device));
        at
    }

    /// Adds a device.
    pub(super) fn add(&mut self, device: Device, now: Now) -> u32 {
        let at = self.load(device);
        self.hidden.keep(at, now.uptime, || None);
        at
    }

    /// How many positions there are, gaps included.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.devices.len()).unwrap_or(u32::MAX)
    }

    /// Position of an id.
    pub(super) fn find(&self, id: &str) -> Result<u32, Refusal> {
        self.by_id.get(&id.to_ascii_lowercase()).copied().ok_or(Refusal::DeviceAbsent)
    }

    /// Positions of a serial.
    pub(super) fn of_serial(&self, serial: &str) -> &[u32] {
        self.by_serial.get(&serial.to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// What is true.
    pub(super) fn get(&self, at: u32) -> Option<&Device> {
        self.devices.get(at as usize)?.as_ref()
    }

    /// What a reader sees.
    pub(super) fn visible(&self, at: u32, now: Now) -> Option<&Device> {
        match self.hidden.seen(at, now.uptime) {
            Some(before) => before.as_ref(),
            None => self.get(at),
        }
    }

    /// All that readers see, in the order of creation.
    pub(super) fn all_visible(&self, now: Now) -> impl Iterator<Item = &Device> {
        (0..self.len()).filter_map(move |at| self.visible(at, now))
    }

    /// All that are there.
    pub(super) fn all(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().flatten()
    }

    /// For a change.
    pub(super) fn change(&mut self, at: u32, now: Now) -> Result<&mut Device, Refusal> {
        let device =
            self.devices.get_mut(at as usize).and_then(Option::as_mut).ok_or(Refusal::DeviceAbsent)?;
        self.hidden.keep(at, now.uptime, || Some(device.clone()));
        Ok(device)
    }

    /// Renames the serial of a device.
    pub(super) fn set_serial(&mut self, at: u32, serial: &str, now: Now) -> Result<(), Refusal> {
        let device = self.change(at, now)?;
        let old = std::mem::replace(&mut device.serial, Box::from(serial));
        self.unlist(&old, at);
        self.by_serial.entry(serial.to_ascii_lowercase()).or_default().push(at);
        Ok(())
    }

    /// Takes a device out.
    pub(super) fn delete(&mut self, at: u32, now: Now) -> Result<Device, Refusal> {
        let device = self.devices.get_mut(at as usize).and_then(Option::take).ok_or(Refusal::DeviceAbsent)?;
        self.hidden.keep(at, now.uptime, || Some(device.clone()));
        self.by_id.remove(&device.id.to_ascii_lowercase());
        self.unlist(&device.serial, at);
        Ok(device)
    }

    fn unlist(&mut self, serial: &str, at: u32) {
        if let Some(list) = self.by_serial.get_mut(&serial.to_ascii_lowercase()) {
            list.retain(|i| *i != at);
        }
    }
}
