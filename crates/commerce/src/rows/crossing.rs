//! A request whose parts named different merchants, as the record has it: who, where and when; nothing that was sent.

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Crossing {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub kind: CrossingKind,
    /// Whose the credential is; none when there was none.
    pub who: Option<Uuid>,
    pub method: String,
    /// The route's template, never the path.
    pub route: String,
    /// The merchant that the path names.
    pub merchant: Option<Uuid>,
    pub request_id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CrossingKind {
    /// The credential is not one of the merchant that the path names.
    Credential,
    /// `X-Tenant-ID` names another merchant than the path.
    Header,
    /// The right password, for a merchant that is not one's own.
    SignIn,
}

impl CrossingKind {
    pub const ALL: [Self; 3] = [Self::Credential, Self::Header, Self::SignIn];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Header => "header",
            Self::SignIn => "sign_in",
        }
    }
}
