//! Secrets that are handed out once and kept as a hash: refresh tokens, invitations, API keys.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What somebody sends is no longer than this when it is one of ours.
const MAX_BYTES: usize = 128;

/// A secret in clear. Has no `Debug` and no `Display`: it goes into one answer, and nowhere else.
pub(crate) struct Secret(String);

impl Secret {
    /// 32 bytes made of three v4 uuids, which carry 366 bits from the operating system's generator. `kind` says what it is, to people and to
    /// programs that look for leaked ones.
    pub(crate) fn new(kind: &'static str) -> Self {
        let mut hash = Sha256::new();
        for _ in 0..3 {
            hash.update(Uuid::new_v4().as_bytes());
        }
        Self(format!("{kind}_{}", URL_SAFE_NO_PAD.encode(hash.finalize())))
    }

    pub(crate) fn hash(&self) -> String {
        sha256(&self.0)
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// The name under which a secret that was sent is kept, when it can be one of this kind.
pub(crate) fn hash_of(kind: &'static str, given: &str) -> Option<String> {
    let is_ours =
        given.len() <= MAX_BYTES && given.strip_prefix(kind).is_some_and(|rest| rest.starts_with('_'));
    is_ours.then(|| sha256(given))
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_hash_and_by_its_kind() {
        let (one, other) = (Secret::new("rt"), Secret::new("rt"));
        assert_ne!(one.hash(), other.hash());
        let hash = one.hash();
        let text = one.into_text();
        assert_eq!((text.len(), hash.len()), (46, 64));
        assert_eq!(hash_of("rt", &text), Some(hash));
        assert_eq!(hash_of("sk", &text), None);
        assert_eq!(hash_of("rt", &format!("rt_{}", "a".repeat(200))), None);
    }
}
