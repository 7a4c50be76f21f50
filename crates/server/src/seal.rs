//! Text that only this server can have made: sessions and cursors.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// No sealed text of ours is longer; what is longer is not even decoded.
const MAX_BYTES: usize = 2048;

/// Keys of sessions and cursors: the first signs, all of them verify, so that one can be changed for the next without signing anybody out.
/// From `BASTIDE_SESSION_KEY` or its file, or random.
#[derive(Clone)]
pub struct SessionKey {
    signing: Key,
    earlier: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    /// Named by what it signs. Made from it, and tells nothing of it.
    id: String,
    secret: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a session key of {0} bytes is no key; give it at least 32 random ones, for example from `openssl rand -base64 32`"
)]
pub struct WeakKey(usize);

impl SessionKey {
    /// One key, or several with commas or line ends between: the first signs.
    ///
    /// # Errors
    /// When one of them is too short to be a key, or there is none.
    pub fn from_text(text: &str) -> Result<Self, WeakKey> {
        let mut keys = Vec::new();
        for text in text.split([',', '\n']).map(str::trim).filter(|text| !text.is_empty()) {
            if text.len() < 32 {
                return Err(WeakKey(text.len()));
            }
            keys.push(Key::new(Sha256::digest(text.as_bytes()).into()));
        }
        let mut keys = keys.into_iter();
        Ok(Self { signing: keys.next().ok_or(WeakKey(0))?, earlier: keys.collect() })
    }

    /// For one process. Two v4 uuids carry 244 bits from the operating system's generator.
    #[must_use]
    pub fn random() -> Self {
        let mut hash = Sha256::new();
        hash.update(Uuid::new_v4().as_bytes());
        hash.update(Uuid::new_v4().as_bytes());
        Self { signing: Key::new(hash.finalize().into()), earlier: Vec::new() }
    }

    /// What is sealed for one purpose does not open for another. Names its key.
    pub(crate) fn seal(&self, purpose: &str, payload: &[u8]) -> String {
        let tag = self.signing.mac(purpose, payload).finalize().into_bytes();
        format!("{}.{}.{}", self.signing.id, URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(tag))
    }

    pub(crate) fn open(&self, purpose: &str, sealed: &str) -> Option<Vec<u8>> {
        if sealed.len() > MAX_BYTES {
            return None;
        }
        let (id, rest) = sealed.split_once('.')?;
        let key = std::iter::once(&self.signing).chain(&self.earlier).find(|key| key.id == id)?;
        let (payload, tag) = rest.split_once('.')?;
        let (payload, tag) = (URL_SAFE_NO_PAD.decode(payload).ok()?, URL_SAFE_NO_PAD.decode(tag).ok()?);
        // Compares in constant time, and the whole tag.
        key.mac(purpose, &payload).verify_slice(&tag).ok()?;
        Some(payload)
    }
}

impl Key {
    fn new(secret: [u8; 32]) -> Self {
        let mut key = Self { id: String::new(), secret };
        let tag = key.mac("bastide key id v1", b"").finalize().into_bytes();
        key.id = URL_SAFE_NO_PAD.encode(&tag[..6]);
        key
    }

    fn mac(&self, purpose: &str, payload: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
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
    fn a_key_is_changed_for_the_next_and_signs_nobody_out() {
        let (old, new) = ("o".repeat(32), "n".repeat(32));
        let before = SessionKey::from_text(&old).unwrap();
        let during = SessionKey::from_text(&format!("{new}\n{old}\n")).unwrap();
        let after = SessionKey::from_text(&new).unwrap();
        let (early, late) = (before.seal("session", b"a"), during.seal("session", b"b"));
        assert_ne!(early.split('.').next(), late.split('.').next(), "each names its key");
        assert!(during.open("session", &early).is_some() && during.open("session", &late).is_some());
        assert_eq!((after.open("session", &early), before.open("session", &late)), (None, None));
        assert_eq!(after.open("session", &late).as_deref(), Some(&b"b"[..]));
        let renamed = early.replacen(early.split('.').next().unwrap(), late.split('.').next().unwrap(), 1);
        assert_eq!(during.open("session", &renamed), None, "a key's name is no key");
        assert!(
            SessionKey::from_text(" ,\n").is_err() && SessionKey::from_text(&format!("{new},short")).is_err()
        );
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
            "a session key of 5 bytes is no key; give it at least 32 random ones, for example from `openssl rand -base64 32`"
        );
    }
}
