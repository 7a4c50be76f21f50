//! Passwords: verified off the async threads, few at a time, and with the same work for addresses nobody has.

use std::{sync::Arc, time::Duration};

use argon2::{
    Argon2, Params,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::{
    body::Faults,
    code::{Code, FieldCode},
    problem::Problem,
};

/// Longer ones are refused unread; hashing megabytes is not a service we offer.
const MAX_PASSWORD_BYTES: usize = 1024;
const MIN_CHARACTERS: usize = 12;
/// A stored hash may not ask for more than this (KiB, passes), or one row could stall the server.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 16;
/// How long a sign-in may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    /// A hash that nothing is expected to match, worked through when there is no account.
    decoy: Arc<str>,
}

impl Passwords {
    pub(crate) fn new(at_a_time: usize) -> Self {
        let decoy = Argon2::default().hash_password(uuid::Uuid::new_v4().as_bytes());
        Self {
            turns: Arc::new(Semaphore::new(at_a_time.max(1))),
            // Without the operating system's randomness there is no decoy, and unknown addresses are answered sooner.
            decoy: decoy.map(|hash| hash.to_string()).unwrap_or_default().into(),
        }
    }

    /// # Errors
    /// When too many others wait.
    pub(crate) async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, Problem> {
        if password.len() > MAX_PASSWORD_BYTES {
            return Ok(false);
        }
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Problem::of(Code::Busy)) };
        let decoy = self.decoy.clone();
        let verified = tokio::task::spawn_blocking(move || {
            // Held to the end of the work: a request that was dropped still takes its turn.
            let _turn = turn;
            match stored.as_deref().and_then(parse) {
                Some(hash) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
                None => {
                    if let Some(hash) = parse(&decoy) {
                        // The outcome is known; the work is what counts.
                        std::hint::black_box(
                            Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
                        );
                    }
                    false
                }
            }
        });
        verified.await.map_err(|_| Problem::of(Code::Internal))
    }
}

impl Passwords {
    /// # Errors
    /// When too many others wait.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Problem> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Problem::of(Code::Busy)) };
        let hashed = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string())
        });
        let hashed = hashed.await.map_err(|_| Problem::of(Code::Internal))?;
        hashed.map_err(|_| Problem::of(Code::Internal))
    }
}

/// What a new password must be: long is what counts.
pub(crate) fn check_new(faults: &mut Faults, pointer: &str, password: &str) {
    let characters = password.chars().count();
    faults.check(
        pointer,
        characters >= MIN_CHARACTERS,
        FieldCode::TooShort,
        "must have at least 12 characters",
    );
    faults.check(
        pointer,
        password.len() <= MAX_PASSWORD_BYTES,
        FieldCode::TooLong,
        "must have at most 1024 bytes",
    );
}

fn parse(text: &str) -> Option<PasswordHash> {
    let hash = PasswordHash::new(text).ok()?;
    let params = Params::try_from(&hash).ok()?;
    (params.m_cost() <= MAX_MEMORY_KIB && params.t_cost() <= MAX_PASSES).then_some(hash)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn hashed(password: &str) -> String {
        Argon2::default().hash_password(password.as_bytes()).unwrap().to_string()
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_sane_hash_is_right() {
        let passwords = Passwords::new(1);
        let verify = async |password: &str, stored: Option<&str>| {
            passwords.verify(password.to_owned(), stored.map(str::to_owned)).await.unwrap()
        };
        let stored = hashed("correct horse");
        assert!(verify("correct horse", Some(&stored)).await);
        assert!(!verify("correct horsf", Some(&stored)).await);
        assert!(!verify("", Some("")).await);
        assert!(!verify("x", Some("not a hash")).await);
        assert!(!verify("x", None).await);
        assert!(!verify(&"x".repeat(2000), Some(&hashed(&"x".repeat(2000)))).await);
        let monstrous = stored.replace("t=2", "t=4000000");
        let began = Instant::now();
        assert!(monstrous != stored && !verify("correct horse", Some(&monstrous)).await);
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}
