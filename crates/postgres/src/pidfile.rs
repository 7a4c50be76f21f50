//! `postmaster.pid`: which process, if any, serves a cluster.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::{PostgresError, error::Naming, folder::Folder};

/// A live PostgreSQL in a data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    pub pid: i32,
    pub port: Option<u16>,
}

/// The live server of `data_dir`, started by us or not.
///
/// # Errors
/// When the folder cannot be read.
pub fn running(data_dir: &Path) -> Result<Option<Running>, PostgresError> {
    running_in(&Folder::new(data_dir)?.cluster())
}

/// Stops whatever server a dead process of ours left in `data_dir`: at once, losing nothing that was committed.
///
/// # Errors
/// When it does not go.
pub fn stop_running(data_dir: &Path) -> Result<(), PostgresError> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let cluster = Folder::new(data_dir)?.cluster();
    let Some(server) = running_in(&cluster)? else { return Ok(()) };
    let begun = Instant::now();
    signal(server.pid, Signal::QUIT)?;
    while running_in(&cluster)?.is_some_and(|still| still.pid == server.pid) {
        if begun.elapsed() > PATIENCE {
            return Err(PostgresError::NotStopped { pid: server.pid, waited: PATIENCE });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The file outlives a crash, and its pid may since have gone to an unrelated program, so the process is looked at:
/// a postmaster's working directory is its cluster.
pub(crate) fn running_in(cluster: &Path) -> Result<Option<Running>, PostgresError> {
    let path = cluster.join("postmaster.pid");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(PostgresError::Io { doing: "read", path, source }),
    };
    let lines: Vec<&str> = text.lines().collect();
    let line = |number: usize| lines.get(number).map(|line| line.trim());
    // A negative pid is a single-user backend's.
    let Some(pid) = line(0).and_then(|text| text.parse::<i32>().ok()).map(i32::abs) else { return Ok(None) };
    let port = line(3).and_then(|text| text.parse().ok());
    Ok(serves(pid, cluster).then_some(Running { pid, port }))
}

/// Removes the file a crashed server left. PostgreSQL would do so itself, except when some other program of the same
/// user has got the pid.
pub(crate) fn remove_stale(cluster: &Path) -> Result<(), PostgresError> {
    let path = cluster.join("postmaster.pid");
    match fs::remove_file(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.naming("remove", path),
    }
}

pub(crate) fn signal(pid: i32, signal: Signal) -> Result<(), PostgresError> {
    let Some(process) = Pid::from_raw(pid) else { return Ok(()) };
    match kill_process(process, signal) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        result => result.naming("signal", PathBuf::from(format!("process {pid}"))),
    }
}

fn serves(pid: i32, cluster: &Path) -> bool {
    let alive =
        Pid::from_raw(pid).is_some_and(|process| test_kill_process(process) != Err(rustix::io::Errno::SRCH));
    if !alive {
        return false;
    }
    if cfg!(target_os = "linux") {
        let directory = fs::read_link(format!("/proc/{pid}/cwd"));
        return match (directory, cluster.canonicalize()) {
            (Ok(directory), Ok(cluster)) => directory == cluster,
            // A zombie has no working directory; another user's process does not serve a folder of ours.
            _ => false,
        };
    }
    let pid = pid.to_string();
    let output = Command::new("ps").args(["-p", &pid, "-o", "command="]).stderr(Stdio::null()).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&*cluster.to_string_lossy()))
}
