//! Functions that run as their owner, lie about themselves, or tell.

use super::{Breach, breach};

pub(super) const BREACHES: &[Breach] = &[
    breach(
        "definer function",
        "BST-032",
        "public.all_orders()",
        false,
        "GRANT EXECUTE ON FUNCTION all_orders() TO PUBLIC",
    ),
    breach("IMMUTABLE helper", "BST-034", "public.whoami()", false, "ALTER FUNCTION whoami() IMMUTABLE"),
    breach("LEAKPROOF claim", "BST-035", "public.whoami()", false, "ALTER FUNCTION whoami() LEAKPROOF"),
    breach(
        "a definer function made later",
        "BST-032",
        "public.later()",
        false,
        "CREATE FUNCTION later() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
             'SELECT count(*) FROM public.orders'",
    ),
    breach(
        "a definer procedure",
        "BST-032",
        "public.wipe()",
        false,
        "CREATE PROCEDURE wipe() LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM public.orders'",
    ),
    breach(
        "a definer function whose body is text",
        "BST-032",
        "public.told(who text)",
        false,
        "CREATE FUNCTION told(who text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog,
             pg_temp AS 'BEGIN RETURN who;
             END'",
    ),
    breach(
        "a definer function through a group",
        "BST-032",
        "public.all_orders()",
        false,
        "GRANT EXECUTE ON FUNCTION all_orders() TO staff; GRANT staff TO bastide_app",
    ).undone_by("REVOKE staff FROM bastide_app"),
    breach(
        "a look-up without a search_path",
        "BST-032",
        "bastide.look(who text)",
        false,
        "CREATE FUNCTION bastide.look(who text) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM
             public.orders';
             ALTER FUNCTION bastide.look(text) OWNER TO bastide_owner",
    ),
    breach(
        "a look-up of another owner",
        "BST-032",
        "bastide.look(who text)",
        false,
        "CREATE FUNCTION bastide.look(who text) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path =
             pg_catalog AS 'SELECT count(*) FROM public.orders';
             ALTER FUNCTION bastide.look(text) OWNER TO legacy",
    ),
    breach(
        "a look-up that resolves names in pg_temp",
        "BST-032",
        "bastide.look(who text)",
        false,
        "CREATE FUNCTION bastide.look(who text) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_temp,
             public AS 'SELECT count(*) FROM orders';
             ALTER FUNCTION bastide.look(text) OWNER TO bastide_owner",
    ),
    breach(
        "a trigger that runs as a superuser",
        "BST-033",
        "public.orders",
        false,
        "ALTER FUNCTION touch() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
             ALTER FUNCTION touch() OWNER TO postgres",
    ),
    breach(
        "a definer trigger without a search_path",
        "BST-039",
        "public.touch()",
        false,
        "ALTER FUNCTION touch() SECURITY DEFINER",
    ),
    breach(
        "a definer trigger that resolves names in pg_temp first",
        "BST-039",
        "public.touch()",
        false,
        "ALTER FUNCTION touch() SECURITY DEFINER SET search_path = public",
    ),
    breach(
        "a definer trigger that resolves names where the application creates",
        "BST-039",
        "public.touch()",
        false,
        "CREATE SCHEMA play; GRANT USAGE, CREATE ON SCHEMA play TO bastide_app;
             ALTER FUNCTION touch() SECURITY DEFINER SET search_path = play, pg_temp",
    ),
    breach(
        "IMMUTABLE through another function",
        "BST-034",
        "public.mine()",
        false,
        "CREATE FUNCTION mine() RETURNS uuid LANGUAGE sql IMMUTABLE AS 'SELECT public.whoami()'",
    ),
    breach(
        "IMMUTABLE reader of the setting",
        "BST-034",
        "public.raw()",
        false,
        "CREATE FUNCTION raw() RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT current_setting('bastide.tenant', true)$$",
    ),
    breach(
        "a leakproof function that prints",
        "BST-035",
        "public.tell(n numeric)",
        false,
        "CREATE FUNCTION tell(n numeric) RETURNS boolean LANGUAGE plpgsql COST 0.0001 LEAKPROOF AS 'BEGIN RAISE NOTICE
             ''%'', n;
             RETURN true; END'",
    ),
    breach(
        "LIKE made leakproof",
        "BST-035",
        "pg_catalog.textlike(text, text)",
        false,
        "ALTER FUNCTION pg_catalog.textlike(text, text) LEAKPROOF",
    ),
    breach(
        "a function with a tenant of its own",
        "BST-037",
        "public.whoami()",
        false,
        "ALTER FUNCTION whoami() SET bastide.tenant = '00000000-0000-4000-8000-000000000002'",
    ),
    breach(
        "a trigger that tells whoever listens",
        "BST-052",
        "public.orders",
        false,
        "CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_notify(''orders'', NEW.number);
             RETURN NEW; END';
             CREATE TRIGGER told AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION told()",
    ),
    breach(
        "a trigger that tells by NOTIFY",
        "BST-052",
        "public.notes",
        false,
        "CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN EXECUTE format(''NOTIFY notes, %L'', NEW.body);
             RETURN NEW; END';
             CREATE TRIGGER told AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION told()",
    ),
    breach(
        "a keeper in other hands",
        "BST-032",
        "bastide.keep()",
        false,
        "CREATE FUNCTION bastide.keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
             SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NEW; END';
             ALTER FUNCTION bastide.keep() OWNER TO legacy; REVOKE EXECUTE ON FUNCTION bastide.keep() FROM PUBLIC;
             CREATE TRIGGER keep BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION bastide.keep()",
    ),
    breach(
        "a keeper that is off",
        "BST-024",
        "public.notes",
        false,
        "CREATE FUNCTION bastide.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER keep BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION bastide.keep();
             ALTER TABLE notes DISABLE TRIGGER keep",
    ),
];
