//! Whose rows a transaction may see.

use std::fmt;

use serde::Serialize;

/// The longest key a tenant root can sensibly have; anything longer is an attack or a mistake.
const MAX_BYTES: usize = 200;

/// The tenant's key as text. Well-formed for every database; whether it fits the root key's type, the server says when the
/// context is set ([`Error::MalformedTenant`](crate::Error::MalformedTenant)).
///
/// Not `Deserialize`: a tenant comes from a look-up or a verified credential, never straight out of a request body.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TenantId(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TenantIdError {
    #[error("a tenant id cannot be empty")]
    Empty,
    #[error("a tenant id of {0} bytes is too long; at most 200 are allowed")]
    TooLong(usize),
    #[error("a tenant id cannot contain control characters")]
    Control,
}

impl TenantId {
    /// # Errors
    /// When the text is empty, longer than 200 bytes, or holds a control character (NUL among them, which PostgreSQL
    /// cannot store).
    pub fn new(text: impl Into<String>) -> Result<Self, TenantIdError> {
        let text = text.into();
        if text.is_empty() {
            return Err(TenantIdError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(TenantIdError::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(TenantIdError::Control);
        }
        Ok(Self(text))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_that_can_be_a_key_is_a_tenant() {
        assert_eq!(TenantId::new(""), Err(TenantIdError::Empty));
        assert_eq!(TenantId::new("x".repeat(201)), Err(TenantIdError::TooLong(201)));
        assert_eq!(TenantId::new("a\0b"), Err(TenantIdError::Control));
        assert_eq!(TenantId::new("7").unwrap().as_str(), "7");
        assert!(TenantId::new("ä".repeat(100)).is_ok());
    }
}
