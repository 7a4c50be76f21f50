//! Tenant contexts that only whoever holds a key can make: `v1.KEY.EXPIRY.MAC.TENANT`, as `bastide.open_seal` takes them.

use std::{
    sync::{Arc, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Error, Kind, TenantId, Unbound, lease::Lease};

/// Long enough for any request of ours and clocks that are a little apart; what is overheard is of no use after it.
const LIFETIME: Duration = Duration::from_secs(60);

/// The keys of `bastide.seal_key`, as `bastide context export` writes them: one `ID SECRET` on each line, the secret in hexadecimal.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKeys {
    /// Of the newest key.
    id: u32,
    secret: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSealKeys {
    #[error(
        "line {0} is no key; each is `ID SECRET`, the secret 64 hexadecimal digits, as `bastide context export` writes them"
    )]
    Line(usize),
    #[error("there is no key; write one with `bastide context export`")]
    Empty,
}

impl SealKeys {
    /// The newest of them, the one with the highest id, seals: the database had it before any file did.
    ///
    /// # Errors
    /// When a line is no key, or there is none.
    pub fn parse(text: &str) -> Result<Self, BadSealKeys> {
        let mut newest: Option<Self> = None;
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = Self::line(line).ok_or(BadSealKeys::Line(at + 1))?;
            if newest.as_ref().is_none_or(|newest| newest.id < key.id) {
                newest = Some(key);
            }
        }
        newest.ok_or(BadSealKeys::Empty)
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn newest(&self) -> u32 {
        self.id
    }

    fn line(line: &str) -> Option<Self> {
        let (id, secret) = line.split_once(char::is_whitespace)?;
        let secret = secret.trim();
        if secret.len() != 64 || !secret.is_ascii() {
            return None;
        }
        let bytes = (0..64).step_by(2).map(|at| u8::from_str_radix(&secret[at..at + 2], 16).ok());
        Some(Self { id: id.parse().ok()?, secret: bytes.collect::<Option<_>>()? })
    }
}

/// Never the secret.
impl std::fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealKeys").field("newest", &self.id).finish_non_exhaustive()
    }
}

/// Seals for one login of one database, whose names the server itself said.
pub(crate) struct Sealer {
    keys: RwLock<Arc<SealKeys>>,
    login: String,
    database: String,
}

impl Sealer {
    pub(crate) fn new(keys: SealKeys, login: String, database: String) -> Self {
        Self { keys: RwLock::new(Arc::new(keys)), login, database }
    }

    pub(crate) fn replace(&self, keys: SealKeys) {
        *self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(keys);
    }

    pub(crate) fn token(&self, tenant: &TenantId) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let keys = self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        self.sealed(&keys, tenant, (now + LIFETIME).as_secs())
    }

    fn sealed(&self, keys: &SealKeys, tenant: &TenantId, expiry: u64) -> String {
        let (id, tenant) = (keys.id, tenant.as_str());
        let message = format!(
            "v1.{id}.{expiry}.{}.{}.{}.{}.{tenant}",
            self.database.len(),
            self.database,
            self.login.len(),
            self.login
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(&keys.secret).expect("HMAC takes keys of any length");
        mac.update(message.as_bytes());
        let mut token = format!("v1.{id}.{expiry}.");
        for byte in mac.finalize().into_bytes() {
            token.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or_default());
            token.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or_default());
        }
        token.push('.');
        token.push_str(tenant);
        token
    }
}

const SEALED: &str = "SELECT session_user::text AS login, pg_catalog.current_database()::text AS base, \
    pg_catalog.to_regprocedure('bastide.open_seal(text)') IS NOT NULL AS sealed";

/// A sealer for the login and the database that `lease` reached, where contexts are sealed there.
pub(crate) async fn check(lease: &Lease, keys: Option<&SealKeys>) -> Result<Option<Sealer>, Error> {
    let row = lease.query_typed(SEALED, &[]).await?.pop().ok_or(Error::Mismatch("no row".to_owned()))?;
    let (login, database): (String, String) = (row.get("login"), row.get("base"));
    let keys = match (row.get::<_, bool>("sealed"), keys) {
        (false, None) => return Ok(None),
        (false, Some(_)) => return Err(Unbound::NotSealed { database }.into()),
        (true, None) => return Err(Unbound::Sealed { database }.into()),
        (true, Some(keys)) => keys,
    };
    let sealer = Sealer::new(keys.clone(), login, database.clone());
    let probe = sealer.token(&TenantId::new("probe").map_err(|error| Error::Mismatch(error.to_string()))?);
    let opened = lease.query_typed("SELECT bastide.open_seal($1)", &[(&probe, Kind::Text.postgres())]).await;
    match opened.map_err(Error::from) {
        Ok(_) => Ok(Some(sealer)),
        Err(Error::Seal) => Err(Unbound::UnknownSealKey { database, id: keys.id }.into()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_key_of_a_file_seals_and_no_secret_is_shown() {
        let keys =
            SealKeys::parse(&format!("# keys\n\n1 {}\n12\t{}\n", "0a".repeat(32), "ff".repeat(32))).unwrap();
        assert_eq!(keys.newest(), 12);
        insta::assert_snapshot!(format!("{keys:?}"), @"SealKeys { newest: 12, .. }");
        for wrong in
            ["1", "x 0a", "1 0a", &format!("1 {}", "zz".repeat(32)), &format!("1 {}", "é".repeat(32))]
        {
            assert_eq!(SealKeys::parse(&format!("# \n{wrong}")), Err(BadSealKeys::Line(2)), "{wrong}");
        }
        assert_eq!(SealKeys::parse("# none"), Err(BadSealKeys::Empty));
    }

    /// The same values as in the step's own test, where the database computes them.
    #[test]
    fn a_token_is_what_the_database_makes_of_the_same() {
        let keys = SealKeys { id: 1, secret: vec![0; 32] };
        let sealer = Sealer::new(keys.clone(), "me".to_owned(), "trial".to_owned());
        let token = sealer.sealed(&keys, &TenantId::new("t").unwrap(), 2);
        assert_eq!(token, "v1.1.2.0a1e2ecc56bbdf664e12d9385271e8d254320412a7ecae0aa280aaf08064ff4b.t");
    }
}
