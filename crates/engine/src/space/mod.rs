//! Room on disk, reckoned before anything is changed: for the dump, for restoring it, and for what the steps write.

mod needs;
mod server;

use std::path::{Path, PathBuf};

use bastide_plan::{Phase, Plan};
use rustix::fs::{stat, statvfs};

use self::needs::Sizes;
use crate::{BackupChoice, EngineError, Event, Listener, MigrationGuard, app_login::private_folder};

/// # Errors
/// When a disk has not what the run may need at its fullest; says how much, for what, and what to do. What cannot be
/// looked at is an [`Event::Notice`].
pub(crate) async fn check(
    guard: &MigrationGuard,
    plan: &Plan,
    state_dir: &Path,
    choice: &BackupChoice,
    listener: Listener<'_>,
) -> Result<(), EngineError> {
    private_folder(state_dir)?;
    let sizes = Sizes::read(guard).await?;
    let mut disks = vec![Disk::of(state_dir)?];
    let mut wanted = sizes.dump(choice, disks[0].device);
    match server::places(guard).await? {
        Ok(places) => {
            wanted.extend(sizes.verifying(choice, &places));
            wanted.extend(sizes.migrating(plan, &places));
            disks.extend(places.into_disks());
        }
        Err(why) => {
            let verifying: u64 = sizes.verifying(choice, &()).iter().map(|need| need.bytes).sum();
            let migrating: u64 = sizes.migrating(plan, &()).iter().map(|need| need.bytes).sum();
            let text = format!(
                "room on the server's disk was not checked: {why}. Verifying the backup may need {} there for a while, and migrating {}",
                megabytes(verifying),
                megabytes(migrating)
            );
            listener(&Event::Notice { text });
        }
    }
    disks.sort_by_key(|disk| disk.device);
    disks.dedup_by_key(|disk| disk.device);
    for disk in &disks {
        let peak = Peak::of(disk, &wanted);
        if peak.bytes() > disk.free {
            return Err(EngineError::Preflight(peak.refusal(disk)));
        }
        let (path, free) = (disk.path.display(), megabytes(disk.free));
        let text = format!("room on {path}: {free} free, at most {} needed", megabytes(peak.bytes()));
        listener(&Event::Activity { phase: Phase::Preflight, text });
    }
    Ok(())
}

/// A file system that something is written to.
#[derive(Clone, Debug)]
struct Disk {
    path: PathBuf,
    device: u64,
    free: u64,
}

impl Disk {
    fn of(path: &Path) -> Result<Self, EngineError> {
        let wrong = |error: rustix::io::Errno| EngineError::file(path)(error.into());
        let room = statvfs(path).map_err(wrong)?;
        let device = stat(path).map_err(wrong)?.st_dev;
        Ok(Self { path: path.to_owned(), device, free: room.f_bavail.saturating_mul(room.f_frsize) })
    }
}

/// How long the room is taken. The dump stays; what verifying it takes is free again before the steps begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Dump,
    Verifying,
    Migrating,
}

#[derive(Clone, Debug)]
struct Need {
    device: u64,
    when: When,
    bytes: u64,
    what: String,
}

/// What a run needs of one disk.
struct Peak<'a> {
    needs: Vec<&'a Need>,
}

impl<'a> Peak<'a> {
    fn of(disk: &Disk, wanted: &'a [Need]) -> Self {
        let mut needs: Vec<&Need> =
            wanted.iter().filter(|need| need.device == disk.device && need.bytes > 0).collect();
        needs.sort_by_key(|need| std::cmp::Reverse(need.bytes));
        Self { needs }
    }

    fn of_kind(&self, when: When) -> u64 {
        self.needs.iter().filter(|need| need.when == when).map(|need| need.bytes).sum()
    }

    /// At its fullest.
    fn bytes(&self) -> u64 {
        self.of_kind(When::Dump) + self.of_kind(When::Verifying).max(self.of_kind(When::Migrating))
    }

    fn refusal(&self, disk: &Disk) -> String {
        const NAMED: usize = 5;
        let (dump, migrating) = (self.of_kind(When::Dump), self.of_kind(When::Migrating));
        let fuller =
            if self.of_kind(When::Verifying) > migrating { When::Verifying } else { When::Migrating };
        let counted: Vec<_> =
            self.needs.iter().filter(|need| need.when == When::Dump || need.when == fuller).collect();
        let mut named: Vec<String> = counted
            .iter()
            .take(NAMED)
            .map(|need| format!("{} {}", need.what, megabytes(need.bytes)))
            .collect();
        let rest: u64 = counted.iter().skip(NAMED).map(|need| need.bytes).sum();
        if rest > 0 {
            named.push(format!("the rest {}", megabytes(rest)));
        }
        let mut ways = vec!["make room there".to_owned()];
        if dump > 0 {
            ways.push("keep the backup elsewhere with --state-dir".to_owned());
        }
        if fuller == When::Verifying && dump + migrating <= disk.free {
            ways.push("have the backup's contents only listed with --verify-backup=list".to_owned());
        }
        if dump > 0 && migrating <= disk.free {
            ways.push("go without, if you have a backup of your own, with --no-backup".to_owned());
        }
        format!(
            "{} has {} free, and the run may need {} of it: {}. Nothing was changed: {}",
            disk.path.display(),
            megabytes(disk.free),
            megabytes(self.bytes()),
            named.join(", "),
            ways.join(", or ")
        )
    }
}

/// Rounded up: what is needed is never said to be nothing.
fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn need(device: u64, when: When, megabytes: u64, what: &str) -> Need {
        Need { device, when, bytes: megabytes * MB, what: what.to_owned() }
    }

    #[test]
    fn a_disk_is_fullest_while_verifying_or_while_migrating() {
        let wanted = [
            need(1, When::Dump, 40, "the backup"),
            need(1, When::Verifying, 100, "the backup restored"),
            need(1, When::Migrating, 30, "public.orders"),
            need(1, When::Migrating, 80, "public.lines"),
            need(2, When::Migrating, 7, "WAL"),
        ];
        let disk = |device, free| Disk { path: "/data".into(), device, free: free * MB };
        assert_eq!(Peak::of(&disk(1, 0), &wanted).bytes(), 150 * MB);
        assert_eq!(Peak::of(&disk(2, 0), &wanted).bytes(), 7 * MB);
        assert_eq!(Peak::of(&disk(3, 0), &wanted).bytes(), 0);
        let told = |wanted: &[Need], disk: Disk| Peak::of(&disk, wanted).refusal(&disk);
        insta::assert_snapshot!(told(&wanted, disk(1, 120)), @"/data has 120 MB free, and the run may need 150 MB of it: public.lines 80 MB, the backup 40 MB, public.orders 30 MB. Nothing was changed: make room there, or keep the backup elsewhere with --state-dir, or go without, if you have a backup of your own, with --no-backup");
        insta::assert_snapshot!(told(&wanted[..3], disk(1, 120)), @"/data has 120 MB free, and the run may need 140 MB of it: the backup restored 100 MB, the backup 40 MB. Nothing was changed: make room there, or keep the backup elsewhere with --state-dir, or have the backup's contents only listed with --verify-backup=list, or go without, if you have a backup of your own, with --no-backup");
        insta::assert_snapshot!(told(&wanted, disk(2, 1)), @"/data has 1 MB free, and the run may need 7 MB of it: WAL 7 MB. Nothing was changed: make room there");
    }
}
