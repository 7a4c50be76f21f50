//! `bastide legacy upgrade`: every row gets its tenant, and nothing else happens yet.

use std::path::PathBuf;

use bastide_plan::Phase;

use crate::{
    args::{OnFailure, Planning, VerifyBackup, Yes},
    commands::rls,
    context::Context,
    exit::Exit,
};

pub(crate) struct How {
    pub(crate) dry_run: bool,
    pub(crate) on_failure: OnFailure,
    pub(crate) verify_backup: VerifyBackup,
    pub(crate) no_backup: bool,
    pub(crate) yes: Yes,
}

pub(crate) async fn run(
    context: &Context,
    planning: &Planning,
    plan: Option<PathBuf>,
    how: How,
) -> anyhow::Result<Exit> {
    let How { dry_run, on_failure, verify_backup, no_backup, yes } = how;
    let how = rls::How { dry_run, until: Some(Phase::Assignment), on_failure, verify_backup, no_backup, yes };
    rls::migrate(context, planning, plan, how).await
}
