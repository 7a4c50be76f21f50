//! Columns of tables and views.

use bastide_sql::QualifiedName;

use super::{
    ByOid, ReadError,
    acl::{Acls, Holder},
    rows::Reader,
};
use crate::{Column, Identity};

// Since 18 a NOT NULL may be NOT VALID, and is marked in pg_attribute all the same.
const COLUMNS: &str = "
SELECT a.attrelid AS relation,
       a.attnum::int4 AS number,
       a.attname AS name,
       format_type(a.atttypid, a.atttypmod) AS type,
       (SELECT n.nspname FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
        WHERE l.oid = a.attcollation AND NOT l.collisdeterministic) AS collation_schema,
       (SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation AND NOT l.collisdeterministic) AS collation,
       a.attnotnull AND NOT EXISTS (
           SELECT FROM pg_constraint n
           WHERE n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey[1] = a.attnum AND NOT n.convalidated
       ) AS not_null,
       a.attgenerated::text <> '' AS generated,
       a.attidentity::text AS identity,
       a.attislocal AS local,
       pg_get_expr(d.adbin, d.adrelid) AS expression
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid AND c.relkind <> 'S'
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum";

pub(super) async fn read(
    reader: &Reader<'_>,
    relations: &[u32],
    acls: &Acls,
) -> Result<ByOid<Vec<Column>>, ReadError> {
    let mut columns: ByOid<Vec<Column>> = ByOid::new();
    for row in reader.rows("columns", COLUMNS, &[&relations]).await? {
        let relation = row.get("relation")?;
        let expression = row.sql_or_none("expression")?;
        let (default, generated) =
            if row.get("generated")? { (None, expression) } else { (expression, None) };
        columns.entry(relation).or_default().push(Column {
            name: row.ident("name")?,
            type_name: row.definition("type")?,
            collation: row
                .ident_or_none("collation_schema")?
                .zip(row.ident_or_none("collation")?)
                .map(|(schema, name)| QualifiedName::new(schema, name)),
            not_null: row.get("not_null")?,
            default,
            generated,
            identity: row.code(
                "identity",
                &[("", None), ("a", Some(Identity::Always)), ("d", Some(Identity::ByDefault))],
            )?,
            local: row.get("local")?,
            acl: acls.of(Holder::Column(relation, row.get("number")?)),
        });
    }
    Ok(columns)
}
