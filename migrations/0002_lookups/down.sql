-- Undoes up.sql: the functions with their grants, then the columns their owner could read.

DROP FUNCTION bastide.migration_status();
DROP FUNCTION bastide.merchants_of(uuid);
DROP FUNCTION bastide.membership(uuid, uuid);
DROP FUNCTION bastide.login_by_email(text);
DROP FUNCTION bastide.merchant_by_slug(text);

REVOKE SELECT (id, merchant_id, user_id, role) ON public.team_members FROM bastide_owner;
REVOKE SELECT (id, email, password_hash, is_active) ON public.users FROM bastide_owner;
REVOKE SELECT (id, slug, name, currency, status) ON public.merchants FROM bastide_owner;
