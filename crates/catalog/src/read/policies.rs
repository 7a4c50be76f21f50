//! Row security policies.

use super::{ByOid, ReadError, rows::Reader};
use crate::{Policy, PolicyCommand};

// Role 0 is PUBLIC, and then the only one.
const POLICIES: &str = "
SELECT p.polrelid AS relation,
       p.polname AS name,
       p.polpermissive AS permissive,
       p.polcmd::text AS command,
       ARRAY(SELECT pg_get_userbyid(role) FROM unnest(p.polroles) WITH ORDINALITY AS r (role, position)
             WHERE role <> 0 ORDER BY position) AS roles,
       pg_get_expr(p.polqual, p.polrelid) AS using_expression,
       pg_get_expr(p.polwithcheck, p.polrelid) AS check_expression
FROM pg_policy p
WHERE p.polrelid = ANY ($1)
ORDER BY p.polrelid, p.polname";

pub(super) async fn read(reader: &Reader<'_>, relations: &[u32]) -> Result<ByOid<Vec<Policy>>, ReadError> {
    let mut policies: ByOid<Vec<Policy>> = ByOid::new();
    for row in reader.rows("policies", POLICIES, &[&relations]).await? {
        policies.entry(row.get("relation")?).or_default().push(Policy {
            name: row.ident("name")?,
            permissive: row.get("permissive")?,
            command: row.code(
                "command",
                &[
                    ("*", PolicyCommand::All),
                    ("r", PolicyCommand::Select),
                    ("a", PolicyCommand::Insert),
                    ("w", PolicyCommand::Update),
                    ("d", PolicyCommand::Delete),
                ],
            )?,
            roles: row.idents("roles")?,
            using: row.sql_or_none("using_expression")?,
            with_check: row.sql_or_none("check_expression")?,
        });
    }
    Ok(policies)
}
