//! `bastide context`: the keys of sealed tenant contexts.

use std::{fmt::Write, path::Path};

use bastide_engine::SealKey;

use crate::{args::ContextKeys, context::Context, exit::Exit, state::write_private};

pub(crate) async fn run(context: &Context, command: ContextKeys) -> anyhow::Result<Exit> {
    let target = context.target()?;
    let keys = match &command {
        ContextKeys::Keys | ContextKeys::Export { .. } => bastide_engine::seal_keys(&target).await?,
        ContextKeys::Rotate { .. } => bastide_engine::add_seal_key(&target).await?,
        ContextKeys::Retire { id } => bastide_engine::retire_seal_key(&target, *id).await?,
    };
    if let ContextKeys::Export { output } | ContextKeys::Rotate { output } = &command {
        write_private(output, &file(&keys))?;
    }
    context.printer.result(&keys, || listed(&keys))?;
    context.printer.note(&next(&command, &keys));
    Ok(Exit::Done)
}

/// As the server reads it.
fn file(keys: &[SealKey]) -> String {
    let mut text = String::from(
        "# Keys of sealed tenant contexts, for BASTIDE_SEAL_KEY_FILE. The newest seals. Whoever reads this can be any tenant.\n",
    );
    for key in keys {
        // Writing to a String cannot fail.
        if writeln!(text, "{} {}", key.id, key.secret).is_err() {
            break;
        }
    }
    text
}

fn listed(keys: &[SealKey]) -> String {
    let newest = keys.last().map(|key| key.id);
    let line = |key: &SealKey| {
        let note = if Some(key.id) == newest { ", the newest" } else { "" };
        format!("key {}, made {}{note}", key.id, key.made_at.date())
    };
    keys.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn next(command: &ContextKeys, keys: &[SealKey]) -> String {
    let shown = |path: &Path| path.display().to_string();
    match command {
        ContextKeys::Keys => {
            "a server seals with the newest key of its file; write that with `bastide context export -o FILE`"
                .to_owned()
        }
        ContextKeys::Export { output } => {
            format!("written to {0}: serve with BASTIDE_SEAL_KEY_FILE={0}", shown(output))
        }
        ContextKeys::Rotate { output } => {
            let older: Vec<String> = keys.iter().rev().skip(1).map(|key| key.id.to_string()).collect();
            format!(
                "written to {}: bring it to every server, which reads it again by itself within seconds; a minute after the last has it, type: bastide context retire {}",
                shown(output),
                older.first().map_or("ID", String::as_str)
            )
        }
        ContextKeys::Retire { id } => format!("what key {id} sealed opens no longer"),
    }
}
