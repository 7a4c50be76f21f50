//! Publications: what leaves by logical replication, and what a new column may break.

use super::{ReadError, rows::Reader};
use crate::Publication;
use bastide_sql::QualifiedName;

// Named tables, and (pg_publication_tables) what those and whole schemas come to: the leaves of a partitioned table.
const TABLES: &str = "
SELECT p.pubname AS publication, n.nspname AS schema, c.relname AS name
FROM pg_publication p
JOIN pg_publication_rel r ON r.prpubid = p.oid
JOIN pg_class c ON c.oid = r.prrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname <> 'bastide'
UNION
SELECT t.pubname, t.schemaname, t.tablename
FROM pg_publication_tables t
JOIN pg_publication p ON p.pubname = t.pubname AND NOT p.puballtables
WHERE t.schemaname <> 'bastide'
ORDER BY publication, schema, name";

const PUBLICATIONS: &str =
    "SELECT pubname AS name, puballtables AS all_tables FROM pg_publication ORDER BY pubname";

pub(super) async fn read(reader: &Reader<'_>) -> Result<Vec<Publication>, ReadError> {
    let mut tables = Vec::new();
    for row in reader.rows("published tables", TABLES, &[]).await? {
        tables.push((row.ident("publication")?, row.qualified("schema", "name")?));
    }
    let mut publications = Vec::new();
    for row in reader.rows("publications", PUBLICATIONS, &[]).await? {
        let name = row.ident("name")?;
        let of_this =
            |(publication, table): &(_, QualifiedName)| (*publication == name).then(|| table.clone());
        publications.push(Publication {
            all_tables: row.get("all_tables")?,
            tables: tables.iter().filter_map(of_this).collect(),
            name,
        });
    }
    Ok(publications)
}
