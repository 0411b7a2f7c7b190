//! What Graph counts apart: a throttle of one bucket says nothing about another. Names and figures alone; nothing is
//! counted here.

/// What Graph counts apart, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bucket {
    /// Users, groups, policies, the token inventory.
    Directory,
    /// Reading authentication methods.
    Reads,
    /// Writing authentication methods, tokens and the federation of domains.
    Writes,
    /// Writing groups and the policies for a feature's rollout.
    Groups,
}

impl Bucket {
    /// Every bucket there is.
    pub const ALL: [Self; 4] = [Self::Directory, Self::Reads, Self::Writes, Self::Groups];

    /// Where the search begins when nothing is known. Writes of both kinds: the one figure that is published for an
    /// application in a tenant, 3,000 in 150 s. Reads: an eighth of the published 800 resource units a second of a large
    /// tenant.
    pub(super) fn start_per_s(self) -> f64 {
        match self {
            Self::Directory | Self::Writes | Self::Groups => 20.0,
            Self::Reads => 100.0,
        }
    }

    /// The word in the ledger and in `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Reads => "auth-reads",
            Self::Writes => "auth-writes",
            Self::Groups => "directory-writes",
        }
    }

    /// Reads a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.as_str() == word)
    }

    /// Whether its calls change something.
    pub(crate) fn is_of_writes(self) -> bool {
        match self {
            Self::Directory | Self::Reads => false,
            Self::Writes | Self::Groups => true,
        }
    }

    /// The other half of the same service: writes for reads and the other way round. Graph may throttle both at once.
    pub(super) fn counterpart(self) -> Self {
        match self {
            Self::Directory => Self::Groups,
            Self::Reads => Self::Writes,
            Self::Writes => Self::Reads,
            Self::Groups => Self::Directory,
        }
    }
}
