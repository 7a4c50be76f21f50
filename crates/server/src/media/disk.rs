//! Media in a folder of this machine: `<folder>/<tenant>/<first two of the hash>/<hash>.<kind>`.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use bastide_tenancy::TenantId;
use uuid::Uuid;

use super::{FileName, MediaStore};

#[derive(Debug)]
pub struct DiskStore {
    folder: PathBuf,
}

impl DiskStore {
    /// # Errors
    /// When the folder is not there and cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// A tenant's id is a uuid here; whatever is none has no folder.
    fn of(&self, tenant: &TenantId) -> io::Result<PathBuf> {
        let id: Uuid =
            tenant.to_string().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.folder.join(id.to_string()))
    }

    fn place(&self, tenant: &TenantId, name: &FileName) -> io::Result<PathBuf> {
        Ok(self.of(tenant)?.join(&name.hash()[..2]).join(name.to_string()))
    }
}

impl MediaStore for DiskStore {
    fn put(&self, tenant: &TenantId, name: &FileName, bytes: &[u8]) -> io::Result<()> {
        let place = self.place(tenant, name)?;
        let folder = place.parent().ok_or(io::ErrorKind::InvalidInput)?;
        fs::create_dir_all(folder)?;
        // The same content may be there from before, and be shorter than it should after a crash of another system: it is written anew.
        let meanwhile = folder.join(format!("{}.part", Uuid::now_v7()));
        let kept = write(&meanwhile, bytes).and_then(|()| fs::rename(&meanwhile, &place));
        if let Err(error) = kept {
            if fs::remove_file(&meanwhile).is_err() {
                tracing::warn!(file = %meanwhile.display(), "what is left of an upload could not be removed");
            }
            return Err(error);
        }
        File::open(folder)?.sync_all()
    }

    fn get(&self, tenant: &TenantId, name: &FileName) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.place(tenant, name)?) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, tenant: &TenantId) -> io::Result<Vec<FileName>> {
        let mut found = Vec::new();
        for folder in entries(&self.of(tenant)?)? {
            let names = entries(&folder)?.into_iter();
            found.extend(names.filter_map(|file| FileName::parse(file.file_name()?.to_str()?)));
        }
        found.sort();
        Ok(found)
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// What is in a folder; nothing when it is not there.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
