//! An answer that is given again to whoever asks for the same thing with the same key.

use bastide_tenancy::Row;
use serde_json::Value;

use super::Columns;
use crate::Error;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    pub status: i32,
    /// Name and value.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl TryFrom<&Row> for StoredAnswer {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "stored answer", row };
        let headers: Value = columns.get("headers")?;
        let pairs = headers.as_object().into_iter().flatten();
        Ok(Self {
            status: columns.get("status")?,
            headers: pairs
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            body: columns.get("body")?,
        })
    }
}
