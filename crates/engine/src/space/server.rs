//! Where the server keeps what, if that is on this machine.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::Disk;
use crate::{EngineError, MigrationGuard};

/// The disks of the server's tablespaces, by OID, and of its write-ahead log.
pub(super) struct Places {
    spaces: BTreeMap<u32, Disk>,
    wal: Disk,
}

/// Which disk something lies on; none is known of a server elsewhere.
pub(super) trait Devices {
    fn space(&self, oid: u32) -> u64;
    fn wal(&self) -> u64;
}

impl Devices for Places {
    fn space(&self, oid: u32) -> u64 {
        self.spaces.get(&oid).map_or(self.wal.device, |disk| disk.device)
    }

    fn wal(&self) -> u64 {
        self.wal.device
    }
}

impl Devices for () {
    fn space(&self, _: u32) -> u64 {
        0
    }

    fn wal(&self) -> u64 {
        0
    }
}

impl Places {
    pub(super) fn into_disks(self) -> impl Iterator<Item = Disk> {
        self.spaces.into_values().chain([self.wal])
    }
}

/// Why they cannot be looked at, when they cannot.
pub(super) async fn places(guard: &MigrationGuard) -> Result<Result<Places, String>, EngineError> {
    let reading = "asking where the server keeps its data";
    let row = guard
        .client()
        .query_one(
            "SELECT current_setting('data_directory'), inet_server_addr() IS NULL, (SELECT system_identifier FROM pg_control_system())",
            &[],
        )
        .await
        .map_err(EngineError::server(reading))?;
    let folder: String = row.try_get(0).map_err(EngineError::server(reading))?;
    let socket: bool = row.try_get(1).map_err(EngineError::server(reading))?;
    let system: i64 = row.try_get(2).map_err(EngineError::server(reading))?;
    let folder = PathBuf::from(folder);
    if let Err(why) = here(&folder, socket, system) {
        return Ok(Err(why));
    }
    let spaces = guard
        .client()
        .query("SELECT oid, pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname <> 'pg_global'", &[])
        .await
        .map_err(EngineError::server(reading))?;
    let mut places = BTreeMap::new();
    for row in spaces {
        let (oid, location): (u32, String) = (
            row.try_get(0).map_err(EngineError::server(reading))?,
            row.try_get(1).map_err(EngineError::server(reading))?,
        );
        // Empty for the data folder itself, relative for one inside it.
        match Disk::of(&folder.join(location)) {
            Ok(disk) => drop(places.insert(oid, disk)),
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    // Without the right to look behind a link it counts as part of the data folder.
    let wal = Disk::of(&folder.join("pg_wal")).or_else(|_| Disk::of(&folder));
    Ok(wal.map(|wal| Places { spaces: places, wal }).map_err(|error| error.to_string()))
}

/// A folder of that name may be another server's: a container's, or the near end of a tunnel.
fn here(folder: &Path, socket: bool, system: i64) -> Result<(), String> {
    let mut identifier = [0; 8];
    let control = File::open(folder.join("global/pg_control"));
    match control.and_then(|mut file| file.read_exact(&mut identifier)) {
        Ok(()) if i64::from_ne_bytes(identifier) == system => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && socket => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(format!("this user may not look into {}", folder.display()))
        }
        _ => Err(format!("its data folder {} is not on this machine", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_the_same_name_is_not_the_servers() {
        let folder = tempfile::tempdir().unwrap();
        assert!(here(folder.path(), true, 7).unwrap_err().contains("is not on this machine"));
        std::fs::create_dir(folder.path().join("global")).unwrap();
        std::fs::write(folder.path().join("global/pg_control"), [&7_i64.to_ne_bytes()[..], &[0; 8]].concat())
            .unwrap();
        assert_eq!(here(folder.path(), false, 7), Ok(()));
        assert!(here(folder.path(), true, 8).is_err());
    }
}
