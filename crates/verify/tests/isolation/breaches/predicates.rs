//! Policies that compare something else than the tenant, or less, or are not alone.

use super::{Breach, breach};

pub(super) const BREACHES: &[Breach] = &[
    breach(
        "USING (true)",
        "BST-005",
        "public.orders",
        true,
        "ALTER POLICY bastide_tenant ON orders USING (true)",
    ),
    breach(
        "USING that lets an unset context in",
        "BST-005",
        "public.orders",
        true,
        "ALTER POLICY bastide_tenant ON orders USING (bastide.current_tenant() IS NULL
             OR merchant_id = (SELECT bastide.current_tenant()::uuid))",
    ),
    breach(
        "the column is cast",
        "BST-005",
        "public.orders",
        false,
        "ALTER POLICY bastide_tenant ON orders USING (merchant_id::text = (SELECT bastide.current_tenant()))",
    ),
    breach(
        "the cast is outside the sub-select",
        "BST-005",
        "public.orders",
        false,
        "ALTER POLICY bastide_tenant ON orders USING (merchant_id = (SELECT bastide.current_tenant())::uuid)",
    ),
    breach(
        "another setting is compared",
        "BST-005",
        "public.orders",
        false,
        "ALTER POLICY bastide_tenant ON orders USING (merchant_id = (SELECT current_setting('app.tenant', true)::uuid))",
    ),
    breach(
        "WITH CHECK (true)",
        "BST-006",
        "public.orders",
        true,
        "ALTER POLICY bastide_tenant ON orders WITH CHECK (true)",
    ),
    breach(
        "a second permissive policy",
        "BST-004",
        "public.orders",
        true,
        "CREATE POLICY support ON orders FOR SELECT TO bastide_app USING (true)",
    ),
    breach(
        "a second policy for some rows",
        "BST-004",
        "public.orders",
        true,
        "CREATE POLICY cheap ON orders FOR SELECT USING (total < 3)",
    ),
    breach(
        "a second policy for writes",
        "BST-004",
        "public.orders",
        true,
        "CREATE POLICY import ON orders FOR INSERT TO PUBLIC WITH CHECK (true)",
    ),
    breach(
        "a legacy policy stayed",
        "BST-007",
        "public.orders",
        false,
        "CREATE POLICY bastide_legacy ON orders TO legacy USING (true) WITH CHECK (true)",
    ),
    breach(
        "USING that holds for every row",
        "BST-005",
        "public.orders",
        true,
        "ALTER POLICY bastide_tenant ON orders USING (merchant_id IS NOT NULL)",
    ),
    breach(
        "the column compared with itself",
        "BST-005",
        "public.orders",
        true,
        "ALTER POLICY bastide_tenant ON orders USING (merchant_id = merchant_id)",
    ),
    breach(
        "an unset context means every row",
        "BST-005",
        "public.orders",
        true,
        "ALTER POLICY bastide_tenant ON orders USING (merchant_id = COALESCE((SELECT bastide.current_tenant()::uuid),
             merchant_id))",
    ),
    breach(
        "matched by LIKE",
        "BST-005",
        "public.orders",
        false,
        "ALTER POLICY bastide_tenant ON orders USING (merchant_id::text LIKE (SELECT bastide.current_tenant()) || '%')",
    ),
    breach(
        "a predicate over an unprotected table",
        "BST-005",
        "public.orders",
        true,
        "ALTER POLICY bastide_tenant ON orders USING (EXISTS (SELECT FROM countries WHERE code = 'FR'))",
    ),
    breach(
        "current_user is compared",
        "BST-005",
        "public.orders",
        true,
        "ALTER POLICY bastide_tenant ON orders USING (current_user = 'bastide_app')",
    ),
    breach(
        "session_user is compared",
        "BST-005",
        "public.orders",
        true,
        "ALTER POLICY bastide_tenant ON orders USING (session_user <> 'legacy')",
    ),
    breach(
        "a flag opens rows",
        "BST-005",
        "public.orders",
        true,
        "ALTER POLICY bastide_tenant ON orders USING (merchant_id = (SELECT bastide.current_tenant()::uuid) OR total < 2)",
    ),
    breach(
        "a context function of one's own",
        "BST-005",
        "public.orders",
        false,
        "CREATE FUNCTION current_tenant() RETURNS text LANGUAGE sql STABLE RETURN bastide.current_tenant();
             ALTER POLICY bastide_tenant ON orders USING (merchant_id = (SELECT public.current_tenant()::uuid))",
    ),
    breach(
        "an operator of one's own",
        "BST-005",
        "public.orders",
        true,
        "CREATE FUNCTION same(uuid, uuid) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true;
             CREATE OPERATOR public.= (FUNCTION = same, LEFTARG = uuid, RIGHTARG = uuid);
             ALTER POLICY bastide_tenant ON orders USING (merchant_id OPERATOR(public.=) (SELECT
             bastide.current_tenant()::uuid))",
    ),
    breach(
        "a cast of one's own",
        "BST-009",
        "public.orders",
        true,
        "CREATE FUNCTION everyone(text) RETURNS uuid LANGUAGE sql STABLE RETURN '00000000-0000-4000-8000-000000000002'::uuid;
             CREATE CAST (text AS uuid) WITH FUNCTION everyone(text);
             ALTER POLICY bastide_tenant ON orders USING (merchant_id = (SELECT
             bastide.current_tenant()::uuid)) WITH CHECK (merchant_id = (SELECT bastide.current_tenant()::uuid))",
    ),
    breach(
        "WITH CHECK that lets NULL in",
        "BST-006",
        "public.orders",
        false,
        "ALTER POLICY bastide_tenant ON orders WITH CHECK (merchant_id IS NULL OR merchant_id = (SELECT
             bastide.current_tenant()::uuid))",
    ),
    breach(
        "WITH CHECK of another column",
        "BST-006",
        "public.notes",
        true,
        "ALTER POLICY bastide_tenant ON notes WITH CHECK (body <> '')",
    ),
    breach(
        "a policy through a group",
        "BST-004",
        "public.orders",
        true,
        "CREATE POLICY helpdesk ON orders FOR SELECT TO staff USING (true); GRANT staff TO bastide_app",
    ).undone_by("REVOKE staff FROM bastide_app"),
    breach(
        "a policy that lets rows be moved",
        "BST-004",
        "public.orders",
        false,
        "CREATE POLICY moving ON orders FOR UPDATE USING (merchant_id = (SELECT bastide.current_tenant()::uuid)) WITH
             CHECK (true)",
    ),
    breach(
        "a policy that lets rows be deleted",
        "BST-004",
        "public.orders",
        true,
        "CREATE POLICY cleaning ON orders FOR DELETE USING (true)",
    ),
    breach(
        "a policy on one partition",
        "BST-004",
        "public.events_2026",
        false,
        "CREATE POLICY wide ON events_2026 USING (true)",
    ),
];
