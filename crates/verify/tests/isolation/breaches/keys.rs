//! Rows without a tenant, keys that span tenants, and keys that are not enforced.

use super::{Breach, breach};

pub(super) const BREACHES: &[Breach] = &[
    breach(
        "nullable tenant",
        "BST-020",
        "public.orders",
        false,
        "ALTER TABLE orders ALTER merchant_id DROP NOT NULL",
    ),
    breach(
        "rows without a tenant",
        "BST-021",
        "public.notes",
        false,
        "ALTER TABLE notes ALTER tenant_id DROP NOT NULL; INSERT INTO notes VALUES (99, NULL, 'nobody''s')",
    ),
    breach(
        "single-column foreign key",
        "BST-022",
        "public.\"Order Lines\"",
        true,
        r#"ALTER TABLE "Order Lines" DROP CONSTRAINT "Order Lines_tenant_id_order_id_fkey",
             ADD FOREIGN KEY (order_id) REFERENCES orders (id)"#,
    ),
    breach(
        "unique across tenants",
        "BST-023",
        "public.drafts",
        false,
        "ALTER TABLE drafts ADD email text UNIQUE",
    ),
    breach(
        "unique on an expression across tenants",
        "BST-023",
        "public.drafts",
        false,
        "ALTER TABLE drafts ADD email text; CREATE UNIQUE INDEX ON drafts (lower(email))",
    ),
    breach(
        "partial unique across tenants",
        "BST-023",
        "public.drafts",
        false,
        "ALTER TABLE drafts ADD email text; CREATE UNIQUE INDEX ON drafts (email) WHERE email <> ''",
    ),
    breach(
        "exclusion across tenants",
        "BST-023",
        "public.drafts",
        false,
        "ALTER TABLE drafts ADD during daterange, ADD EXCLUDE USING gist (during WITH &&)",
    ),
    breach(
        "a partition's own unique across tenants",
        "BST-023",
        "public.events_2026",
        false,
        "CREATE UNIQUE INDEX ON events_2026 (at)",
    ),
    breach(
        "another key accepted than the one that spans",
        "BST-023",
        "public.drafts",
        false,
        "ALTER TABLE drafts ADD email text UNIQUE;
             UPDATE bastide.run SET plan = plan || '{\"config\": {\"answers\": {\"key:public.drafts.email\":
             \"keep\"}}}'",
    ),
    breach(
        "a foreign key that deletes other tenants' rows",
        "BST-022",
        r#"public."Order Lines""#,
        false,
        r#"ALTER TABLE "Order Lines" DROP CONSTRAINT "Order Lines_tenant_id_order_id_fkey", ADD FOREIGN KEY (order_id)
             REFERENCES orders (id) ON DELETE CASCADE"#,
    ),
    breach(
        "a table that refers to itself",
        "BST-022",
        "public.drafts",
        false,
        "ALTER TABLE drafts ADD parent bigint REFERENCES drafts",
    ),
    breach(
        "a composite foreign key by another column",
        "BST-022",
        r#"public."Order Lines""#,
        false,
        r#"ALTER TABLE "Order Lines" DROP CONSTRAINT "Order Lines_tenant_id_order_id_fkey", ADD other uuid, ADD FOREIGN
             KEY (other, order_id) REFERENCES orders (merchant_id, id)"#,
    ),
    breach(
        "a reference to a natural key of the root",
        "BST-022",
        "public.drafts",
        false,
        "ALTER TABLE drafts ADD shop text REFERENCES merchants (slug)",
    ),
    breach(
        "the tenant is only included in the key",
        "BST-023",
        "public.drafts",
        false,
        "ALTER TABLE drafts ADD email text; CREATE UNIQUE INDEX ON drafts (email) INCLUDE (tenant_id)",
    ),
    breach(
        "unique, NULL too",
        "BST-023",
        "public.drafts",
        false,
        "ALTER TABLE drafts ADD email text, ADD UNIQUE NULLS NOT DISTINCT (tenant_id, email), ADD UNIQUE NULLS NOT
             DISTINCT (email)",
    ),
    breach(
        "foreign keys switched off",
        "BST-024",
        r#"public."Order Lines""#,
        false,
        r#"ALTER TABLE "Order Lines" DISABLE TRIGGER ALL"#,
    ),
    breach(
        "foreign keys switched off at the parent",
        "BST-024",
        "public.orders",
        false,
        "ALTER TABLE orders DISABLE TRIGGER ALL",
    ),
    breach(
        "a tenant-wide key that was never validated",
        "BST-025",
        r#"public."Order Lines""#,
        false,
        r#"ALTER TABLE "Order Lines" DROP CONSTRAINT "Order Lines_tenant_id_order_id_fkey", ADD FOREIGN KEY (tenant_id,
             order_id) REFERENCES orders (merchant_id, id) NOT VALID"#,
    ),
    breach(
        "a tenant-wide key that is not enforced",
        "BST-025",
        r#"public."Order Lines""#,
        false,
        r#"ALTER TABLE "Order Lines" ALTER CONSTRAINT "Order Lines_tenant_id_order_id_fkey" NOT ENFORCED"#,
    ).since(18),
    breach(
        "NOT NULL that was never validated",
        "BST-021",
        "public.notes",
        false,
        "ALTER TABLE notes ALTER tenant_id DROP NOT NULL; INSERT INTO notes VALUES (99, NULL, 'nobody''s');
             ALTER TABLE notes ADD NOT NULL tenant_id NOT VALID",
    ).since(18),
    breach(
        "a sequence may be reset",
        "BST-026",
        "public.orders_id_seq",
        false,
        "GRANT UPDATE ON SEQUENCE orders_id_seq TO bastide_app",
    ),
];
