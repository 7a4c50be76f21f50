//! Policies of somebody else's: how one is written down again, and what its definition leaves out.

use bastide_catalog::{Policy, PolicyCommand};
use bastide_sql::{Literal, QualifiedName, Sql, join, sql};

use super::context::block;

/// As it was made, but for its comment.
pub(super) fn create(table: &QualifiedName, policy: &Policy) -> Sql {
    let command = match policy.command {
        PolicyCommand::All => sql!("ALL"),
        PolicyCommand::Select => sql!("SELECT"),
        PolicyCommand::Insert => sql!("INSERT"),
        PolicyCommand::Update => sql!("UPDATE"),
        PolicyCommand::Delete => sql!("DELETE"),
    };
    let half = |word: Sql, expression: &Option<Sql>| match expression {
        Some(expression) => sql!("{} ({})", word, expression),
        None => sql!(""),
    };
    sql!(
        "CREATE POLICY {} ON {} AS {} FOR {} TO {}{}{}",
        policy.name,
        table,
        if policy.permissive { sql!("PERMISSIVE") } else { sql!("RESTRICTIVE") },
        command,
        roles(policy),
        half(sql!(" USING"), &policy.using),
        half(sql!(" WITH CHECK"), &policy.with_check)
    )
}

pub(super) fn drop(table: &QualifiedName, policy: &Policy) -> Sql {
    sql!("DROP POLICY {} ON {}", policy.name, table)
}

fn roles(policy: &Policy) -> Sql {
    if policy.roles.is_empty() { sql!("PUBLIC") } else { sql!("{}", join(&policy.roles, ", ")) }
}

/// Notes the comments of the table's policies, at the last moment before some of them go.
pub(super) fn remember(account: &str, table: &QualifiedName) -> Sql {
    sql!(
        "INSERT INTO bastide.remembered (step, detail)
SELECT {}, coalesce(jsonb_object_agg(polname, obj_description(oid, 'pg_policy')), jsonb_build_object())
FROM pg_policy WHERE polrelid = {}::regclass
ON CONFLICT (step) DO UPDATE SET detail = excluded.detail",
        Literal::text(account),
        Literal::text(sql!("{}", table).as_str())
    )
}

/// Gives policies that are there again their comments.
pub(super) fn recall(account: &str, table: &QualifiedName, policies: &[Policy]) -> Sql {
    let names = policies.iter().map(|policy| Literal::text(policy.name.as_str()));
    block(sql!(
        "DECLARE
    known record;
BEGIN
    FOR known IN SELECT k.key, k.value FROM bastide.remembered r, jsonb_each_text(r.detail) AS k
                 WHERE r.step = {} AND k.value IS NOT NULL AND k.key IN ({}) LOOP
        EXECUTE format('COMMENT ON POLICY %I ON %s IS %L', known.key, {}, known.value);
    END LOOP;
END",
        Literal::text(account),
        join(names, ", "),
        Literal::text(sql!("{}", table).as_str())
    ))
}
