//! The proof: the backup restored into a scratch database of the same server, every row compared, the database dropped
//! whatever came of it.

use std::{fs, path::PathBuf};

use bastide_sql::Ident;

use super::{APPLICATION, Whole, unhindered};
use crate::{EngineError, MigrationGuard, Scratch, fault, tools};

impl Whole<'_> {
    pub(super) async fn restored(
        &self,
        guard: &MigrationGuard,
        pg_restore: &PathBuf,
        listing: &str,
    ) -> Result<(), EngineError> {
        let scratch = Scratch::Backup.make(guard).await?;
        let outcome = self.compared(guard, pg_restore, listing, &scratch).await;
        drop_scratch(guard).await?;
        outcome
    }

    async fn compared(
        &self,
        guard: &MigrationGuard,
        pg_restore: &PathBuf,
        listing: &str,
        scratch: &Ident,
    ) -> Result<(), EngineError> {
        // Foreign keys are to be checked, and nothing has to survive a crash.
        let target = unhindered(&guard.target().with_database(scratch.as_str()))
            .with_options("-c session_replication_role=origin -c synchronous_commit=off");
        let wanted = self.dump.with_file_name("restored.list");
        fs::write(&wanted, inert(listing)).map_err(EngineError::file(&wanted))?;
        let arguments = [
            "--exit-on-error".to_owned(),
            "--no-owner".to_owned(),
            "--no-privileges".to_owned(),
            "--no-comments".to_owned(),
            "--no-security-labels".to_owned(),
            format!("--jobs={}", self.jobs),
            format!("--use-list={}", wanted.display()),
            format!("--dbname={}", scratch.as_str()),
            self.dump.display().to_string(),
        ];
        let restored = tools::run_as("pg_restore", pg_restore, &target, APPLICATION, &arguments).await;
        fs::remove_file(&wanted).map_err(EngineError::file(&wanted))?;
        restored.map_err(|error| match error {
            EngineError::Tool { said, .. } => self.bad(format!(
                "it cannot be restored ({said}); mend that, or have its contents only listed with --verify-backup=list"
            )),
            other => other,
        })?;
        fault::point("after_restore", "backup");
        // As the migrating session reads, so that the same value has the same hash.
        let there = MigrationGuard::acquire(&target).await?;
        money_as(guard, &there).await?;
        for was in self.taken.dumped() {
            let now = was.again(there.client()).await?;
            if now.rows != was.rows {
                return Err(
                    self.bad(format!("{} has {} rows in it and had {}", was.table, now.rows, was.rows))
                );
            }
            if !now.same_rows(was) {
                return Err(self.bad(format!("rows of {} are not what they were", was.table)));
            }
        }
        let objects: i64 = there
            .client()
            .query_one("SELECT count(*) FROM pg_largeobject_metadata", &[])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(EngineError::server("counting the restored large objects"))?;
        if objects == self.taken.large_objects {
            return Ok(());
        }
        Err(self.bad(format!("it has {objects} large objects, of {}", self.taken.large_objects)))
    }
}

/// The list of contents without what would act: event triggers would fire, subscriptions connect, and refreshing a
/// materialised view runs whatever its query calls, on data that is already proved by its tables.
fn inert(listing: &str) -> String {
    const ACTS: [&str; 4] = ["EVENT TRIGGER ", "PUBLICATION", "SUBSCRIPTION", "MATERIALIZED VIEW DATA "];
    // `215; 1259 16391 TABLE public merchants postgres`
    let kind = |line: &str| {
        line.split_once("; ").and_then(|(_, rest)| rest.splitn(3, ' ').nth(2).map(str::to_owned))
    };
    let acts = |line: &str| kind(line).is_some_and(|kind| ACTS.iter().any(|acts| kind.starts_with(acts)));
    let kept = listing.lines().filter(|line| !acts(line));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// Also for what a killed run left behind.
pub(crate) async fn drop_scratch(guard: &MigrationGuard) -> Result<(), EngineError> {
    Scratch::Backup.drop(guard).await
}

/// Amounts of type money are compared as text, whose currency a role or a database may have set.
async fn money_as(guard: &MigrationGuard, there: &MigrationGuard) -> Result<(), EngineError> {
    let doing = "reading amounts as the original does";
    let money: String = guard
        .client()
        .query_one("SELECT current_setting('lc_monetary')", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server(doing))?;
    let set = there.client().execute("SELECT set_config('lc_monetary', $1, false)", &[&money]).await;
    set.map(drop).map_err(EngineError::server(doing))
}

#[cfg(test)]
mod tests {
    use super::inert;

    #[test]
    fn what_would_act_is_not_restored() {
        let listing = "; Archive\n215; 1259 16391 TABLE public publications postgres\n3466; 3466 16400 EVENT TRIGGER - watch postgres\n3467; 6104 16401 PUBLICATION - all postgres\n3468; 6106 16402 PUBLICATION TABLE public all merchants postgres\n3469; 0 16403 MATERIALIZED VIEW DATA public totals postgres\n";
        assert_eq!(inert(listing), "; Archive\n215; 1259 16391 TABLE public publications postgres\n");
    }
}
