//! A user's directory attributes, packed: 500,000 users must fit beside everything else.
//!
//! Directory attributes never change here (Graph's authentication calls do not touch them), so one text with cuts
//! serves. Names are Graph's own; a name that is not in [`TEXTS`] is not kept.

/// The text properties of a user that the state format may carry; the position of a name is its code.
pub(crate) const TEXTS: &[&str] = &[
    "id",
    "userPrincipalName",
    "mail",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
    "employeeId",
    "department",
    "usageLocation",
    "userType",
    "displayName",
    "givenName",
    "surname",
    "country",
    "onPremisesImmutableId",
    "onPremisesDomainName",
    "onPremisesUserPrincipalName",
    "onPremisesDistinguishedName",
    "mobilePhone",
    "jobTitle",
    "officeLocation",
    "preferredLanguage",
    "companyName",
    "city",
    "employeeType",
    "mailNickname",
];

/// Properties of Graph's user that this tenant does not keep: they are null when selected.
const NULLS: &[&str] = &[
    "createdDateTime",
    "deletedDateTime",
    "faxNumber",
    "onPremisesExtensionAttributes",
    "onPremisesLastSyncDateTime",
    "postalCode",
    "securityIdentifier",
    "state",
    "streetAddress",
    "ageGroup",
    "consentProvidedForMinor",
    "legalAgeGroupClassification",
];

/// Collections of Graph's user that this tenant does not keep: they are empty when selected.
const EMPTIES: &[&str] =
    &["assignedLicenses", "businessPhones", "identities", "otherMails", "proxyAddresses", "assignedPlans"];

/// What Graph returns of a user when nothing is selected.
pub(crate) const DEFAULT_SELECT: &[&str] = &[
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
];

/// The two flags of a user.
pub(crate) const FLAGS: &[&str] = &["accountEnabled", "onPremisesSyncEnabled"];

/// Whether Graph's user has such a property.
pub(crate) fn is_known(name: &str) -> bool {
    TEXTS.contains(&name) || NULLS.contains(&name) || EMPTIES.contains(&name) || FLAGS.contains(&name)
}

/// Whether a property is a collection.
pub(crate) fn is_collection(name: &str) -> bool {
    EMPTIES.contains(&name)
}

/// The packed attributes.
#[derive(Clone, Default)]
pub(crate) struct Attributes {
    text: Box<str>,
    /// Code and end of each value, in the order of the text.
    cuts: Box<[(u8, u32)]>,
    /// Whether the account is enabled; absent when the file does not say.
    pub(crate) account_enabled: Option<bool>,
    /// Whether the user comes from an on-premises directory; absent when the file does not say.
    pub(crate) on_premises_sync_enabled: Option<bool>,
}

impl Attributes {
    /// Packs values by their code; later ones of the same code are not looked at.
    pub(crate) fn pack(values: &[(u8, String)]) -> Self {
        let mut text = String::with_capacity(values.iter().map(|(_, v)| v.len()).sum());
        let mut cuts = Vec::with_capacity(values.len());
        for (code, value) in values {
            text.push_str(value);
            cuts.push((*code, u32::try_from(text.len()).unwrap_or(u32::MAX)));
        }
        Self {
            text: text.into_boxed_str(),
            cuts: cuts.into_boxed_slice(),
            account_enabled: None,
            on_premises_sync_enabled: None,
        }
    }

    /// A text property by Graph's name; `None` when the user has none of it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let code = TEXTS.iter().position(|n| *n == name)?;
        let at = self.cuts.iter().position(|(c, _)| usize::from(*c) == code)?;
        let end = self.cuts.get(at)?.1 as usize;
        let start = at.checked_sub(1).and_then(|i| self.cuts.get(i)).map_or(0, |(_, end)| *end as usize);
        self.text.get(start..end)
    }

    /// Object id.
    pub(crate) fn id(&self) -> &str {
        self.get("id").unwrap_or_default()
    }

    /// User principal name.
    pub(crate) fn upn(&self) -> &str {
        self.get("userPrincipalName").unwrap_or_default()
    }

    /// Whether the user is a guest of the tenant.
    pub(crate) fn is_guest(&self) -> bool {
        self.get("userType").is_some_and(|t| t.eq_ignore_ascii_case("Guest"))
    }

    /// Every text property that is there, by name.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        TEXTS.iter().filter_map(|name| Some((*name, self.get(name)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_values_come_back_by_name() {
        let a = Attributes::pack(&[(0, "id-1".into()), (8, "guest".into()), (2, String::new())]);
        assert_eq!(a.id(), "id-1");
        assert_eq!(a.get("mail"), Some(""));
        assert_eq!(a.get("department"), None);
        assert!(a.is_guest());
        assert_eq!(a.texts().count(), 3);
    }
}
