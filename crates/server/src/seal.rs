//! Text that only this server can have made: sessions and cursors.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// No sealed text of ours is longer; what is longer is not even decoded.
const MAX_BYTES: usize = 2048;

/// The key of sessions and cursors, from `BASTIDE_SESSION_KEY` or random.
#[derive(Clone)]
pub struct SessionKey([u8; 32]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "BASTIDE_SESSION_KEY has {0} bytes; give it at least 32 random ones, for example from `openssl rand -base64 32`"
)]
pub struct WeakKey(usize);

impl SessionKey {
    /// # Errors
    /// When the text is too short to be a key.
    pub fn from_text(text: &str) -> Result<Self, WeakKey> {
        let text = text.trim();
        if text.len() < 32 {
            return Err(WeakKey(text.len()));
        }
        Ok(Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// For one process. Two v4 uuids carry 244 bits from the operating system's generator.
    #[must_use]
    pub fn random() -> Self {
        let mut hash = Sha256::new();
        hash.update(Uuid::new_v4().as_bytes());
        hash.update(Uuid::new_v4().as_bytes());
        Self(hash.finalize().into())
    }

    /// What is sealed for one purpose does not open for another.
    pub(crate) fn seal(&self, purpose: &str, payload: &[u8]) -> String {
        let tag = self.mac(purpose, payload).finalize().into_bytes();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(tag))
    }

    pub(crate) fn open(&self, purpose: &str, sealed: &str) -> Option<Vec<u8>> {
        if sealed.len() > MAX_BYTES {
            return None;
        }
        let (payload, tag) = sealed.split_once('.')?;
        let (payload, tag) = (URL_SAFE_NO_PAD.decode(payload).ok()?, URL_SAFE_NO_PAD.decode(tag).ok()?);
        // Compares in constant time, and the whole tag.
        self.mac(purpose, &payload).verify_slice(&tag).ok()?;
        Some(payload)
    }

    fn mac(&self, purpose: &str, payload: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        // The length keeps a purpose's end from being taken for a payload's beginning.
        mac.update(&u64::try_from(purpose.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(purpose.as_bytes());
        mac.update(payload);
        mac
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_purpose_open() {
        let key = SessionKey::from_text(&"k".repeat(32)).unwrap();
        let sealed = key.seal("session", b"payload");
        assert_eq!(key.open("session", &sealed).as_deref(), Some(&b"payload"[..]));
        assert_eq!(key.open("cursor", &sealed), None);
        assert_eq!(key.open("sessio", &key.seal("session", b"npayload")), None);
        assert_eq!(SessionKey::random().open("session", &sealed), None);
    }

    #[test]
    fn no_change_and_no_cut_goes_unnoticed() {
        let key = SessionKey::random();
        let sealed = key.seal("session", b"payload");
        for end in 0..sealed.len() {
            assert_eq!(key.open("session", &sealed[..end]), None, "cut at {end}");
        }
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.open("session", &String::from_utf8(bytes).unwrap()), None, "changed at {at}");
        }
        for text in ["", ".", "..", "a.b.c", &"A".repeat(5000)] {
            assert_eq!(key.open("session", text), None);
        }
    }

    #[test]
    fn a_short_key_is_refused_with_a_way_out() {
        assert_eq!(
            SessionKey::from_text("short").unwrap_err().to_string(),
            "BASTIDE_SESSION_KEY has 5 bytes; give it at least 32 random ones, for example from `openssl rand -base64 32`"
        );
    }
}
