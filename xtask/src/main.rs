//! Project chores that cargo has no verb for. `cargo run -p xtask -- tidy`

mod tidy;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        Some("tidy") => tidy::run(),
        other => anyhow::bail!("expected `tidy`, got {other:?}"),
    }
}
