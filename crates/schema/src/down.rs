//! Back: the newest version first, by the scripts that are kept with each.

use bastide_connect::Target;
use bastide_engine::MigrationGuard;
use serde::Serialize;

use crate::{
    Applied, Loss, Options, Say, SchemaError, apply, built::role_exists, record, up::note_fingerprint,
};

/// What was undone.
#[derive(Clone, Debug, Serialize)]
pub struct Undone {
    pub from: i32,
    pub to: i32,
    /// As folders are named, in the order they were undone.
    pub undone: Vec<String>,
}

/// What undoing everything after `to` would lose, the newest version first; `None` is the newest version alone.
///
/// # Errors
/// When the record cannot be read, or `to` is no version to go back to.
pub async fn losses(target: &Target, to: Option<i32>) -> Result<Vec<Loss>, SchemaError> {
    let client = target.connect("bastide").await?;
    let applied = record::applied(&*client).await?;
    let mut losses = Vec::new();
    for applied in above(&applied, to)? {
        losses.push(applied.made.lost(&*client, applied.version, &applied.name).await?);
    }
    Ok(losses)
}

/// Undoes everything after `to`; `None` is the newest version alone.
///
/// # Errors
/// [`SchemaError::exit_code`] says which of the ways it ended; what was undone before stays undone.
pub async fn down(options: &Options, to: Option<i32>, say: Say<'_>) -> Result<Undone, SchemaError> {
    let mut guard = MigrationGuard::acquire(&options.place.target).await?;
    let applied = record::applied(guard.client()).await?;
    let from = applied.last().map_or(0, |applied| applied.version);
    let mut undone = Undone { from, to: from, undone: Vec::new() };
    for applied in above(&applied, to)? {
        say(&format!("undoing {}", applied.label()));
        apply::back(&mut guard, options, applied).await?;
        undone.undone.push(applied.label());
        undone.to = applied.version - 1;
    }
    if undone.undone.is_empty() {
        return Ok(undone);
    }
    if undone.to > 0 {
        note_fingerprint(&mut guard, options).await?;
    }
    if undone.to == 0 && !role_exists(&guard, &options.app_role).await? {
        bastide_engine::forget_password(&options.place, &options.app_role)?;
    }
    Ok(undone)
}

/// Those to be undone, the newest first.
fn above(applied: &[Applied], to: Option<i32>) -> Result<Vec<&Applied>, SchemaError> {
    let newest = applied.last().map_or(0, |applied| applied.version);
    let to = to.unwrap_or((newest - 1).max(0));
    if to < 0 || to > newest {
        return Err(SchemaError::NotThere { asked: to, newest });
    }
    let above: Vec<&Applied> = applied.iter().rev().filter(|applied| applied.version > to).collect();
    match above.iter().find_map(|applied| applied.adopted) {
        Some(run) => Err(SchemaError::Adopted { run }),
        None => Ok(above),
    }
}
