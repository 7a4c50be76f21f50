//! Publications and subscriptions: what leaves and comes by logical replication, and what a new column may break.

use super::{ReadError, rows::Reader};
use crate::{Publication, Subscription};
use bastide_sql::QualifiedName;

// Named tables, and (pg_publication_tables) what those and whole schemas come to: the leaves of a partitioned table.
const TABLES: &str = "
SELECT p.pubname AS publication, n.nspname AS schema, c.relname AS name, r.prattrs IS NOT NULL AS listed
FROM pg_publication p
JOIN pg_publication_rel r ON r.prpubid = p.oid
JOIN pg_class c ON c.oid = r.prrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname <> 'bastide'
UNION
SELECT p.pubname, t.schemaname, t.tablename, coalesce(r.prattrs IS NOT NULL, false)
FROM pg_publication p
CROSS JOIN LATERAL (
    SELECT n.nspname AS schemaname, c.relname AS tablename, c.oid
    FROM pg_publication_tables t
    JOIN pg_namespace n ON n.nspname = t.schemaname
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
    WHERE t.pubname = p.pubname) t
-- Of a partition the list is that of the table above it which the publication names.
LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid IN (SELECT relid FROM pg_partition_ancestors(t.oid))
WHERE NOT p.puballtables AND t.schemaname <> 'bastide'
ORDER BY publication, schema, name";

const PUBLICATIONS: &str =
    "SELECT pubname AS name, puballtables AS all_tables FROM pg_publication ORDER BY pubname";

pub(super) async fn read(reader: &Reader<'_>) -> Result<Vec<Publication>, ReadError> {
    let mut tables = Vec::new();
    for row in reader.rows("published tables", TABLES, &[]).await? {
        tables.push((row.ident("publication")?, row.qualified("schema", "name")?, row.get("listed")?));
    }
    let mut publications = Vec::new();
    for row in reader.rows("publications", PUBLICATIONS, &[]).await? {
        let name = row.ident("name")?;
        let of_this = |listed_only: bool| {
            let of_this = tables
                .iter()
                .filter(|(publication, _, listed)| *publication == name && (*listed || !listed_only));
            let mut names: Vec<QualifiedName> = of_this.map(|(_, table, _)| table.clone()).collect();
            names.dedup();
            names
        };
        publications.push(Publication {
            all_tables: row.get("all_tables")?,
            tables: of_this(false),
            listed: of_this(true),
            name,
        });
    }
    Ok(publications)
}

const SUBSCRIBED: &str = "
SELECT s.subname AS subscription, n.nspname AS schema, c.relname AS name
FROM pg_subscription s
JOIN pg_subscription_rel r ON r.srsubid = s.oid
JOIN pg_class c ON c.oid = r.srrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY subscription, schema, name";

const SUBSCRIPTIONS: &str = "
SELECT s.subname AS name, s.subenabled AS enabled
FROM pg_subscription s
JOIN pg_database d ON d.oid = s.subdbid
WHERE d.datname = current_database()
ORDER BY s.subname";

pub(super) async fn read_subscriptions(reader: &Reader<'_>) -> Result<Vec<Subscription>, ReadError> {
    let mut tables = Vec::new();
    for row in reader.rows("subscribed tables", SUBSCRIBED, &[]).await? {
        tables.push((row.ident("subscription")?, row.qualified("schema", "name")?));
    }
    let mut subscriptions = Vec::new();
    for row in reader.rows("subscriptions", SUBSCRIPTIONS, &[]).await? {
        let name = row.ident("name")?;
        let of_this =
            |(subscription, table): &(_, QualifiedName)| (*subscription == name).then(|| table.clone());
        subscriptions.push(Subscription {
            enabled: row.get("enabled")?,
            tables: tables.iter().filter_map(of_this).collect(),
            name,
        });
    }
    Ok(subscriptions)
}
