//! Pictures of products: what one must be ([`image`]) and where it is kept ([`MediaStore`]).
//!
//! A file is named by what is in it and lies beneath its tenant, so no name that a client sends is ever part of a path. It is written,
//! synced and renamed before the row that tells of it is committed: a row never tells of a file that is not there. Files that no row tells
//! of are found by [`orphans`]; nothing deletes them by itself.

mod disk;
mod image;
mod upload;

use std::{collections::BTreeSet, io};

use bastide_commerce::queries::media;
use bastide_tenancy::{TenantId, TenantPool};
use sha2::{Digest, Sha256};

pub use disk::DiskStore;
pub use image::ImageKind;
pub(crate) use image::{Image, inspect};
pub(crate) use upload::Upload;

/// Where files are kept. Its functions may block.
pub trait MediaStore: std::fmt::Debug + Send + Sync {
    /// Keeps it, for good when this returns. The same file again is no error.
    ///
    /// # Errors
    /// When it cannot be kept; then there is nothing under this name.
    fn put(&self, tenant: &TenantId, name: &FileName, bytes: &[u8]) -> io::Result<()>;

    /// # Errors
    /// When it is there and cannot be read.
    fn get(&self, tenant: &TenantId, name: &FileName) -> io::Result<Option<Vec<u8>>>;

    /// # Errors
    /// When the files cannot be listed.
    fn list(&self, tenant: &TenantId) -> io::Result<Vec<FileName>>;
}

/// SHA-256 of a file in hexadecimal, and what kind of picture it is: `9f86….png`. Nothing else is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName {
    hash: String,
    kind: ImageKind,
}

impl FileName {
    pub(crate) fn of(bytes: &[u8], kind: ImageKind) -> Self {
        Self { hash: Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect(), kind }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (hash, extension) = text.split_once('.')?;
        let plain = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        let kind = ImageKind::ALL.into_iter().find(|kind| kind.extension() == extension)?;
        plain.then(|| Self { hash: hash.to_owned(), kind })
    }

    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    pub(crate) fn kind(&self) -> ImageKind {
        self.kind
    }
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.hash, self.kind.extension())
    }
}

/// Files of a tenant that none of its rows tells of. A file whose row is about to be committed is one of them: look again before you delete it.
///
/// # Errors
/// When the files cannot be listed, or the database gives no answer.
pub async fn orphans(
    store: &dyn MediaStore,
    pool: &TenantPool,
    tenant: &TenantId,
) -> Result<Vec<FileName>, OrphansError> {
    let files = store.list(tenant)?;
    let known: BTreeSet<String> = media::referenced(pool, tenant).await?.into_iter().collect();
    Ok(files.into_iter().filter(|file| !known.contains(&file.hash)).collect())
}

#[derive(Debug, thiserror::Error)]
pub enum OrphansError {
    #[error("the media folder cannot be listed: {0}")]
    Files(#[from] io::Error),
    #[error(transparent)]
    Database(#[from] bastide_commerce::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_hash_and_a_kind_is_a_name() {
        let hash = "0".repeat(64);
        let name = FileName::of(b"x", ImageKind::Png);
        assert_eq!(FileName::parse(&name.to_string()), Some(name));
        for text in [
            format!("../{hash}.png"),
            format!("{hash}.svg"),
            format!("{hash}.png/../x"),
            format!("{hash}.html"),
            format!("{}.png", "0".repeat(63)),
            format!("{}.png", "A".repeat(64)),
            format!("{hash}.png\0"),
            format!("{hash}..png"),
            String::new(),
        ] {
            assert_eq!(FileName::parse(&text), None, "{text:?}");
        }
    }
}
