//! Keys that programs come with.

use bastide_tenancy::Row;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Columns;
use crate::Error;

/// A key as it is shown: what it opens and how it begins, never what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApiKey {
    pub id: Uuid,
    pub name: String,
    /// `publishable`: may be seen by anybody, and opens storefronts only. `secret`: opens what its scopes name.
    #[schema(example = "secret")]
    pub kind: String,
    /// Its first characters.
    #[schema(example = "sk_c2lnbm")]
    pub prefix: String,
    pub scopes: Vec<String>,
    pub created_by: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
}

impl TryFrom<&Row> for ApiKey {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "API key", row };
        Ok(Self {
            id: columns.get("id")?,
            name: columns.get("name")?,
            kind: columns.get("kind")?,
            prefix: columns.get("prefix")?,
            scopes: names(&columns.get("scopes")?),
            created_by: columns.get("created_by")?,
            created_at: columns.get("created_at")?,
            expires_at: columns.get("expires_at")?,
            revoked_at: columns.get("revoked_at")?,
        })
    }
}

/// A key that was sent and is good: whose it is and what it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAccess {
    pub id: Uuid,
    pub merchant: Uuid,
    pub secret: bool,
    pub scopes: Vec<String>,
}

impl TryFrom<&Row> for KeyAccess {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "API key", row };
        let kind: String = columns.get("kind")?;
        Ok(Self {
            id: columns.get("id")?,
            merchant: columns.get("merchant_id")?,
            secret: kind == "secret",
            scopes: names(&columns.get("scopes")?),
        })
    }
}

fn names(scopes: &serde_json::Value) -> Vec<String> {
    scopes.as_array().into_iter().flatten().filter_map(|scope| scope.as_str().map(str::to_owned)).collect()
}
