-- What isolation rests on for the login that asks, one fact to a row: kind, object, fact, value. Reads what every login may read.
WITH who AS MATERIALIZED (
    -- Whose rights it has, or could take by SET ROLE; itself among them.
    SELECT r.oid, r.rolname FROM pg_catalog.pg_roles r WHERE pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER')
), reach AS MATERIALIZED (
    SELECT c.*, pg_catalog.format('%I.%I', n.nspname, c.relname) AS object
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND n.nspname !~ '^pg_(toast|temp)'
      AND EXISTS (
          SELECT FROM who w WHERE pg_catalog.has_schema_privilege(w.oid, n.oid, 'USAGE')
            AND (pg_catalog.has_any_column_privilege(w.oid, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
              OR pg_catalog.has_table_privilege(w.oid, c.oid, 'DELETE, TRUNCATE, TRIGGER')))
), tenanted AS MATERIALIZED (
    -- What has the column of a tenant, by name and type, or references a scoped table, holds rows of tenants. A root's own key is
    -- everybody's name for a key.
    WITH scoped AS (
        SELECT p.polrelid, t.attname, t.atttypid FROM pg_catalog.pg_policy p
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = p.polrelid AND d.refobjsubid > 0
        JOIN pg_catalog.pg_attribute t ON t.attrelid = d.refobjid AND t.attnum = d.refobjsubid
        WHERE p.polname = 'bastide_tenant' AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = p.polrelid AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = t.attnum)
    )
    SELECT r.oid FROM reach r JOIN pg_catalog.pg_attribute t ON t.attrelid = r.oid AND t.attnum > 0 AND NOT t.attisdropped
        JOIN scoped s ON s.attname = t.attname AND s.atttypid = t.atttypid
    UNION
    SELECT f.conrelid FROM pg_catalog.pg_constraint f WHERE f.contype = 'f'
        AND f.confrelid IN (SELECT p.polrelid FROM pg_catalog.pg_policy p WHERE p.polname = 'bastide_tenant')
), policies AS (
    SELECT r.object, p.polname, p.polpermissive, (p.polroles @> '{0}' OR EXISTS (SELECT FROM who w WHERE w.oid = ANY (p.polroles))) AS binds,
        pg_catalog.concat_ws(' ', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            'USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
            'WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')') AS says,
        (SELECT pg_catalog.string_agg(CASE WHEN o = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(o)::text END, ', ' ORDER BY o)
            FROM pg_catalog.unnest(p.polroles) o) AS roles
    FROM pg_catalog.pg_policy p JOIN reach r ON r.oid = p.polrelid
), context AS MATERIALIZED (
    -- What policies call, and what that calls in a body the server has parsed.
    WITH RECURSIVE called AS (
        SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname = 'bastide' AND p.proname IN ('set_tenant', 'current_tenant')
        UNION
        SELECT d.refobjid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_policy p ON p.oid = d.objid JOIN reach r ON r.oid = p.polrelid
            WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.refclassid = 'pg_catalog.pg_proc'::regclass
        UNION
        SELECT d.refobjid FROM pg_catalog.pg_depend d JOIN called c ON c.oid = d.objid
            WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.refclassid = 'pg_catalog.pg_proc'::regclass
    )
    SELECT oid FROM called
), functions AS (
    SELECT CASE WHEN p.oid IN (SELECT oid FROM context) THEN 'context' ELSE 'function' END AS kind, p.*,
        pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) AS object
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE p.oid IN (SELECT oid FROM context) OR n.nspname = 'bastide'
       OR p.oid IN (SELECT t.tgfoid FROM pg_catalog.pg_trigger t JOIN reach r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal)
       OR (p.prosecdef AND n.nspname <> 'pg_catalog'
           AND EXISTS (SELECT FROM who w WHERE pg_catalog.has_schema_privilege(w.oid, n.oid, 'USAGE')
               AND pg_catalog.has_function_privilege(w.oid, p.oid, 'EXECUTE')))
), granted AS (
    -- Only what goes to the login: what others get is not its business.
    SELECT 'relation' AS kind, r.object, a.privilege_type AS what, a.grantee
        FROM reach r, pg_catalog.aclexplode(coalesce(r.relacl, pg_catalog.acldefault('r', r.relowner))) a
    UNION ALL
    SELECT 'relation', r.object, a.privilege_type || ' (' || pg_catalog.quote_ident(t.attname) || ')', a.grantee
        FROM reach r JOIN pg_catalog.pg_attribute t ON t.attrelid = r.oid AND t.attacl IS NOT NULL, pg_catalog.aclexplode(t.attacl) a
    UNION ALL
    SELECT f.kind, f.object, a.privilege_type, a.grantee
        FROM functions f, pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) a
    UNION ALL
    SELECT 'other', pg_catalog.format('schema %I', n.nspname), a.privilege_type, a.grantee
        FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
        WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    UNION ALL
    SELECT 'other', pg_catalog.format('database %I', d.datname), a.privilege_type, a.grantee
        FROM pg_catalog.pg_database d, pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
        WHERE d.datname = pg_catalog.current_database()
    UNION ALL
    SELECT 'other', pg_catalog.format('default privileges of %I', pg_catalog.pg_get_userbyid(d.defaclrole)) 
                || CASE WHEN n.oid IS NULL THEN '' ELSE pg_catalog.format(' in schema %I', n.nspname) END,
            a.privilege_type || ' on ' || CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'f' THEN 'functions' WHEN 'S' THEN 'sequences'
                WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE d.defaclobjtype::text END, a.grantee
        FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace, pg_catalog.aclexplode(d.defaclacl) a
)
SELECT 'relation' AS kind, r.object, f.fact, f.value FROM reach r, LATERAL (VALUES
    ('kind', CASE r.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialised view' WHEN 'f' THEN 'foreign table' ELSE 'table' END),
    ('owner', pg_catalog.pg_get_userbyid(r.relowner)::text),
    ('rows', CASE WHEN r.oid IN (SELECT oid FROM tenanted) THEN 'of tenants' END),
    ('row security', CASE WHEN r.relrowsecurity THEN 'on' ELSE 'off' END),
    ('FORCE', CASE WHEN r.relforcerowsecurity THEN 'on' ELSE 'off' END),
    -- Whatever way it was spelt.
    ('security_invoker', CASE WHEN r.relkind = 'v' THEN (SELECT CASE WHEN pg_catalog.lower(o.option_value) IN ('true', 'on', 'yes', '1') THEN 'on' ELSE 'off' END
        FROM pg_catalog.pg_options_to_table(r.reloptions) o WHERE o.option_name = 'security_invoker') END),
    ('definition', CASE WHEN r.relkind IN ('v', 'm') THEN pg_catalog.md5(pg_catalog.pg_get_viewdef(r.oid)) END)) AS f (fact, value)
    WHERE f.value IS NOT NULL
UNION ALL
SELECT 'relation', p.object, 'policy ' || pg_catalog.quote_ident(p.polname),
    pg_catalog.concat_ws(' ', CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END, p.says, 'TO', p.roles) FROM policies p
UNION ALL
-- What binds this login, whatever it is called and however it came to be about it.
SELECT DISTINCT CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END, p.object, p.says, '' FROM policies p WHERE p.binds
UNION ALL
SELECT 'relation', r.object, 'rule ' || pg_catalog.quote_ident(w.rulename), pg_catalog.md5(pg_catalog.pg_get_ruledef(w.oid))
    FROM pg_catalog.pg_rewrite w JOIN reach r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'relation', r.object, 'trigger ' || pg_catalog.quote_ident(t.tgname), pg_catalog.md5(pg_catalog.pg_get_triggerdef(t.oid) || t.tgenabled::text)
    FROM pg_catalog.pg_trigger t JOIN reach r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL
SELECT f.kind, f.object, v.fact, v.value FROM functions f, LATERAL (VALUES
    ('owner', pg_catalog.pg_get_userbyid(f.proowner)::text),
    ('SECURITY DEFINER', CASE WHEN f.prosecdef THEN 'on' ELSE 'off' END),
    ('definition', pg_catalog.md5(pg_catalog.concat_ws(' ', f.prosrc, pg_catalog.pg_get_function_sqlbody(f.oid), f.probin, f.prolang::text, f.provolatile::text,
        f.proleakproof::text, f.proconfig::text, pg_catalog.pg_get_function_result(f.oid))))) AS v (fact, value)
UNION ALL
SELECT g.kind, g.object, 'privilege ' || g.what || CASE WHEN g.grantee = 0 THEN ' to PUBLIC' ELSE ' to ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END, ''
    FROM granted g WHERE g.grantee = 0 OR g.grantee IN (SELECT oid FROM who)
UNION ALL
SELECT 'login', pg_catalog.quote_ident(r.rolname), f.fact, f.value FROM pg_catalog.pg_roles r, LATERAL (VALUES
    ('SUPERUSER', r.rolsuper), ('BYPASSRLS', r.rolbypassrls), ('CREATEROLE', r.rolcreaterole), ('CREATEDB', r.rolcreatedb),
    ('REPLICATION', r.rolreplication), ('INHERIT', r.rolinherit)) AS b (name, has), LATERAL (VALUES (b.name, CASE WHEN b.has THEN 'on' ELSE 'off' END)) AS f (fact, value)
    WHERE r.rolname = session_user
UNION ALL
SELECT 'login', pg_catalog.quote_ident(session_user), 'membership in ' || pg_catalog.quote_ident(w.rolname), '' FROM who w WHERE w.rolname <> session_user
UNION ALL
SELECT 'login', pg_catalog.quote_ident(session_user), 'preset ' || pg_catalog.split_part(c.setting, '=', 1)
        || CASE WHEN s.setrole = 0 THEN ' of the database' WHEN s.setdatabase = 0 THEN ' of the login' ELSE ' of the login in this database' END,
    pg_catalog.md5(c.setting)
    FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c (setting)
    WHERE s.setrole IN (0, (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = session_user))
      AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))
