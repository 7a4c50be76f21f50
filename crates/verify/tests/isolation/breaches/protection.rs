//! Row security that is off, unforced, without policies, or knows nothing of a table.

use super::{Breach, breach};

pub(super) const BREACHES: &[Breach] = &[
    breach(
        "row security off",
        "BST-001",
        "public.orders",
        true,
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
    ),
    breach("no FORCE", "BST-002", "public.orders", false, "ALTER TABLE orders NO FORCE ROW LEVEL SECURITY"),
    breach(
        "partitioned parent off",
        "BST-001",
        "public.events",
        true,
        "ALTER TABLE events DISABLE ROW LEVEL SECURITY",
    ),
    breach(
        "partition off and granted",
        "BST-001",
        "public.events_2026",
        true,
        "ALTER TABLE events_2026 DISABLE ROW LEVEL SECURITY; GRANT SELECT ON events_2026 TO bastide_app",
    ),
    breach(
        "new partition, granted, unprotected",
        "BST-001",
        "public.events_2027",
        true,
        "CREATE TABLE events_2027 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
             GRANT SELECT ON events_2027 TO bastide_app",
    ),
    breach(
        "new inheritance child, granted, unprotected",
        "BST-001",
        "public.notes_2024",
        true,
        "CREATE TABLE notes_2024 () INHERITS (notes); GRANT SELECT ON notes_2024 TO bastide_app",
    ),
    breach("no policy", "BST-003", "public.orders", false, "DROP POLICY bastide_tenant ON orders"),
    breach(
        "only a restrictive policy",
        "BST-003",
        "public.orders",
        false,
        "DROP POLICY bastide_tenant ON orders; CREATE POLICY narrow ON orders AS RESTRICTIVE USING (true)",
    ),
    breach("a scoped table is gone", "BST-008", "public.drafts", false, "DROP TABLE drafts"),
    breach(
        "a partition of a partition",
        "BST-001",
        "public.events_2027_all",
        true,
        "CREATE TABLE events_2027 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01') PARTITION BY LIST (id);
             CREATE TABLE events_2027_all PARTITION OF events_2027 DEFAULT;
             GRANT SELECT ON events_2027_all TO bastide_app",
    ),
    breach(
        "a partition without FORCE",
        "BST-002",
        "public.events_2026",
        false,
        "ALTER TABLE events_2026 NO FORCE ROW LEVEL SECURITY",
    ),
    breach(
        "the policy is for another role",
        "BST-003",
        "public.orders",
        false,
        "ALTER POLICY bastide_tenant ON orders TO staff",
    ),
    breach(
        "the scope forgot a table",
        "BST-008",
        "public.drafts",
        false,
        r#"DELETE FROM bastide.scope WHERE "table" = 'drafts'"#,
    ),
    breach(
        "a scoped table moved to another schema",
        "BST-008",
        "public.drafts",
        false,
        "CREATE SCHEMA attic; ALTER TABLE drafts SET SCHEMA attic",
    ),
    breach(
        "a scoped table was renamed",
        "BST-008",
        "public.drafts",
        false,
        "ALTER TABLE drafts RENAME TO sketches",
    ),
    breach(
        "a tenant column was renamed",
        "BST-008",
        "public.drafts",
        false,
        "ALTER TABLE drafts RENAME tenant_id TO owner",
    ),
    breach(
        "the scope names another column",
        "BST-005",
        "public.orders",
        false,
        r#"UPDATE bastide.scope SET tenant_column = 'number' WHERE "table" = 'orders'"#,
    ),
];
