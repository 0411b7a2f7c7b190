//! One change of the tenant's state, as the journal tells it.

use serde::Serialize;

/// What happened to one method. `from` and `to` are as in plans: a number, a token's status, a default; null is not
/// there. Of a membership (`group`) and of a rollout policy's groups they are the group's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Object id of the user, or of whatever else a group has among its members; or the name of the domain. Absent for
    /// a device that nobody holds, a rollout policy, and a group that ends.
    pub(crate) user: Option<String>,
    /// The method, in the words of plans, or another of Graph's names for what plans do not know.
    pub(crate) method: &'static str,
    /// Serial number of a token.
    pub(crate) serial: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
}

impl Effect {
    /// Whether it wrote what was there.
    pub(crate) fn is_noop(&self) -> bool {
        self.from == self.to
    }
}

/// A line of the journal.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line<'e> {
    at: &'e str,
    user: Option<&'e str>,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<&'e str>,
    from: Option<&'e str>,
    to: Option<&'e str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    noop: bool,
    request_id: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_request_id: Option<&'e str>,
}

impl Effect {
    /// The line of this effect. `request_id` is the one answered, `client_request_id` the one sent.
    pub(crate) fn line<'e>(
        &'e self,
        at: &'e str,
        request_id: &'e str,
        client_request_id: Option<&'e str>,
    ) -> Line<'e> {
        Line {
            at,
            user: self.user.as_deref(),
            method: self.method,
            serial: self.serial.as_deref(),
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            noop: self.is_noop(),
            request_id,
            client_request_id,
        }
    }
}
