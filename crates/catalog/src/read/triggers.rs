//! Triggers, rules and event triggers.

use super::{
    ByOid, ReadError,
    rows::{Reader, Record},
};
use crate::{EventTrigger, Rule, Trigger, TriggerEnabled};

// The bits of tgtype are those of catalog/pg_trigger.h.
const TRIGGERS: &str = "
SELECT t.tgrelid AS relation,
       t.tgname AS name,
       n.nspname AS function_schema,
       p.proname AS function_name,
       t.tgtype & 4 <> 0 AS on_insert,
       t.tgtype & 16 <> 0 AS on_update,
       t.tgtype & 8 <> 0 AS on_delete,
       t.tgtype & 32 <> 0 AS on_truncate,
       t.tgtype & (2 | 64) <> 0 AS before,
       t.tgtype & 1 <> 0 AS for_each_row,
       t.tgenabled::text AS enabled,
       pg_get_triggerdef(t.oid) AS definition
FROM pg_trigger t
JOIN pg_proc p ON p.oid = t.tgfoid
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE t.tgrelid = ANY ($1) AND NOT t.tgisinternal
ORDER BY t.tgrelid, t.tgname";

/// One row for each relation a rule names, by its dependencies: a rule's text is never read. One of them is its own.
const RULES: &str = "
SELECT DISTINCT r.ev_class AS relation, r.rulename AS rule, r.ev_enabled::text AS enabled, n.nspname AS schema, t.relname AS name
FROM pg_rewrite r
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
JOIN pg_class t ON t.oid = d.refobjid AND t.relkind <> 'S'
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE r.ev_class = ANY ($1) AND r.rulename <> '_RETURN'
ORDER BY r.ev_class, r.rulename, n.nspname, t.relname";

const EVENT_TRIGGERS: &str = "
SELECT e.evtname AS name, n.nspname AS function_schema, p.proname AS function_name, e.evtenabled::text AS enabled
FROM pg_event_trigger e
JOIN pg_proc p ON p.oid = e.evtfoid
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid AND d.deptype = 'e')
ORDER BY e.evtname";

pub(super) async fn read(reader: &Reader<'_>, relations: &[u32]) -> Result<ByOid<Vec<Trigger>>, ReadError> {
    let mut triggers: ByOid<Vec<Trigger>> = ByOid::new();
    for row in reader.rows("triggers", TRIGGERS, &[&relations]).await? {
        triggers.entry(row.get("relation")?).or_default().push(Trigger {
            name: row.ident("name")?,
            function: row.qualified("function_schema", "function_name")?,
            on_insert: row.get("on_insert")?,
            on_update: row.get("on_update")?,
            on_delete: row.get("on_delete")?,
            on_truncate: row.get("on_truncate")?,
            before: row.get("before")?,
            for_each_row: row.get("for_each_row")?,
            enabled: enabled(&row)?,
            definition: row.definition("definition")?,
        });
    }
    Ok(triggers)
}

fn enabled(row: &Record) -> Result<TriggerEnabled, ReadError> {
    row.code(
        "enabled",
        &[
            ("O", TriggerEnabled::Origin),
            ("D", TriggerEnabled::Disabled),
            ("R", TriggerEnabled::Replica),
            ("A", TriggerEnabled::Always),
        ],
    )
}

pub(super) async fn read_rules(
    reader: &Reader<'_>,
    relations: &[u32],
) -> Result<ByOid<Vec<Rule>>, ReadError> {
    let mut rules: ByOid<Vec<Rule>> = ByOid::new();
    for row in reader.rows("rules", RULES, &[&relations]).await? {
        let (name, touched) = (row.ident("rule")?, row.qualified("schema", "name")?);
        let of_relation = rules.entry(row.get("relation")?).or_default();
        match of_relation.last_mut().filter(|rule| rule.name == name) {
            Some(rule) => rule.touches.push(touched),
            None => of_relation.push(Rule { name, enabled: enabled(&row)?, touches: vec![touched] }),
        }
    }
    Ok(rules)
}

pub(super) async fn read_event_triggers(reader: &Reader<'_>) -> Result<Vec<EventTrigger>, ReadError> {
    let read = |row: &Record| {
        Ok(EventTrigger {
            name: row.ident("name")?,
            function: row.qualified("function_schema", "function_name")?,
            enabled: enabled(row)?,
        })
    };
    reader.rows("event triggers", EVENT_TRIGGERS, &[]).await?.iter().map(read).collect()
}
