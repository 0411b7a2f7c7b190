//! A domain's federation, read.

use super::Reader;
use crate::Error;
use crate::client::Version;
use crate::federation::Federation;
use crate::pace::Bucket;
use crate::wire::encode;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFederation {
    id: String,
    federated_idp_mfa_behavior: Option<String>,
}

impl Reader {
    /// The federation of a domain; `None` where the domain is not federated.
    ///
    /// # Errors
    /// As for any read; `NotFound` where the tenant has no such domain.
    pub async fn federation(&self, domain: &str) -> Result<Option<Federation>, Error> {
        const WHAT: &str = "a domain's federation";
        let path = format!("domains/{}/federationConfiguration", encode(domain));
        let first = self.client.url(Version::V1, &path)?;
        let page = self.collection::<WireFederation>(Bucket::Directory, first, None, false, WHAT).await?;
        let mut found = page.value.into_iter();
        // Graph returns one at most; which of two is meant is nothing to guess.
        match (found.next(), found.next(), page.next) {
            (None, None, None) => Ok(None),
            (Some(one), None, None) => {
                Ok(Some(Federation { id: one.id, mfa_behavior: one.federated_idp_mfa_behavior }))
            }
            (_, _, _) => Err(Error::Shape { what: WHAT }),
        }
    }
}
