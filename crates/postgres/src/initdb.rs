//! Making a cluster.

use std::fs;

use crate::{Installation, PostgresError, account::Account, error::Naming, folder::Folder};

/// Makes the cluster and its superuser `postgres` with a generated password, kept beside it.
///
/// The cluster appears under its name only when it is whole: a killed initdb leaves nothing that looks usable.
pub(crate) async fn initdb(
    installation: &Installation,
    folder: &Folder,
    account: &Account,
    options: &[String],
) -> Result<(), PostgresError> {
    let password = folder.password();
    if password.exists() {
        fs::remove_file(&password).naming("remove", &password)?;
    }
    account.write_secret(&password, &generated_password()?)?;

    let unfinished = folder.root.join("cluster.unfinished");
    let mut output = String::new();
    // Not every C library has C.UTF-8; C sorts the same way and differs in the case of non-ASCII letters only.
    for locale in ["C.UTF-8", "C"] {
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).naming("remove", &unfinished)?;
        }
        let mut command = account.command(&installation.tool("initdb"));
        command.arg("--pgdata").arg(&unfinished).arg("--pwfile").arg(&password).args([
            "--username=postgres",
            "--auth-local=scram-sha-256",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
        ]);
        command.arg(format!("--locale={locale}")).args(options);
        let mut command = tokio::process::Command::from(command);
        let done = command.kill_on_drop(true).output().await.naming("run", installation.tool("initdb"))?;
        if done.status.success() {
            let cluster = folder.cluster();
            return fs::rename(&unfinished, &cluster).naming("create", cluster);
        }
        output = String::from_utf8_lossy(&done.stderr).into_owned();
    }
    Err(PostgresError::Initdb { folder: folder.root.clone(), output })
}

/// 128 random bits in hexadecimal: nothing in it needs quoting in a URL, a shell or a file.
fn generated_password() -> Result<String, PostgresError> {
    use std::io::Read;
    let mut bytes = [0_u8; 16];
    let source = "/dev/urandom";
    fs::File::open(source).and_then(|mut file| file.read_exact(&mut bytes)).naming("read", source)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
