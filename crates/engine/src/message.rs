//! The very text that is sent for a script, built in one place so that dry run cannot print anything else.

use std::time::Duration;

use bastide_plan::{Mode, Script, StepId};
use bastide_sql::{Literal, LockMode, Sql, join, sql};

use crate::fault;

/// Which way a step goes; decides what the journal says when it got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Undo,
}

/// Whoever queues behind us waits for this long and for our own short work, no more (DESIGN.md §3, guarantee 4).
const QUEUE: Duration = Duration::from_millis(50);

/// A short step is DDL that scans nothing. What takes longer than this is stopped before it hurts; the next try may
/// take twice as long (`runner::patience`).
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// A whole short step in one message: nobody waits for our round trips while we hold a lock.
pub(crate) fn short(script: &Script, step: &StepId, direction: Direction, timeout: Duration) -> Vec<Sql> {
    let mut message = vec![sql!("BEGIN"), sql!("SET LOCAL statement_timeout = {}", milliseconds(timeout))];
    opening(script, &mut message);
    message.extend(script.statements.iter().cloned());
    message.push(arrived(step, direction));
    message.push(sql!("COMMIT"));
    message
}

/// The same for a step that scans. Its locks let others work, so only taking them is hurried.
pub(crate) fn long(script: &Script, step: &StepId, direction: Direction) -> Vec<Sql> {
    let mut message =
        vec![sql!("BEGIN ISOLATION LEVEL REPEATABLE READ"), sql!("SET LOCAL statement_timeout = 0")];
    opening(script, &mut message);
    if !script.lock.is_some_and(LockMode::blocks_writers) {
        message.push(sql!("SET LOCAL lock_timeout = '5s'"));
    }
    message.extend(script.statements.iter().cloned());
    message.push(arrived(step, direction));
    message.push(sql!("COMMIT"));
    message
}

/// What opens the transaction of one batch; the batch itself has parameters and cannot be in the message.
///
/// It does not wait for its own COMMIT to reach the disk, with its rows locked: a server that crashes then loses rows and
/// cursor together, or neither, and the next step's COMMIT waits for all before it.
pub(crate) fn batch_opening(script: &Script, statement_timeout: Duration) -> Vec<Sql> {
    let mut message = vec![
        sql!("BEGIN"),
        sql!("SET LOCAL lock_timeout = {}", milliseconds(QUEUE)),
        sql!("SET LOCAL statement_timeout = {}", milliseconds(statement_timeout)),
        sql!("SET LOCAL synchronous_commit = off"),
    ];
    message.extend(script.prelude.iter().cloned());
    message
}

/// How one batch ends: with its cursor, or, when nothing is left, with the step itself.
pub(crate) fn batch_closing(
    step: &StepId,
    cursor: Option<&str>,
    rows: i64,
    direction: Direction,
) -> Vec<Sql> {
    let (state, at) = words(direction);
    let step = Literal::text(step.as_str());
    let update = match cursor {
        Some(cursor) => sql!(
            "UPDATE bastide.journal SET cursor = {}, rows = coalesce(rows, 0) + {}, held_ms = greatest(held_ms, extract(epoch FROM clock_timestamp() - now()) * 1000) WHERE run_id = current_setting('bastide.run')::uuid AND step = {}",
            Literal::text(cursor),
            rows,
            step
        ),
        None => sql!(
            "UPDATE bastide.journal SET state = {}, {} = clock_timestamp(), cursor = NULL, rows = coalesce(rows, 0) + {}, held_ms = greatest(held_ms, extract(epoch FROM clock_timestamp() - now()) * 1000), error = NULL WHERE run_id = current_setting('bastide.run')::uuid AND step = {}",
            Literal::text(state),
            at,
            rows,
            step
        ),
    };
    vec![update, sql!("COMMIT")]
}

/// Settings for one statement that runs outside a transaction. A concurrent build waits for old transactions in a queue
/// that stops nobody, so it may wait longer.
pub(crate) fn autocommit_settings(script: &Script) -> Vec<Sql> {
    let patient = !script.lock.is_some_and(LockMode::blocks_writers);
    let wait = if patient { fault::queue(Duration::from_secs(10)) } else { QUEUE };
    let mut message =
        vec![sql!("SET statement_timeout = 0"), sql!("SET lock_timeout = {}", milliseconds(wait))];
    message.push(sql!("SELECT set_config('bastide.held_ms', '', false)"));
    message.extend(script.prelude.iter().cloned());
    message
}

/// The step got there. Travels with the step's own COMMIT; one with several commits of its own says in
/// `bastide.held_ms` how long it held a lock at most.
pub(crate) fn arrived(step: &StepId, direction: Direction) -> Sql {
    let (state, at) = words(direction);
    sql!(
        "UPDATE bastide.journal SET state = {}, {} = clock_timestamp(), error = NULL, held_ms = coalesce(nullif(current_setting('bastide.held_ms', true), '')::double precision, extract(epoch FROM clock_timestamp() - coalesce(nullif(current_setting('bastide.locked_at', true), '')::timestamptz, now())) * 1000) WHERE run_id = current_setting('bastide.run')::uuid AND step = {}",
        Literal::text(state),
        at,
        Literal::text(step.as_str())
    )
}

/// One simple-query message.
pub(crate) fn text(message: &[Sql]) -> String {
    let mut out = String::new();
    for statement in message {
        out.push_str(statement.as_str());
        // On a line of its own: a statement that ends in a comment would swallow it.
        out.push_str("\n;\n");
    }
    out
}

fn opening(script: &Script, message: &mut Vec<Sql>) {
    // The timeout is per lock, and what is already held makes others wait: together they must stay within QUEUE.
    let each = QUEUE / u32::try_from(script.locked.len().clamp(1, 10)).unwrap_or(1);
    message.push(sql!("SET LOCAL lock_timeout = {}", milliseconds(each)));
    message.extend(script.prelude.iter().cloned());
    if let (Some(mode), false) = (script.lock, script.locked.is_empty()) {
        message.push(sql!("LOCK TABLE {} IN {} MODE", join(&script.locked, ", "), mode));
    }
    // Read back by `arrived`: how long the lock was held is measured where it is held.
    message.push(sql!("SELECT set_config('bastide.locked_at', clock_timestamp()::text, true)"));
}

fn words(direction: Direction) -> (&'static str, Sql) {
    match direction {
        Direction::Forward => ("done", sql!("done_at")),
        Direction::Undo => ("undone", sql!("undone_at")),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Every message of a script, in order, for people to read: a batch is shown once, with its parameters in place.
pub(crate) fn rendered(script: &Script, step: &StepId, direction: Direction) -> String {
    match script.mode {
        Mode::Nothing => text(&[arrived(step, direction)]),
        Mode::Transaction => text(&short(script, step, direction, SHORT)),
        Mode::LongTransaction => text(&long(script, step, direction)),
        Mode::Autocommit => {
            let mut message = autocommit_settings(script);
            message.extend(script.statements.iter().cloned());
            message.push(arrived(step, direction));
            text(&message)
        }
        Mode::Batches => {
            let mut message = batch_opening(script, SHORT);
            message.extend(script.statements.iter().cloned());
            message.extend(batch_closing(step, None, 0, direction));
            text(&message)
        }
    }
}
