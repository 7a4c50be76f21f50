-- What must be known before the tenant is known: which merchant a slug means, who logs in, who belongs where, and how far a
-- migration is. Each function takes an exact key, gives the fewest columns that serve, and runs as bastide_owner, whom row-level
-- security does not filter; bastide_owner itself may read no other column of these tables.
--
-- EXECUTE goes to one role alone: the one the setting bastide.app_role names, bastide_app when it names none. To choose another:
--   SET bastide.app_role = 'my_app';  before this file, on the same connection.
-- Bodies name every object with its schema and the search path is fixed, so nothing a caller creates can stand in for a table.

GRANT SELECT (id, slug, name, currency, status) ON public.merchants TO bastide_owner;
GRANT SELECT (id, email, password_hash, is_active) ON public.users TO bastide_owner;
GRANT SELECT (id, merchant_id, user_id, role) ON public.team_members TO bastide_owner;

CREATE FUNCTION bastide.merchant_by_slug(wanted text)
    RETURNS TABLE (id uuid, slug text, name text, currency text, status text)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED ROWS 1
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT m.id, m.slug::text, m.name::text, m.currency::text, m.status::text
    FROM public.merchants m
    WHERE m.slug = wanted
      -- The quarantine tenant is nobody's shop. (Its plan is only looked at for its slug: plans are large.)
      AND (wanted <> 'quarantine' OR NOT EXISTS (
          SELECT FROM bastide.run r WHERE r.plan -> 'quarantine' ->> 'id' = m.id::text))
$body$;

CREATE FUNCTION bastide.login_by_email(wanted text)
    RETURNS TABLE (user_id uuid, password_hash text, active boolean)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED ROWS 1
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT u.id, u.password_hash::text, coalesce(u.is_active, false)
    FROM public.users u WHERE u.email = wanted
$body$;

-- The caller's role in one merchant's team; NULL when there is none, or when the account was switched off meanwhile.
CREATE FUNCTION bastide.membership(member uuid, merchant uuid) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT t.role::text
    FROM public.team_members t JOIN public.users u ON u.id = t.user_id
    WHERE t.user_id = member AND t.merchant_id = merchant AND u.is_active
    ORDER BY t.id LIMIT 1
$body$;

-- The merchants one person works for: what a log-in answers with.
CREATE FUNCTION bastide.merchants_of(member uuid)
    RETURNS TABLE (id uuid, slug text, name text, role text)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED ROWS 5
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT DISTINCT ON (m.name, m.id) m.id, m.slug::text, m.name::text, t.role::text
    FROM public.team_members t
    JOIN public.users u ON u.id = t.user_id
    JOIN public.merchants m ON m.id = t.merchant_id
    WHERE t.user_id = member AND u.is_active AND m.status <> 'closed'
    ORDER BY m.name, m.id, t.id
$body$;

-- The newest run, without its plan, its errors or any name of a table.
CREATE FUNCTION bastide.migration_status()
    RETURNS TABLE (state text, phase text, steps_done bigint, steps_total bigint, started_at timestamptz, ended_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED ROWS 1
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT r.state, r.phase,
           (SELECT count(*) FROM bastide.journal j WHERE j.run_id = r.id AND j.state = 'done'),
           (SELECT count(*) FROM bastide.journal j WHERE j.run_id = r.id),
           r.started_at, r.ended_at
    FROM bastide.run r ORDER BY r.started_at DESC LIMIT 1
$body$;

ALTER FUNCTION bastide.merchant_by_slug(text) OWNER TO bastide_owner;
ALTER FUNCTION bastide.login_by_email(text) OWNER TO bastide_owner;
ALTER FUNCTION bastide.membership(uuid, uuid) OWNER TO bastide_owner;
ALTER FUNCTION bastide.merchants_of(uuid) OWNER TO bastide_owner;
ALTER FUNCTION bastide.migration_status() OWNER TO bastide_owner;

REVOKE ALL ON FUNCTION bastide.merchant_by_slug(text), bastide.login_by_email(text), bastide.membership(uuid, uuid),
    bastide.merchants_of(uuid), bastide.migration_status() FROM PUBLIC;

DO $do$
DECLARE
    app_role text := coalesce(nullif(current_setting('bastide.app_role', true), ''), 'bastide_app');
BEGIN
    EXECUTE format(
        'GRANT EXECUTE ON FUNCTION bastide.merchant_by_slug(text), bastide.login_by_email(text), '
        'bastide.membership(uuid, uuid), bastide.merchants_of(uuid), bastide.migration_status() TO %I',
        app_role);
END
$do$;
