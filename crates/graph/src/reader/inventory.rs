//! The tenant's inventory of hardware tokens (beta). Secrets never come back from it.

use super::Reader;
use crate::Error;
use crate::client::Version;
use crate::pace::Bucket;
use crate::wire::{Page, encode};
use contract::{EntraId, InventoryToken, TokenStatus};
use serde::Deserialize;

const PATH: &str = "directory/authenticationMethodDevices/hardwareOathDevices";

/// A token device on the wire.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireDevice {
    pub(super) id: String,
    pub(super) serial_number: Option<String>,
    assigned_to: Option<WireHolder>,
    status: Option<String>,
}

#[derive(Deserialize)]
struct WireHolder {
    id: Option<String>,
}

impl WireDevice {
    /// The status; a word of the future counts as held, so that nobody assigns such a token.
    pub(super) fn status(&self) -> Option<TokenStatus> {
        self.status.as_deref().map(|word| TokenStatus::parse(word).unwrap_or(TokenStatus::Assigned))
    }
}

impl From<WireDevice> for InventoryToken {
    fn from(device: WireDevice) -> Self {
        let status = device.status();
        let holder = device.assigned_to.and_then(|h| h.id).map(EntraId);
        // Without a status the holder tells: nobody holds it, nobody uses it.
        let unstated = if holder.is_some() { TokenStatus::Assigned } else { TokenStatus::Available };
        Self {
            device_id: device.id,
            serial: device.serial_number.unwrap_or_default(),
            holder,
            status: status.unwrap_or(unstated),
        }
    }
}

impl Reader {
    /// A page of the inventory; `next` is the link of the page before.
    pub async fn inventory_page(&self, next: Option<&str>) -> Result<Page<InventoryToken>, Error> {
        self.devices(PATH, next).await
    }

    /// Every token of a serial. The same serial can be there more than once.
    pub async fn inventory_by_serial(&self, serial: &str) -> Result<Vec<InventoryToken>, Error> {
        let filter = encode(&format!("serialNumber eq '{}'", serial.replace('\'', "''")));
        let path = format!("{PATH}?$filter={filter}");
        let mut tokens = Vec::new();
        let mut next = None;
        loop {
            let page = self.devices(&path, next.as_deref()).await?;
            tokens.extend(page.items);
            next = page.next;
            if next.is_none() {
                return Ok(tokens);
            }
        }
    }

    async fn devices(&self, path: &str, next: Option<&str>) -> Result<Page<InventoryToken>, Error> {
        let first = self.client.url(Version::Beta, path)?;
        let page = self
            .collection::<WireDevice>(Bucket::Directory, first, next, false, "a page of the token inventory")
            .await?;
        Ok(Page { items: page.value.into_iter().map(Into::into).collect(), next: page.next })
    }
}
